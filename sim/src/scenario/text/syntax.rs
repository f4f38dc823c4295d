//! How values are written: each in one place, read and printed.

use std::fmt::Display;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use super::cursor::{Cursor, Word};
use super::presets::NETWORKS;
use super::time;
use super::trouble::{Trouble, expected, quoted};
use crate::adversary::Lie;
use crate::event::HostId;
use crate::host::DiskSpeed;
use crate::network::nat::NatKind;
use crate::network::{Access, Latency, Loss, Noise, Router};
use crate::scenario::PORT;
use crate::scenario::{
    Bootstrap, Families, FaultKind, Interfaces, Miles, Neighbours, ROSTER_MAX, Roster, SeqStyle,
};

/// A way to write a value.
pub(super) trait Syntax {
    /// What is written.
    type Value;
    /// For people: `ADDRESS[:PORT]`.
    const FORM: &'static str;
    /// Reads one.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self::Value, Trouble>;
    /// Prints one; what was printed is read as the same.
    fn print(value: &Self::Value) -> String;
}

/// A whole number, from the least to the most.
pub(super) struct Whole<T, const LEAST: i64, const MOST: i64>(PhantomData<T>);

impl<T: TryFrom<i64> + Display, const LEAST: i64, const MOST: i64> Syntax
    for Whole<T, LEAST, MOST>
{
    type Value = T;
    const FORM: &'static str = "NUMBER";

    fn parse(cursor: &mut Cursor<'_>) -> Result<T, Trouble> {
        number(cursor, "", LEAST, MOST)
    }

    fn print(value: &T) -> String {
        value.to_string()
    }
}

/// A whole number and its unit: `250ppm`.
fn number<T: TryFrom<i64>>(
    cursor: &mut Cursor<'_>,
    unit: &str,
    least: i64,
    most: i64,
) -> Result<T, Trouble> {
    let form = format!("a number from {least}{unit} to {most}{unit}");
    let word = cursor.word(&form)?;
    let number = word.text.strip_suffix(unit).and_then(|digits| digits.parse::<i64>().ok());
    let number = number.filter(|it| (least..=most).contains(it));
    let number = number.and_then(|it| T::try_from(it).ok());
    number.ok_or_else(|| {
        Trouble::at(word.column, format!("expected {form}, found {}", quoted(word.text)))
    })
}

/// So many times as often.
pub(super) fn times(cursor: &mut Cursor<'_>) -> Result<u64, Trouble> {
    number(cursor, "", 1, 1_000)
}

/// How many of the operators: a number, or `all` of them.
pub(super) struct Share;

/// `all`, until it is known how many that are.
pub(super) const ALL: usize = usize::MAX;

impl Syntax for Share {
    type Value = usize;
    const FORM: &'static str = "NUMBER|all";

    fn parse(cursor: &mut Cursor<'_>) -> Result<usize, Trouble> {
        if cursor.takes("all") {
            return Ok(ALL);
        }
        number(cursor, "", 0, 256)
    }

    fn print(value: &usize) -> String {
        value.to_string()
    }
}

/// Values that are one word each.
pub(super) trait Words: Copy + Display + 'static {
    /// What such a word is, for messages.
    const WHAT: &'static str;
    /// Every value.
    const WORDS: &'static [Self];
}

/// One of a few words.
pub(super) struct OneOf<T>(PhantomData<T>);

impl<T: Words> Syntax for OneOf<T> {
    type Value = T;
    const FORM: &'static str = T::WHAT;

    fn parse(cursor: &mut Cursor<'_>) -> Result<T, Trouble> {
        let word = cursor.word(T::WHAT)?;
        one_of(word)
    }

    fn print(value: &T) -> String {
        value.to_string()
    }
}

fn one_of<T: Words>(word: Word<'_>) -> Result<T, Trouble> {
    let found = T::WORDS.iter().find(|value| value.to_string() == word.text);
    found.copied().ok_or_else(|| {
        let known: Vec<String> = T::WORDS.iter().map(T::to_string).collect();
        let known = known.iter().map(String::as_str);
        Trouble::at(word.column, expected(T::WHAT, word.text, known))
    })
}

macro_rules! words {
    ($($type:ty = $what:literal: $words:expr;)*) => {$(
        impl Words for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [Self] = &$words;
        }
    )*};
}

words! {
    Latency = "LATENCY": Self::ALL;
    DiskSpeed = "DISKS": [Self::Fast, Self::Slow];
    Families = "FAMILIES": [Self::V4, Self::V6, Self::Mixed];
    Interfaces = "INTERFACES": [Self::One, Self::Private, Self::Public, Self::Mixed];
    Bootstrap = "BOOTSTRAP": [Self::Manifest, Self::Outdated, Self::Hints, Self::Line, Self::Discovery];
    SeqStyle = "SEQS": [Self::One, Self::Millis, Self::Ahead];
    FaultKind = "KIND": Self::ALL;
    Access = "ACCESS": Self::ALL;
    NatKind = "NAT": Self::ALL;
    Lie = "LIE": Self::ALL;
}

/// `all` operators have this last mile, or it is `mixed`.
pub(super) struct MilesOf;

impl Syntax for MilesOf {
    type Value = Miles;
    const FORM: &'static str = "ACCESS|mixed";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Miles, Trouble> {
        if cursor.takes("mixed") {
            return Ok(Miles::Mixed);
        }
        Ok(Miles::All(OneOf::parse(cursor)?))
    }

    fn print(value: &Miles) -> String {
        value.to_string()
    }
}

/// A share in per cent with at most one decimal, up to this many thousandths.
pub(super) struct Share1000<const MOST: u16>;

impl<const MOST: u16> Syntax for Share1000<MOST> {
    type Value = Loss;
    const FORM: &'static str = "PERCENT %";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Loss, Trouble> {
        let form = format!("a share from 0.0 % to {}", Loss(MOST));
        let word = cursor.word(&form)?;
        let sign = cursor.takes("%") || word.text.ends_with('%');
        let digits = word.text.trim_end_matches('%');
        let (whole, tenth) = digits.split_once('.').unwrap_or((digits, "0"));
        let digit = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        let share = (digit(whole) && digit(tenth) && tenth.len() == 1)
            .then(|| Some(whole.parse::<u16>().ok()?.checked_mul(10)? + tenth.parse::<u16>().ok()?))
            .flatten();
        let share = share.filter(|share| *share <= MOST && sign);
        share.map(Loss).ok_or_else(|| {
            Trouble::at(word.column, format!("expected {form}, found {}", quoted(word.text)))
        })
    }

    fn print(value: &Loss) -> String {
        value.to_string()
    }
}

/// `1.0 % duplicated 0.5 % corrupted`.
pub(super) struct NoiseOf;

impl Syntax for NoiseOf {
    type Value = Noise;
    const FORM: &'static str = "PERCENT % duplicated PERCENT % corrupted";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Noise, Trouble> {
        let Loss(duplicated) = Share1000::<500>::parse(cursor)?;
        cursor.keyword("duplicated")?;
        let Loss(corrupted) = Share1000::<500>::parse(cursor)?;
        cursor.keyword("corrupted")?;
        Ok(Noise { duplicated, corrupted })
    }

    fn print(value: &Noise) -> String {
        value.to_string()
    }
}

/// `none`, or `2 boots 12 walkers`.
pub(super) struct NeighboursOf;

impl Syntax for NeighboursOf {
    type Value = Option<Neighbours>;
    const FORM: &'static str = "none|NUMBER boots NUMBER walkers";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self::Value, Trouble> {
        if cursor.takes("none") {
            return Ok(None);
        }
        let boots = number(cursor, "", 1, 16)?;
        cursor.keyword("boots")?;
        let walkers = number(cursor, "", 0, 50_000)?;
        cursor.keyword("walkers")?;
        Ok(Some(Neighbours { boots, walkers }))
    }

    fn print(value: &Self::Value) -> String {
        value.map_or("none".into(), |it| it.to_string())
    }
}

/// Kinds of faults, or `none`.
pub(super) struct Mix;

impl Syntax for Mix {
    type Value = Vec<FaultKind>;
    const FORM: &'static str = "none|KIND...";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self::Value, Trouble> {
        let mut mix = Vec::new();
        if cursor.takes("none") {
            return Ok(mix);
        }
        mix.push(OneOf::parse(cursor)?);
        while cursor.peek().is_some() {
            mix.push(OneOf::parse(cursor)?);
        }
        Ok(mix)
    }

    fn print(value: &Self::Value) -> String {
        match &value[..] {
            [] => "none".into(),
            mix => mix.iter().map(FaultKind::to_string).collect::<Vec<_>>().join(" "),
        }
    }
}

/// `to 198.18.0.9:3610`: where somebody moves.
pub(super) struct To;

impl Syntax for To {
    type Value = SocketAddr;
    const FORM: &'static str = "to ADDRESS[:PORT]";

    fn parse(cursor: &mut Cursor<'_>) -> Result<SocketAddr, Trouble> {
        cursor.keyword("to")?;
        let networks = NETWORKS.iter().map(|(name, _)| *name);
        address(cursor, "an address, as in 198.18.9.2:3610, or a network", networks)
    }

    fn print(value: &SocketAddr) -> String {
        format!("to {value}")
    }
}

/// An address with its port, or with the usual one.
pub(super) struct At;

impl Syntax for At {
    type Value = SocketAddr;
    const FORM: &'static str = "ADDRESS[:PORT]";

    fn parse(cursor: &mut Cursor<'_>) -> Result<SocketAddr, Trouble> {
        address(cursor, "an address", ["198.18.9.2:3610"])
    }

    fn print(value: &SocketAddr) -> String {
        value.to_string()
    }
}

fn address<'a>(
    cursor: &mut Cursor<'_>,
    what: &str,
    instead: impl IntoIterator<Item = &'a str>,
) -> Result<SocketAddr, Trouble> {
    let word = cursor.word("an address")?;
    let address = word.text.parse().ok();
    let address = address.or_else(|| Some(SocketAddr::new(word.text.parse().ok()?, PORT)));
    let address = address.filter(|it| it.port() != 0 && is_somewhere(it.ip()));
    address.ok_or_else(|| Trouble::at(word.column, expected(what, word.text, instead)))
}

/// An address of an interface.
pub(super) struct Ip;

impl Syntax for Ip {
    type Value = IpAddr;
    const FORM: &'static str = "ADDRESS";

    fn parse(cursor: &mut Cursor<'_>) -> Result<IpAddr, Trouble> {
        let word = cursor.word("an address")?;
        let address = word.text.parse().ok().filter(|it| is_somewhere(*it));
        address.ok_or_else(|| {
            let found = quoted(word.text);
            let what = format!("expected an address, as in 198.18.9.2, found {found}");
            Trouble::at(word.column, what)
        })
    }

    fn print(value: &IpAddr) -> String {
        value.to_string()
    }
}

/// An interface has no address that stands for all, many or oneself.
fn is_somewhere(ip: IpAddr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback())
}

/// Another host.
pub(super) struct Other;

impl Syntax for Other {
    type Value = HostId;
    const FORM: &'static str = "HOST";

    fn parse(cursor: &mut Cursor<'_>) -> Result<HostId, Trouble> {
        cursor.host()
    }

    fn print(value: &HostId) -> String {
        value.0.to_string()
    }
}

/// The operators of a manifest, in the order of their places.
pub(super) struct Named;

impl Syntax for Named {
    type Value = Roster;
    const FORM: &'static str = "HOST,HOST...";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Roster, Trouble> {
        let mut named: Vec<HostId> = Vec::new();
        loop {
            let word = cursor.word("an operator")?;
            let host = cursor.hosts.find(word)?;
            let what = match named.len() {
                _ if host.0 >= cursor.hosts.operators => {
                    format!("{} is no operator, and a manifest names operators", quoted(word.text))
                }
                _ if named.contains(&host) => format!("{} is named twice", quoted(word.text)),
                ROSTER_MAX => format!("a manifest names {ROSTER_MAX} operators at most"),
                _ => String::new(),
            };
            if !what.is_empty() {
                return Err(Trouble::at(word.column, what));
            }
            named.push(host);
            if cursor.peek().is_none() {
                return Ok(Roster::new(&named));
            }
        }
    }

    fn print(value: &Roster) -> String {
        value.hosts().map(|host| host.0.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// A router that translates addresses, perhaps behind a carrier's.
pub(super) struct RouterOf;

impl Syntax for RouterOf {
    type Value = Router;
    const FORM: &'static str = "NAT [carrier] [hairpin]";

    fn parse(cursor: &mut Cursor<'_>) -> Result<Router, Trouble> {
        let kind = OneOf::parse(cursor)?;
        let carrier = cursor.takes("carrier");
        Ok(Router { kind, carrier, hairpin: cursor.takes("hairpin") })
    }

    fn print(value: &Router) -> String {
        value.to_string()
    }
}

/// How far a wall clock is put forward or, with a minus, back: `250ms`, `-2h`.
pub(super) struct By;

impl Syntax for By {
    type Value = i64;
    const FORM: &'static str = "[-]SPAN";

    fn parse(cursor: &mut Cursor<'_>) -> Result<i64, Trouble> {
        let word = cursor.word("a span of time")?;
        let (sign, column, text) = match word.text.strip_prefix('-') {
            Some(text) => (-1, word.column + 1, text),
            None => (1, word.column, word.text),
        };
        let span = time::span(Word { text, column })?.as_nanos();
        if span % 1_000_000 != 0 {
            return Err(Trouble::at(column, "a wall clock knows milliseconds, and nothing finer"));
        }
        Ok(sign * i64::try_from(span / 1_000_000).expect("spans are ten years at most"))
    }

    fn print(value: &i64) -> String {
        format!("{value}ms")
    }
}

/// A rate in millionths: `-200ppm`.
pub(super) struct Ppm;

impl Syntax for Ppm {
    type Value = i32;
    const FORM: &'static str = "[-]NUMBERppm";

    fn parse(cursor: &mut Cursor<'_>) -> Result<i32, Trouble> {
        number(cursor, "ppm", -500_000, 500_000)
    }

    fn print(value: &i32) -> String {
        format!("{value}ppm")
    }
}

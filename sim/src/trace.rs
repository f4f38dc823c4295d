//! What happened, as one rolling 64-bit hash, always on; in words only when asked for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use stayfound_core::discovery::Sought;
use stayfound_core::node::{Event, Input, Output};

use crate::event::HostId;
use crate::moment::Moment;
use crate::scenario::Fault;

/// The hash of everything that happened so far: each event (time, node, input with its content)
/// and each output. Integers only, so that every machine agrees.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    events: u64,
    recording: Option<Vec<Entry>>,
}

/// One event of a recorded run, with the outputs it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// At which host.
    pub host: HostId,
    /// The rolling hash after it.
    pub hash: u64,
    /// In words.
    pub text: String,
}

/// The first event in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Its number, from 0.
    pub event: usize,
    /// What happened in the first run; `None` if it had ended.
    pub first: Option<Entry>,
    /// What happened in the second run; `None` if it had ended.
    pub second: Option<Entry>,
}

impl Trace {
    /// A trace that also keeps every event in words.
    #[must_use]
    pub fn recording() -> Self {
        Self { recording: Some(Vec::new()), ..Self::default() }
    }

    /// The hash so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Every event so far, if they are being recorded.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.recording.as_deref().unwrap_or_default()
    }

    /// An event begins; `what` says it in words and is asked only when recording.
    pub(crate) fn event(&mut self, at: Moment, host: HostId, what: impl FnOnce() -> String) {
        self.events += 1;
        self.pair(at.0, host.0 as u64);
        let hash = self.hash;
        if let Some(entries) = &mut self.recording {
            entries.push(Entry { at, host, hash, text: what() });
        }
    }

    /// A fault: its words are its content.
    pub(crate) fn fault(&mut self, at: Moment, fault: &Fault) {
        let what = fault.to_string();
        self.bytes(what.as_bytes());
        self.event(at, fault.host, || what);
        self.seal();
    }

    /// What a node was given.
    pub(crate) fn input(&mut self, input: &Input<'_>) {
        match *input {
            Input::LinkOpened { link, peer, remote, dial } => {
                self.words([1, link.0, dial.map_or(u64::MAX, |dial| dial.0)]);
                self.bytes(peer.as_bytes());
                self.address(remote);
            }
            Input::DialFailed { dial } => self.words([2, dial.0]),
            Input::LinkBytes { link, bytes } => {
                self.words([3, link.0]);
                self.bytes(bytes);
            }
            Input::LinkMoved { link, remote } => {
                self.words([4, link.0]);
                self.address(remote);
            }
            Input::LinkClosed { link } => self.words([5, link.0]),
            Input::Bound { local } => {
                self.word(6);
                self.address(local);
            }
            Input::AddressUp { ip } => {
                self.word(7);
                self.ip(ip);
            }
            Input::AddressDown { ip } => {
                self.word(8);
                self.ip(ip);
            }
            Input::Durable { ticket } => self.words([9, ticket.0]),
            Input::Hint { operator, address } => {
                self.words([10, u64::from(operator.0)]);
                self.address(address);
            }
            Input::Datagram { from, bytes } => {
                self.word(12);
                self.address(from);
                self.bytes(bytes);
            }
            Input::Ask { id, .. } => self.words([13, id]),
            Input::TalkBack { response, .. } => {
                self.word(14);
                self.bytes(response);
            }
            Input::Manifest { manifest } => {
                self.word(15);
                self.bytes(manifest.hash());
                manifest.operators().iter().for_each(|it| self.bytes(it.record.as_bytes()));
            }
            Input::Entropy { fresh } => {
                self.word(16);
                self.bytes(fresh);
            }
            Input::Wake => self.word(11),
        }
        self.seal();
    }

    /// What a node wanted done.
    pub(crate) fn output(&mut self, output: &Output) {
        match output {
            Output::Dial { dial, peer, address } => {
                self.words([21, dial.0]);
                self.bytes(peer.as_bytes());
                self.address(*address);
            }
            Output::Send { link, bytes } => {
                self.words([22, link.0]);
                self.bytes(bytes);
            }
            Output::Close { link, why } => self.words([23, link.0, *why as u64]),
            Output::Persist { ticket, row } => {
                self.words([24, ticket.0]);
                self.bytes(&row.key.0);
                self.bytes(&row.value);
            }
            Output::Datagram { to, bytes } => {
                self.word(27);
                self.address(*to);
                self.bytes(bytes);
            }
            Output::Event(event) => self.told(event),
            Output::Count(counter) => self.words([26, *counter as u64]),
            Output::Sought(sought) => {
                self.words([28, sought.began.0, sought.queries as u64]);
                self.bytes(&sought.target.0);
            }
        }
        if let Some(last) = self.recording.as_mut().and_then(|entries| entries.last_mut()) {
            last.text.push_str("\n                   ");
            last.text.push_str(&in_words(output));
        }
        self.seal();
    }

    fn told(&mut self, event: &Event) {
        self.word(25);
        if let Event::OwnRecord { record } | Event::Record { record, .. } = event {
            self.bytes(record.as_bytes());
        }
        // Events are rare enough to go by their words.
        self.bytes(format!("{event:?}").as_bytes());
    }

    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.pair(u64::from(ip.to_bits()), u64::from(address.port())),
            IpAddr::V6(ip) => {
                self.ip(ip.into());
                self.word(u64::from(address.port()));
            }
        }
    }

    fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.word(u64::from(ip.to_bits())),
            IpAddr::V6(ip) => self.pair((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
        }
    }

    fn words<const N: usize>(&mut self, words: [u64; N]) {
        words.into_iter().for_each(|word| self.word(word));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (pairs, rest) = bytes.as_chunks::<16>();
        let mut pair = |bytes: u128| self.pair(bytes as u64, (bytes >> 64) as u64);
        pairs.iter().for_each(|bytes| pair(u128::from_le_bytes(*bytes)));
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            pair(u128::from_le_bytes(last));
        }
    }

    fn word(&mut self, word: u64) {
        self.pair(word, 0);
    }

    /// Both halves of a product depend on all bits of both factors, of which one holds the hash so far.
    fn pair(&mut self, one: u64, two: u64) {
        let hash = self.hash.rotate_left(23) ^ one ^ 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(hash) * u128::from(two ^ 0xbf58_476d_1ce4_e5b9);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    /// The last event's entry carries the hash of all that followed from it.
    fn seal(&mut self) {
        if let Some(last) = self.recording.as_mut().and_then(|entries| entries.last_mut()) {
            last.hash = self.hash;
        }
    }
}

/// An input in words: what a person needs to follow a run.
pub(crate) fn input_in_words(input: &Input<'_>) -> String {
    match input {
        Input::LinkOpened { link, remote, dial: Some(dial), .. } => {
            format!("link {} opened to {remote}, answering dial {}", link.0, dial.0)
        }
        Input::LinkOpened { link, remote, dial: None, .. } => {
            format!("link {} opened by {remote}", link.0)
        }
        Input::LinkBytes { link, bytes } => format!("{} bytes on link {}", bytes.len(), link.0),
        Input::LinkMoved { link, remote } => format!("link {} moved to {remote}", link.0),
        Input::LinkClosed { link } => format!("link {} closed", link.0),
        Input::DialFailed { dial } => format!("dial {} failed", dial.0),
        Input::Bound { local } => format!("bound to {local}"),
        Input::AddressUp { ip } => format!("address {ip} up"),
        Input::AddressDown { ip } => format!("address {ip} down"),
        Input::Durable { ticket } => format!("write {} durable", ticket.0),
        Input::Hint { operator, address } => format!("hint: operator {operator} at {address}"),
        Input::Datagram { from, bytes } => format!("{} bytes from {from}", bytes.len()),
        Input::Ask { id, ask } => format!("ask {id}: {ask:?}"),
        Input::TalkBack { talk, .. } => format!("talk back to {}", talk.from.at),
        Input::Manifest { manifest } => {
            format!("a manifest of {} operators", manifest.operators().len())
        }
        Input::Entropy { .. } => "entropy".into(),
        Input::Wake => "wake".into(),
    }
}

/// An output in words.
pub(crate) fn in_words(output: &Output) -> String {
    match output {
        Output::Dial { dial, address, .. } => format!("dial {} to {address}", dial.0),
        Output::Send { link, bytes } => format!("send {} bytes on link {}", bytes.len(), link.0),
        Output::Close { link, why } => format!("close link {}: {why:?}", link.0),
        Output::Datagram { to, bytes } => format!("send {} bytes to {to}", bytes.len()),
        Output::Persist { ticket, row } => format!("write {}: row of {:#}", ticket.0, row.key),
        Output::Event(event) => format!("{event:?}"),
        Output::Count(counter) => format!("count {}", counter.name()),
        Output::Sought(sought) => {
            let Sought { target, found, queries, .. } = sought;
            format!("looked for {target:#}: found {found}, {queries} queries")
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, host) = (self.at.to_string(), self.host.0);
        write!(f, "{at:>14}  {host}: {}  (trace {:016x})", self.text, self.hash)
    }
}

impl Divergence {
    /// Compares two recorded runs.
    #[must_use]
    pub fn between(first: &[Entry], second: &[Entry]) -> Option<Self> {
        let event = (0..first.len().max(second.len())).find(|&i| first.get(i) != second.get(i))?;
        let (first, second) = (first.get(event).cloned(), second.get(event).cloned());
        Some(Self { event, first, second })
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |entry: &Option<Entry>| entry.as_ref().map_or("(ended)".into(), Entry::to_string);
        writeln!(f, "event {} differs", self.event)?;
        writeln!(f, "  first run   {}", say(&self.first))?;
        write!(f, "  second run  {}", say(&self.second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stayfound_core::node::LinkId;

    fn record(inputs: &[(u64, Input<'_>)]) -> Trace {
        let mut trace = Trace::recording();
        for (at, input) in inputs {
            trace.event(Moment(*at), HostId(2), || input_in_words(input));
            trace.input(input);
        }
        trace
    }

    #[test]
    fn time_order_and_every_byte_count() {
        let bytes = |bytes| Input::LinkBytes { link: LinkId(1), bytes };
        let base = record(&[(1, Input::Wake), (2, bytes(b"abc"))]).hash();
        assert_eq!(base, record(&[(1, Input::Wake), (2, bytes(b"abc"))]).hash());
        assert_ne!(base, record(&[(1, Input::Wake), (3, bytes(b"abc"))]).hash());
        assert_ne!(base, record(&[(1, bytes(b"abc")), (2, Input::Wake)]).hash());
        assert_ne!(base, record(&[(1, Input::Wake), (2, bytes(b"abd"))]).hash());
        assert_ne!(base, record(&[(1, Input::Wake), (2, bytes(b"abc\0"))]).hash());
    }

    #[test]
    fn the_first_diverging_event_is_found() {
        let first = record(&[(1, Input::Wake), (2, Input::Wake), (3, Input::Wake)]);
        let second = record(&[(1, Input::Wake), (2, Input::Wake), (4, Input::Wake)]);
        assert_eq!(Divergence::between(first.entries(), first.entries()), None);
        let found = Divergence::between(first.entries(), second.entries()).unwrap();
        assert_eq!(found.event, 2);
        let found = Divergence::between(&first.entries()[..2], first.entries()).unwrap();
        assert_eq!((found.event, found.first), (2, None));
    }
}

//! Spans of time, written with units and read exactly.

use std::time::Duration;

use super::cursor::Word;
use super::trouble::{Trouble, quoted};

/// Nanoseconds of each unit.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Nothing in a text lasts longer.
pub(super) const MOST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A span: `60s`, `60.004s`, `1h30m`, `2d`.
pub(super) fn span(word: Word<'_>) -> Result<Duration, Trouble> {
    let trouble = |what: String| Trouble::at(word.column, what);
    let wrong = || {
        let units = UNITS.map(|(unit, _)| unit).join(", ");
        let found = quoted(word.text);
        trouble(format!("expected a time with its unit ({units}), as in 60.5s, found {found}"))
    };
    let (mut rest, mut nanos) = (word.text, 0);
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|it: char| !it.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // Longer numbers are no times, and shorter ones overflow nothing below.
        if whole.is_empty() || whole.len() > 18 || fraction.is_empty() || fraction.len() > 18 {
            return Err(wrong());
        }
        let part = |digits: &str| digits.parse::<u128>().map_err(|_| wrong());
        let (fraction, below) = (part(fraction)? * scale, 10_u128.pow(fraction.len() as u32));
        if fraction % below != 0 {
            return Err(trouble("nothing is finer than a nanosecond".into()));
        }
        nanos += part(whole)? * scale + fraction / below;
        rest = tail;
    }
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(span) if !word.text.is_empty() && span <= MOST => Ok(span),
        Ok(_) if word.text.is_empty() => Err(wrong()),
        _ => Err(trouble("that is more than ten years".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u128, String> {
        let span = span(Word { text, column: 1 });
        span.map(|it| it.as_nanos()).map_err(|trouble| trouble.what)
    }

    #[test]
    fn spans_are_exact() {
        let second = 1_000_000_000;
        assert_eq!(read("60s"), Ok(60 * second));
        assert_eq!(read("60.004021s"), Ok(60_004_021_000));
        assert_eq!(read("1h30m"), Ok(5_400 * second));
        assert_eq!(read("1.5d250ms"), Ok(129_600 * second + second / 4));
        assert_eq!(read("0.000000001s"), Ok(1));
        for wrong in
            ["", "s", "60", "60x", "1.s", ".5s", "-1s", "1s!", "1 s", "9".repeat(30).as_str()]
        {
            assert!(read(wrong).unwrap_err().contains("expected a time"), "{wrong}");
        }
        assert!(read("0.0000000001s").unwrap_err().contains("nanosecond"));
        assert!(read("999999999d").unwrap_err().contains("ten years"));
    }
}

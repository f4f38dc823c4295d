//! The live table that people look at.

use std::fmt;
use std::net::SocketAddr;

use stayfound_core::cluster::OperatorIndex;
use stayfound_core::time::Wall;

/// One operator's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who, counted from 0.
    pub operator: OperatorIndex,
    /// Its name.
    pub name: String,
    /// Where its record says it is; `None` if it says nothing.
    pub address: Option<SocketAddr>,
    /// The sequence number of its record.
    pub seq: u64,
    /// With how many operators it is linked, and with how many it should be.
    pub links: (usize, usize),
    /// When it last changed.
    pub changed: Option<Wall>,
}

/// Operators as a table of fixed width, a heading first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// One line each.
    pub rows: Vec<Row>,
    /// The present, which the last changes are told from.
    pub now: Wall,
}

impl fmt::Display for Table {
    /// 79 columns as long as addresses are IPv4's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address, seq) = ("name", "address", "seq");
        writeln!(f, "op  {name:17}  {address:21}  {seq:>13}  links  last change")?;
        for Row { operator, name, address, seq, links: (linked, peers), changed } in &self.rows {
            let address = address.map_or("-".into(), |address| address.to_string());
            let links = format!("{linked}/{peers}");
            let changed = changed.map_or("never".into(), |changed| age(changed, self.now));
            let operator = operator.0;
            writeln!(
                f,
                "{operator:>2}  {name:17}  {address:21}  {seq:>13}  {links:>5}  {changed}"
            )?;
        }
        Ok(())
    }
}

/// How long ago, in the largest unit that fits. A clock that was set back shows as now.
fn age(then: Wall, now: Wall) -> String {
    let millis = now.0.saturating_sub(then.0);
    match millis / 1_000 {
        0..60 => format!("{}.{} s ago", millis / 1_000, millis % 1_000 / 100),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings() {
        let row = |operator, address: Option<&str>, changed| Row {
            operator: OperatorIndex(operator),
            name: "amber-anchor".into(),
            address: address.map(|address| address.parse().expect("an address")),
            seq: 1_753_000_000_123,
            links: (2, 3),
            changed,
        };
        let rows = vec![row(0, Some("127.0.0.1:40123"), Some(Wall(98_700))), row(11, None, None)];
        assert_eq!(
            Table { rows, now: Wall(100_000) }.to_string(),
            "\
op  name               address                          seq  links  last change
 0  amber-anchor       127.0.0.1:40123        1753000000123    2/3  1.3 s ago
11  amber-anchor       -                      1753000000123    2/3  never
"
        );
    }

    #[test]
    fn an_age_is_told_in_the_unit_that_fits() {
        let ago = |millis: u64| age(Wall(1_000_000_000), Wall(1_000_000_000 + millis));
        assert_eq!(ago(0), "0.0 s ago");
        assert_eq!(ago(59_999), "59.9 s ago");
        assert_eq!(ago(60_000), "1 min ago");
        assert_eq!(ago(7_300_000), "2 h ago");
        assert_eq!(ago(200_000_000), "2 d ago");
        assert_eq!(age(Wall(5), Wall(0)), "0.0 s ago");
    }
}

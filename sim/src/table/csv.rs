//! Rows as CSV (RFC 4180, with line feeds alone): what is written, and how it is read back.
//!
//! A value has one form only, so that equal rows are equal bytes: numbers as short as they can be
//! to be read back exactly, text in quotes only if it needs them.

use std::fmt;

use super::{Column, Kind, Table, Value};

/// What is wrong with a text that should be CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which record, from 1.
    pub record: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.record, self.what)
    }
}

/// The first line of a table.
#[must_use]
pub fn header(table: &Table) -> String {
    let names: Vec<&str> = table.all_columns().map(|column| column.name).collect();
    names.join(",") + "\n"
}

/// Appends a record.
pub fn write(values: impl IntoIterator<Item = Value>, to: &mut String) {
    for (place, value) in values.into_iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        match value {
            Value::Text(text) => quote(&text, to),
            Value::Count(count) => to.push_str(&count.to_string()),
            Value::Real(real) => to.push_str(&real.to_string()),
            Value::Flag(flag) => to.push_str(if flag { "true" } else { "false" }),
            Value::Absent => {}
        }
    }
    to.push('\n');
}

/// Text that could be taken for something else is quoted; so is the empty one, which is not absent.
fn quote(text: &str, to: &mut String) {
    if !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return to.push_str(text);
    }
    to.push('"');
    to.push_str(&text.replace('"', "\"\""));
    to.push('"');
}

/// Each record of a table without its header, with the bytes that it was read from.
///
/// # Errors
/// What is wrong with the first record that is none.
pub fn read<'a>(
    table: &'static Table,
    text: &'a str,
) -> impl Iterator<Item = Result<(Vec<Value>, &'a str), Malformed>> {
    let mut rest = text;
    let mut record = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        record += 1;
        let before = rest;
        let values = parse(table, &mut rest).map_err(|what| {
            rest = ""; // after nonsense, nothing means anything
            Malformed { record, what }
        });
        Some(values.map(|values| (values, &before[..before.len() - rest.len()])))
    })
}

fn parse(table: &Table, rest: &mut &str) -> Result<Vec<Value>, String> {
    let columns = table.all_columns().count();
    let mut values = Vec::with_capacity(columns);
    for (place, column) in table.all_columns().enumerate() {
        let end = if place + 1 == columns { '\n' } else { ',' };
        values.push(field(column, end, rest)?);
    }
    Ok(values)
}

/// The next field, which is to end with `end`.
fn field(column: &Column, end: char, rest: &mut &str) -> Result<Value, String> {
    let name = column.name;
    let (text, quoted) = match rest.strip_prefix('"') {
        Some(quoted) => (unquote(quoted, rest).ok_or(format!("{name}: a quote is open"))?, true),
        None => {
            let length = rest.find([',', '\n', '"']).unwrap_or(rest.len());
            let (text, after) = rest.split_at(length);
            *rest = after;
            (text.to_owned(), false)
        }
    };
    let after = rest.strip_prefix(end);
    *rest = after.ok_or_else(|| format!("{name}: no {end:?} after it"))?;
    value(column, text, quoted).ok_or_else(|| format!("{name}: no {}", column.kind.name()))
}

/// The text before the closing quote; what comes after it is the rest.
fn unquote<'a>(quoted: &'a str, rest: &mut &'a str) -> Option<String> {
    let mut text = String::new();
    let mut after = quoted;
    loop {
        let (part, behind) = after.split_once('"')?;
        text.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                after = more;
            }
            None => {
                *rest = behind;
                return Some(text);
            }
        }
    }
}

fn value(column: &Column, text: String, quoted: bool) -> Option<Value> {
    let value = match column.kind {
        _ if text.is_empty() && !quoted => Value::Absent,
        Kind::Text => Value::Text(text),
        Kind::Count => Value::Count(text.parse().ok()?),
        Kind::Real => Value::Real(text.parse().ok()?),
        Kind::Flag => Value::Flag(text.parse().ok()?),
    };
    column.takes(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table = Table {
        name: "test",
        about: &[],
        columns: &[column("text", Kind::Text), column("real", Kind::Real)],
    };

    const fn column(name: &'static str, kind: Kind) -> Column {
        Column { name, kind, optional: true, unit: "", meaning: &[] }
    }

    fn row(text: Value, real: Value) -> Vec<Value> {
        vec![Value::Text("drawn".into()), Value::Count(7), text, real]
    }

    #[test]
    fn whatever_is_written_is_read_back_and_so_are_its_bytes() {
        let texts = ["", "plain", "a,b", "say \"no\"", "two\nlines", "\r", "\"", ",", "ü€"];
        let reals = [0.0, 60.004021, 1e21, 1e-9, 0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE];
        let mut rows = vec![row(Value::Absent, Value::Absent)];
        rows.extend(texts.map(|text| row(Value::Text(text.into()), Value::Absent)));
        rows.extend(reals.map(|real| row(Value::Absent, Value::Real(real))));
        let mut text = String::new();
        rows.iter().for_each(|row| write(row.clone(), &mut text));
        let read: Vec<_> = read(&TABLE, &text).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|it| it.0.clone()).collect::<Vec<_>>(), rows);
        assert_eq!(read.iter().map(|it| it.1).collect::<String>(), text);
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_column() {
        for (text, what) in [
            ("drawn,7,a,1", "record 1: real: no '\\n' after it"),
            ("drawn,x,a,1\n", "record 1: seed: no count"),
            ("drawn,,a,1\n", "record 1: seed: no count"),
            ("drawn,7,a,NaN\n", "record 1: real: no real"),
            ("drawn,7,a\n", "record 1: text: no ',' after it"),
            ("drawn,7,a,1,2\n", "record 1: real: no '\\n' after it"),
            ("drawn,7,\"a,1\n", "record 1: text: a quote is open"),
            ("drawn,7,\"a\"b,1\n", "record 1: text: no ',' after it"),
            ("drawn,7,a,1\ndrawn\n", "record 2: scenario: no ',' after it"),
        ] {
            let found = read(&TABLE, text).find_map(Result::err).expect(text);
            assert_eq!(found.to_string(), what, "{text:?}");
        }
    }
}

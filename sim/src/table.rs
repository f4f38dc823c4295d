//! What a run yields: long-form tables, one observation a row.
//!
//! Each table is described once, by the struct of its rows: the same description is the schema that
//! is printed, the header of CSV and the columns of Parquet. Before the columns of its own each
//! table has those that say which run a row is of ([`KEY`]), so that tables of many runs are put
//! together by appending them.

mod collect;
pub mod csv;
mod rows;
pub mod schema;

pub(crate) use collect::moves_known;
pub use collect::scenario_hash;
pub use rows::{
    ConvergenceRow, CountRow, EventRow, LinkRow, LookupRow, NodeRow, OptionRow, RunRow, Tables,
};

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, and that of its file.
    pub name: &'static str,
    about: &'static [&'static str],
    /// Its own columns, which come after [`KEY`].
    pub columns: &'static [Column],
}

/// A column.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a value may be absent.
    pub optional: bool,
    /// Of what it is so many; empty for what is not counted or measured.
    pub unit: &'static str,
    meaning: &'static [&'static str],
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// A whole number from 0 to 2^64 − 1.
    Count,
    /// An IEEE 754 double, finite.
    Real,
    /// True or false.
    Flag,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Count`].
    Count(u64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Nothing was observed.
    Absent,
}

/// The first columns of every table: which run a row is of.
pub const KEY: [Column; 2] = [
    Column {
        name: "scenario",
        kind: Kind::Text,
        optional: false,
        unit: "",
        meaning: &["The scenario's name: `drawn` if the seed drew it."],
    },
    Column {
        name: "seed",
        kind: Kind::Count,
        optional: false,
        unit: "",
        meaning: &["The seed of the run."],
    },
];

/// A row of a table.
pub trait Row {
    /// The table.
    const TABLE: Table;

    /// Its values, one for each of the table's own columns.
    fn values(&self) -> Vec<Value>;

    /// The row of these values.
    ///
    /// # Panics
    /// If they do not fit the table's own columns.
    fn from_values(values: &[Value]) -> Self;
}

/// A type whose values stand in a column.
trait Cell: Sized {
    const KIND: Kind;
    const OPTIONAL: bool = false;

    fn value(&self) -> Value;

    fn of(value: &Value) -> Option<Self>;
}

impl Table {
    /// What a row of it is.
    #[must_use]
    pub fn about(&self) -> String {
        joined(self.about)
    }

    /// All its columns, in order.
    pub fn all_columns(&self) -> impl Iterator<Item = &Column> {
        KEY.iter().chain(self.columns)
    }
}

impl Column {
    /// What its values mean.
    #[must_use]
    pub fn meaning(&self) -> String {
        joined(self.meaning)
    }

    /// Whether it may hold this value.
    #[must_use]
    pub fn takes(&self, value: &Value) -> bool {
        match value {
            Value::Text(_) => self.kind == Kind::Text,
            Value::Count(_) => self.kind == Kind::Count,
            Value::Real(real) => self.kind == Kind::Real && real.is_finite(),
            Value::Flag(_) => self.kind == Kind::Flag,
            Value::Absent => self.optional,
        }
    }
}

impl Kind {
    /// Its name in the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Count => "count",
            Self::Real => "real",
            Self::Flag => "flag",
        }
    }
}

/// Documentation comments, as the compiler hands them over: each line behind a space.
fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

impl Cell for String {
    const KIND: Kind = Kind::Text;

    fn value(&self) -> Value {
        Value::Text(self.clone())
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl Cell for u64 {
    const KIND: Kind = Kind::Count;

    fn value(&self) -> Value {
        Value::Count(*self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Count(it) = value { Some(*it) } else { None }
    }
}

impl Cell for f64 {
    const KIND: Kind = Kind::Real;

    fn value(&self) -> Value {
        Value::Real(*self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Real(it) = value { Some(*it) } else { None }
    }
}

impl Cell for bool {
    const KIND: Kind = Kind::Flag;

    fn value(&self) -> Value {
        Value::Flag(*self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Flag(it) = value { Some(*it) } else { None }
    }
}

impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Absent, T::value)
    }

    fn of(value: &Value) -> Option<Self> {
        if *value == Value::Absent { Some(None) } else { T::of(value).map(Some) }
    }
}

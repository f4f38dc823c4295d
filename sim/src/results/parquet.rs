//! Tables as Parquet: the same rows and columns as CSV, with types.

use std::io;
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::directory::{Hashed, Sink};
use crate::table::{Column, Kind, Table, Value, csv, schema};

/// How many rows are in one row group: it is in memory until it is full.
const ROW_GROUP: usize = 1 << 16;

/// A table as Parquet.
pub(super) struct ParquetSink {
    table: &'static Table,
    rows: Vec<Vec<Value>>,
    writer: SerializedFileWriter<Hashed>,
}

impl ParquetSink {
    /// Writes to this file. What `schema` says of the table is in its metadata, by that name.
    pub(super) fn new(table: &'static Table, file: Hashed) -> io::Result<Self> {
        let message = parse_message_type(&message(table)).expect("a message of columns");
        let about = KeyValue::new("schema".into(), schema::json()[table.name].to_string());
        let properties =
            WriterProperties::builder().set_key_value_metadata(Some(vec![about])).build();
        let writer = SerializedFileWriter::new(file, Arc::new(message), Arc::new(properties));
        Ok(Self { table, rows: Vec::new(), writer: writer.map_err(failed)? })
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for (place, column) in self.table.all_columns().enumerate() {
            let values: Vec<&Value> = self.rows.iter().map(|row| &row[place]).collect();
            let mut writer = group.next_column().map_err(failed)?.expect("a writer per column");
            write(column, &values, writer.untyped()).map_err(failed)?;
            writer.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.rows.clear();
        Ok(())
    }
}

impl Sink for ParquetSink {
    fn rows(&mut self, text: &str) -> io::Result<()> {
        for record in csv::read(self.table, text) {
            self.rows.push(record.expect("rows of results are rows").0);
            if self.rows.len() == ROW_GROUP {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<String> {
        self.flush()?;
        self.writer.into_inner().map_err(failed)?.finish()
    }
}

/// The columns in Parquet's own words.
fn message(table: &Table) -> String {
    let column = |column: &Column| {
        let repetition = if column.optional { "OPTIONAL" } else { "REQUIRED" };
        let (name, kind) = (column.name, column.kind);
        match kind {
            Kind::Text => format!("{repetition} BYTE_ARRAY {name} (STRING);"),
            Kind::Count => format!("{repetition} INT64 {name} (INTEGER(64,false));"),
            Kind::Real => format!("{repetition} DOUBLE {name};"),
            Kind::Flag => format!("{repetition} BOOLEAN {name};"),
        }
    };
    let columns: Vec<String> = table.all_columns().map(column).collect();
    format!("message {} {{ {} }}", table.name, columns.join(" "))
}

fn write(
    column: &Column,
    values: &[&Value],
    to: &mut ColumnWriter<'_>,
) -> Result<(), ParquetError> {
    let present = |value: &&Value| i16::from(**value != Value::Absent);
    let levels: Vec<i16> = values.iter().map(present).collect();
    let levels = column.optional.then_some(&levels[..]);
    match to {
        ColumnWriter::ByteArrayColumnWriter(to) => {
            let text = |value: &Value| match value {
                Value::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            };
            to.write_batch(&picked(values, text), levels, None)?
        }
        ColumnWriter::Int64ColumnWriter(to) => {
            // The signed number of the same bits: the column's type says that it is none.
            let count = |value: &Value| match value {
                Value::Count(count) => Some(count.cast_signed()),
                _ => None,
            };
            to.write_batch(&picked(values, count), levels, None)?
        }
        ColumnWriter::DoubleColumnWriter(to) => {
            let real = |value: &Value| if let Value::Real(it) = value { Some(*it) } else { None };
            to.write_batch(&picked(values, real), levels, None)?
        }
        ColumnWriter::BoolColumnWriter(to) => {
            let flag = |value: &Value| if let Value::Flag(it) = value { Some(*it) } else { None };
            to.write_batch(&picked(values, flag), levels, None)?
        }
        _ => unreachable!("no column is of another type"),
    };
    Ok(())
}

fn picked<T>(values: &[&Value], pick: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    values.iter().filter_map(|value| pick(value)).collect()
}

/// What goes wrong is the disk, or the rows' number.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

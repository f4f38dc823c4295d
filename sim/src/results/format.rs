//! How tables are written.

use std::io;

use super::directory::{CsvSink, Hashed, Sink};
#[cfg(feature = "parquet")]
use super::parquet::ParquetSink;
use crate::table::{Table, csv};

/// How tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 4180.
    #[default]
    Csv,
    /// Apache Parquet, uncompressed, with dictionaries.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// What the names of files end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
        }
    }

    pub(super) fn sink(self, table: &'static Table, mut file: Hashed) -> io::Result<Box<dyn Sink>> {
        match self {
            Self::Csv => {
                io::Write::write_all(&mut file, csv::header(table).as_bytes())?;
                Ok(Box::new(CsvSink(file)))
            }
            #[cfg(feature = "parquet")]
            Self::Parquet => Ok(Box::new(ParquetSink::new(table, file)?)),
        }
    }
}

//! One partition: rows gather by column until they are a row group.

use crate::applet::pflogsumm::output::events::columns::{COLUMNS, Field, Type, VERSION};
use crate::applet::pflogsumm::output::events::row::{Row, Value};
use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Partition {
    dir: PathBuf,
    file: Option<SerializedFileWriter<File>>,
    /// Files begun so far.
    parts: usize,
    columns: Vec<Values>,
    waiting: usize,
    last_row: u64,
}

/// A column's values that are there, and for each row whether one is.
#[derive(Default)]
struct Values {
    there: Vec<i16>,
    integers: Vec<i64>,
    decimals: Vec<f64>,
    texts: Vec<u8>,
    ends: Vec<usize>,
}

/// What a row costs beside its texts: a level for each column, and the numbers.
const ROW: usize = COLUMNS.len() * 2 + 64;

/// All columns but the one that the directory's name holds.
fn columns() -> impl Iterator<Item = &'static super::super::events::columns::Column> {
    COLUMNS.iter().filter(|column| column.field != Field::Host)
}

impl Partition {
    pub fn new(dir: PathBuf) -> Partition {
        let columns = columns().map(|_| Values::default()).collect();
        Partition { dir, file: None, parts: 0, columns, waiting: 0, last_row: 0 }
    }

    /// Adds a row, of this number of all, and gives the bytes that wait for it.
    pub fn add(&mut self, row: &Row<'_>, number: u64) -> usize {
        let mut bytes = ROW;
        for (values, column) in self.columns.iter_mut().zip(columns()) {
            let value = row.get(column.field);
            values.there.push(i16::from(value.is_some()));
            match value {
                Some(Value::Integer(value)) => values.integers.push(*value),
                Some(Value::Decimal(value)) => values.decimals.push(*value),
                Some(Value::Text(text)) => {
                    values.texts.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
                    values.ends.push(values.texts.len());
                    bytes += text.len() + size_of::<usize>();
                }
                None => {}
            }
        }
        self.waiting += bytes;
        self.last_row = number;
        bytes
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    pub fn last_row(&self) -> u64 {
        self.last_row
    }

    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Writes what waits as a row group.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        self.waiting = 0;
        let columns: Vec<Values> = self.columns.iter_mut().map(std::mem::take).collect();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                std::fs::create_dir_all(&self.dir)?;
                let file = File::create_new(self.dir.join(format!("part-{}.parquet", self.parts)))?;
                self.parts += 1;
                self.file.insert(writer(file).map_err(plain)?)
            }
        };
        write(file, columns).map_err(plain)
    }

    /// Ends the file; rows that come later begin another.
    pub fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        match self.file.take() {
            Some(file) => file.into_inner().map_err(plain)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn writer(file: File) -> Result<SerializedFileWriter<File>, ParquetError> {
    let mut schema = "message event {\n".to_owned();
    for column in columns() {
        let of = match column.of {
            Type::Time => ("int64", " (TIMESTAMP(MICROS,false))"),
            Type::Text => ("binary", " (UTF8)"),
            Type::Integer => ("int64", ""),
            Type::Decimal => ("double", ""),
        };
        schema += &format!("optional {} {}{};\n", of.0, column.name, of.1);
    }
    schema += "}";
    let version = KeyValue::new("pillarbox.events.version".to_owned(), VERSION.to_string());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("pillarbox ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![version]))
        .build();
    SerializedFileWriter::new(file, Arc::new(parse_message_type(&schema)?), Arc::new(properties))
}

fn write(file: &mut SerializedFileWriter<File>, columns: Vec<Values>) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    // Each column's values are gone before the next one's are made.
    for (column, values) in self::columns().zip(columns) {
        let Some(mut to) = group.next_column()? else { break };
        let there = Some(values.there.as_slice());
        match to.untyped() {
            ColumnWriter::Int64ColumnWriter(to) if column.of == Type::Time => {
                let microseconds: Vec<i64> =
                    values.integers.iter().map(|seconds| seconds.saturating_mul(1_000_000)).collect();
                to.write_batch(&microseconds, there, None)?;
            }
            ColumnWriter::Int64ColumnWriter(to) => {
                to.write_batch(&values.integers, there, None)?;
            }
            ColumnWriter::DoubleColumnWriter(to) => {
                to.write_batch(&values.decimals, there, None)?;
            }
            ColumnWriter::ByteArrayColumnWriter(to) => {
                let texts = Bytes::from(values.texts);
                let mut begin = 0;
                let texts: Vec<ByteArray> = values
                    .ends
                    .iter()
                    .map(|&end| ByteArray::from(texts.slice(std::mem::replace(&mut begin, end)..end)))
                    .collect();
                to.write_batch(&texts, there, None)?;
            }
            _ => {}
        }
        to.close()?;
    }
    group.close()?;
    Ok(())
}

/// The error of the file system, if it is one.
fn plain(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

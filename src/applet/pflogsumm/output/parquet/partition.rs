//! One partition: rows gather by column until they are a row group.

use crate::applet::pflogsumm::output::events::columns::{COLUMNS, Column, Field, Type, VERSION};
use crate::applet::pflogsumm::output::events::row::{Row, Value};
use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, ColumnPath};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Partition {
    dir: PathBuf,
    file: Option<SerializedFileWriter<File>>,
    /// Files begun so far.
    parts: usize,
    /// Of all [`COLUMNS`].
    columns: Vec<Values>,
    /// Rows that wait.
    rows: usize,
    waiting: usize,
    last_row: u64,
}

/// A column's values that are there, and for each row up to the last one that has a value whether it has.
#[derive(Clone, Default)]
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
fn columns() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(|column| column.field != Field::Host)
}

impl Partition {
    pub fn new(dir: PathBuf) -> Partition {
        let columns = vec![Values::default(); COLUMNS.len()];
        Partition { dir, file: None, parts: 0, columns, rows: 0, waiting: 0, last_row: 0 }
    }

    /// Adds a row, of this number of all, and gives the bytes that wait for it.
    pub fn add(&mut self, row: &Row<'_>, number: u64) -> usize {
        let mut bytes = ROW;
        for (field, value) in row.values() {
            let Some(values) = self.columns.get_mut(*field as usize) else { continue };
            values.there.resize(self.rows, 0);
            values.there.push(1);
            match value {
                Value::Integer(value) => values.integers.push(*value),
                Value::Decimal(value) => values.decimals.push(*value),
                Value::Text(text) => {
                    match std::str::from_utf8(text) {
                        Ok(_) => values.texts.extend_from_slice(text),
                        Err(_) => values.texts.extend_from_slice(String::from_utf8_lossy(text).as_bytes()),
                    }
                    values.ends.push(values.texts.len());
                    bytes += text.len() + size_of::<usize>();
                }
            }
        }
        self.rows += 1;
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
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<Values> = self.columns.iter_mut().map(std::mem::take).collect();
        columns.iter_mut().for_each(|values| values.there.resize(rows, 0));
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
        // Of each row group: what pages would add to that costs more than it saves where a day is a file.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // No two messages have the same.
        .set_column_dictionary_enabled(ColumnPath::from(COLUMNS[Field::MessageId as usize].name), false)
        .set_created_by(concat!("pillarbox ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![version]))
        .build();
    SerializedFileWriter::new(file, Arc::new(parse_message_type(&schema)?), Arc::new(properties))
}

/// Writes a row group. The columns are packed side by side, in memory, and put into the file in their order.
fn write(file: &mut SerializedFileWriter<File>, columns: Vec<Values>) -> Result<(), ParquetError> {
    let (of, properties) = (file.schema_descr().columns().to_vec(), file.properties().clone());
    let values = COLUMNS.iter().zip(columns).filter(|(column, _)| column.field != Field::Host);
    let packed: Vec<_> = values
        .zip(of)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|((column, values), of)| pack(column, values, of, &properties))
        .collect::<Result<_, _>>()?;
    let mut group = file.next_row_group()?;
    for (bytes, closed) in packed {
        group.append_column(&Bytes::from(bytes), closed)?;
    }
    group.close()?;
    Ok(())
}

/// A column's part of a row group.
fn pack(
    column: &Column,
    values: Values,
    of: ColumnDescPtr,
    properties: &WriterPropertiesPtr,
) -> Result<(Vec<u8>, ColumnCloseResult), ParquetError> {
    let mut bytes = TrackedWrite::new(Vec::new());
    let there = Some(values.there.as_slice());
    let pages = Box::new(SerializedPageWriter::new(&mut bytes));
    let closed = match get_column_writer(of, properties.clone(), pages) {
        ColumnWriter::Int64ColumnWriter(mut to) => {
            let unit = if column.of == Type::Time { 1_000_000 } else { 1 };
            let values: Vec<i64> = values.integers.iter().map(|value| value.saturating_mul(unit)).collect();
            to.write_batch(&values, there, None)?;
            to.close()?
        }
        ColumnWriter::DoubleColumnWriter(mut to) => {
            to.write_batch(&values.decimals, there, None)?;
            to.close()?
        }
        ColumnWriter::ByteArrayColumnWriter(mut to) => {
            let texts = Bytes::from(values.texts);
            let mut begin = 0;
            let texts: Vec<ByteArray> = values
                .ends
                .iter()
                .map(|&end| ByteArray::from(texts.slice(std::mem::replace(&mut begin, end)..end)))
                .collect();
            to.write_batch(&texts, there, None)?;
            to.close()?
        }
        _ => return Err(ParquetError::General(format!("{} has a type of its own", column.name))),
    };
    Ok((bytes.into_inner()?, closed))
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

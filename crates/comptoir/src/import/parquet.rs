use std::{
    fs::File,
    path::{Path, PathBuf},
    vec,
};

use parquet::{
    basic::{Compression, ConvertedType, LogicalType, TimeUnit},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{AsBytes, DataType},
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};

use super::{
    ImportError,
    cell::Cell,
    reader::{Row, find_columns},
};

/// Rows that are decoded at a time.
const CHUNK_ROWS: u64 = 4_096;
const DAY_MICROS: i64 = 86_400_000_000;

/// The rows of a Parquet file. Only the wanted columns are read. It is all or nothing: damage ends it with an error, because
/// what follows damage cannot be trusted to be what it was.
pub(super) struct ParquetRows {
    path: PathBuf,
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// Row groups opened so far, and the readers of the last.
    groups: usize,
    readers: Vec<ColumnReader>,
    left_in_group: u64,
    chunk: Vec<vec::IntoIter<Option<Cell>>>,
    left_in_chunk: u64,
    /// Rows returned so far.
    row: u64,
    total: u64,
}

/// A wanted column.
struct Column {
    name: String,
    leaf: usize,
    optional: bool,
    kind: Kind,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What the physical type says; bytes are text.
    Plain,
    Unsigned,
    Decimal(u32),
    /// Days.
    Date,
    /// Instants; local times when `local`.
    Time {
        unit: TimeUnit,
        local: bool,
    },
    Uuid,
}

impl ParquetRows {
    /// Reads the description of the file and finds the wanted columns.
    pub(super) fn open(path: &Path, file: File, wanted: &[(&str, &str)]) -> Result<Self, ImportError> {
        let file = SerializedFileReader::new(file)
            .map_err(|error| ImportError::broken(path, format!("it is no whole Parquet file ({error})")))?;
        let description = file.metadata().file_metadata();
        let total = u64::try_from(description.num_rows()).unwrap_or_default();
        let columns = columns(description.schema_descr(), wanted)?;
        check_compression(&file, &columns, wanted)?;
        Ok(Self {
            path: path.to_owned(),
            columns,
            groups: 0,
            readers: Vec::new(),
            left_in_group: 0,
            chunk: Vec::new(),
            left_in_chunk: 0,
            row: 0,
            total,
            file,
        })
    }

    /// Returns how many rows the file says it has.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ImportError> {
        while self.left_in_chunk == 0 {
            if self.left_in_group > 0 {
                self.read_chunk()?;
            } else if !self.open_group()? {
                return Ok(None);
            }
        }
        self.left_in_chunk -= 1;
        self.row += 1;
        let cells: Option<Vec<_>> = self.chunk.iter_mut().map(|cells| cells.next().flatten()).collect();
        Ok(Some(Row { number: self.row, cells: cells.ok_or("holds text that is not UTF-8") }))
    }

    fn open_group(&mut self) -> Result<bool, ImportError> {
        let index = self.groups;
        if index == self.file.num_row_groups() {
            return Ok(false);
        }
        self.groups += 1;
        let opened = self.file.get_row_group(index).and_then(|group| {
            let rows = u64::try_from(group.metadata().num_rows())?;
            let readers: Result<Vec<_>, _> =
                self.columns.iter().map(|column| group.get_column_reader(column.leaf)).collect();
            Ok((rows, readers?))
        });
        (self.left_in_group, self.readers) =
            opened.map_err(|error| ImportError::broken(&self.path, format!("row group {}: {error}", index + 1)))?;
        Ok(true)
    }

    fn read_chunk(&mut self) -> Result<(), ImportError> {
        let rows = self.left_in_group.min(CHUNK_ROWS);
        let count = usize::try_from(rows).expect("a chunk is small");
        self.chunk.clear();
        for (column, reader) in self.columns.iter().zip(&mut self.readers) {
            let cells = read(reader, column, count).map_err(|error| {
                let place = format!("column \"{}\", after row {}", column.name, self.row);
                ImportError::broken(&self.path, format!("{place}: {error}"))
            })?;
            self.chunk.push(cells.into_iter());
        }
        self.left_in_group -= rows;
        self.left_in_chunk = rows;
        Ok(())
    }
}

fn columns(schema: &SchemaDescriptor, wanted: &[(&str, &str)]) -> Result<Vec<Column>, ImportError> {
    let available: Vec<_> = schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let roots = find_columns(wanted, &available)?;
    let mut columns = Vec::with_capacity(wanted.len());
    for ((key, name), root) in wanted.iter().zip(roots) {
        let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root);
        let flat = leaf.map(|leaf| (leaf, schema.column(leaf)));
        let flat = flat.filter(|(_, column)| column.path().parts().len() == 1 && column.max_rep_level() == 0);
        let unusable = |fault: &str| ImportError::UnusableColumn {
            key: (*key).into(),
            column: (*name).into(),
            fault: fault.into(),
        };
        let Some((leaf, column)) = flat else {
            return Err(unusable("is nested; a column of plain values is needed"));
        };
        let kind = kind(&column).ok_or_else(|| unusable("holds values of a kind that orders are not made of"))?;
        columns.push(Column { name: (*name).into(), leaf, optional: column.max_def_level() > 0, kind });
    }
    Ok(columns)
}

fn check_compression(
    file: &SerializedFileReader<File>,
    columns: &[Column],
    wanted: &[(&str, &str)],
) -> Result<(), ImportError> {
    let known = |compression| {
        use Compression::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED};
        matches!(compression, UNCOMPRESSED | SNAPPY | LZ4 | LZ4_RAW | GZIP(_))
    };
    for group in file.metadata().row_groups() {
        for (column, (key, name)) in columns.iter().zip(wanted) {
            let compression = group.column(column.leaf).compression();
            if !known(compression) {
                let fault = format!("is compressed with {compression}; Snappy, LZ4, gzip and none can be read");
                return Err(ImportError::UnusableColumn { key: (*key).into(), column: (*name).into(), fault });
            }
        }
    }
    Ok(())
}

/// Returns what the values of a column are; `None` for what no order is made of.
fn kind(column: &ColumnDescriptor) -> Option<Kind> {
    let scale = u32::try_from(column.type_scale()).unwrap_or_default();
    let logical = column.logical_type_ref();
    match logical {
        Some(LogicalType::Decimal(_)) => return Some(Kind::Decimal(scale)),
        Some(LogicalType::Date) => return Some(Kind::Date),
        Some(LogicalType::Timestamp(kind)) => {
            return Some(Kind::Time { unit: kind.unit, local: !kind.is_adjusted_to_u_t_c });
        }
        Some(LogicalType::Integer(kind)) if !kind.is_signed => return Some(Kind::Unsigned),
        Some(LogicalType::Uuid) => return Some(Kind::Uuid),
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json | LogicalType::Integer(_)) => {
            return Some(Kind::Plain);
        }
        Some(LogicalType::Unknown) | None => {}
        Some(_) => return None,
    }
    match column.converted_type() {
        ConvertedType::DECIMAL => Some(Kind::Decimal(scale)),
        ConvertedType::DATE => Some(Kind::Date),
        ConvertedType::TIMESTAMP_MILLIS => Some(Kind::Time { unit: TimeUnit::MILLIS, local: false }),
        ConvertedType::TIMESTAMP_MICROS => Some(Kind::Time { unit: TimeUnit::MICROS, local: false }),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Some(Kind::Unsigned)
        }
        ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS | ConvertedType::INTERVAL | ConvertedType::BSON => None,
        _ => Some(Kind::Plain),
    }
}

/// Decodes `rows` values of a column. `None` stands for bytes that are not what they should be.
fn read(reader: &mut ColumnReader, column: &Column, rows: usize) -> Result<Vec<Option<Cell>>, ParquetError> {
    let kind = &column.kind;
    match reader {
        ColumnReader::BoolColumnReader(reader) => {
            values(reader, column, rows, |value| Some(Cell::Text(value.to_string())))
        }
        ColumnReader::Int32ColumnReader(reader) => values(reader, column, rows, |value| {
            Some(if *kind == Kind::Unsigned {
                Cell::Integer((*value as u32).into())
            } else {
                integer(kind, (*value).into())
            })
        }),
        ColumnReader::Int64ColumnReader(reader) => values(reader, column, rows, |value| {
            Some(if *kind == Kind::Unsigned { unsigned(*value as u64) } else { integer(kind, *value) })
        }),
        // The type is only ever an instant, written as UTC.
        ColumnReader::Int96ColumnReader(reader) => {
            values(reader, column, rows, |value| Some(Cell::Time(value.to_micros(), false)))
        }
        ColumnReader::FloatColumnReader(reader) => values(reader, column, rows, |value| Some(float(*value))),
        ColumnReader::DoubleColumnReader(reader) => values(reader, column, rows, |value| Some(Cell::Float(*value))),
        ColumnReader::ByteArrayColumnReader(reader) => {
            values(reader, column, rows, |value| bytes(kind, value.as_bytes()))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            values(reader, column, rows, |value| bytes(kind, value.as_bytes()))
        }
    }
}

fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    column: &Column,
    rows: usize,
    cell: impl Fn(&T::T) -> Option<Cell>,
) -> Result<Vec<Option<Cell>>, ParquetError> {
    let mut levels = Vec::new();
    let mut values = Vec::new();
    let (read, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if read != rows {
        return Err(ParquetError::EOF("the column ends before the row group".into()));
    }
    if !column.optional {
        return Ok(values.iter().map(cell).collect());
    }
    let mut values = values.iter();
    let mut cell_at = |level: &i16| if *level == 0 { Some(Cell::Null) } else { values.next().and_then(&cell) };
    Ok(levels.iter().map(&mut cell_at).collect())
}

fn integer(kind: &Kind, value: i64) -> Cell {
    let time = |micros: Option<i64>, local| micros.map_or(Cell::Null, |micros| Cell::Time(micros, local));
    match kind {
        Kind::Decimal(scale) => Cell::Decimal(value.into(), *scale),
        Kind::Date => time(value.checked_mul(DAY_MICROS), true),
        Kind::Time { unit: TimeUnit::MILLIS, local } => time(value.checked_mul(1_000), *local),
        Kind::Time { unit: TimeUnit::MICROS, local } => time(Some(value), *local),
        Kind::Time { unit: TimeUnit::NANOS, local } => time(Some(value.div_euclid(1_000)), *local),
        Kind::Plain | Kind::Unsigned | Kind::Uuid => Cell::Integer(value),
    }
}

fn unsigned(value: u64) -> Cell {
    i64::try_from(value).map_or_else(|_| Cell::Decimal(value.into(), 0), Cell::Integer)
}

/// Returns a short float as the number it was written from: 6.95, not 6.949999809.
fn float(value: f32) -> Cell {
    value.to_string().parse().map_or(Cell::Null, Cell::Float)
}

fn bytes(kind: &Kind, bytes: &[u8]) -> Option<Cell> {
    match kind {
        Kind::Decimal(scale) => Some(Cell::Decimal(big_endian(bytes)?, *scale)),
        Kind::Uuid => Some(Cell::Text(uuid::Uuid::from_slice(bytes).ok()?.to_string())),
        _ => Some(Cell::Text(std::str::from_utf8(bytes).ok()?.to_owned())),
    }
}

/// Reads a two's complement number; `None` when it has more than 128 bits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
    let mut wide = [sign; 16];
    let begin = wide.len().checked_sub(bytes.len())?;
    wide[begin..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

//! Parquet files as records.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ansatz_core::{Cell, Error, Place, Record, Records, Result, RowsWriter};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::Decimal;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::read::wrong;
use crate::calendar;

/// Reads the rows of the file at `path` behind the first `skipped`.
///
/// # Errors
/// When it is no whole Parquet file, or a column is nested or of a kind that is no cell.
pub(super) fn read(path: &Path, skipped: usize) -> Result<Records> {
    // A file that was damaged inside a page may lead the decoder beyond the page's end, where it panics.
    catch_unwind(AssertUnwindSafe(|| rows(path, skipped)))
        .unwrap_or_else(|_| Err(damaged(path, "a page cannot be decoded")))
}

fn damaged(path: &Path, problem: impl std::fmt::Display) -> Error {
    let expected = "a whole Parquet file, its pages as they are or compressed with snappy, zstd or gzip";
    wrong(path, format!("no Parquet file that can be read: {problem}"), expected)
}

fn rows(path: &Path, skipped: usize) -> Result<Records> {
    let unreadable = |error: ParquetError| damaged(path, error);
    let opened = File::open(path).map_err(Error::file(path, "read"))?;
    let reader = SerializedFileReader::new(opened).map_err(unreadable)?;
    let schema = reader.metadata().file_metadata().schema();
    let kinds = schema.get_fields().iter().map(|column| kind(path, column)).collect::<Result<Vec<_>>>()?;
    let columns: Vec<String> = schema.get_fields().iter().map(|column| column.name().to_owned()).collect();
    let file: Arc<Path> = path.into();
    let mut rows = RowsWriter::default();
    for (index, row) in reader.get_row_iter(None).map_err(unreadable)?.enumerate() {
        let row = row.map_err(unreadable)?;
        if index < skipped {
            continue;
        }
        let place = Place { file: Arc::clone(&file), line: index as u64 + 1 };
        let cells = row.get_column_iter().zip(&kinds).map(|((name, field), kind)| {
            cell(field, *kind).ok_or_else(|| {
                let problem = format!("row {}, column `{name}` holds {field:?}", place.line);
                wrong(path, problem, "a number, a text, a boolean or a time")
            })
        });
        let cells = cells.collect::<Result<Vec<_>>>()?;
        rows.push(&Record { place, cells })?;
    }
    Ok(Records { rows: rows.finish(columns.len())?, columns })
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As what the file says they are.
    Plain,
    /// Whole numbers that are nanoseconds since 1970.
    Nanoseconds,
}

/// How a column is read.
fn kind(path: &Path, column: &Type) -> Result<Kind> {
    let refused = |what: &str| {
        let problem = format!("column `{}` holds {what}", column.name());
        let expected = "columns of numbers, texts, booleans, dates or times, one value a row";
        let remedy = "write its parts as columns of their own, or the file without it";
        Err(Error::input(path.display(), problem, expected, remedy))
    };
    let about = column.get_basic_info();
    if !column.is_primitive() || about.repetition() == Repetition::REPEATED {
        return refused("lists or records, which are nested");
    }
    let is_time = matches!(about.logical_type_ref(), Some(LogicalType::Time(_)));
    match (column.get_physical_type(), about.converted_type()) {
        _ if is_time => refused("times of day"),
        (Physical::INT64, ConvertedType::NONE) => match about.logical_type_ref() {
            Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::NANOS => Ok(Kind::Nanoseconds),
            _ => Ok(Kind::Plain),
        },
        (_, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => refused("times of day"),
        (_, ConvertedType::INTERVAL) => refused("spans of time"),
        _ => Ok(Kind::Plain),
    }
}

/// A value as a cell; `None` for what is nested or too large for its kind.
fn cell(field: &Field, kind: Kind) -> Option<Cell> {
    let text = match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) if kind == Kind::Nanoseconds => calendar::write(value.div_euclid(1_000_000_000)),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => value.to_f32().to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Decimal(value) => decimal(value)?,
        Field::Str(value) => value.clone(),
        Field::Bytes(value) => return Some(Cell::Bytes(Arc::from(value.data()))),
        Field::Date(days) => {
            let (year, month, day) = calendar::date(i64::from(*days));
            format!("{year:04}-{month:02}-{day:02}")
        }
        Field::TimestampMillis(value) => calendar::write(value.div_euclid(1000)),
        Field::TimestampMicros(value) => calendar::write(value.div_euclid(1_000_000)),
        _ => return None,
    };
    Some(Cell::Text(text))
}

/// A decimal as it is written: its unscaled digits with a point before the last `scale`; `None` beyond 128 bits.
fn decimal(value: &Decimal) -> Option<String> {
    let bytes = value.data();
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let mut whole = [if negative { 0xff } else { 0 }; 16];
    whole[16usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    let whole = i128::from_be_bytes(whole);
    let scale = usize::try_from(value.scale()).ok()?;
    let digits = format!("{:0width$}", whole.unsigned_abs(), width = scale + 1);
    let (before, behind) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{before}") } else { format!("{sign}{before}.{behind}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::read_records;
    use parquet::basic::Compression;
    use parquet::data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
    };
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    const SCHEMA: &str = "message table {
        required int32 age (INTEGER(8, true));
        optional double size;
        optional byte_array name (UTF8);
        required boolean tame;
        required int32 born (DATE);
        required int64 seen (TIMESTAMP(NANOS, false));
        required int64 fed (TIMESTAMP(MILLIS, true));
        required int32 price (DECIMAL(6, 2));
        required byte_array picture;
    }";

    fn column<T: DataType>(
        group: &mut SerializedRowGroupWriter<'_, File>,
        values: &[T::T],
        present: Option<&[i16]>,
    ) {
        let mut writer = group.next_column().unwrap().expect("a column of the schema");
        writer.typed::<T>().write_batch(values, present, None).unwrap();
        writer.close().unwrap();
    }

    /// Two rows of every kind of column.
    fn write(path: &Path, compression: Compression) {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut file = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = file.next_row_group().unwrap();
        column::<Int32Type>(&mut group, &[3, -1], None);
        column::<DoubleType>(&mut group, &[-2.5], Some(&[1, 0]));
        column::<ByteArrayType>(&mut group, &[ByteArray::from("an owl, \"wise\"")], Some(&[0, 1]));
        column::<BoolType>(&mut group, &[true, false], None);
        column::<Int32Type>(&mut group, &[11_017, -1], None);
        column::<Int64Type>(&mut group, &[60_000_000_000, -1], None);
        column::<Int64Type>(&mut group, &[86_400_000, 1_500], None);
        column::<Int32Type>(&mut group, &[1205, -7], None);
        column::<ByteArrayType>(&mut group, &[ByteArray::from(vec![0xff, 0]), ByteArray::from(vec![])], None);
        group.close().unwrap();
        file.close().unwrap();
    }

    #[test]
    fn every_kind_of_column_comes_back_as_it_would_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            write(&path, compression);
            let records = read_records(&path).unwrap();
            assert_eq!(
                records.columns,
                ["age", "size", "name", "tame", "born", "seen", "fed", "price", "picture"]
            );
            let known = |row: &Record| -> Vec<String> {
                row.cells.iter().map(|cell| cell.known().unwrap_or("-").to_owned()).collect()
            };
            let read: Vec<Record> = records.rows.iter().collect::<Result<_>>().unwrap();
            let rows: Vec<_> = read.iter().map(known).collect();
            let times = ["2000-03-01", "1970-01-01 00:01", "1970-01-02 00:00", "12.05", "-"];
            assert_eq!(rows[0], [&["3", "-2.5", "-", "true"][..], &times[..]].concat());
            let times = ["1969-12-31", "1969-12-31 23:59:59", "1970-01-01 00:00:01", "-0.07", "-"];
            assert_eq!(rows[1], [&["-1", "-", "an owl, \"wise\"", "false"][..], &times[..]].concat());
            assert_eq!(read[0].cells[8], Cell::Bytes(Arc::from(vec![0xff, 0])));
            assert!(read[1].place.to_string().ends_with("a.parquet, row 2"));
        }
        assert_eq!(read(&path, 1).unwrap().rows.len(), 1);
    }

    #[test]
    fn nested_columns_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        for (column, problem) in [
            ("repeated int32 many;", "column `many` holds lists or records"),
            ("required group pair { required int32 one; }", "column `pair` holds lists or records"),
            ("required int32 at (TIME(MILLIS, true));", "column `at` holds times of day"),
        ] {
            let schema = Arc::new(parse_message_type(&format!("message table {{ {column} }}")).unwrap());
            let properties = Arc::new(WriterProperties::builder().build());
            let file = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
            file.close().unwrap();
            let said = read_records(&path).unwrap_err().to_string();
            assert!(said.contains(problem), "{said}");
        }
    }

    #[test]
    fn files_without_rows_and_files_that_are_none_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let schema = Arc::new(parse_message_type("message table { required int32 age; }").unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let file = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
        file.close().unwrap();
        assert!(read_records(&path).unwrap_err().to_string().contains("it has no rows"));
        for bytes in [&b""[..], b"PAR1", b"age\n3\n", &[0; 100]] {
            std::fs::write(&path, bytes).unwrap();
            let said = read_records(&path).unwrap_err().to_string();
            assert!(said.contains("no Parquet file that can be read"), "{said}");
        }
        assert!(read_records(&folder.path().join("absent.parquet")).is_err());
    }

    #[test]
    fn no_damaged_byte_makes_it_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, Compression::SNAPPY);
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, bytes).unwrap();
            refused += usize::from(read_records(&path).is_err());
        }
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read_records(&path).is_err() && refused > 0);
    }
}

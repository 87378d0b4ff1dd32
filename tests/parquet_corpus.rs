//! Every file of the corpus is read exactly as an independent reader reads it, or rejected with an exact error.
//! `testdata/parquet/expect.py` writes what is expected.

use outcrop::arrow::array::{Array, AsArray, RecordBatch};
use outcrop::arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use outcrop::{DataFrame, Error, Runner, scan_parquet};
use std::collections::BTreeMap;
use std::fs;

const FOLDER: &str = "testdata/parquet";

/// Files that are not read, and why.
const REJECTED: [(&str, &str); 6] = [
    (
        "datapage_v1-corrupt-checksum.parquet",
        "record 1, column `a`: row group 0 cannot be read: Page CRC checksum mismatch",
    ),
    ("dict-page-offset-zero.parquet", "the footer cannot be read: Expected list element type of I32 but got Byte"),
    (
        "large_string_map.brotli.parquet",
        "column `arr.key_value.key`: row group 0: 2 rows take 2147483749 bytes, too many to be read",
    ),
    ("nation.dict-malformed.parquet", "record 1, column `name`: row group 0 cannot be read: EOF: Invalid page header"),
    ("repeated_no_annotation.parquet", "the footer claims to have 0 rows, but its row groups have 6"),
    (
        "rle-dict-uncompressed-corrupt-checksum.parquet",
        "record 1, column `long_field`: row group 0 cannot be read: Page CRC checksum mismatch",
    ),
];

/// Files that the independent reader refuses and we read: their columns, rows and nulls.
const READ_BY_US_ALONE: [(&str, &str); 1] = [("incorrect_map_schema.parquet", "my_map.length Int64 1 0")];

fn read(file: &str) -> Result<DataFrame, Error> {
    Runner::new().batch_bytes(3000).compute(scan_parquet([format!("{FOLDER}/{file}")])?)
}

fn text(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return None;
    }
    Some(match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            nan if nan.is_nan() => "nan".to_owned(),
            number => format!("{:016x}", number.to_bits()),
        },
        _ => column.as_string_view().value(row).to_owned(),
    })
}

fn described(batches: &[RecordBatch], column: usize) -> String {
    let (mut state, mut rows, mut nulls) = (0xCBF2_9CE4_8422_2325_u64, 0, 0);
    for batch in batches {
        for row in 0..batch.num_rows() {
            rows += 1;
            let value = text(batch.column(column).as_ref(), row);
            nulls += u64::from(value.is_none());
            for byte in value.map_or(vec![0], |value| (value + "\n").into_bytes()) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
    }
    format!("{rows}\t{nulls}\t{state:016x}")
}

#[test]
fn every_file_is_read_exactly_or_rejected_exactly() {
    let expected = fs::read_to_string(format!("{FOLDER}/expect.tsv")).unwrap();
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in expected.lines() {
        let (file, rest) = line.split_once('\t').unwrap();
        by_file.entry(file).or_default().push(rest);
    }
    let mut names: Vec<String> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".parquet"))
        .collect();
    names.sort();
    assert!(names.len() >= 60);
    let mut wrong = Vec::new();
    for name in &names {
        if let Some((_, error)) = REJECTED.iter().find(|(file, _)| file == name) {
            let found = read(name).err().map(|error| error.to_string()).unwrap_or_default();
            if !found.contains(error) {
                wrong.push(format!("{name}: {found}"));
            }
            continue;
        }
        let frame = match read(name) {
            Ok(frame) => frame,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let kind = |data_type: &DataType| outcrop::types::ColumnType::from_arrow(data_type).unwrap().to_string();
        let fields = frame.schema().fields().iter().enumerate();
        let batches: Vec<RecordBatch> = frame.batches().map(Result::unwrap).collect();
        let found: Vec<String> = fields
            .map(|(at, field)| format!("{}\t{}\t{}", field.name(), kind(field.data_type()), described(&batches, at)))
            .collect();
        if let Some((_, expected)) = READ_BY_US_ALONE.iter().find(|(file, _)| file == name) {
            let plain: Vec<String> =
                found.iter().map(|line| line.rsplit_once('\t').unwrap().0.replace('\t', " ")).collect();
            assert_eq!(plain, [*expected], "{name}");
            continue;
        }
        let expected = by_file.get(name.as_str()).unwrap_or_else(|| panic!("nothing is expected of {name}"));
        for (found, expected) in found.iter().zip(expected) {
            if found != expected {
                wrong.push(format!("{name}\n    found    {found}\n    expected {expected}"));
            }
        }
        if found.len() != expected.len() {
            wrong.push(format!("{name}: {} columns, not {}", found.len(), expected.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

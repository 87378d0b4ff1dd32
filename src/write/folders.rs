//! Rows to folders named by values, as Hive has them: `Year=2001/Month=__HIVE_DEFAULT_PARTITION__`.
//!
//! Bytes that file systems or readers treat as their own are written `%XX`, and so is the first byte of a value that
//! looks like the name for null.

use super::chunk::{row_bytes, value_bytes};
use super::text::{Column, Value};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What stands for null in the name of a folder.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Tells rows apart by the values of some columns.
pub(super) struct Router {
    /// Index and escaped name of every column that names folders.
    keys: Vec<(usize, String)>,
    /// The columns that are stored.
    stored: Vec<usize>,
    schema: SchemaRef,
}

/// Rows sorted by folder.
pub(super) struct Routed {
    /// The rows of a folder stand together, in their order; only with the columns that are stored.
    pub(super) records: RecordBatch,
    /// The place that each row had before; empty if it is the same.
    pub(super) input_rows: Vec<u32>,
    pub(super) folders: Vec<RoutedFolder>,
}

/// The rows of one folder.
pub(super) struct RoutedFolder {
    /// The folder, relative to the whole.
    pub(super) name: Arc<str>,
    pub(super) rows: Range<usize>,
    /// Bytes of their values.
    pub(super) bytes: u64,
}

impl Routed {
    /// Rows that all belong to the one file.
    pub(super) fn whole(records: RecordBatch) -> Self {
        let bytes = value_bytes(&records);
        let folder = RoutedFolder { name: Arc::from(""), rows: 0..records.num_rows(), bytes };
        Routed { records, input_rows: Vec::new(), folders: vec![folder] }
    }

    /// The place before sorting of the row that is now `row`.
    pub(super) fn input_row(&self, row: usize) -> usize {
        self.input_rows.get(row).map_or(row, |row| *row as usize)
    }
}

impl Router {
    /// A router by these columns of `schema`, which has them.
    pub(super) fn new(schema: &Schema, columns: &[String]) -> Result<Self> {
        let key = |name: &String| {
            let mut escaped = String::new();
            escape(name, &mut escaped);
            Ok((schema.index_of(name)?, escaped))
        };
        let keys = columns.iter().map(key).collect::<Result<Vec<_>>>()?;
        let is_key = |at: &usize| keys.iter().any(|(key, _)| key == at);
        let stored: Vec<usize> = (0..schema.fields().len()).filter(|at| !is_key(at)).collect();
        let schema = Arc::new(schema.project(&stored)?);
        Ok(Router { keys, stored, schema })
    }

    /// The columns that are stored.
    pub(super) fn stored_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All columns, as one has them who reads the folders: those that name folders last.
    pub(super) fn whole_schema(&self, schema: &Schema) -> Result<SchemaRef> {
        let keys = self.keys.iter().map(|(at, _)| *at);
        Ok(Arc::new(schema.project(&self.stored.iter().copied().chain(keys).collect::<Vec<_>>())?))
    }

    /// The rows by folder, in the order in which folders come up.
    pub(super) fn route(&self, records: &RecordBatch) -> Result<Routed> {
        let columns = self.keys.iter().map(|(at, _)| Column::of(records.column(*at)));
        let columns = columns.collect::<std::io::Result<Vec<_>>>();
        let columns = columns.map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
        let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let (mut folder, mut last) = (String::new(), usize::MAX);
        for row in 0..records.num_rows() {
            folder.clear();
            for (column, (_, name)) in columns.iter().zip(&self.keys) {
                append(name, column.value(row), &mut folder);
            }
            if groups.get(last).is_none_or(|(of_last, _)| *of_last != folder) {
                last = match known.get(&folder) {
                    Some(at) => *at,
                    None => {
                        known.insert(folder.clone(), groups.len());
                        groups.push((folder.clone(), Vec::new()));
                        groups.len() - 1
                    }
                };
            }
            groups[last].1.push(row as u32);
        }
        let stored = records.project(&self.stored)?;
        let (stored, input_rows) = if groups.len() <= 1 {
            (stored, Vec::new())
        } else {
            let rows: Vec<u32> = groups.iter().flat_map(|(_, rows)| rows).copied().collect();
            (take_record_batch(&stored, &UInt32Array::from(rows.clone()))?, rows)
        };
        let per_row = row_bytes(&stored);
        let mut start = 0;
        let folders = groups.into_iter().map(|(folder, rows)| {
            let range = start..start + rows.len();
            start = range.end;
            RoutedFolder { name: folder.into(), bytes: per_row[range.clone()].iter().sum(), rows: range }
        });
        Ok(Routed { records: stored, input_rows, folders: folders.collect() })
    }
}

/// Appends `name=value`, behind a slash unless it is the first.
fn append(name: &str, value: Value<'_>, folder: &mut String) {
    if !folder.is_empty() {
        folder.push('/');
    }
    folder.push_str(name);
    folder.push('=');
    match value {
        Value::Null => folder.push_str(NULL),
        Value::Text(NULL) => {
            folder.push_str("%5F");
            folder.push_str(&NULL[1..]);
        }
        Value::Text(text) => escape(text, folder),
        value => {
            let mut text = Vec::with_capacity(32);
            value.append(&mut text);
            escape(&String::from_utf8_lossy(&text), folder);
        }
    }
}

fn escape(text: &str, out: &mut String) {
    const SPECIAL: &str = "\"#%'*/:=?\\{}[]^<>|";
    for character in text.chars() {
        if character.is_ascii_control() || SPECIAL.contains(character) {
            out.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray};

    #[test]
    fn values_become_names_that_no_file_system_misreads() {
        let text = StringViewArray::from(vec![Some("a/b=c%"), None, Some(""), Some(NULL), Some("../é\n")]);
        let number = Int64Array::from(vec![Some(1), Some(-2), None, Some(1), Some(1)]);
        let rest = Float64Array::from(vec![0.5; 5]);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("t:", Arc::new(text)), ("n", Arc::new(number)), ("x", Arc::new(rest))];
        let batch = RecordBatch::try_from_iter(columns).unwrap_or_else(|error| panic!("{error}"));
        let router = Router::new(batch.schema_ref(), &["t:".into(), "n".into()]).unwrap();
        let routed = router.route(&batch).unwrap();
        let folders: Vec<&str> = routed.folders.iter().map(|folder| &*folder.name).collect();
        assert_eq!(
            folders,
            [
                "t%3A=a%2Fb%3Dc%25/n=1",
                "t%3A=__HIVE_DEFAULT_PARTITION__/n=-2",
                "t%3A=/n=__HIVE_DEFAULT_PARTITION__",
                "t%3A=%5F_HIVE_DEFAULT_PARTITION__/n=1",
                "t%3A=..%2Fé%0A/n=1"
            ]
        );
        assert_eq!(router.stored_schema().fields().len(), 1);
    }

    #[test]
    fn every_row_goes_to_its_folder_in_order() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).map(|row| row % 3)));
        let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let batch = RecordBatch::try_from_iter([("k", keys), ("row", rows)]).unwrap();
        let routed = Router::new(batch.schema_ref(), &["k".into()]).unwrap().route(&batch).unwrap();
        assert_eq!(routed.folders.len(), 3);
        for (key, part) in routed.folders.iter().enumerate() {
            let expected: Vec<i64> = (0..100).filter(|row| row % 3 == key as i64).collect();
            let rows = routed.records.slice(part.rows.start, part.rows.len());
            assert_eq!(rows.column(0).as_ref(), &Int64Array::from(expected.clone()) as &dyn arrow::array::Array);
            assert!(part.rows.clone().map(|row| routed.input_row(row) as i64).eq(expected));
        }
    }
}

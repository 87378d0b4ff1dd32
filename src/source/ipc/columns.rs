//! The columns that a file offers. A field of a struct is a column `struct.field`; of a list, its length can be asked
//! for, as `list.length`.

use crate::batch::coded::Coder;
use crate::error::Result;
use crate::source::parquet::columns::at_path;
use crate::source::parquet::convert::{Converted, convert};
use crate::source::parquet::schema::{Meaning, column_type};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use std::collections::HashMap;

/// A column that a file offers.
#[derive(Clone, Debug)]
pub(super) struct FileColumn {
    pub(super) name: String,
    /// The field of the file's schema that holds it.
    pub(super) field: usize,
    /// The names from the root to the array.
    path: Vec<String>,
    meaning: Meaning,
    pub(super) column_type: ColumnType,
}

/// The columns of a file, and the names that it has but does not offer, with what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct FileColumns {
    pub(super) columns: Vec<FileColumn>,
    pub(super) refused: Vec<(String, String)>,
}

impl FileColumns {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut found = FileColumns::default();
        for (at, field) in schema.fields().iter().enumerate() {
            found.field(at, field, &mut Vec::new());
        }
        found.refuse_doubles();
        found
    }

    fn fields(&mut self, at: usize, fields: &Fields, path: &mut Vec<String>) {
        for field in fields {
            self.field(at, field, path);
        }
    }

    fn field(&mut self, at: usize, field: &Field, path: &mut Vec<String>) {
        path.push(field.name().clone());
        let name = path.join(".");
        let stored = field.data_type().clone();
        let list = matches!(
            stored,
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..)
        );
        match (&stored, column_type(&stored)) {
            (DataType::Struct(fields), _) => self.fields(at, fields, path),
            (_, Ok(column_type)) => {
                let (path, meaning) = (path.clone(), Meaning::Values);
                self.columns.push(FileColumn { name, field: at, path, meaning, column_type });
            }
            (_, Err(what)) => {
                let what = if matches!(stored, DataType::Map(..)) { "a map".to_owned() } else { what };
                self.refused.push((name.clone(), if list && what != "a map" { "a list".to_owned() } else { what }));
                if list {
                    let (path, meaning, column_type) = (path.clone(), Meaning::Lengths, ColumnType::Int64);
                    let name = format!("{name}.length");
                    self.columns.push(FileColumn { name, field: at, path, meaning, column_type });
                }
            }
        }
        path.pop();
    }

    /// A name that stands twice is no name; a length gives way to a column that is really called so.
    fn refuse_doubles(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for column in self.columns.iter().filter(|column| column.meaning != Meaning::Lengths) {
            *count.entry(column.name.clone()).or_default() += 1;
        }
        let times = |name: &str| count.get(name).copied().unwrap_or(0);
        self.columns.retain(|column| times(&column.name) <= usize::from(column.meaning != Meaning::Lengths));
        let mut twice: Vec<_> = count.iter().filter(|(_, times)| **times > 1).map(|(name, _)| name.clone()).collect();
        twice.sort();
        self.refused
            .extend(twice.into_iter().map(|name| (name, "a name that several columns of the file have".to_owned())));
    }
}

impl FileColumn {
    /// The column's values in a batch that holds its field, as type `wanted`.
    pub(super) fn values(&self, batch: &RecordBatch, wanted: ColumnType) -> Result<Converted> {
        convert(&at_path(batch, &self.path)?, self.meaning, wanted)
    }

    /// The column's codes in a batch that holds its field, if it is one of texts from a dictionary.
    pub(super) fn codes(&self, batch: &RecordBatch, coder: &mut Coder) -> Result<Option<ArrayRef>> {
        if self.meaning == Meaning::Values { coder.codes(&at_path(batch, &self.path)?) } else { Ok(None) }
    }
}

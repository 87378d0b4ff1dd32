//! Columns that are constant within a file: the keys of hive-style folders, and the file's own name.
//!
//! **Problem.** `data/Year=2001/part.csv` says of each of its rows that `Year` is 2001, and any row may be asked which
//! file it came from; no format's reader should have to know.
//! **Idea.** A source around a source. Its scan asks the inner one for the inner columns and adds the constants to each
//! batch, which names its file. Files whose constants no filter can accept are skipped before they are opened.
//! **Invariants.**
//! - A column of the wrapper is a column of the inner source or a constant, and inner columns keep their order.
//! - Every file is told of: the inner scan commits those that are read, the wrapper those that are skipped.
//! - The virtual column comes last, and nothing is done for it unless it is asked for.

mod filter;
mod hive;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use hive::hive_keys;

use super::recipe::{self, Recipe, SourceKind, put};
use super::{PartitionInfo, Scan, ScanRequest, Source};
use crate::error::Result;
use crate::parallel::Message;
use crate::types::ColumnType;
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Name of the virtual column that holds the path of a row's file, as the user named it.
pub const FILE_NAME: &str = "file_name";

/// Key of the metadata of fields that are there to be asked for and are part of nothing else.
const VIRTUAL: &str = "outcrop.virtual";

/// Whether a column is virtual: it can be named in any expression, but is not part of `*`, of the schema shown, or of
/// an answer that does not name it.
pub fn is_virtual(field: &Field) -> bool {
    field.metadata().contains_key(VIRTUAL)
}

/// The columns that are not virtual, as indices.
pub(crate) fn visible_columns(schema: &Schema) -> Vec<usize> {
    (0..schema.fields().len()).filter(|&at| !is_virtual(schema.field(at))).collect()
}

/// The schema without virtual columns.
pub fn visible_schema(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| is_virtual(field)) {
        return Arc::clone(schema);
    }
    let fields: Vec<_> = schema.fields().iter().filter(|field| !is_virtual(field)).cloned().collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Where a column of the wrapper comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This column of the inner source.
    Inner(usize),
    /// This constant.
    Constant(usize),
}

/// A column that is constant within each file.
#[derive(Clone, Debug)]
struct Constant {
    field: Field,
    /// One value a file.
    values: ArrayRef,
}

/// A source with columns added that are constant within each file.
#[derive(Clone)]
pub struct ConstantColumns {
    inner: Arc<dyn Source>,
    constants: Arc<[Constant]>,
    origins: Vec<Origin>,
    schema: SchemaRef,
    warnings: Vec<String>,
}

impl fmt::Debug for ConstantColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConstantColumns").field("inner", &self.inner).field("schema", &self.schema).finish()
    }
}

impl ConstantColumns {
    /// `inner` with the virtual column [`FILE_NAME`] (unless there is a real one) and, if `hive`, with a column for
    /// each key of the folders `key=value` in the paths of its files.
    ///
    /// A key takes the place of a column of the files of the same name. Types are inferred over the values of all
    /// files, unless `types` gives them.
    ///
    /// # Errors
    /// `Malformed` when the folders of the files have different keys, `Value` when a value is not of the type given.
    pub fn new(inner: Arc<dyn Source>, hive: bool, types: &[(String, ColumnType)]) -> Result<Self> {
        let files = inner.files();
        let mut constants = if hive { hive::columns(&files, types)? } else { Vec::new() };
        let taken = |name: &str| {
            constants.iter().any(|known| known.field.name() == name) || inner.schema().index_of(name).is_ok()
        };
        if !taken(FILE_NAME) {
            let metadata = HashMap::from([(VIRTUAL.to_owned(), String::new())]);
            let field = Field::new(FILE_NAME, DataType::Utf8View, false).with_metadata(metadata);
            let values = Arc::new(StringViewArray::from_iter_values(files.iter().map(|file| &**file)));
            constants.push(Constant { field, values });
        }
        Ok(Self::over(inner, constants.into()))
    }

    /// The source of a recipe, of which the files of these ordinals will be read.
    ///
    /// # Errors
    /// Those of the inner source; `Internal` for other bytes.
    pub(in crate::source) fn of_recipe(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Self> {
        let constant = |column: RecordBatch| Constant {
            field: column.schema_ref().field(0).clone(),
            values: Arc::clone(column.column(0)),
        };
        let constants = Vec::<RecordBatch>::receive(bytes)?.into_iter().map(constant).collect();
        Ok(Self::over(recipe::open(bytes, wanted)?, constants))
    }

    fn over(inner: Arc<dyn Source>, constants: Arc<[Constant]>) -> Self {
        let below = inner.schema();
        let mut warnings = Vec::new();
        let mut origins: Vec<Origin> = (0..below.fields().len()).map(Origin::Inner).collect();
        for (at, constant) in constants.iter().enumerate() {
            match below.index_of(constant.field.name()) {
                Ok(same) => {
                    origins[same] = Origin::Constant(at);
                    let name = constant.field.name();
                    warnings.push(format!("`{name}` is read from the names of the folders, not from the files, which have a column of that name too"));
                }
                Err(_) => origins.push(Origin::Constant(at)),
            }
        }
        let field = |origin: &Origin| match *origin {
            Origin::Inner(at) => below.field(at).clone(),
            Origin::Constant(at) => constants[at].field.clone(),
        };
        let fields: Vec<Field> = origins.iter().map(field).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, below.metadata().clone()));
        ConstantColumns { inner, constants, origins, schema, warnings }
    }
}

impl Source for ConstantColumns {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn key(&self) -> String {
        let columns: Vec<String> =
            self.constants.iter().map(|one| format!("{}: {}", one.field.name(), one.field.data_type())).collect();
        format!("{} and {columns:?}", self.inner.key())
    }

    fn files(&self) -> Vec<Arc<str>> {
        self.inner.files()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.inner.warnings();
        warnings.extend(self.warnings.iter().cloned());
        warnings
    }

    fn why_text(&self, column: usize) -> Option<String> {
        match self.origins.get(column)? {
            Origin::Inner(at) => self.inner.why_text(*at),
            Origin::Constant(_) => None,
        }
    }

    fn explain_schema(&self) -> Option<String> {
        self.inner.explain_schema()
    }

    fn recoding(&self) -> &'static str {
        self.inner.recoding()
    }

    fn untold_sample_seconds(&self) -> f64 {
        self.inner.untold_sample_seconds()
    }

    fn prunes(&self) -> bool {
        self.inner.prunes()
    }

    fn partitions(&self, piece_bytes: usize) -> Vec<PartitionInfo> {
        self.inner.partitions(piece_bytes)
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        scan::start(self, request)
    }

    fn recipe(&self) -> Result<Recipe, String> {
        let inner = self.inner.recipe()?;
        let column = |constant: &Constant| {
            let schema = Arc::new(Schema::new(vec![constant.field.clone()]));
            RecordBatch::try_new(schema, vec![Arc::clone(&constant.values)]).map_err(|error| error.to_string())
        };
        let constants = self.constants.iter().map(column).collect::<Result<Vec<_>, String>>()?;
        Recipe::of(SourceKind::Constants, |bytes| {
            put(&constants, bytes)?;
            bytes.extend_from_slice(inner.bytes());
            Ok(())
        })
    }

    fn widened(&self, columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        let below = |(column, needed): &(usize, ColumnType)| match self.origins.get(*column)? {
            Origin::Inner(at) => Some((*at, *needed)),
            Origin::Constant(_) => None,
        };
        let wider = self.inner.widened(&columns.iter().map(below).collect::<Option<Vec<_>>>()?)?;
        Some(Arc::new(Self::over(wider, Arc::clone(&self.constants))))
    }
}

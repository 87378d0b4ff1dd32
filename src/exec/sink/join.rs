//! The matches of all left rows, where the right ones are too many to look them up in one table, or where a row may come to
//! very many.
//!
//! **Problem.** Both sides may be larger than memory, a key may be everywhere on both, and the answer has the order of the left
//! rows.
//! **Idea.** Left rows are kept in [blocks](left), in input order, on disk where they must. Then come [rounds]: a table of as
//! many right rows as there is room for, and all left keys are looked up in it, block by block and side by side; what it finds
//! for a block is a list of left rows with the right columns beside them, or, where rows have very many matches in the only
//! table, merely where [such a list](pairs) begins. In the end the rows of the result are
//! [put together](assembly), block by block, when somebody asks for them: nothing is sorted, and no column is written twice.
//! **Invariants.** A round takes right rows in order, so the matches of a left row come in order, round after round. A key that
//! is everywhere just takes several tables, and its matches several lists.

mod assembly;
mod left;
mod pairs;
mod rounds;

use super::{Materialised, Room, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::join::keys::as_keys;
use crate::memory::{Part, StoredRows};
use crate::plan::JoinSide;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use assembly::Assembly;
use left::{Blocks, LeftRows};
use rounds::Rounds;
use std::any::Any;
use std::sync::Arc;

pub(super) struct JoinSink {
    side: JoinSide,
    schema: SchemaRef,
    /// Of keys, and of the other columns that are shown.
    schemas: [SchemaRef; 2],
    left: LeftRows,
    room: Room,
}

impl JoinSink {
    /// `types` are those of the batches that come.
    pub(super) fn new(side: JoinSide, schema: SchemaRef, types: &[DataType], room: &Room) -> Result<Self> {
        let keys = side.shape.domains.iter().map(|domain| domain.arrow());
        let shown = types.iter().skip(side.shape.domains.len()).cloned();
        let schemas = [numbered(keys), numbered(shown)];
        let left = LeftRows::new(&schemas, room)?;
        Ok(JoinSink { side, schema, schemas, left, room: room.clone() })
    }
}

/// Columns of these types, called by their numbers.
fn numbered(types: impl Iterator<Item = DataType>) -> SchemaRef {
    Arc::new(Schema::new(
        types.enumerate().map(|(at, of_type)| Field::new(at.to_string(), of_type, true)).collect::<Vec<_>>(),
    ))
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

impl Sink for JoinSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        let (rows, domains) = (batch.rows(), &self.side.shape.domains);
        let columns = batch.records.columns();
        let keys =
            columns.iter().zip(domains).map(|(column, domain)| as_keys(column, *domain)).collect::<Result<_>>()?;
        let keys = batch_of(&self.schemas[0], keys, rows)?;
        let shown = batch_of(&self.schemas[1], columns[domains.len()..].to_vec(), rows)?;
        self.left.push(&keys, &shown, &batch.origin)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<JoinSink>();
        let other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.left.join(other.left)
    }

    fn relieve(&mut self) -> Result<()> {
        self.left.relieve()
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let JoinSink { side, schema, left, room, .. } = *self;
        let store = room.results();
        let Blocks { blocks, mut held, own } = left.finish(&store, &room.hands)?;
        let assembly = Arc::new(Assembly::new(&side.shape, &schema, room.budget.limit_bytes()));
        let (found, rest, entries) = Rounds::new(&side, &assembly, &blocks, &store, &room).run(own)?;
        let made = room.hands.each(found.len(), |at| assembly.parts(&blocks[at], &found[at], &store))?;
        let parts: Vec<Part> = made.into_iter().flatten().chain(rest).collect();
        held.extend([store.into_held(), Arc::new(entries)]);
        Ok(Materialised { schema, rows: StoredRows::of_parts(parts, held) })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

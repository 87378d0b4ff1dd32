//! Joins: how the rows of a stage find their matches.
//!
//! **Problem.** One side of a join is usually a small table that many questions use, but it may be anything; and a key
//! may be everywhere on both sides.
//! **Idea.** The right side is read to its end first, as a question of its own. If its rows fit in memory and no key has
//! many of them, they become a [`table`] that batches are looked up in as they come ([`probe`]): the join is a step of its
//! stage, and the left side stays in the pass that it shares with other questions; where right rows without a match are
//! wanted, too, a sink marks those that have one and gives the others at the end. Otherwise the stage ends in a
//! [sink](super::sink) that keeps its rows, on disk if need be, and looks all of them up in one table after the other, each of
//! as many right rows as there is room for.
//! **Invariant.** The rows and their order are the same either way.

pub(super) mod keys;
mod probe;
mod residual;
mod table;
mod tables;

use self::probe::TableProbe;
use crate::error::{Error, Result};
use crate::exec::sink::Materialised;
use crate::expr::BoundExpr;
use crate::memory::Spill;
use crate::plan::{
    AggregateColumn, JoinColumn, JoinShape, JoinSide, MOST_COPIES, Probe, SinkSpec, Stage, StageInput, Step,
};
use crate::source::CancelToken;
use crate::types::ColumnType;
use arrow::datatypes::{Field, Schema, SchemaRef};
pub(super) use residual::holding;
use std::sync::Arc;
use table::TableRows;
pub(super) use table::{Table, TableRoom};
pub(super) use tables::{Tables, rows_bytes};

/// A table by key columns and types, for joins that may make several rows of one or not; `None` where it did not fit.
struct Tried {
    keys: Vec<usize>,
    domains: Vec<ColumnType>,
    multiplies: bool,
    table: Option<Arc<Table>>,
}

/// A right side that has been read.
pub(super) struct RightSide {
    schema: SchemaRef,
    rows: TableRows,
    tables: Vec<Tried>,
}

impl RightSide {
    pub(super) fn new(rows: Materialised) -> Self {
        RightSide { schema: rows.schema, rows: TableRows::new(rows.rows), tables: Vec::new() }
    }

    /// Lets go of the memory of rows that are in no table.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn put_on_disk(&mut self, spill: &Spill) -> Result<()> {
        self.rows.put_on_disk(spill)
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn table(&mut self, shape: &JoinShape, room: &mut TableRoom, cancel: &CancelToken) -> Result<Option<Arc<Table>>> {
        let (keys, domains, multiplies) = (&shape.right_keys, &shape.domains, shape.multiplies());
        let serves = |known: &&Tried| {
            let same = known.keys == *keys && known.domains == *domains;
            same && (known.multiplies == multiplies || known.table.is_some() && known.multiplies)
        };
        if let Some(known) = self.tables.iter().find(serves) {
            return Ok(known.table.clone());
        }
        let most_rows = if multiplies { MOST_COPIES } else { usize::MAX };
        let table = Table::build(&mut self.rows, &self.schema, shape, most_rows, room, cancel)?;
        let table = table.map(Arc::new);
        let (keys, domains) = (keys.clone(), domains.clone());
        self.tables.push(Tried { keys, domains, multiplies, table: table.clone() });
        Ok(table)
    }
}

/// The step, if it is no join.
fn before_join(step: Step) -> Option<Step> {
    (!matches!(step, Step::Join(..))).then_some(step)
}

fn reads_identity(step: Step) -> bool {
    match step {
        Step::Filter(predicate) => predicate.reads_identity(),
        Step::Project(columns, _) => columns.iter().any(BoundExpr::reads_identity),
        Step::Map(..) | Step::Unnest(_) | Step::Join(..) => false,
    }
}

/// Decides how each join of some stages of a question is done. `input_schema` are the columns of the stage before these; `rights`
/// are the right sides of its joins, by number.
pub(super) fn decide(
    stages: Vec<Stage>,
    input_schema: Option<SchemaRef>,
    rights: &mut [Option<RightSide>],
    numbers: &[usize],
    room: &mut TableRoom,
    spill: &Spill,
    cancel: &CancelToken,
) -> Result<Vec<Stage>> {
    let mut decided = Vec::with_capacity(stages.len());
    for stage in stages {
        if !stage.steps.iter().any(|step| matches!(step, Step::Join(..))) {
            decided.push(stage);
            continue;
        }
        let Stage { mut input, steps, sink, skip, schema } = stage;
        let uses_identities = |column: &AggregateColumn| column.aggregate.uses_identities();
        let numbered =
            matches!(&sink, SinkSpec::Aggregate { aggregates, .. } if aggregates.iter().any(uses_identities));
        let mut joins_left = steps.iter().filter(|step| matches!(step, Step::Join(..))).count();
        let (mut before, mut copies) = (Vec::new(), 1);
        let mut steps = steps.into_iter().peekable();
        let mut ended = false;
        while let Some(step) = steps.next() {
            let Step::Join(shape, _) = step else {
                before.push(step);
                continue;
            };
            joins_left -= 1;
            let number =
                numbers.get(shape.number).copied().ok_or_else(|| Error::internal("a join without a number"))?;
            let right = rights.get_mut(number).and_then(Option::as_mut);
            let right = right.ok_or_else(|| Error::internal("a right side that was not read"))?;
            let table = right.table(&shape, room, cancel)?;
            // Pairs that fail a condition are there for a while.
            let of_table = |table: &Arc<Table>| table.copies(shape.multiplies());
            let fits = |table: &Arc<Table>| copies * of_table(table) <= room.most_copies;
            let end = match table.filter(fits) {
                Some(table) => {
                    copies *= table.copies(shape.kind.shows_right());
                    let probe: Arc<dyn Probe> = Arc::new(TableProbe::new(Arc::clone(&shape), table));
                    before.push(Step::Join(Arc::clone(&shape), Some(Arc::clone(&probe))));
                    if shape.kind.keeps_right() {
                        SinkSpec::Rest(probe)
                    } else if (numbered && joins_left == 0) || steps.clone().map_while(before_join).any(reads_identity)
                    {
                        // As behind a join in rounds, rows are numbered anew.
                        SinkSpec::Collect { limit: None }
                    } else {
                        continue;
                    }
                }
                None => {
                    let before_these = || decided.last().map(|stage: &Stage| &stage.schema).or(input_schema.as_ref());
                    let (project, shape) = keys_first(&shape, &schema_before(&before, &input, before_these())?)?;
                    before.push(project);
                    let limit = limit_behind(steps.clone(), &sink);
                    if room.is_scarce() {
                        right.put_on_disk(spill)?;
                    }
                    let (right, right_schema) = (right.rows.stored(), Arc::clone(&right.schema));
                    SinkSpec::Join(JoinSide { shape: Arc::new(shape), right, right_schema, limit })
                }
            };
            // Where nothing follows, the join gives the answer itself.
            ended = steps.peek().is_none() && matches!(sink, SinkSpec::Collect { limit: None });
            let of_join = if ended { Arc::clone(&schema) } else { Arc::clone(&shape.schema) };
            let input = std::mem::replace(&mut input, StageInput::Previous);
            let (steps, skip) = (std::mem::take(&mut before), if ended { skip } else { 0 });
            decided.push(Stage { input, steps, sink: end, skip, schema: of_join });
            copies = 1;
        }
        if !ended {
            decided.push(Stage { input, steps: before, sink, skip, schema });
        }
    }
    Ok(decided)
}

/// How many rows of a join are wanted, if only columns are chosen between it and a limit.
fn limit_behind(mut steps: impl Iterator<Item = Step>, sink: &SinkSpec) -> Option<usize> {
    match sink {
        SinkSpec::Collect { limit } => limit.filter(|_| steps.all(|step| matches!(step, Step::Project(..)))),
        _ => None,
    }
}

/// A step that puts the keys of left rows first and behind them the other columns that the join shows or asks, and the shape over
/// those.
fn keys_first(shape: &JoinShape, schema: &SchemaRef) -> Result<(Step, JoinShape)> {
    let mut bound: Vec<BoundExpr> = shape.left_keys.clone();
    let is_key =
        |at: usize, key: &BoundExpr, domain: &ColumnType| key.as_column() == Some(at) && key.column_type() == *domain;
    let mut place = |at: usize| -> Result<usize> {
        let mut keys = shape.left_keys.iter().zip(&shape.domains);
        if let Some(key) = keys.position(|(key, domain)| is_key(at, key, domain)) {
            return Ok(key);
        }
        let name = schema.field(at).name().as_str();
        bound.push(crate::expr::col(name).bind(schema)?);
        Ok(bound.len() - 1)
    };
    let mut columns = Vec::with_capacity(shape.columns.len());
    for column in &shape.columns {
        columns.push(match *column {
            JoinColumn::Left(at) => JoinColumn::Left(place(at)?),
            JoinColumn::Right(at) => JoinColumn::Right(at),
            JoinColumn::Either(ours, theirs) => JoinColumn::Either(place(ours)?, theirs),
        });
    }
    let mut residual = shape.residual.clone();
    for column in residual.iter_mut().flat_map(|residual| &mut residual.columns) {
        if let JoinColumn::Left(at) = column {
            *at = place(*at)?;
        }
    }
    let field = |(at, column): (usize, &BoundExpr)| Field::new(at.to_string(), column.data_type(), true);
    let fields: Vec<Field> = bound.iter().enumerate().map(field).collect();
    let project = Step::Project(bound, Arc::new(Schema::new(fields)));
    Ok((project, JoinShape { columns, residual, ..shape.clone() }))
}

/// The columns that come out of the last step.
fn schema_before(steps: &[Step], input: &StageInput, of_previous: Option<&SchemaRef>) -> Result<SchemaRef> {
    let last = steps.iter().rev().find_map(|step| match step {
        Step::Filter(_) => None,
        Step::Project(_, schema) | Step::Map(_, schema) | Step::Unnest(schema) => Some(Arc::clone(schema)),
        Step::Join(shape, _) => Some(Arc::clone(&shape.schema)),
    });
    match (last, input, of_previous) {
        (Some(schema), ..) => Ok(schema),
        (None, StageInput::Scan { source, columns }, _) => Ok(Arc::new(source.schema().project(columns)?)),
        (None, StageInput::Previous, Some(before)) => Ok(Arc::clone(before)),
        (None, StageInput::Previous, None) => Err(Error::internal("a join of an unknown input")),
    }
}

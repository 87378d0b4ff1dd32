//! Joins: which rows of two tables belong together, and the columns that come of it.
//!
//! The left table is streamed through the join, the right one is read to its end before. Columns of the result are those of
//! the left, then those of the right; a key that has one name on both sides is one column.

use super::LogicalPlan;
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::display::is_plain_name;
use crate::expr::{BoundExpr, Expr, Literal};
use crate::source::constants::visible_schema;
use crate::types::ColumnType;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What a column of the right table is called behind its name, where the left one has a column of that name.
pub const SUFFIX: &str = "_right";

/// The share of the memory limit that all tables of a run may have which rows are looked up in. Results may have half of it,
/// and each sink of a pass has its own from the last quarter.
pub(crate) const TABLE_SHARE: usize = 4;
/// A row may come to so many within a pass. More are made behind it: rows of a pass wait in memory for their commit.
pub(crate) const MOST_COPIES: usize = 16;

/// Which rows a join gives. Rows keep the order of the left table, and those of one left row the order of the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Pairs of rows with equal keys.
    Inner,
    /// Those, and left rows without a match, the right columns null.
    Left,
    /// Pairs, and then right rows without a match, the left columns null.
    Right,
    /// Pairs, left rows without a match in their places, and then right rows without a match.
    Full,
    /// Left rows with a match, once each; no right columns.
    Semi,
    /// Left rows without a match; no right columns.
    Anti,
    /// Every pair of rows; there are no keys.
    Cross,
}

impl JoinKind {
    const ALL: [JoinKind; 7] = [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Semi,
        JoinKind::Anti,
        JoinKind::Cross,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Right => "right",
            JoinKind::Full => "full",
            JoinKind::Semi => "semi",
            JoinKind::Anti => "anti",
            JoinKind::Cross => "cross",
        }
    }

    /// The kind of this name, in any case.
    ///
    /// # Errors
    /// `Name` with the nearest when there is none.
    pub fn parse(name: &str) -> Result<Self> {
        let lower = name.to_lowercase();
        JoinKind::ALL.into_iter().find(|kind| kind.name() == lower).ok_or_else(|| {
            let error = Error::new(ErrorKind::Name, format!("no kind of join is called `{name}`"));
            match did_you_mean(&lower, JoinKind::ALL.map(JoinKind::name)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("kinds are inner, left, right, full, semi, anti and cross"),
            }
        })
    }

    /// Whether the result has columns of the right table.
    pub fn shows_right(self) -> bool {
        !matches!(self, JoinKind::Semi | JoinKind::Anti)
    }

    /// Whether left rows without a match are in the result.
    pub fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full | JoinKind::Anti)
    }

    /// Whether right rows without a match are in the result.
    pub fn keeps_right(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Two tables, and what makes their rows belong together.
#[derive(Clone, Debug)]
pub struct Join {
    /// The table that is streamed.
    pub left: Arc<LogicalPlan>,
    /// The table that is read before.
    pub right: Arc<LogicalPlan>,
    /// Pairs of expressions, one over each table, that must be equal. Null equals nothing, not even null; NaN equals NaN,
    /// and −0.0 equals 0.0; integers and doubles are compared as the numbers they are.
    pub on: Vec<(Expr, Expr)>,
    /// What must hold of a pair beside, over the columns that an inner join shows.
    residual: Option<Expr>,
    /// Which rows it gives.
    pub kind: JoinKind,
    /// Its left rows are kept until all have come, so that the pass that they come from may be the right table's, too.
    pub(super) waits: bool,
    /// Its tables stand one behind the other: the columns of one are those of the other, by their places.
    stacks: bool,
    /// What the right table came to, once it has been read.
    built: Option<Arc<Built>>,
    /// The columns of the result, once somebody has asked: it is asked for at every level of a plan.
    known: OnceLock<SchemaRef>,
}

/// The columns of a right table that has been read: those that are used, with their final types, and its keys.
#[derive(Clone, Debug)]
pub struct Built {
    /// All columns of the rows.
    pub(super) schema: SchemaRef,
    /// So many of them are columns of the table; keys that had to be computed come behind.
    pub(super) width: usize,
    /// Which of all columns each key is.
    pub(super) keys: Vec<usize>,
}

/// Where a column of the result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinColumn {
    /// This column of the left rows.
    Left(usize),
    /// This column of the right rows.
    Right(usize),
    /// A key of both: the left row's, or where there is none, the right row's.
    Either(usize, usize),
}

/// What a column of the right table is called in the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RightName {
    /// It has this name.
    Column(String),
    /// It is a key of both tables, which stands once, under this name.
    Key(String),
    /// The join shows no columns of the right table.
    Nowhere,
}

/// The type in which keys of two types are compared.
pub(super) fn key_domain(left: ColumnType, right: ColumnType) -> Option<ColumnType> {
    use ColumnType::{Date, Int64, Null, Timestamp};
    match (left, right) {
        (a, b) if a.is_list() || b.is_list() => None,
        (a, b) if a == b => Some(a),
        (Null, other) | (other, Null) => Some(other),
        // A double equals an integer only if it is that integer.
        (a, b) if a.is_numeric() && b.is_numeric() => Some(Int64),
        (Date, Timestamp) | (Timestamp, Date) => Some(Timestamp),
        _ => None,
    }
}

impl Join {
    /// A join whose right table has not been read.
    pub fn new(left: Arc<LogicalPlan>, right: Arc<LogicalPlan>, on: Vec<(Expr, Expr)>, kind: JoinKind) -> Self {
        Join { left, right, on, residual: None, kind, waits: false, stacks: false, built: None, known: OnceLock::new() }
    }

    /// The same join, of those pairs only of which `condition` holds: over the columns of both tables, under the names that they
    /// have in the result of an inner join. Rows without such a pair are without a match. There may be no keys then.
    #[must_use]
    pub fn of_pairs_with(self, condition: Expr) -> Self {
        Join { residual: Some(condition), known: OnceLock::new(), ..self }
    }

    /// What must hold of a pair beside its keys.
    pub fn residual(&self) -> Option<&Expr> {
        self.residual.as_ref()
    }

    /// The rows of `left`, and behind them those of `right`, in columns of their own: there is no match. Both tables have as many
    /// columns, and each one's is to become one with that of the same place.
    pub(crate) fn stacked(left: Arc<LogicalPlan>, right: Arc<LogicalPlan>) -> Self {
        let never = || Expr::Literal(Literal::Null).cast(ColumnType::Boolean);
        let joined = Join::new(left, right, vec![(never(), never())], JoinKind::Full);
        Join { stacks: true, ..joined }.in_one_pass()
    }

    /// The same join, but left rows are kept until all have come where both tables read the same files: so these are read once,
    /// and not first for the right table. What streamed before does so no more.
    #[must_use]
    pub(crate) fn in_one_pass(self) -> Self {
        let key = self.left.source().key();
        let waits = self.right.sources().iter().any(|source| source.key() == key);
        Join { waits, ..self }
    }

    /// Whether its tables stand one behind the other.
    pub(super) fn stacks(&self) -> bool {
        self.stacks
    }

    /// The same join with what its right table came to, or before that was read.
    pub(crate) fn with_built(&self, built: Option<Arc<Built>>) -> Self {
        Join { built, known: OnceLock::new(), ..self.clone() }
    }

    pub(super) fn with_left(&self, left: Arc<LogicalPlan>) -> Self {
        Join { left, known: OnceLock::new(), ..self.clone() }
    }

    pub(super) fn with_right(&self, right: Arc<LogicalPlan>) -> Self {
        Join { right, known: OnceLock::new(), ..self.clone() }
    }

    pub(super) fn built(&self) -> Option<&Built> {
        self.built.as_deref()
    }

    /// The columns of the right table.
    pub(super) fn right_schema(&self) -> Result<SchemaRef> {
        match &self.built {
            None => Ok(visible_schema(&self.right.schema()?)),
            Some(built) => Ok(Arc::new(built.schema.project(&(0..built.width).collect::<Vec<_>>())?)),
        }
    }

    /// The left keys bound to `left`, and the types in which keys are compared.
    ///
    /// # Errors
    /// `Name` and `Type` errors of the keys, `Type` for keys of types that do not compare.
    pub(super) fn keys(&self, left: &Schema) -> Result<(Vec<BoundExpr>, Vec<ColumnType>)> {
        let of_right = if self.built.is_some() { None } else { Some(self.right.schema()?) };
        self.keys_with(left, of_right.as_deref())
    }

    fn keys_with(&self, left: &Schema, of_right: Option<&Schema>) -> Result<(Vec<BoundExpr>, Vec<ColumnType>)> {
        let mut keys = Vec::with_capacity(self.on.len());
        let mut domains = Vec::with_capacity(self.on.len());
        for (at, (ours, theirs)) in self.on.iter().enumerate() {
            let key = ours.bind(left).map_err(|error| of_side(error, "left"))?;
            let type_of_right = match (&self.built, of_right) {
                (Some(built), _) => ColumnType::from_arrow(built.schema.field(built.keys[at]).data_type())?,
                (None, Some(schema)) => theirs.bind(schema).map_err(|error| of_side(error, "right"))?.column_type(),
                (None, None) => return Err(Error::internal("a join without a right table")),
            };
            let domain = key_domain(key.column_type(), type_of_right);
            domains.push(domain.ok_or_else(|| cannot_compare(ours, key.column_type(), theirs, type_of_right))?);
            keys.push(key);
        }
        Ok((keys, domains))
    }

    /// Keys that have the same name on both sides, as (left column, right column).
    fn shared_keys(&self, left: &Schema, right: &Schema) -> Vec<(usize, usize)> {
        let shared = |(ours, theirs): &(Expr, Expr)| match (ours, theirs) {
            (Expr::Column(a), Expr::Column(b)) if a == b => Some((left.index_of(a).ok()?, right.index_of(b).ok()?)),
            _ => None,
        };
        self.on.iter().filter_map(shared).collect()
    }

    /// All columns of the result and where they come from.
    ///
    /// # Errors
    /// `Name` when two columns would have one name.
    pub(super) fn columns(&self, left: &Schema) -> Result<Vec<(Field, JoinColumn)>> {
        self.columns_with(left, &*self.right_schema()?, self.kind)
    }

    /// The columns of pairs that the condition beside the keys uses, and where they come from.
    ///
    /// # Errors
    /// As [`Join::columns`].
    pub(super) fn columns_of_residual(&self, left: &Schema) -> Result<Vec<(Field, JoinColumn)>> {
        let Some(residual) = &self.residual else { return Ok(Vec::new()) };
        let (names, mut columns) =
            (residual.columns(), self.columns_with(left, &*self.right_schema()?, JoinKind::Inner)?);
        columns.retain(|(field, _)| names.contains(field.name().as_str()));
        Ok(columns)
    }

    fn columns_with(&self, left: &Schema, right: &Schema, kind: JoinKind) -> Result<Vec<(Field, JoinColumn)>> {
        let shared = self.shared_keys(left, right);
        let mut columns = Vec::with_capacity(left.fields().len() + right.fields().len());
        for (at, field) in left.fields().iter().enumerate() {
            let field = field.as_ref().clone().with_nullable(true);
            match shared.iter().find(|(ours, _)| *ours == at).filter(|_| kind.keeps_right()) {
                Some((_, theirs)) => {
                    let types = [field.data_type(), right.field(*theirs).data_type()];
                    let of_both = either_type(types[0], types[1])?;
                    columns.push((field.with_data_type(of_both), JoinColumn::Either(at, *theirs)));
                }
                None => columns.push((field, JoinColumn::Left(at))),
            }
        }
        if !kind.shows_right() {
            return Ok(columns);
        }
        let mut taken: HashSet<String> = columns.iter().map(|(field, _)| field.name().clone()).collect();
        for (at, field) in right.fields().iter().enumerate() {
            if shared.iter().any(|(_, theirs)| *theirs == at) {
                continue;
            }
            let mut name = field.name().clone();
            if left.index_of(&name).is_ok() {
                name.push_str(SUFFIX);
            }
            // Such a name may be that of a column already, of an earlier join for example.
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{}{SUFFIX}_{number}", field.name());
                number += 1;
            }
            columns.push((Field::new(name, field.data_type().clone(), true), JoinColumn::Right(at)));
        }
        Ok(columns)
    }

    /// The columns of the right table, and what they are called in the result.
    ///
    /// # Errors
    /// `Name` and `Type` errors of both tables.
    pub fn right_names(&self) -> Result<Vec<(String, RightName)>> {
        let (left, right) = (self.left.schema()?, self.right_schema()?);
        let columns = self.columns(&left)?;
        let shared = self.shared_keys(&left, &right);
        let name = |(at, field): (usize, &Arc<Field>)| {
            let own = |(_, column): &&(Field, JoinColumn)| *column == JoinColumn::Right(at);
            let shown = match (columns.iter().find(own), shared.iter().find(|(_, theirs)| *theirs == at)) {
                (Some((field, _)), _) => RightName::Column(field.name().clone()),
                (None, Some((ours, _))) if self.kind.shows_right() => RightName::Key(left.field(*ours).name().clone()),
                (None, _) => RightName::Nowhere,
            };
            (field.name().clone(), shown)
        };
        Ok(right.fields().iter().enumerate().map(name).collect())
    }

    /// The columns of the result, virtual ones of the left table included; checks names and types on the way.
    ///
    /// # Errors
    /// `Name` and `Type` errors of both tables and of the keys; `Syntax` for keys where there are none, or none where
    /// there must be some.
    pub(super) fn schema(&self) -> Result<SchemaRef> {
        if let Some(known) = self.known.get() {
            return Ok(Arc::clone(known));
        }
        let schema = self.checked_schema()?;
        Ok(Arc::clone(self.known.get_or_init(|| schema)))
    }

    fn checked_schema(&self) -> Result<SchemaRef> {
        let left = self.left.schema()?;
        if self.residual.is_none() && self.on.is_empty() != (self.kind == JoinKind::Cross) {
            let message = format!("a {} join takes {} keys", self.kind, if self.on.is_empty() { "some" } else { "no" });
            return Err(Error::new(ErrorKind::Syntax, message).hint("every kind but cross says what must be equal"));
        }
        // Asked for once: it may be that of another join, and so on.
        let whole = if self.built.is_none() { Some(self.right.schema()?) } else { None };
        if let Some(right) = &whole {
            for (_, theirs) in &self.on {
                theirs.bind(right).map_err(|error| of_side(error, "right"))?;
            }
        }
        self.keys_with(&left, whole.as_deref())?;
        let right = match &whole {
            Some(right) => visible_schema(right),
            None => self.right_schema()?,
        };
        if self.stacks && self.built.is_none() {
            check_stacked(&left, &right)?;
        }
        if let Some(residual) = &self.residual {
            let pairs = self.columns_with(&left, &right, JoinKind::Inner)?.into_iter().map(|(field, _)| field);
            let bound = residual.bind_condition(&Schema::new(pairs.collect::<Vec<_>>()))?;
            if bound.reads_identity() {
                let message = format!("`{residual}` is about rows of one table, and the condition of a join about two");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let fields: Vec<Field> =
            self.columns_with(&left, &right, self.kind)?.into_iter().map(|(field, _)| field).collect();
        // A right column that cannot be read is told of under its own name.
        let mut metadata = right.metadata().clone();
        metadata.extend(left.metadata().clone());
        Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
    }
}

/// The type of a column that holds a key of either side.
fn either_type(left: &DataType, right: &DataType) -> Result<DataType> {
    Ok(ColumnType::from_arrow(left)?.unify(ColumnType::from_arrow(right)?).arrow())
}

/// Whether columns of two tables, by their places, can become one.
///
/// # Errors
/// `Type` for the first ones that cannot.
fn check_stacked(left: &Schema, right: &Schema) -> Result<()> {
    for (at, (one, other)) in left.fields().iter().zip(right.fields()).enumerate() {
        stacked_type(at, ColumnType::from_arrow(one.data_type())?, ColumnType::from_arrow(other.data_type())?)?;
    }
    Ok(())
}

/// The type of the column at a place, of tables that stand one behind the other.
///
/// # Errors
/// `Type` when one has text where the other has something else.
pub(crate) fn stacked_type(at: usize, one: ColumnType, other: ColumnType) -> Result<ColumnType> {
    let of_both = one.unify(other);
    if of_both == ColumnType::Utf8
        && ![one, other].iter().all(|known| matches!(known, ColumnType::Utf8 | ColumnType::Null))
    {
        let message = format!("column {} of the queries is {one} here and {other} there", at + 1);
        return Err(Error::new(ErrorKind::Type, message).hint("`cast(x as varchar)` makes text of either"));
    }
    Ok(of_both)
}

/// Says in which table a name of a key is missing.
fn of_side(error: Error, side: &str) -> Error {
    if error.kind() == ErrorKind::Name { error.about(&format!("in the {side} table of the join")) } else { error }
}

fn cannot_compare(ours: &Expr, left: ColumnType, theirs: &Expr, right: ColumnType) -> Error {
    let message = format!("cannot join {left} with {right} in `{ours} = {theirs}`");
    let error = Error::new(ErrorKind::Type, message);
    // Of one name, a question says in which table.
    let name = |key: &Expr, side: &str| match key {
        Expr::Column(name) if ours == theirs && is_plain_name(name) => format!("{side}.{name}"),
        _ => key.to_string(),
    };
    let (ours, theirs) = (name(ours, "left"), name(theirs, "right"));
    match (left, right) {
        (ColumnType::Utf8, other) => error.hint(format!(
            "convert one of them: `on cast({ours} as {}) = {theirs}`, `on {ours} = cast({theirs} as utf8)`",
            lower(other)
        )),
        (other, ColumnType::Utf8) => error.hint(format!(
            "convert one of them: `on {ours} = cast({theirs} as {})`, `on cast({ours} as utf8) = {theirs}`",
            lower(other)
        )),
        _ => error.hint(format!("convert one of them: `on cast({ours} as {}) = {theirs}`", lower(right))),
    }
}

fn lower(column_type: ColumnType) -> String {
    column_type.to_string().to_lowercase()
}

/// How the rows of a stage are joined: keys and columns bound to its batches.
#[derive(Clone, Debug)]
pub struct JoinShape {
    /// Which rows it gives.
    pub kind: JoinKind,
    /// The join's number among those of its plan, from the source upwards.
    pub number: usize,
    /// The keys of the left rows.
    pub left_keys: Vec<BoundExpr>,
    /// Which columns of the right rows are the keys; empty until they have been read.
    pub right_keys: Vec<usize>,
    /// The types in which keys are compared.
    pub domains: Vec<ColumnType>,
    /// What must hold of pairs of rows beside.
    pub residual: Option<Residual>,
    /// The columns of the result.
    pub columns: Vec<JoinColumn>,
    /// Names and types of the result.
    pub schema: SchemaRef,
}

impl JoinShape {
    /// Whether a row may come to several pairs: in the result, or until it is known which of them fulfil the condition.
    pub fn multiplies(&self) -> bool {
        self.kind.shows_right() || self.residual.is_some()
    }
}

/// A condition on pairs of rows.
#[derive(Clone, Debug)]
pub struct Residual {
    /// The condition, bound to rows of `columns`.
    pub predicate: BoundExpr,
    /// Where these come from; none is of either side.
    pub columns: Vec<JoinColumn>,
    /// Their names and types.
    pub schema: SchemaRef,
}

/// Asks for so many bytes, for what is about to be made.
pub type Reserve<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

/// Finds the matches of rows as they come.
pub trait Probe: fmt::Debug + Send + Sync {
    /// The rows of the result that come of a batch of left rows, in order; where they may be more than these, `reserve` is
    /// asked for their bytes before.
    ///
    /// # Errors
    /// Those of evaluating the keys, and that of `reserve`.
    fn probe(&self, batch: Batch, reserve: Reserve<'_>) -> Result<Batch>;

    /// To how many rows one may come.
    fn copies(&self) -> usize;

    /// How many right rows there are.
    fn right_rows(&self) -> usize;

    /// Rows of the result for right rows without a match, these rows.
    ///
    /// # Errors
    /// None but broken invariants.
    fn unmatched(&self, rows: &[u32]) -> Result<RecordBatch>;
}

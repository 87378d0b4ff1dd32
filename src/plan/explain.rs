//! The plan in words.

use super::join::{MOST_COPIES, TABLE_SHARE};
use super::{
    BuildPlan, BuildUse, Builds, FirstRows, JoinShape, LogicalPlan, SinkSpec, Stage, StageInput, Step, WindowShape,
    next_together,
};
use crate::error::Result;
use crate::expr::Expr;
use crate::memory::{Budget, ByteSize};
use crate::source::constants::visible_columns;
use crate::source::{CancelToken, ScanRequest};
use arrow::datatypes::Field;
use std::fmt::Write;
use std::sync::Arc;

/// Logical plans, then passes: which stages share a scan of which columns, in how many partitions of `piece_bytes`; and how
/// rows are joined within `limit_bytes` of memory.
///
/// # Errors
/// The `Name` and `Type` errors of the plans.
pub fn explain(plans: &[LogicalPlan], piece_bytes: usize, limit_bytes: usize) -> Result<String> {
    let mut text = String::new();
    let builds = Builds::of(plans)?;
    let mut members: Vec<Member> = Vec::new();
    for (at, build) in builds.builds.iter().enumerate() {
        members.push(Member::new(format!("right side {}", at + 1), &build.plan()?, &build.uses)?);
    }
    let rights = builds.builds.iter().zip(&members);
    let rights: Vec<Right> = rights.map(|(build, member)| Right { build, most: most_of(&member.stages) }).collect();
    let joins = Joins { rights, limit_bytes };
    for (at, plan) in plans.iter().enumerate() {
        let _ = writeln!(text, "question {}", at + 1);
        write_plan(&mut text, plan, 1);
        members.push(Member::new(format!("question {}", at + 1), plan, &builds.uses[at])?);
    }
    let keys: Vec<String> = members.iter().map(|member| member.source.clone()).collect();
    let mut done = vec![false; members.len()];
    for pass in 1.. {
        let ready = |at: usize| !done[at] && members[at].needs().iter().all(|used| done[used.build]);
        let together = next_together(&keys, &ready, &|at| !done[at]);
        if together.is_empty() {
            break;
        }
        let of_pass: Vec<&Member> = together.iter().map(|&at| &members[at]).collect();
        write_pass(&mut text, pass, &of_pass, piece_bytes, &joins);
        together.into_iter().for_each(|at| done[at] = true);
    }
    for member in &members {
        for stage in member.stages.iter().skip(1) {
            let _ = writeln!(text, "then, for {}, in memory: {}", member.name, words(stage, &member.uses));
            joins.write(&mut text, stage, &member.uses);
        }
    }
    Ok(text)
}

/// A question or a right side, and how it is answered.
struct Member {
    name: String,
    source: String,
    stages: Vec<Stage>,
    uses: Vec<BuildUse>,
}

impl Member {
    fn new(name: String, plan: &LogicalPlan, uses: &[BuildUse]) -> Result<Self> {
        Ok(Member { name, source: plan.source().key(), stages: super::lower(plan)?, uses: uses.to_vec() })
    }

    /// The right sides that must be read before it.
    fn needs(&self) -> &[BuildUse] {
        &self.uses[..self.stages.first().map_or(0, Stage::joins)]
    }
}

fn write_pass(text: &mut String, number: usize, members: &[&Member], piece_bytes: usize, joins: &Joins<'_>) {
    let mut names: Vec<String> = Vec::new();
    let first = members.first().and_then(|member| member.stages.first());
    let Some(Stage { input: StageInput::Scan { source, .. }, .. }) = first else { return };
    let schema = source.schema();
    let stages = || members.iter().filter_map(|member| member.stages.first());
    let mut union: Vec<usize> = stages().flat_map(scanned).copied().collect();
    union.sort_unstable();
    union.dedup();
    names.extend(union.iter().map(|&column| schema.field(column).name().clone()));
    let partitions = source.partitions(piece_bytes);
    let stored: u64 =
        partitions.iter().map(|partition| partition.stored_bytes.end - partition.stored_bytes.start).sum();
    let _ = writeln!(text, "pass {number}: {}", source.describe());
    let _ = writeln!(text, "  partitions: about {} over {stored} stored bytes", partitions.len());
    let all = visible_columns(&schema).len();
    let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    let _ = writeln!(text, "  columns: {} of {all}{names}", union.len());
    for (member, stage) in members.iter().zip(stages()) {
        let _ = writeln!(text, "  {}: {}", member.name, words(stage, &member.uses));
        joins.write(text, stage, &member.uses);
    }
}

/// What is known of a right side before it has been read.
struct Right<'a> {
    build: &'a BuildPlan,
    most: Option<Most>,
}

/// At most so many rows, and their bytes.
#[derive(Clone, Copy)]
struct Most {
    rows: usize,
    bytes: usize,
}

/// For a scan that reads nothing.
const PIECE_BYTES: usize = 1 << 20;

/// What a table takes beside its rows for each of them and each key, while it is made.
const INDEX_BYTES: usize = 96;

/// What the rows of a right side take, where they are rows of its inputs, of which a scan knows that.
fn most_of(stages: &[Stage]) -> Option<Most> {
    let [Stage { input: StageInput::Scan { source, columns }, steps, sink: SinkSpec::Collect { .. }, schema, .. }] =
        stages
    else {
        return None;
    };
    let as_they_are = |step: &Step| match step {
        Step::Filter(_) => true,
        Step::Project(columns, _) => columns.iter().all(|column| column.as_column().is_some()),
        Step::Map(..) | Step::Unnest(_) | Step::Join(..) => false,
    };
    if !steps.iter().all(as_they_are) {
        return None;
    }
    let request = ScanRequest {
        columns: columns.clone(),
        filter: None,
        coded: Arc::default(),
        skip: None,
        workers: 1,
        piece_bytes: PIECE_BYTES,
        batch_bytes: PIECE_BYTES,
        cancel: CancelToken::new(),
        budget: Budget::unlimited(),
    };
    let needs = source.scan(request).ok()?.needs();
    let width = |field: &Arc<Field>| field.data_type().primitive_width().unwrap_or(size_of::<u128>());
    let row_bytes: usize = schema.fields().iter().map(width).sum();
    let bytes = Some(needs.all_rows_bytes).filter(|bytes| *bytes < usize::MAX)?;
    Some(Most { rows: bytes / row_bytes.max(1), bytes })
}

/// How joins are done.
struct Joins<'a> {
    rights: Vec<Right<'a>>,
    limit_bytes: usize,
}

impl Joins<'_> {
    /// How each join of a stage will be done, as far as that can be told before its right side has been read.
    fn write(&self, text: &mut String, stage: &Stage, uses: &[BuildUse]) {
        for step in &stage.steps {
            if let Step::Join(shape, _) = step {
                let _ = writeln!(text, "    right side {}: {}", side(shape, uses), self.strategy(shape, uses));
            }
        }
    }

    fn strategy(&self, shape: &JoinShape, uses: &[BuildUse]) -> String {
        let used = uses.get(shape.number);
        let right = used.and_then(|used| self.rights.get(used.build));
        let room = self.limit_bytes / TABLE_SHARE;
        let keys = shape.domains.len();
        let fits = |most: &Most| most.bytes.saturating_add(most.rows.saturating_mul(INDEX_BYTES * keys)) <= room;
        let most = right.and_then(|right| right.most);
        let fitting = most.filter(fits);
        let is_single = match shape.kind {
            _ if !shape.multiplies() => true,
            _ if keys == 0 => most.is_some_and(|most| most.rows <= MOST_COPIES),
            _ => used.zip(right).is_some_and(|(used, right)| used.has_each_key_once(right.build.table())),
        };
        let behind = if shape.kind.keeps_right() { ", those without a match behind it" } else { "" };
        let within = format!("one table within the pass{behind}");
        let size = |bytes: usize| ByteSize(bytes as u64);
        let room = format!("{} (a quarter of the memory limit)", size(room));
        let copies = match (is_single, keys) {
            (true, _) => None,
            (false, 0) => Some(format!("it has at most {MOST_COPIES} rows")),
            (false, _) => Some(format!("no key has more than {MOST_COPIES} rows")),
        };
        let (known, conditions) = match fitting {
            Some(most) => (format!("its rows, at most {}, fit in {room}", size(most.bytes)), copies),
            None => {
                let takes = format!("it takes at most {room}");
                let most = most.map(|most| format!("its rows take at most {}", size(most.bytes))).unwrap_or_default();
                (most, Some(copies.map_or(takes.clone(), |copies| format!("{takes} and {copies}"))))
            }
        };
        match conditions {
            None => format!("{within}: {known}"),
            Some(conditions) => {
                let known = if known.is_empty() { known } else { format!("{known}; ") };
                format!(
                    "either, decided when it has been read: {known}{within} if {conditions}, else table after table behind the \
                     pass"
                )
            }
        }
    }
}

/// The number of the right side of a join.
fn side(shape: &JoinShape, uses: &[BuildUse]) -> usize {
    uses.get(shape.number).map_or(0, |used| used.build + 1)
}

fn scanned(stage: &Stage) -> &[usize] {
    match &stage.input {
        StageInput::Scan { columns, .. } => columns,
        StageInput::Previous => &[],
    }
}

/// A stage on one line.
fn words(stage: &Stage, uses: &[BuildUse]) -> String {
    let mut parts: Vec<String> = stage
        .steps
        .iter()
        .map(|step| match step {
            Step::Filter(_) => "filter".to_owned(),
            Step::Project(columns, _) => several(columns.len(), "column"),
            Step::Map(..) => "map".to_owned(),
            Step::Unnest(_) => "one row an item".to_owned(),
            Step::Join(shape, _) => format!("{} join with right side {}", shape.kind, side(shape, uses)),
        })
        .collect();
    if let SinkSpec::Aggregate { aggregates, .. } = &stage.sink
        && aggregates.iter().any(|column| column.aggregate.in_steps().is_some())
    {
        parts.push("again for each step of a fit".to_owned());
    }
    parts.push(match &stage.sink {
        SinkSpec::Aggregate { keys: 0, aggregates } => several(aggregates.len(), "aggregate"),
        SinkSpec::Aggregate { keys, aggregates } if aggregates.is_empty() => {
            format!("distinct rows of {}", several(*keys, "column"))
        }
        SinkSpec::Aggregate { keys, aggregates } => {
            format!("group by {}, {}", several(*keys, "key"), several(aggregates.len(), "aggregate"))
        }
        SinkSpec::Sort { limit: Some(rows), .. } => format!("first {rows} in order"),
        SinkSpec::Sort { limit: None, .. } => "sort".to_owned(),
        SinkSpec::Window(shape) => window_words(shape),
        SinkSpec::Rest(_) => "collect, and right rows without a match".to_owned(),
        SinkSpec::Join(side) => format!("{} join, table after table", side.shape.kind),
        SinkSpec::Collect { limit: Some(rows) } => format!("first {}", several(*rows, "row")),
        SinkSpec::Collect { limit: None } => "collect".to_owned(),
    });
    parts.join(" → ")
}

fn several(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

fn window_words(shape: &WindowShape) -> String {
    let functions = several(shape.calls.len(), "window function");
    let sorted = match shape.sort.len() {
        0 => "in input order".to_owned(),
        keys => format!("sort by {}", several(keys, "key")),
    };
    let first = shape.first.map_or_else(String::new, |FirstRows { rows, ties }| {
        let of = if shape.partition.is_empty() { "" } else { " of each partition" };
        format!(", first {}{of}{}", several(rows, "row"), if ties { " and their peers" } else { "" })
    });
    format!("{sorted}{first}, {functions}")
}

fn write_plan(text: &mut String, plan: &LogicalPlan, depth: usize) {
    let indent = "  ".repeat(depth);
    let list = |columns: &[Expr]| columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (line, input) = match plan {
        LogicalPlan::Scan(source) => (format!("scan {}", source.describe()), None),
        LogicalPlan::Filter { input, predicate } => (format!("filter {predicate}"), Some(input)),
        LogicalPlan::Project { input, columns } => (format!("select {}", list(columns)), Some(input)),
        LogicalPlan::Map { input, .. } => ("map partitions".to_owned(), Some(input)),
        LogicalPlan::Aggregate { input, keys, aggregates } if aggregates.is_empty() => {
            (format!("distinct {}", list(keys)), Some(input))
        }
        LogicalPlan::Aggregate { input, keys, aggregates } => {
            let named = aggregates.iter().map(|(call, name)| {
                let text = Expr::Aggregate(call.clone()).to_string();
                if text == *name { text } else { format!("{text} as {name}") }
            });
            let aggregates = named.collect::<Vec<_>>().join(", ");
            let keys = if keys.is_empty() { String::new() } else { format!(" by {}", list(keys)) };
            (format!("aggregate {aggregates}{keys}"), Some(input))
        }
        LogicalPlan::Unnest { input } => ("one row an item".to_owned(), Some(input)),
        LogicalPlan::Sort { input, keys } => {
            let keys = keys.iter().map(|key| format!("{}{}", key.expr, if key.descending { " desc" } else { "" }));
            (format!("sort {}", keys.collect::<Vec<_>>().join(", ")), Some(input))
        }
        LogicalPlan::Window { input, windows } => {
            (windows.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), Some(input))
        }
        LogicalPlan::Sample { input, size, seed } => (format!("sample {size} seed {seed}"), Some(input)),
        LogicalPlan::Limit { input, skip: 0, rows } => (format!("limit {rows}"), Some(input)),
        LogicalPlan::Limit { input, skip, rows: usize::MAX } => (format!("offset {skip}"), Some(input)),
        LogicalPlan::Limit { input, skip, rows } => (format!("limit {rows} offset {skip}"), Some(input)),
        LogicalPlan::Join(join) if join.stacks() => ("rows of both, one behind the other".to_owned(), Some(&join.left)),
        LogicalPlan::Join(join) => {
            let keys = join.on.iter().map(|(ours, theirs)| format!("{ours} = {theirs}"));
            let on = keys.chain(join.residual().map(ToString::to_string)).collect::<Vec<_>>();
            let on = if on.is_empty() { String::new() } else { format!(" on {}", on.join(" and ")) };
            (format!("{} join{on}", join.kind), Some(&join.left))
        }
    };
    let _ = writeln!(text, "{indent}{line}");
    if let LogicalPlan::Join(join) = plan {
        let _ = writeln!(text, "{indent}  with");
        write_plan(text, &join.right, depth + 2);
    }
    if let Some(input) = input {
        write_plan(text, input, depth + 1);
    }
}

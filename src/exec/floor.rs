//! The smallest memory limit with which a run can be done, told before anything is read.
//!
//! **Problem.** A run is a chain of passes over files and over results, and what is written. A limit that is enough for the first
//! of them may be too little for another; told then, it has cost the reading, and the number that is told is of one of them only.
//! **Idea.** Each is asked beforehand what it takes at least, on one thread: a pass over files what reading takes where memory is
//! as scarce as can be, a pass over a result what a part of one takes; beside that a sink for each question, and of what is
//! written the chunk that is next. The floor is the largest of them, not their sum, because whatever is held between
//! passes can go to disk ([`super::run`]).
//! **Invariants.** A limit below the floor is refused at once, and one at the floor is not refused for what can be known
//! beforehand. What cannot, rows wider than most or a text of a whole group, is refused when it comes, with a limit that has room
//! for it.

use super::allotment::{Beside, LEAST_PIECE_BYTES, least_bytes};
use super::options::RunOptions;
use super::output::RowOutput;
use super::pass::Reads;
use super::stream::flow;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, ByteSize, Part, StoredRows};
use crate::plan::{MOST_COPIES, SinkSpec, Stage, Step, TABLE_SHARE};
use crate::source::{ReadNeeds, ScanRequest, Source};
use std::sync::Arc;

/// A part of a result that is read takes no more where memory is scarce, unless its rows are wide.
const PART_BYTES: usize = 128 << 10;

/// What the part of a run takes that takes most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Floor {
    /// What others hold that cannot go to disk.
    pub(super) held: usize,
    pub(super) reading: usize,
    pub(super) answering: usize,
    pub(super) writing: usize,
    /// Tables that are joined: a share of the limit.
    pub(super) joining: usize,
    /// What helps where writing takes most.
    pub(super) remedy: Option<&'static str>,
    /// There are several questions.
    pub(super) several: bool,
}

/// What a pass and all that comes behind it take.
pub(super) struct Planned {
    pub(super) floor: Floor,
    /// Bytes of memory that the pass itself takes.
    pub(super) pass_bytes: usize,
    /// How many rows may be made of one where it is looked up in tables, so that there is room for them within the limit.
    pub(super) most_copies: usize,
}

/// The stages of a question, and where its rows go.
pub(super) struct Asked<'a> {
    pub(super) stages: &'a [Stage],
    pub(super) output: Option<&'a dyn RowOutput>,
    /// Rows are looked up in tables while it runs.
    pub(super) joins: bool,
}

impl Floor {
    fn sum(&self) -> usize {
        let Floor { held, reading, answering, writing, joining, .. } = *self;
        [held, reading, answering, writing, joining].into_iter().fold(0, usize::saturating_add)
    }

    /// The limit, as it can be shown.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(ByteSize(self.sum() as u64).rounded_up().0).unwrap_or(usize::MAX)
    }

    /// The larger of two.
    pub(super) fn or(self, other: Floor) -> Floor {
        if other.sum() > self.sum() { other } else { self }
    }

    /// This beside what is held now.
    pub(super) fn beside(self, held: usize) -> Floor {
        Floor { held: self.held.saturating_add(held), ..self }
    }

    /// Whether the limit is enough.
    ///
    /// # Errors
    /// `Limit` when it is not.
    pub(super) fn check(&self, budget: &Budget) -> Result<()> {
        if budget.limit_bytes() >= self.bytes() { Ok(()) } else { Err(self.too_little(budget)) }
    }

    /// What is needed, and what helps.
    pub(super) fn too_little(&self, budget: &Budget) -> Error {
        let size = |bytes: usize| ByteSize(bytes as u64);
        let parts = [
            (self.reading, "to read"),
            (self.answering, "to answer"),
            (self.writing, "to write"),
            (self.joining, "for tables that are joined"),
            (self.held, "for results that are held"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(bytes, _)| *bytes > 0)
            .map(|(bytes, what)| format!("{} {what}", size(*bytes)))
            .collect();
        let message = format!(
            "the memory limit of {} is too little: at least {} are needed ({})",
            size(budget.limit_bytes()),
            size(self.bytes()),
            parts.join(", ")
        );
        let raise = "raise the memory limit (--memory, OUTCROP_MEMORY)";
        let others = self.sum() / 2;
        let hint = match self.remedy {
            Some(remedy) if self.writing > others => format!("{raise}, or {remedy}"),
            _ if self.several && self.answering > others => format!("{raise}, or ask fewer questions at once"),
            _ => raise.to_owned(),
        };
        Error::new(ErrorKind::Limit, message).hint(hint)
    }
}

/// What the pass over a source takes that these questions share, and what comes behind it for each of them.
///
/// # Errors
/// Those of planning a scan.
pub(super) fn of_pass(source: &Arc<dyn Source>, members: &[Asked<'_>], options: &RunOptions) -> Result<Planned> {
    let firsts: Vec<Stage> = members.iter().filter_map(|member| member.stages.first().cloned()).collect();
    let reads = Reads::of(source, &firsts, options)?;
    let flows = |member: &&Asked<'_>| flow(member.stages);
    let writing = |needs: ReadNeeds| {
        let of_member = |member: &Asked<'_>| writing_bytes(needs, &member.stages[0], member.output);
        members.iter().filter(flows).map(of_member).fold(0, usize::saturating_add)
    };
    let beside = |needs: ReadNeeds| Beside { writing_bytes: writing(needs), ..Beside::of(&firsts) };
    let needs = least_needs(source, &reads.request, &beside)?;
    let beside = beside(needs);
    let answering = beside.sinks_bytes();
    let (reading, writing) = (least_bytes(needs, beside) - answering, beside.writing_bytes);
    let pass_bytes = reading.saturating_add(answering).saturating_add(writing);
    let joins = members.iter().filter(|member| member.joins).count();
    let first = Floor {
        reading,
        answering,
        writing,
        // Beside the rest, tables have their share of the whole.
        joining: if joins > 0 { pass_bytes / (TABLE_SHARE - 1) + 1 } else { 0 },
        remedy: members.iter().filter(flows).find_map(|member| remedy(member)),
        several: members.len() > 1,
        ..Floor::default()
    };
    let floor = members.iter().flat_map(|member| behind(needs, member)).fold(first, Floor::or);
    let limit = options.budget.limit_bytes();
    let left = (limit - limit / TABLE_SHARE).saturating_sub(pass_bytes) / joins.max(1);
    let most_copies = left / needs.rows_bytes.max(1) + 1;
    Ok(Planned { floor, pass_bytes, most_copies: most_copies.min(MOST_COPIES) })
}

fn remedy(member: &Asked<'_>) -> Option<&'static str> {
    member.output?.needs(&member.stages.last()?.schema, usize::MAX).remedy
}

/// What passes over results take: those of the stages behind the first, and one that hands an answer that had to be whole to its
/// output.
fn behind(needs: ReadNeeds, member: &Asked<'_>) -> Vec<Floor> {
    let stages = member.stages;
    let of_pass = |stage: &[Stage], output: Option<&dyn RowOutput>| {
        let beside = Beside::of(stage);
        let parts = ReadNeeds { rows_bytes: PART_BYTES, ..ReadNeeds::default() };
        let answering = beside.sinks_bytes();
        let writing = match (output, stages.last()) {
            (Some(output), Some(last)) => output.needs(&last.schema, result_bytes(needs, stages)).bytes,
            _ => 0,
        };
        Floor {
            reading: least_bytes(parts, beside) - answering,
            answering,
            writing,
            remedy: remedy(member),
            ..Floor::default()
        }
    };
    let output = |from: usize| member.output.filter(|_| flow(&stages[from..]));
    let mut floors: Vec<Floor> = (1..stages.len()).map(|at| of_pass(&stages[at..=at], output(at))).collect();
    if !(0..stages.len()).any(|from| output(from).is_some()) {
        floors.extend(member.output.map(|output| of_pass(&[], Some(output))));
    }
    floors
}

/// Bytes that a pass over these rows takes, of a stage or to hand them to an output.
pub(super) fn of_result(rows: &StoredRows, stage: Option<&Stage>, writing_bytes: usize) -> usize {
    let rows_bytes = rows.parts().iter().map(Part::loaded_bytes).max().unwrap_or(0);
    let beside = Beside::of(stage.map_or(&[], std::slice::from_ref));
    least_bytes(ReadNeeds { rows_bytes, ..ReadNeeds::default() }, beside).saturating_add(writing_bytes)
}

/// Bytes of the rows of a result, at most.
fn result_bytes(needs: ReadNeeds, chain: &[Stage]) -> usize {
    let keeps_rows =
        |stage: &Stage| as_they_are(stage) && matches!(stage.sink, SinkSpec::Sort { .. } | SinkSpec::Collect { .. });
    if chain.iter().all(keeps_rows) { needs.all_rows_bytes } else { usize::MAX }
}

/// Whether it makes no more of a row than it was.
fn as_they_are(stage: &Stage) -> bool {
    stage.steps.iter().all(|step| match step {
        Step::Filter(_) => true,
        Step::Project(columns, _) => columns.iter().all(|column| column.as_column().is_some()),
        Step::Join(..) | Step::Map(..) | Step::Unnest(_) => false,
    })
}

/// Bytes of the rows of a stage that go out as they come, at most.
pub(super) fn bytes_to_write(needs: ReadNeeds, stage: &Stage) -> usize {
    if as_they_are(stage) { needs.all_rows_bytes } else { usize::MAX }
}

/// Bytes that an output of the rows of a stage needs.
pub(super) fn writing_bytes(needs: ReadNeeds, stage: &Stage, output: Option<&dyn RowOutput>) -> usize {
    output.map_or(0, |output| output.needs(&stage.schema, bytes_to_write(needs, stage)).bytes)
}

/// What a scan needs where memory is as scarce as can be, whatever there is now. A scan may need more where there is more,
/// but by no means twice as much.
fn least_needs(
    source: &Arc<dyn Source>,
    request: &ScanRequest,
    beside: &dyn Fn(ReadNeeds) -> Beside,
) -> Result<ReadNeeds> {
    let within = |limit: usize| {
        let (piece_bytes, budget) = (request.piece_bytes.min(LEAST_PIECE_BYTES), Budget::new(limit));
        let batch_bytes = request.batch_bytes.min(piece_bytes);
        let scan = source.scan(ScanRequest { piece_bytes, batch_bytes, budget, ..request.clone() })?;
        let from_files = scan.progress().1 > 0;
        Ok::<_, Error>(if from_files { scan.needs() } else { scan.needs().of_short_parts() })
    };
    let least = within(LEAST_PIECE_BYTES)?;
    within(least_bytes(least, beside(least)).saturating_mul(2))
}

//! What workers are told of a pass, and into which units it is cut; or why it cannot go to processes.

use super::reader;
use super::reply::message_bytes;
use crate::error::{Error, Result};
use crate::exec::allotment::{LEAST_PIECE_BYTES, least_bytes};
use crate::exec::options::{RunOptions, Scheduler};
use crate::exec::output::Gate;
use crate::exec::pass::{Pass, StageToRun};
use crate::exec::statistics::RunStatistics;
use crate::memory::{Segment, SegmentFile};
use crate::parallel::Message;
use crate::plan::{LogicalPlan, lower, sent};
use crate::source::{ScanRequest, Source};
use std::ffi::OsString;
use std::fmt::Write;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Units for each worker, so that none waits long for the others at the end.
const UNITS_PER_WORKER: u64 = 8;
/// A worker has this share more than the least that its pass can be run with, for what it hands over.
const MORE_THAN_LEAST: usize = 8;
/// Messages of all workers may have this share of what the program has; sinks have the rest.
const MESSAGES_SHARE: usize = 2;

/// A pass for worker processes.
pub(in crate::exec) struct Order {
    /// What each worker is told once.
    pub(super) told: Segment,
    pub(super) units: Vec<Unit>,
    pub(super) workers: usize,
    /// Memory of each worker, as far as it is limited.
    pub(super) share_bytes: usize,
    /// Disk of each worker, as far as it is limited.
    pub(super) spill_bytes: Option<u64>,
}

/// Files that one worker reads at a time, by their ordinals, and their stored bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) files: Range<u32>,
    pub(super) bytes: u64,
}

/// The pass as an order, under the scheduler `processes`; `None` where it runs on threads, of which the statistics are told.
///
/// # Errors
/// Those of shared memory.
pub(in crate::exec) fn order(
    pass: &Pass<'_>,
    plans: &[&LogicalPlan],
    gates: &[Option<Gate<'_>>],
    statistics: &mut RunStatistics,
) -> Result<Option<Order>> {
    if pass.options.scheduler != Scheduler::Processes || plans.is_empty() {
        return Ok(None);
    }
    match parts(pass, plans, gates) {
        Ok(Parts { bytes, units, workers, share_bytes, spill_bytes }) => {
            let told = shared(&bytes, pass)?;
            Ok(Some(Order { told, units, workers, share_bytes, spill_bytes }))
        }
        Err(why) => {
            statistics.note_on_threads(&pass.source.describe(), &why);
            Ok(None)
        }
    }
}

/// Where the passes over the sources of these questions run under the scheduler `processes`: a line each.
///
/// # Errors
/// The `Name` and `Type` errors of the plans.
pub fn explain_processes(plans: &[LogicalPlan], options: &RunOptions) -> Result<String> {
    let keys: Vec<String> = plans.iter().map(|plan| plan.source().key()).collect();
    let mut text = String::new();
    for (at, key) in keys.iter().enumerate().filter(|(at, key)| !keys[..*at].contains(key)) {
        let members: Vec<&LogicalPlan> =
            plans.iter().zip(&keys).filter(|(_, other)| *other == key).map(|(plan, _)| plan).collect();
        let mut stages = Vec::with_capacity(members.len());
        for plan in &members {
            stages.extend(lower(plan)?.into_iter().take(1).map(|stage| StageToRun { stage, recodings_told: false }));
        }
        let source = plans[at].source();
        let pass = Pass::new(source, stages, options, 1)?;
        let name = source.describe();
        let _ = match parts(&pass, &members, &[]) {
            Ok(Parts { units, workers, .. }) => {
                let processes = if workers == 1 { "1 process".to_owned() } else { format!("{workers} processes") };
                writeln!(text, "processes: {name} is read by {processes}, in units of whole files: {}", units.len())
            }
            Err(why) => writeln!(text, "processes: {name} is read on threads: {why}"),
        };
    }
    Ok(text)
}

struct Parts {
    bytes: Vec<u8>,
    units: Vec<Unit>,
    workers: usize,
    share_bytes: usize,
    spill_bytes: Option<u64>,
}

/// What an order is made of.
///
/// # Errors
/// Why there is none, as a part of a sentence.
fn parts(pass: &Pass<'_>, plans: &[&LogicalPlan], gates: &[Option<Gate<'_>>]) -> Result<Parts, String> {
    if gates.iter().any(Option::is_some) {
        return Err("its rows leave in input order while they are read".to_owned());
    }
    if pass.options.rejects.is_some() {
        return Err("the records that are set aside are written to a file".to_owned());
    }
    let recipe = pass.source.recipe()?;
    let read = reader().map_err(|error| error.to_string())?;
    let sent = |plan: &&LogicalPlan| {
        let mut bytes = Vec::new();
        sent::send(plan, read, &mut bytes).map(|()| bytes)
    };
    let plans = plans.iter().map(sent).collect::<Result<Vec<_>, String>>()?;
    let units = units(&file_bytes(&**pass.source), pass.options.workers() as u64);
    let (workers, share_bytes) = divide(pass, pass.options.workers().min(units.len()))?;
    let spill = &pass.options.spill;
    let left = spill.limit_bytes().map(|limit| limit.saturating_sub(spill.held_bytes()));
    let spill_bytes = left.map(|bytes| bytes / (workers as u64 + 1));
    let told = Told {
        recodings_told: pass.stages.iter().map(|stage| stage.recodings_told).collect(),
        plans,
        piece_bytes: pass.options.piece_bytes,
        batch_bytes: pass.options.batch_bytes,
        share_bytes,
        spill_directory: spill.directory().map(PathBuf::from),
        spill_bytes,
        number: pass.number,
    };
    let mut bytes = Vec::new();
    told.send(&mut bytes).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(recipe.bytes());
    Ok(Parts { bytes, units, workers, share_bytes, spill_bytes })
}

fn shared(bytes: &[u8], pass: &Pass<'_>) -> Result<Segment> {
    let options = pass.options;
    let most_in_memory = (options.budget.limit_bytes() / 2) as u64;
    let spill = options.spill.until(&options.cancel);
    let file = SegmentFile::create(bytes.len() as u64, most_in_memory, &options.budget, &spill)?;
    file.write_at(bytes, 0)?;
    file.seal()
}

/// For how many workers there is memory, and how much each has: the program itself has as much as one.
fn divide(pass: &Pass<'_>, wanted: usize) -> Result<(usize, usize), String> {
    let budget = &pass.options.budget;
    if budget.limit_bytes() == usize::MAX {
        return Ok((wanted, usize::MAX));
    }
    let piece_bytes = pass.options.piece_bytes.min(LEAST_PIECE_BYTES);
    let batch_bytes = pass.options.batch_bytes.min(piece_bytes);
    let request = ScanRequest { piece_bytes, batch_bytes, workers: 1, ..pass.request.clone() };
    let needs = pass.source.scan(request).map_err(|error| error.to_string())?.needs();
    let least = least_bytes(needs, pass.beside());
    let enough = least.saturating_add(least / MORE_THAN_LEAST);
    let share = |workers: usize| budget.free_bytes() / (workers + 1);
    let fits = |workers: &usize| {
        let share = share(*workers);
        share >= enough && message_bytes(share).saturating_mul(*workers) <= share / MESSAGES_SHARE
    };
    let workers = (1..=wanted).rev().find(fits);
    workers.map(|workers| (workers, share(workers))).ok_or_else(|| "memory is too scarce for two processes".to_owned())
}

/// Stored bytes of each file.
fn file_bytes(source: &dyn Source) -> Vec<u64> {
    let names = source.files();
    let (mut bytes, mut file) = (vec![0; names.len()], 0);
    for partition in source.partitions(usize::MAX) {
        while file + 1 < names.len() && names[file] != partition.file {
            file += 1;
        }
        if let Some(bytes) = bytes.get_mut(file) {
            *bytes += partition.stored_bytes.end - partition.stored_bytes.start;
        }
    }
    bytes
}

/// Neighbouring files together, where they are small.
fn units(file_bytes: &[u64], workers: u64) -> Vec<Unit> {
    let enough = file_bytes.iter().sum::<u64>() / (workers.max(1) * UNITS_PER_WORKER);
    let mut units: Vec<Unit> = Vec::new();
    let mut open: Option<Unit> = None;
    for (file, &bytes) in (0..).zip(file_bytes) {
        let unit = open.get_or_insert(Unit { files: file..file, bytes: 0 });
        unit.files.end = file + 1;
        unit.bytes += bytes;
        if unit.bytes >= enough.max(1) {
            units.extend(open.take());
        }
    }
    units.extend(open);
    units
}

/// What workers are told of a pass, beside the source, whose recipe stands behind it.
pub(super) struct Told {
    pub(super) plans: Vec<Vec<u8>>,
    pub(super) recodings_told: Vec<bool>,
    pub(super) piece_bytes: usize,
    pub(super) batch_bytes: usize,
    pub(super) share_bytes: usize,
    pub(super) spill_directory: Option<PathBuf>,
    pub(super) spill_bytes: Option<u64>,
    pub(super) number: u64,
}

impl Message for Told {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let directory = self.spill_directory.as_ref().map(|path| path.as_os_str().as_bytes().to_vec());
        (self.plans.clone(), self.recodings_told.clone()).send(bytes)?;
        (self.piece_bytes, self.batch_bytes, self.share_bytes).send(bytes)?;
        (directory, self.spill_bytes, self.number).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (plans, recodings_told): (Vec<Vec<u8>>, Vec<bool>) = Message::receive(bytes)?;
        let (piece_bytes, batch_bytes, share_bytes) = Message::receive(bytes)?;
        let (directory, spill_bytes, number): (Option<Vec<u8>>, _, _) = Message::receive(bytes)?;
        if plans.len() != recodings_told.len() {
            return Err(Error::internal("an order of a pass with half of its questions"));
        }
        let spill_directory = directory.map(|path| OsString::from_vec(path).into());
        Ok(Told { plans, recodings_told, piece_bytes, batch_bytes, share_bytes, spill_directory, spill_bytes, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_neighbours_make_a_unit_and_large_files_one_each() {
        let cut = |bytes: &[u64], workers| {
            let units = units(bytes, workers);
            assert_eq!(units.iter().map(|unit| unit.bytes).sum::<u64>(), bytes.iter().sum::<u64>());
            units.into_iter().map(|unit| unit.files).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[10, 800, 10, 10, 900], 1), [0..2, 2..5]);
        assert_eq!(cut(&[100; 4], 2), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(cut(&[1; 160], 2).len(), 16);
        assert_eq!(cut(&[0, 0, 7, 0, 0], 2), [0..3, 3..5], "files without records are told of, too");
        assert_eq!(cut(&[0, 0], 2).len(), 1);
        assert!(cut(&[], 2).is_empty());
    }
}

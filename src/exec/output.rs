//! Rows that leave a pass in input order while it runs, instead of being held by a sink.
//!
//! **Problem.** Workers commit partitions at the same time, and a file or a caller wants rows in order.
//! **Idea.** A [`Gate`] lets the commits of a stage through one after the other; its [`RowOutput`] does before and
//! after the gate, on all workers at once, whatever needs no order.
//! **Invariants.**
//! - Whoever holds the earliest commit never waits for another worker, only for the output itself.
//! - A stand-in for a value that does not fit its column never passes; nothing passes behind it or behind an error.

use super::pressure::Pressure;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::{Part, Reservation};
use crate::panics::lock;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Takes the rows of a question in order. One that is handed an error or a panic of the run is simply dropped.
pub trait RowOutput: Send + Sync {
    /// Begins with rows of these columns, and forgets all rows taken before: the run starts over, perhaps with wider
    /// types. Called before any row is taken.
    ///
    /// # Errors
    /// Those of the place written to.
    fn begin(&self, schema: &SchemaRef) -> Result<()>;

    /// Whether [`RowOutput::begin`] can undo what has been done so far.
    fn can_begin_again(&self) -> bool;

    /// Memory that it needs to go on whatever others take, for rows of these columns that have `all_bytes` in all, at most.
    fn needs(&self, _schema: &SchemaRef, _all_bytes: usize) -> WriteNeeds {
        WriteNeeds::default()
    }

    /// Gets that memory, once begun and before any row.
    fn set_aside(&self, _schema: &SchemaRef, _all_bytes: usize, _reservation: Reservation) {}

    /// Gets a batch ready to be taken; called by all workers, in any order.
    ///
    /// # Errors
    /// The rows cannot be written.
    fn prepare(&self, records: RecordBatch) -> Result<Prepared> {
        Ok(Prepared { records, notes: None })
    }

    /// Takes the next rows in order; one call at a time. Waits no longer once `stopped`.
    ///
    /// # Errors
    /// Those of the place written to.
    fn take(&self, prepared: Prepared, stopped: &dyn Fn() -> bool) -> Result<()>;

    /// Does a piece of work that taking rows has left, if there is any, and says whether there was; called by all
    /// workers.
    ///
    /// # Errors
    /// Those of the place written to.
    fn help(&self, _stopped: &dyn Fn() -> bool) -> Result<bool> {
        Ok(false)
    }
}

/// What an output needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteNeeds {
    /// Bytes of memory, at least.
    pub bytes: usize,
    /// What helps where that is too much, beside more memory.
    pub remedy: Option<&'static str>,
}

/// A batch ready to be taken.
pub struct Prepared {
    /// The rows.
    pub records: RecordBatch,
    /// The output's own notes on them.
    pub notes: Option<Box<dyn Any + Send>>,
}

/// How long a worker waits for its turn before it looks what else there is to do.
const PATIENCE: Duration = Duration::from_millis(20);

/// Lets the batches of a stage through to its output in input order.
pub(super) struct Gate<'a> {
    turn: Mutex<Turn>,
    moved: Condvar,
    output: &'a dyn RowOutput,
    /// Files for which nothing is ever committed.
    skip: Option<Arc<[bool]>>,
}

/// Whose turn it is.
#[derive(Default)]
struct Turn {
    file: u32,
    sequence: u64,
    /// Nothing more is let through.
    closed: bool,
}

/// One commit on its way through the gate.
pub(super) struct Passage {
    pub(super) file: u32,
    pub(super) sequence: u64,
    /// The last commit of its file.
    pub(super) ends_file: bool,
    /// Nothing behind this commit may pass: it met an error.
    pub(super) closes: bool,
    /// Rows that wait on disk until it is their turn, and stand before the others.
    pub(super) on_disk: Vec<Part>,
    pub(super) batches: Vec<Batch>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(output: &'a dyn RowOutput) -> Self {
        Gate { turn: Mutex::default(), moved: Condvar::new(), output, skip: None }
    }

    /// Names the files for which nothing is ever committed, by ordinal.
    pub(super) fn skip_files(&mut self, skip: Option<Arc<[bool]>>) {
        self.skip = skip;
        let first = self.next_file(0);
        self.turn.get_mut().unwrap_or_else(PoisonError::into_inner).file = first;
    }

    fn next_file(&self, mut file: u32) -> u32 {
        let skipped = |file: u32| self.skip.as_ref().is_some_and(|skip| skip.get(file as usize) == Some(&true));
        while skipped(file) {
            file += 1;
        }
        file
    }

    /// Waits for the turn of a commit, helping the output meanwhile, and hands its batches on. A worker that waits lets go
    /// of memory that others ask for.
    pub(super) fn pass(
        &self,
        passage: Passage,
        stopped: &dyn Fn() -> bool,
        pressure: &Pressure,
        relieve: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let prepared: Vec<Prepared> =
            passage.batches.into_iter().map(|batch| self.output.prepare(batch.records)).collect::<Result<_>>()?;
        let mut turn = lock(&self.turn);
        let waits = |turn: &Turn| (turn.file, turn.sequence) != (passage.file, passage.sequence) && !turn.closed;
        let mut relieved = false;
        while waits(&turn) {
            if stopped() {
                return Ok(());
            }
            drop(turn);
            if pressure.is_on() && !relieved {
                relieve()?;
                relieved = true;
            }
            let helped = self.output.help(stopped)?;
            turn = lock(&self.turn);
            if !helped && waits(&turn) {
                // Idle only while it waits: helping takes memory.
                let _idle = relieved.then(|| pressure.idle());
                let waited = self.moved.wait_timeout(turn, PATIENCE);
                turn = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if turn.closed {
            return Ok(());
        }
        // What waits on disk is read one by one, so that no more than one batch of it is in memory.
        let on_disk = passage.on_disk.iter().map(|part| self.output.prepare(part.load()?));
        for batch in on_disk.chain(prepared.into_iter().map(Ok)) {
            if let Err(error) = batch.and_then(|batch| self.output.take(batch, stopped)) {
                turn.closed = true;
                self.moved.notify_all();
                return Err(error);
            }
        }
        turn.closed = passage.closes;
        (turn.file, turn.sequence) = if passage.ends_file {
            (self.next_file(passage.file + 1), 0)
        } else {
            (passage.file, passage.sequence + 1)
        };
        self.moved.notify_all();
        Ok(())
    }

    /// Where the rows go.
    pub(super) fn output(&self) -> &'a dyn RowOutput {
        self.output
    }

    /// Does what taking rows has left to do.
    pub(super) fn help(&self, stopped: &dyn Fn() -> bool) -> Result<()> {
        while !stopped() && self.output.help(stopped)? {}
        Ok(())
    }
}

/// The gate of a stage, if its rows are not for a sink.
pub(super) fn gate_of<'a, 'b>(gates: &'b [Option<Gate<'a>>], stage: usize) -> Option<&'b Gate<'a>> {
    gates.get(stage).and_then(Option::as_ref)
}

/// Rows of an output, once handed out, cannot be taken back.
pub(super) fn cannot_begin_again() -> Error {
    Error::internal("rows that were handed out had to be taken back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::PartitionId;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counts(AtomicUsize);

    impl RowOutput for Counts {
        fn begin(&self, _schema: &SchemaRef) -> Result<()> {
            Ok(())
        }

        fn can_begin_again(&self) -> bool {
            true
        }

        fn take(&self, prepared: Prepared, _stopped: &dyn Fn() -> bool) -> Result<()> {
            self.0.fetch_add(prepared.records.num_rows(), Ordering::SeqCst);
            Ok(())
        }
    }

    #[test]
    fn a_worker_that_waits_for_its_turn_lets_go_of_memory_that_others_ask_for() {
        let output = Counts(AtomicUsize::new(0));
        let (gate, pressure, relieved) = (Gate::new(&output), Pressure::default(), AtomicUsize::new(0));
        pressure.of(2);
        let pass = |sequence: u64| {
            let passage = Passage {
                file: 0,
                sequence,
                ends_file: false,
                closes: false,
                on_disk: Vec::new(),
                batches: Vec::new(),
            };
            let relieve = &mut || {
                relieved.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            gate.pass(passage, &|| false, &pressure, relieve).unwrap();
        };
        std::thread::scope(|scope| {
            let asking = pressure.ask(PartitionId { file: 0, ordinal: 7 });
            let waits = scope.spawn(|| pass(1));
            while !asking.is_last_hope() {
                std::thread::yield_now();
            }
            assert_eq!(relieved.load(Ordering::SeqCst), 1);
            assert!(!waits.is_finished());
            pass(0);
            waits.join().unwrap();
            assert!(!asking.is_last_hope(), "it is idle only while it waits");
        });
    }
}

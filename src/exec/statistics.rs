//! What a run did: passes, bytes, records, seconds.

/// Counters of a run, returned with its results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStatistics {
    /// Readings of an input set from files. Results of earlier stages in memory do not count.
    pub passes: u64,
    /// Passes among them that were needed because a value did not fit an inferred type.
    pub passes_repeated: u64,
    /// Stored (compressed) bytes read, samples for the schema included.
    pub bytes_read: u64,
    /// Stored bytes read again because a value did not fit an inferred type, or a pass that worker processes had begun was done
    /// on threads; part of `bytes_read`.
    pub bytes_reread: u64,
    /// Each input and how often it was read, in the order in which they were.
    pub inputs: Vec<InputStatistics>,
    /// Stored bytes of all inputs.
    pub bytes_stored: u64,
    /// Partitions committed.
    pub partitions: u64,
    /// Records committed in all passes, without those set aside and rows of intermediate results.
    pub records_read: u64,
    /// Malformed records that were set aside. Like the next three, counted once however many passes there were, and
    /// up to the last row wanted where every question has a limit.
    pub records_rejected: u64,
    /// Records that had too few fields and were filled up with nulls, or lost surplus fields that were empty.
    pub records_padded: u64,
    /// Records that repeat the header and were passed over.
    pub headers_repeated: u64,
    /// Values that do not fit a type or encoding given by the user, so that questions did without their records.
    pub values_rejected: u64,
    /// For each question, the rows that reached its first sink.
    pub rows_kept: Vec<u64>,
    /// Fields that were not UTF-8 and were read as windows-1252.
    pub fields_recoded: u64,
    /// Rows written to files.
    pub rows_written: u64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Files written.
    pub files_written: u64,
    /// The most bytes that were on the account at any time.
    pub peak_held_bytes: u64,
    /// The smallest memory limit with which the run would have begun, on one thread.
    pub least_memory_bytes: u64,
    /// Bytes written to disk because they did not fit in memory.
    pub bytes_spilled: u64,
    /// Worker threads; under the scheduler `processes`, so many worker processes were wanted.
    pub threads: usize,
    /// Passes among `passes` that worker processes did.
    pub passes_in_processes: u64,
    /// The most worker processes that did a pass.
    pub processes: usize,
    /// Under the scheduler `processes`, the passes over files that were done on threads all the same, and why.
    pub on_threads: Vec<String>,
    /// Where the time went.
    pub seconds: StageSeconds,
}

/// One set of files that was read, be it for a question or for the right side of a join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputStatistics {
    /// What it is.
    pub input: String,
    /// Readings of it.
    pub passes: u64,
    /// Stored bytes read of it.
    pub bytes_read: u64,
    /// Records committed, without those set aside.
    pub records_read: u64,
}

impl RunStatistics {
    /// Notes a pass that so many worker processes are to do.
    pub(super) fn note_in_processes(&mut self, workers: usize) {
        self.passes_in_processes += 1;
        self.processes = self.processes.max(workers);
    }

    /// Notes a pass over `input` that could not go to worker processes.
    pub(super) fn note_on_threads(&mut self, input: &str, why: &str) {
        self.on_threads.push(format!("{input}: {why}"));
    }

    /// Notes that a pass over `input` is begun again on threads, for which so much has been read in vain.
    pub(super) fn note_given_up(&mut self, input: &str, why: &str, bytes_read: u64) {
        self.note_on_threads(input, why);
        self.bytes_read += bytes_read;
        self.bytes_reread += bytes_read;
        self.of_input(input.to_owned()).bytes_read += bytes_read;
    }

    /// Notes a pass over files.
    pub(super) fn note_pass(&mut self, input: String, bytes_read: u64, records_read: u64) {
        self.passes += 1;
        self.bytes_read += bytes_read;
        self.records_read += records_read;
        let known = self.of_input(input);
        known.passes += 1;
        known.bytes_read += bytes_read;
        known.records_read += records_read;
    }

    fn of_input(&mut self, input: String) -> &mut InputStatistics {
        let known = self.inputs.iter().position(|known| known.input == input);
        let at = known.unwrap_or(self.inputs.len());
        if known.is_none() {
            self.inputs.push(InputStatistics { input, ..InputStatistics::default() });
        }
        &mut self.inputs[at]
    }
}

/// Thread seconds by stage, and wall seconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageSeconds {
    /// Opening the inputs and reading samples for the schema, before the run began; not part of `wall`.
    pub sample: f64,
    /// Reading stored bytes and decompressing them.
    pub decompress: f64,
    /// Finding records and converting fields.
    pub parse: f64,
    /// Filters and expressions.
    pub evaluate: f64,
    /// Confirming partitions in order.
    pub commit: f64,
    /// Sinks: grouping, aggregating, sorting.
    pub absorb: f64,
    /// Joining the workers' sinks and finishing.
    pub finish: f64,
    /// Wall clock of the run.
    pub wall: f64,
}

impl StageSeconds {
    pub(crate) fn add(&mut self, other: &StageSeconds) {
        self.decompress += other.decompress;
        self.parse += other.parse;
        self.evaluate += other.evaluate;
        self.commit += other.commit;
        self.absorb += other.absorb;
        self.finish += other.finish;
    }
}

//! What was set aside, on its way from a worker process.

use super::log;
use super::{CLASSES, Class, First, Rejects};
use crate::batch::RowId;
use crate::error::{Error, Place, Result};
use crate::memory::Reservation;
use crate::parallel::Message;
use std::sync::Arc;

/// What a worker process has set aside of files that nobody else reads.
impl Rejects {
    /// Puts it behind the bytes, which are on the account of `held` as far as they are many.
    ///
    /// # Errors
    /// Those of the disk; `Limit` when there is no room.
    pub(in crate::exec) fn send(&self, bytes: &mut Vec<u8>, held: &mut Reservation) -> Result<()> {
        self.sets.send(bytes)?;
        self.unlogged.iter().map(|(class, count)| (*class as u8, *count)).collect::<Vec<_>>().send(bytes)?;
        let first = |((class, set), first): (&(Class, usize), &First)| {
            ((*class as u8, *set), first.row, first.place.clone(), Arc::clone(&first.reason))
        };
        self.firsts.iter().map(first).collect::<Vec<_>>().send(bytes)?;
        let mut entries = self.log.entries();
        loop {
            entries.advance()?;
            let entry = entries.entry();
            entry.is_some().send(bytes)?;
            let Some(entry) = entry else { return Ok(()) };
            (entry.row.file, entry.row.position, entry.cause, entry.set).send(bytes)?;
            entry.body.to_vec().send(bytes)?;
            if bytes.capacity() > held.bytes() {
                held.resize(bytes.capacity())?;
            }
        }
    }

    /// Takes what a worker process has sent.
    ///
    /// # Errors
    /// Those of the disk; `Internal` for other bytes.
    pub(in crate::exec) fn take(&mut self, bytes: &mut &[u8]) -> Result<()> {
        let sets = Vec::<Vec<usize>>::receive(bytes)?;
        let sets: Vec<usize> = sets.into_iter().map(|stages| self.set(stages)).collect();
        let unknown = || Error::internal("a record set aside for a reason that nobody knows");
        let class = |code: u8| CLASSES.get(usize::from(code)).copied().ok_or_else(unknown);
        let set = |theirs: usize| sets.get(theirs).copied().ok_or_else(unknown);
        for (code, count) in Vec::<(u8, u64)>::receive(bytes)? {
            *self.unlogged.entry(class(code)?).or_default() += count;
        }
        for ((code, theirs), row, place, reason) in Vec::<((u8, usize), RowId, Place, Arc<str>)>::receive(bytes)? {
            self.note_first(class(code)?, set(theirs)?, row, || (place, reason));
        }
        // All that was set aside of a file comes at once.
        let mut of_file: Option<(u32, Vec<u8>)> = None;
        while bool::receive(bytes)? {
            let (file, position, cause, theirs) = <(u32, u64, u64, usize)>::receive(bytes)?;
            let (set, body) = (set(theirs)? as u32, Vec::<u8>::receive(bytes)?);
            if let Some((before, entries)) = of_file.take_if(|(before, _)| *before != file) {
                self.log.add(before, 0, entries)?;
            }
            let (_, entries) = of_file.get_or_insert((file, Vec::new()));
            log::write(entries, position, cause, set, |out| out.extend_from_slice(&body));
        }
        of_file.map_or(Ok(()), |(file, entries)| self.log.add(file, 0, entries))
    }
}

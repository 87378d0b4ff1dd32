//! At the end of a run: what the passes set aside, each record once.

use super::super::options::{RunOptions, Warning};
use super::super::run::tell;
use super::super::statistics::RunStatistics;
use super::file::RejectsFile;
use super::log::{Entries, Logged};
use super::{CLASSES, Cause, Class, First, Rejects};
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which rows a stage of a pass kept, or did without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Wants {
    /// It runs again, or wants nothing.
    Nothing,
    /// All.
    All,
    /// Those up to this one.
    UpTo(RowId),
}

/// The rejects of a pass that is over.
pub(in crate::exec) struct PassRejects {
    /// Equal for passes over the same input, whatever types have been widened in between.
    pub(in crate::exec) input: String,
    pub(in crate::exec) source: Arc<dyn Source>,
    pub(in crate::exec) rejects: Rejects,
    /// One a stage.
    pub(in crate::exec) wants: Vec<Wants>,
}

impl PassRejects {
    fn is_wanted(&self, set: usize, row: RowId) -> bool {
        let wants = |stage: &usize| match self.wants.get(*stage) {
            Some(Wants::All) => true,
            Some(Wants::UpTo(last)) => row <= *last,
            Some(Wants::Nothing) | None => false,
        };
        self.rejects.sets.get(set).is_some_and(|stages| stages.iter().any(wants))
    }

    fn first(&self, class: Class) -> Option<First> {
        let of_class = self
            .rejects
            .firsts
            .iter()
            .filter(|((known, set), first)| *known == class && self.is_wanted(*set, first.row));
        of_class.map(|(_, first)| first).min_by_key(|first| first.row).cloned()
    }

    fn unlogged(&self, class: Class) -> u64 {
        let completes = self.wants.iter().any(|wants| *wants != Wants::Nothing);
        self.rejects.unlogged.get(&class).copied().filter(|_| completes).unwrap_or(0)
    }
}

/// Counts what the passes of a run set aside, warns of it, and writes the file if one is wanted. The file must not be
/// one of the inputs.
pub(in crate::exec) fn finish(
    passes: &[PassRejects],
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let mut file = options.rejects.as_deref().map(RejectsFile::create).transpose()?;
    let mut inputs: Vec<&str> = Vec::new();
    for pass in passes {
        if !inputs.contains(&&*pass.input) {
            inputs.push(&pass.input);
        }
    }
    let mut totals: BTreeMap<Class, (u64, Option<First>)> = BTreeMap::new();
    for input in inputs {
        let passes: Vec<&PassRejects> = passes.iter().filter(|pass| pass.input == input).collect();
        let logged = merge(&passes, file.as_mut())?;
        for class in CLASSES {
            // Either all is logged in a pass, or it went through the whole input.
            let whole = passes.iter().map(|pass| pass.unlogged(class)).max().unwrap_or(0);
            let count = whole.max(logged[class as usize]);
            let first = passes.iter().filter_map(|pass| pass.first(class)).min_by_key(|first| first.row);
            let (total, known) = totals.entry(class).or_insert((0, None));
            *total += count;
            *known = known.take().or(first);
        }
    }
    if let Some(file) = file {
        file.finish()?;
    }
    for (class, (count, first)) in totals {
        match class {
            Class::Record => statistics.records_rejected += count,
            Class::Value => statistics.values_rejected += count,
            Class::Padded => statistics.records_padded += count,
            Class::Header => statistics.headers_repeated += count,
        }
        if let (1.., Some(first)) = (count, first) {
            tell(Warning(said(class, count, &first, options.rejects.as_deref())), options, warnings);
        }
    }
    Ok(())
}

/// Goes through the logs of passes over one input in input order; counts by class, and writes what belongs into the file.
fn merge(passes: &[&PassRejects], mut file: Option<&mut RejectsFile>) -> Result<[u64; CLASSES.len()]> {
    let mut counts = [0; CLASSES.len()];
    let mut logs: Vec<Entries<'_>> = passes.iter().map(|pass| pass.rejects.log.entries()).collect();
    logs.iter_mut().try_for_each(Entries::advance)?;
    let key = |entry: Logged<'_>| (entry.row, Cause::of_code(entry.cause));
    while let Some(least) = logs.iter().filter_map(|entries| entries.entry().map(key)).min() {
        let mut told = false;
        for (entries, pass) in logs.iter_mut().zip(passes) {
            let Some(entry) = entries.entry().filter(|entry| key(*entry) == least) else { continue };
            if !told && pass.is_wanted(entry.set, entry.row) {
                told = true;
                let (_, cause) = least;
                counts[cause.class() as usize] += 1;
                if let (Some(file), Cause::Record | Cause::Value(_)) = (&mut file, cause) {
                    file.write(entry.body, name(pass, cause).as_deref())?;
                }
            }
            entries.advance()?;
        }
    }
    Ok(counts)
}

fn name(pass: &PassRejects, cause: Cause) -> Option<String> {
    let Cause::Value(column) = cause else { return None };
    Some(pass.source.schema().fields().get(column as usize)?.name().clone())
}

/// The warning for a class.
fn said(class: Class, count: u64, first: &First, file: Option<&Path>) -> String {
    let kept = match file {
        Some(path) => format!("they are in {}", path.display()),
        None => "--rejects FILE keeps them".to_owned(),
    };
    let records = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
    let were = if count == 1 { "was" } else { "were" };
    let reason = if first.reason.is_empty() { String::new() } else { format!(": {}", first.reason) };
    let the_first = format!("the first: {}{reason}", Place { record: None, ..first.place.clone() });
    match class {
        Class::Record => format!("{records} {were} set aside ({kept}); {the_first}"),
        Class::Value => {
            let values = if count == 1 { "1 value does".to_owned() } else { format!("{count} values do") };
            format!(
                "{values} not fit the type or encoding that was given, and questions that read such a value do without \
                 its record ({kept}); {the_first}"
            )
        }
        Class::Padded => format!("{records} {were} too short or too long and {were} padded or cut; {the_first}"),
        Class::Header => {
            let repeat = if count == 1 { "repeats" } else { "repeat" };
            format!(
                "{records} {repeat} the header and {were} passed over (--keep-headers reads them as data); {the_first}"
            )
        }
    }
}

/// Refuses, before anything is read, to write the rejects over a file that is read, or where they cannot be.
///
/// # Errors
/// `Syntax` if the path is one of the inputs, `Io` if no file can be made there.
pub(in crate::exec) fn check_place<'a>(
    path: Option<&Path>,
    sources: impl Iterator<Item = &'a Arc<dyn Source>>,
) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let Ok(target) = std::fs::canonicalize(path) else { return RejectsFile::check(path) };
    for source in sources {
        let is_target =
            |name: &Arc<str>| std::fs::canonicalize(PathBuf::from(&**name)).is_ok_and(|name| name == target);
        if let Some(input) = source.files().iter().find(|name| is_target(name)) {
            let message = format!("the rejects would overwrite what is read from {input}");
            return Err(Error::new(ErrorKind::Syntax, message).hint("name another file for --rejects"));
        }
    }
    RejectsFile::check(path)
}

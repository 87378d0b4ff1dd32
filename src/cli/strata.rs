//! `strata`: each group, whole, to a program.

use super::deliver::{checked_form, deliver, drawn, report};
use super::flags::Strata;
use super::look::{condition, list, tell_notes};
use super::messages::{Stop, relay, warn};
use super::run::{open, options, progress_of};
use super::said::Said;
use crate::exec::{RunOptions, Scheduler};
use crate::source::CancelToken;
use crate::sql::underline;
use std::io;
use std::sync::Arc;

/// Runs the programs and writes what they printed.
pub(super) fn strata(command: &Strata, cancel: &CancelToken) -> Result<(), Stop> {
    let flags = &command.strata;
    let keys = list(&flags.by, "--by")?;
    let columns = flags.columns.as_deref().map(|text| list(text, "--columns")).transpose()?;
    let mut frame = open(&command.input, &command.run)?;
    tell_notes(flags.condition.as_deref(), &command.run);
    if let Some(text) = &flags.condition {
        frame = frame.filter(condition(text)?);
        frame.plan().map_err(|error| underline(error, text, 0..text.len()))?;
    }
    for (exprs, text) in [(Some(&keys), Some(&flags.by)), (columns.as_ref(), flags.columns.as_ref())] {
        if let (Some(exprs), Some(text)) = (exprs, text) {
            frame.select(exprs.clone()).plan().map_err(|error| underline(error, text, 0..text.len()))?;
        }
    }
    let form = checked_form(&command.input.files, std::slice::from_ref(&frame), &command.output, &command.run)?;
    let progress = progress_of(&command.run);
    let mut options = options(&command.run, cancel, &progress)?;
    if options.scheduler != Scheduler::Processes && command.run.threads.is_none() {
        // Workers are the programs.
        options.threads = RunOptions::default().threads;
    }
    let mut strata = frame.group_by(keys).strata().with_options(options.clone());
    strata = strata.retries(flags.retries).on_error(flags.on_error).allocation(flags.allocation);
    if let Some(columns) = columns {
        strata = strata.columns(columns);
    }
    if let Some(workers) = command.run.workers {
        strata = strata.workers(workers.get());
    }
    if let Some(timeout) = flags.task_timeout {
        strata = strata.timeout(timeout);
    }
    let said = Arc::new(Said::default());
    if !command.run.quiet {
        let (bar, said) = (Arc::clone(&progress), Arc::clone(&said));
        strata = strata.on_said(move |group, text| {
            if said.is_new(group, text) {
                bar.suspend(|| relay(group, text, &mut io::stderr()));
            }
        });
    }
    let done = strata.exec(&flags.exec);
    progress.finish(done.is_ok());
    said.repeated().iter().for_each(|text| warn(text, &mut io::stderr()));
    let timeline = options.timeline.clone();
    let done = drawn(done, timeline.as_ref(), &command.run)?;
    // What was set aside has been told of; the results are in memory or on disk.
    let options = RunOptions { rejects: None, on_progress: None, timeline: None, ..options };
    deliver(&[done.frame], &[String::new()], &form, &command.output, &command.run, options, &progress)?;
    report(&done.statistics, Some(&done.strata), &command.run);
    Ok(())
}

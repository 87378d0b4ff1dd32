//! `describe`: all columns in one pass.

use super::deliver::{answer, drawn, report};
use super::flags::Describe;
use super::look::picked;
use super::messages::Stop;
use super::report::page;
use super::run::{options, progress_of};
use super::whole::write_whole;
use crate::error::{Error, ErrorKind};
use crate::frame::{DataFrame, LazyFrame, Runner};
use crate::source::CancelToken;
use crate::write::refuse_inputs;
use std::path::{Path, PathBuf};

pub(super) fn describe(command: &Describe, cancel: &CancelToken) -> Result<(), Stop> {
    let rows = picked(&command.input, &command.picked, &command.run)?;
    let frame = if command.exact { rows.describe_exact() } else { rows.describe() };
    match &command.html {
        Some(path) => to_page(command, &frame, path, cancel),
        None => answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel),
    }
}

fn to_page(command: &Describe, frame: &LazyFrame, path: &Path, cancel: &CancelToken) -> Result<(), Stop> {
    if command.output.is_chosen() {
        let error = Error::new(
            ErrorKind::Syntax,
            "--html is an answer of its own, beside which there is no --output or --format",
        );
        return Err(error.hint("leave one of them out").into());
    }
    let files = frame.plan()?.sources().into_iter().flat_map(|source| source.files());
    refuse_inputs(path, files.map(|file| PathBuf::from(&*file)))?;
    let progress = progress_of(&command.run);
    let options = options(&command.run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let done = Runner::with_options(options).run::<_, Vec<DataFrame>>(std::slice::from_ref(frame));
    progress.finish(done.is_ok());
    let done = drawn(done, timeline.as_ref(), &command.run)?;
    for facts in &done.value {
        let page = page(&command.input.files.join(" "), facts)?;
        write_whole(path, page.as_bytes()).map_err(|error| Error::io(path, &error))?;
    }
    report(&done.statistics, None, &command.run);
    Ok(())
}

//! `describe`: all columns in one pass.

use super::deliver::answer;
use super::flags::Describe;
use super::look::picked;
use super::messages::Stop;
use crate::source::CancelToken;

pub(super) fn describe(command: &Describe, cancel: &CancelToken) -> Result<(), Stop> {
    let rows = picked(&command.input, &command.picked, &command.run)?;
    let frame = if command.exact { rows.describe_exact() } else { rows.describe() };
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

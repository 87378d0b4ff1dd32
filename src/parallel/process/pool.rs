//! The side of the program: one worker, which is started when it is needed, and again when it is lost.

use super::function::{Function, place};
use super::wire::{Header, Kind, body, header, send};
use super::worker::is_initialised;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Reservation, Segment, Spill, Unlinked};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Says that a process is a worker.
pub(super) const WORKER_VARIABLE: &str = "OUTCROP_WORKER";
/// How often is looked whether the time is up, or the run has been stopped.
const TICK: Duration = Duration::from_millis(20);
/// So much of the end of what a worker that was lost has said is told.
const STDERR_BYTES: u64 = 4 << 10;
/// So much of it stays on disk from task to task.
const STDERR_MOST: u64 = 1 << 20;

/// A task for a worker.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) function: Function,
    pub(crate) bytes: &'a [u8],
    pub(crate) segment: Option<&'a Segment>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancel: &'a CancelToken,
}

/// Whether there can be workers.
///
/// # Errors
/// `Unsupported` with what is to be done.
pub(crate) fn check(function: usize) -> Result<()> {
    if !is_initialised() {
        let message = "the scheduler `processes` executes the program again, and the program is not prepared for it";
        return Err(
            Error::new(ErrorKind::Unsupported, message).hint("call outcrop::init() first in main, or use threads")
        );
    }
    place(function).map(|_| ())
}

/// A worker, once it has been started. It ends with the thread that has started it, so it stays with one.
#[derive(Debug)]
pub(crate) struct Worker {
    data: Option<Segment>,
    spill: Spill,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    socket: UnixStream,
    /// What the worker says.
    stderr: Option<File>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be in the midst of a task.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    /// A worker that is not running yet, with what all its tasks are given.
    pub(crate) fn new(data: Option<Segment>, spill: &Spill) -> Self {
        Worker { data, spill: spill.clone(), running: None }
    }

    /// Has a task done. What comes of it is on the account of `room`.
    ///
    /// # Errors
    /// `Cancelled` when the run was stopped, `Io` when no worker can be started, else `Task`: the error of the function, or
    /// how the worker was lost.
    pub(crate) fn call(&mut self, call: &Call<'_>, room: &mut Reservation) -> Result<Vec<u8>> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(self.data.as_ref(), &self.spill)?),
        };
        match running.call(call, room) {
            Ok(Answer::Done(bytes)) => Ok(bytes),
            Ok(Answer::Failed(error)) => Err(error),
            Ok(Answer::Stopped(what)) => {
                self.running = None;
                Err(Error::new(ErrorKind::Task, what))
            }
            Err(_) => {
                let stopped = call.cancel.check();
                let lost = stopped.and_then(|()| Err(running.lost()));
                self.running = None;
                lost
            }
        }
    }
}

/// What came of a task while the worker lived.
enum Answer {
    Done(Vec<u8>),
    Failed(Error),
    /// The worker must not be used any more.
    Stopped(String),
}

impl Running {
    fn start(data: Option<&Segment>, spill: &Spill) -> Result<Self> {
        let failed = |error: io::Error| Error::new(ErrorKind::Io, format!("cannot start a worker process: {error}"));
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        let stderr = Unlinked::create(spill.directory(), "what workers say").ok().map(|unlinked| unlinked.file);
        let mut command = Command::new("/proc/self/exe");
        command.env(WORKER_VARIABLE, "1").stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        if let Some(file) = stderr.as_ref().and_then(|file| file.try_clone().ok()) {
            command.stderr(file);
        }
        let parent = rustix::process::getpid();
        let prepare = move || {
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            match rustix::process::getppid() == Some(parent) {
                true => Ok(()),
                false => Err(io::ErrorKind::BrokenPipe.into()),
            }
        };
        // SAFETY: between `fork` and `exec` there are system calls only, without locks or allocation.
        unsafe { command.pre_exec(prepare) };
        // A group of its own: Ctrl-C at a terminal is for the program, which ends its workers.
        let child = command.process_group(0).spawn().map_err(failed)?;
        let running = Running { child, socket, stderr };
        if let Some(data) = data {
            send(&running.socket, Kind::Data, &[], Some(data.handle()?.as_fd())).map_err(failed)?;
        }
        Ok(running)
    }

    fn call(&mut self, call: &Call<'_>, room: &mut Reservation) -> Result<Answer> {
        let lost = |error: io::Error| Error::new(ErrorKind::Io, error.to_string());
        if let Some(file) =
            self.stderr.as_ref().filter(|file| file.metadata().is_ok_and(|known| known.len() > STDERR_MOST))
        {
            // The worker goes on where it was, behind a hole.
            file.set_len(0).map_err(lost)?;
        }
        let handle = call.segment.map(Segment::handle).transpose()?;
        let mut bytes = place(call.function as usize)?.to_le_bytes().to_vec();
        bytes.extend_from_slice(call.bytes);
        send(&self.socket, Kind::Call, &bytes, handle.as_ref().map(AsFd::as_fd)).map_err(lost)?;
        let until = call.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        while !self.is_ready().map_err(lost)? {
            call.cancel.check()?;
            if let Some((end, timeout)) = until
                && Instant::now() >= end
            {
                return Ok(Answer::Stopped(format!("the task did not end within {} s", timeout.as_secs_f64())));
            }
        }
        let gone = || lost(io::ErrorKind::UnexpectedEof.into());
        let Header { kind, bytes, .. } = header(&self.socket).map_err(lost)?.ok_or_else(gone)?;
        if let Err(refused) = room.resize(bytes) {
            return Ok(Answer::Stopped(format!("the result of the task is too large: {}", refused.message())));
        }
        let bytes = body(&self.socket, bytes).map_err(lost)?;
        match kind {
            Kind::Done => Ok(Answer::Done(bytes)),
            _ => {
                let text = String::from_utf8_lossy(&bytes);
                let (message, hint) = text.split_once('\0').unwrap_or((&text, ""));
                let error = Error::new(ErrorKind::Task, message);
                Ok(Answer::Failed(if hint.is_empty() { error } else { error.hint(hint) }))
            }
        }
    }

    /// Waits a moment for an answer.
    fn is_ready(&self) -> io::Result<bool> {
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as _ };
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&tick)) {
            Err(rustix::io::Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    /// How the worker ended, and the last that it said.
    fn lost(&mut self) -> Error {
        // It has closed its socket, or never will.
        let end = Instant::now() + 5 * TICK;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break told(status),
                _ if Instant::now() >= end => break "does not answer".to_owned(),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let said = self.said();
        let said = if said.is_empty() { said } else { format!("; it said:\n{said}") };
        Error::new(ErrorKind::Task, format!("the worker process {status}{said}"))
    }

    fn said(&self) -> String {
        let Some(file) = &self.stderr else { return String::new() };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let start = length.saturating_sub(STDERR_BYTES);
        let mut bytes = vec![0; (length - start) as usize];
        match file.read_exact_at(&mut bytes, start) {
            Ok(()) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(_) => String::new(),
        }
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(9)) => "was killed (signal 9), perhaps because memory ran out".to_owned(),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
    }
}

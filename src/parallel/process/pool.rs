//! The side of the program: one worker, which is started when it is needed, and again when it is lost.

use super::child::{PANICKED, STDERR_BYTES, TICK, end_with, told, with_stderr};
use super::function::{Function, Reply, place};
use super::wire::{Header, Kind, header, send, send_when};
use super::worker::is_initialised;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Reservation, Segment, Spill, Unlinked};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Says that a process is a worker.
pub(super) const WORKER_VARIABLE: &str = "OUTCROP_WORKER";
/// So long is waited for the end of a worker whose socket has failed.
const END: Duration = Duration::from_millis(100);
/// So much of what a worker says stays on disk from task to task.
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
    /// `Cancelled` when the run was stopped, `Io` when no worker can be started or given its task, `Limit` when there is no
    /// room for the result, else `Task`: the error of the function, or how the worker was lost.
    pub(crate) fn call(&mut self, call: &Call<'_>, room: &mut Reservation) -> Result<Reply> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(self.data.as_ref(), &self.spill)?),
        };
        let failure = match running.call(call, room) {
            Ok(answer) => return answer,
            Err(failure) => failure,
        };
        let error = match failure {
            Failure::Lost => call.cancel.check().err().unwrap_or_else(|| running.lost()),
            Failure::Other(error) => error,
        };
        self.running = None;
        Err(error)
    }
}

/// Why there is no answer; the worker must not be used any more.
enum Failure {
    /// Its socket has failed.
    Lost,
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Other(error)
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Failure::Lost
    }
}

/// Until when an answer is waited for.
struct Watch<'a> {
    cancel: &'a CancelToken,
    until: Option<(Instant, Duration)>,
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
        // SAFETY: between `fork` and `exec` there are system calls only, without locks or allocation.
        unsafe { command.pre_exec(move || end_with(parent)) };
        // A group of its own: Ctrl-C at a terminal is for the program, which ends its workers.
        let child = command.process_group(0).spawn().map_err(failed)?;
        let running = Running { child, socket, stderr };
        if let Some(data) = data {
            send(&running.socket, Kind::Data, &[], Some(data.handle()?.as_fd())).map_err(failed)?;
        }
        Ok(running)
    }

    /// The answer to a task.
    fn call(&mut self, call: &Call<'_>, room: &mut Reservation) -> Result<Result<Reply>, Failure> {
        self.forget_what_was_said()?;
        let said_before = self.said_bytes();
        let handle = call.segment.map(Segment::handle).transpose()?;
        let mut bytes = place(call.function as usize)?.to_le_bytes().to_vec();
        bytes.extend_from_slice(call.bytes);
        let lost = |_: io::Error| Failure::Lost;
        let until = call.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let watch = Watch { cancel: call.cancel, until };
        // A worker that has been stopped reads nothing, and what is sent may be more than the socket holds.
        let handle = handle.as_ref().map(AsFd::as_fd);
        send_when(&self.socket, Kind::Call, &bytes, handle, || self.wait(PollFlags::OUT, &watch))?;
        self.wait(PollFlags::IN, &watch)?;
        let Header { kind, bytes, handle } = header(&self.socket).map_err(lost)?.ok_or(Failure::Lost)?;
        room.resize(bytes).map_err(|refused| refused.about("the result of the task is too large"))?;
        let bytes = self.body(bytes, &watch)?;
        if kind == Kind::Done {
            return Ok(Ok(Reply { bytes, file: handle.map(File::from) }));
        }
        let text = String::from_utf8_lossy(&bytes);
        let (message, hint) = text.split_once('\0').unwrap_or((&text, ""));
        let mut said = self.said_since(said_before);
        if message.starts_with(PANICKED) {
            // The message of the panic, which comes last, is told already.
            said.truncate(said.rfind("thread '").unwrap_or(said.len()));
        }
        let error = Error::new(ErrorKind::Task, with_stderr(message.to_owned(), &said));
        Ok(Err(if hint.is_empty() { error } else { error.hint(hint) }))
    }

    /// Keeps short what the worker says; it goes on where it was, behind a hole.
    fn forget_what_was_said(&self) -> Result<()> {
        let Some(file) = &self.stderr else { return Ok(()) };
        match file.metadata().is_ok_and(|known| known.len() > STDERR_MOST) {
            true => file.set_len(0).map_err(|error| {
                Error::new(ErrorKind::Io, format!("cannot shorten what a worker process has said: {error}"))
            }),
            false => Ok(()),
        }
    }

    /// Waits until the worker has written, or read what was sent, or is gone.
    fn wait(&self, what: PollFlags, watch: &Watch<'_>) -> Result<(), Failure> {
        loop {
            match poll(&mut [PollFd::new(&self.socket, what)], Some(&TICK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(_) => return Err(Failure::Lost),
            }
            watch.cancel.check()?;
            if let Some((end, timeout)) = watch.until
                && Instant::now() >= end
            {
                let message = format!("the task did not end within {} s", timeout.as_secs_f64());
                return Err(Error::new(ErrorKind::Task, message).into());
            }
        }
    }

    /// So many bytes, which come piece by piece.
    fn body(&self, bytes: usize, watch: &Watch<'_>) -> Result<Vec<u8>, Failure> {
        let (mut body, mut filled) = (vec![0; bytes], 0);
        while filled < bytes {
            self.wait(PollFlags::IN, watch)?;
            match (&self.socket).read(&mut body[filled..]) {
                Ok(0) => return Err(Failure::Lost),
                Ok(came) => filled += came,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Failure::Lost),
            }
        }
        Ok(body)
    }

    /// How the worker ended, and the last that it said.
    fn lost(&mut self) -> Error {
        // It has closed its socket, or never will.
        let end = Instant::now() + END;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break told(status),
                _ if Instant::now() >= end => break "does not answer".to_owned(),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        Error::new(ErrorKind::Task, with_stderr(format!("the worker process {status}"), &self.said_since(0)))
    }

    /// So much has the worker said.
    fn said_bytes(&self) -> u64 {
        self.stderr.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// The last that the worker said behind so many bytes.
    fn said_since(&self, bytes: u64) -> String {
        let Some(file) = &self.stderr else { return String::new() };
        let length = self.said_bytes();
        let start = length.saturating_sub(STDERR_BYTES as u64).max(bytes.min(length));
        let mut bytes = vec![0; (length - start) as usize];
        match file.read_exact_at(&mut bytes, start) {
            // What was shortened is a hole.
            Ok(()) => String::from_utf8_lossy(&bytes).trim_start_matches('\0').to_owned(),
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;
    use std::io::Write;

    /// A worker that has announced so many bytes of a result and written only one of them.
    fn answering(bytes: u64) -> (Running, UnixStream) {
        let (socket, mut theirs) = UnixStream::pair().unwrap();
        let mut written = [0; 17];
        written[0] = Kind::Done as u8;
        written[8..16].copy_from_slice(&bytes.to_le_bytes());
        theirs.write_all(&written).unwrap();
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        (Running { child, socket, stderr: None }, theirs)
    }

    fn call(running: Running, budget: &Budget, cancel: &CancelToken) -> Error {
        call_with(b"", running, budget, cancel)
    }

    fn call_with(bytes: &[u8], running: Running, budget: &Budget, cancel: &CancelToken) -> Error {
        let mut worker = Worker { data: None, spill: Spill::default(), running: Some(running) };
        let function: Function = |payload| Ok(payload.bytes.into());
        let timeout = Some(Duration::from_millis(50));
        let call = Call { function, bytes, segment: None, timeout, cancel };
        let error = worker.call(&call, &mut budget.reservation("a test")).unwrap_err();
        assert!(worker.running.is_none(), "it is not used again");
        error
    }

    #[test]
    fn a_worker_that_reads_nothing_is_no_wait_without_end() {
        let long = vec![7; 8 << 20];
        let (running, _theirs) = answering(100);
        let error = call_with(&long, running, &Budget::unlimited(), &CancelToken::new());
        assert_eq!((error.kind(), error.message()), (ErrorKind::Task, "the task did not end within 0.05 s"));
        let (running, _theirs) = answering(100);
        let cancel = CancelToken::new();
        cancel.cancel();
        assert_eq!(call_with(&long, running, &Budget::unlimited(), &cancel).kind(), ErrorKind::Cancelled);
        let (running, theirs) = answering(100);
        drop(theirs);
        let error = call_with(&long, running, &Budget::unlimited(), &CancelToken::new());
        assert_eq!(error.message(), "the worker process does not answer");
    }

    #[test]
    fn a_result_that_stops_half_way_is_no_wait_without_end() {
        let (running, theirs) = answering(100);
        let error = call(running, &Budget::unlimited(), &CancelToken::new());
        assert_eq!((error.kind(), error.message()), (ErrorKind::Task, "the task did not end within 0.05 s"));
        drop(theirs);
        let (running, _theirs) = answering(100);
        let cancel = CancelToken::new();
        cancel.cancel();
        assert_eq!(call(running, &Budget::unlimited(), &cancel).kind(), ErrorKind::Cancelled);
        let (running, theirs) = answering(100);
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let error = call(running, &Budget::unlimited(), &CancelToken::new());
        assert_eq!(error.message(), "the worker process does not answer");
    }

    #[test]
    fn a_result_without_room_is_told_as_what_it_is() {
        let (running, _theirs) = answering(100);
        let error = call(running, &Budget::new(10), &CancelToken::new());
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    }
}

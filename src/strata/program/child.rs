//! One process, from its start to its end.

use super::guard::{Guard, announce};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Reservation;
use crate::parallel::process::{STDERR_BYTES, TICK, end_with};
use crate::source::CancelToken;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How a program gets its stratum.
#[derive(Debug)]
pub(super) enum Stdin {
    /// As its standard input.
    From(OwnedFd),
    /// As a handle of the same number.
    Inherited(OwnedFd),
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its status, or why it was ended.
    pub(super) status: Result<ExitStatus, String>,
    pub(super) stdout: Vec<u8>,
    /// Of it.
    pub(super) room: Reservation,
    /// The end of it, behind `…` if there was more.
    pub(super) stderr: String,
}

/// A program that runs; killed with all that it has started when it is dropped.
#[derive(Debug)]
pub(super) struct Running<'a> {
    child: Child,
    guard: &'a Guard,
    reaped: bool,
}

/// What runs between `fork` and `exec`, where only system calls are allowed.
fn prepare(guard: BorrowedFd<'_>, inherited: Option<BorrowedFd<'_>>, parent: Pid) -> io::Result<()> {
    end_with(parent)?;
    announce(guard, rustix::process::getpid().as_raw_nonzero().get().unsigned_abs())?;
    if let Some(handle) = inherited {
        rustix::io::fcntl_setfd(handle, rustix::io::FdFlags::empty())?;
    }
    Ok(())
}

impl<'a> Running<'a> {
    /// Starts a shell command in a process group of its own.
    ///
    /// # Errors
    /// `Io` when no process can be started.
    pub(super) fn start(command: &str, stdin: Stdin, variable: (&str, &str), guard: &'a Guard) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env(variable.0, variable.1.replace('\0', " "));
        shell.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let inherited = match stdin {
            Stdin::From(handle) => {
                shell.stdin(Stdio::from(handle));
                None
            }
            Stdin::Inherited(handle) => {
                shell.stdin(Stdio::null());
                Some(handle)
            }
        };
        let parent = rustix::process::getpid();
        let cannot = |error: io::Error| Error::new(ErrorKind::Io, format!("cannot start a program: {error}"));
        let pipe = guard.pipe().map_err(cannot)?.as_raw_fd();
        let handle = inherited.as_ref().map(AsRawFd::as_raw_fd);
        // SAFETY: both handles are open until the process has been started, and what is done with them are system calls
        // only, without locks or allocation.
        unsafe {
            shell.pre_exec(move || {
                let handle = handle.map(|handle| BorrowedFd::borrow_raw(handle));
                prepare(BorrowedFd::borrow_raw(pipe), handle, parent)
            });
        }
        let child = shell.spawn().map_err(cannot)?;
        Ok(Running { child, guard, reaped: false })
    }

    /// Takes what the program writes, until it ends or its time is up.
    ///
    /// # Errors
    /// `Cancelled` when the run is stopped, `Limit` when it writes more than there is room for.
    pub(super) fn wait(
        mut self,
        timeout: Option<Duration>,
        mut room: Reservation,
        cancel: &CancelToken,
    ) -> Result<Ended> {
        let until = timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let mut pipes = Pipes::new(&mut self.child);
        let stopped = loop {
            cancel.check()?;
            if let Some((end, timeout)) = until
                && Instant::now() >= end
            {
                break Some(format!("the program did not end within {} s", timeout.as_secs_f64()));
            }
            if self.has_ended() {
                // What it wrote is there by now; what it has started may hold its pipes open, and write for ever.
                self.kill_group();
                pipes.take_rest(&mut room)?;
                break None;
            }
            pipes.take(&mut room)?;
        };
        let stderr = pipes.said();
        let stdout = pipes.stdout_bytes;
        let status = self.end();
        let status = match (stopped, status) {
            (Some(stopped), _) => Err(stopped),
            (None, Ok(status)) => Ok(status),
            (None, Err(error)) => Err(format!("the program is gone: {error}")),
        };
        Ok(Ended { status, stdout, room, stderr })
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// Whether the program has ended; it stays there to be reaped, so that nobody else gets its number.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = |pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None));
        self.pid().is_none_or(ended)
    }

    /// Kills what is left of the group, whose number is its own until the program has been reaped.
    fn kill_group(&self) {
        if let Some(pid) = self.pid() {
            // There may be nothing left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Kills what is left of the group, and then lets go of its number.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.reaped = true;
        self.kill_group();
        let status = self.child.wait();
        self.guard.forget(self.child.id());
        status
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.end();
        }
    }
}

/// The pipes of a program, and what has come out of them.
struct Pipes {
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    stdout_bytes: Vec<u8>,
    stderr_bytes: Vec<u8>,
    /// There was more than is kept.
    stderr_is_cut: bool,
    piece: Vec<u8>,
}

impl Pipes {
    fn new(child: &mut Child) -> Self {
        Pipes {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            stdout_bytes: Vec::new(),
            stderr_bytes: Vec::new(),
            stderr_is_cut: false,
            piece: vec![0; PIECE_BYTES],
        }
    }

    /// Takes what has come, if anything comes within a moment.
    ///
    /// # Errors
    /// `Limit` when there is no room for it; those of the pipes.
    fn take(&mut self, room: &mut Reservation) -> Result<()> {
        let handles = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        let mut polled: Vec<PollFd<'_>> =
            handles.iter().flatten().map(|handle| PollFd::from_borrowed_fd(*handle, PollFlags::IN)).collect();
        if polled.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
            return Ok(());
        }
        match poll(&mut polled, Some(&TICK)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other.map_err(|error| unreadable(error.into()))?,
        };
        let mut ready = polled.iter().map(|handle| !handle.revents().is_empty());
        let stdout = handles[0].is_some() && ready.next() == Some(true);
        let stderr = handles[1].is_some() && ready.next() == Some(true);
        if stdout && self.read_stdout(PIECE_BYTES, room)? == 0 {
            self.stdout = None;
        }
        if stderr && self.read_stderr(PIECE_BYTES)? == 0 {
            self.stderr = None;
        }
        Ok(())
    }

    /// Takes what is in the pipes now, and not what may come yet.
    ///
    /// # Errors
    /// Those of [`Pipes::take`].
    fn take_rest(&mut self, room: &mut Reservation) -> Result<()> {
        let waiting = |pipe: Option<BorrowedFd<'_>>| {
            pipe.map_or(Ok(0), rustix::io::ioctl_fionread).map_err(|error| unreadable(error.into()))
        };
        let mut left = waiting(self.stdout.as_ref().map(AsFd::as_fd))? as usize;
        while left > 0 {
            match self.read_stdout(left.min(PIECE_BYTES), room)? {
                0 => break,
                count => left -= count,
            }
        }
        let mut left = waiting(self.stderr.as_ref().map(AsFd::as_fd))? as usize;
        while left > 0 {
            match self.read_stderr(left.min(PIECE_BYTES))? {
                0 => break,
                count => left -= count,
            }
        }
        Ok(())
    }

    /// Takes at most so many bytes of stdout; how many there were.
    fn read_stdout(&mut self, most: usize, room: &mut Reservation) -> Result<usize> {
        let count = read(&mut self.stdout, &mut self.piece[..most])?;
        if self.stdout_bytes.len() + count > self.stdout_bytes.capacity() {
            let wanted = (self.stdout_bytes.len() + count).max(2 * self.stdout_bytes.capacity());
            room.resize(wanted).map_err(|refused| refused.about("the program printed too much"))?;
            self.stdout_bytes.reserve_exact(wanted - self.stdout_bytes.len());
        }
        self.stdout_bytes.extend_from_slice(&self.piece[..count]);
        Ok(count)
    }

    /// Takes at most so many bytes of stderr, of which the end is kept; how many there were.
    fn read_stderr(&mut self, most: usize) -> Result<usize> {
        let count = read(&mut self.stderr, &mut self.piece[..most])?;
        self.stderr_bytes.extend_from_slice(&self.piece[..count]);
        let surplus = self.stderr_bytes.len().saturating_sub(STDERR_BYTES);
        self.stderr_is_cut |= surplus > 0;
        self.stderr_bytes.drain(..surplus);
        Ok(count)
    }

    /// The end of stderr, whole lines of it if there was more.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr_bytes);
        match (self.stderr_is_cut, text.split_once('\n')) {
            (false, _) => text.into_owned(),
            (true, Some((_, whole))) if !whole.is_empty() => format!("…\n{whole}"),
            (true, _) => format!("…{text}"),
        }
    }
}

fn read(pipe: &mut Option<impl Read>, piece: &mut [u8]) -> Result<usize> {
    pipe.as_mut().map_or(Ok(0), |pipe| pipe.read(piece)).map_err(unreadable)
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the output of a program cannot be read: {error}"))
}

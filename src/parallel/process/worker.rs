//! The side of the worker.

use super::child::PANICKED;
use super::function::{Function, Payload, Reply, address};
use super::pool::WORKER_VARIABLE;
use super::wire::{Kind, body, header, send};
use crate::error::{Error, Result};
use crate::memory::map_handle;
use crate::parallel::{SCHEDULER_VARIABLE, alone};
use arrow::buffer::Buffer;
use std::any::Any;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

static CALLED: AtomicBool = AtomicBool::new(false);

/// Whether [`serve_if_worker`] has been called.
pub(super) fn is_initialised() -> bool {
    CALLED.load(Ordering::SeqCst)
}

/// Serves and does not return where this process is a worker; elsewhere it returns at once.
pub(crate) fn serve_if_worker() {
    CALLED.store(true, Ordering::SeqCst);
    if std::env::var_os(WORKER_VARIABLE).is_none() {
        return;
    }
    let code = match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("worker: {error}");
            1
        }
    };
    std::process::exit(code);
}

/// Does tasks until there are no more.
fn serve() -> std::io::Result<()> {
    // What a task starts is no worker, and does not start any.
    // SAFETY: this is the first thing that `main` does, so there is no other thread.
    unsafe {
        std::env::remove_var(WORKER_VARIABLE);
        std::env::set_var(SCHEDULER_VARIABLE, "synchronous");
    }
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // A task that reads its standard input gets nothing.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let mut data = None;
    while let Some(message) = header(&socket)? {
        let bytes = body(&socket, message.bytes)?;
        let mapped = message.handle.map(|handle| map_handle(File::from(handle))).transpose();
        match message.kind {
            Kind::Data => data = mapped.map_err(std::io::Error::other)?,
            Kind::Call => {
                let result = mapped.and_then(|segment| call(bytes, segment, data.clone()));
                match result {
                    Ok(Reply { bytes, file }) => {
                        send(&socket, Kind::Done, &bytes, file.as_ref().map(AsFd::as_fd))?;
                    }
                    Err(error) => {
                        let text = format!("{}\0{}", error.message(), error.hint_text().unwrap_or_default());
                        send(&socket, Kind::Failed, text.as_bytes(), None)?;
                    }
                }
            }
            Kind::Done | Kind::Failed => return Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
    Ok(())
}

fn call(mut bytes: Vec<u8>, segment: Option<Buffer>, data: Option<Buffer>) -> Result<Reply> {
    let place = bytes.first_chunk().copied().ok_or_else(|| Error::internal("a task without a function"))?;
    bytes.drain(..place.len());
    let address = address(u64::from_le_bytes(place))?;
    // SAFETY: the process that sent the place runs the same program, and has taken it from a function of this type.
    let function: Function = unsafe { std::mem::transmute::<usize, Function>(address) };
    let call = || alone(|| function(Payload { bytes, segment, data }));
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Error::new(crate::error::ErrorKind::Task, format!("{PANICKED}{}", said(&*panic)))))
}

/// What a panic says.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

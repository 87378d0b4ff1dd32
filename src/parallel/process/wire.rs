//! Messages over a socket, each perhaps with a handle.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To a worker: what all tasks are given.
    Data = 1,
    /// To a worker: a task.
    Call = 2,
    /// From a worker: the result of a task.
    Done = 3,
    /// From a worker: why a task failed, and, behind a zero byte, what may help.
    Failed = 4,
}

const HEADER_BYTES: usize = 16;

/// A message that has come; its bytes are still to be read.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) bytes: usize,
    pub(super) handle: Option<OwnedFd>,
}

/// Sends a message, and waits as long as it takes.
///
/// # Errors
/// Those of the socket.
pub(super) fn send(socket: &UnixStream, kind: Kind, bytes: &[u8], handle: Option<BorrowedFd<'_>>) -> io::Result<()> {
    send_when(socket, kind, bytes, handle, || match poll(&mut [PollFd::new(socket, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    })
}

/// Sends a message; whenever the socket takes no more, `wait` waits until it does.
///
/// # Errors
/// Those of the socket and of `wait`.
pub(super) fn send_when<E: From<io::Error>>(
    socket: &UnixStream,
    kind: Kind,
    bytes: &[u8],
    handle: Option<BorrowedFd<'_>>,
    wait: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let mut header = [0; HEADER_BYTES];
    header[0] = kind as u8;
    header[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    let handles: Vec<BorrowedFd<'_>> = handle.into_iter().collect();
    let own = if cfg!(target_os = "linux") { SendFlags::NOSIGNAL } else { SendFlags::empty() };
    let (mut sent, all) = (0, HEADER_BYTES + bytes.len());
    while sent < all {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The handle goes with the first bytes.
        if sent == 0 && !handles.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&handles)) {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
        }
        let left = [
            IoSlice::new(&header[sent.min(HEADER_BYTES)..]),
            IoSlice::new(&bytes[sent.saturating_sub(HEADER_BYTES)..]),
        ];
        match sendmsg(socket, &left, &mut control, own | SendFlags::DONTWAIT) {
            Ok(more) => sent += more,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait()?,
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

fn retried<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Waits for a message; `None` when the other side has gone.
///
/// # Errors
/// Those of the socket.
pub(super) fn header(socket: &UnixStream) -> io::Result<Option<Header>> {
    let mut header = [0; HEADER_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = if cfg!(target_os = "linux") { RecvFlags::CMSG_CLOEXEC } else { RecvFlags::empty() };
    let came = retried(|| recvmsg(socket, &mut [IoSliceMut::new(&mut header)], &mut control, flags))?.bytes;
    if came == 0 {
        return Ok(None);
    }
    let mut handle = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(handles) = message {
            handle = handles.last().or(handle);
        }
    }
    let mut socket = socket;
    socket.read_exact(&mut header[came..])?;
    let kind = match header[0] {
        1 => Kind::Data,
        2 => Kind::Call,
        3 => Kind::Done,
        4 => Kind::Failed,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut length = [0; 8];
    length.copy_from_slice(&header[8..]);
    let bytes = usize::try_from(u64::from_le_bytes(length)).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Some(Header { kind, bytes, handle }))
}

/// The bytes of a message whose header has come.
///
/// # Errors
/// Those of the socket.
pub(super) fn body(mut socket: &UnixStream, bytes: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; bytes];
    socket.read_exact(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn messages_come_as_they_were_sent_with_their_handles() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = File::open("Cargo.toml").unwrap();
        let long = vec![7; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                send(&here, Kind::Data, b"", Some(file.as_fd())).unwrap();
                send(&here, Kind::Call, &long, None).unwrap();
                drop(here);
            });
            let first = header(&there).unwrap().unwrap();
            assert_eq!((first.kind, first.bytes), (Kind::Data, 0));
            let mut text = String::new();
            File::from(first.handle.unwrap()).read_to_string(&mut text).unwrap();
            assert!(text.starts_with("[package]"));
            let second = header(&there).unwrap().unwrap();
            assert!(second.handle.is_none());
            assert!(body(&there, second.bytes).unwrap() == long);
            assert!(header(&there).unwrap().is_none());
        });
    }
}

//! Arrow IPC files and streams as a source.
//!
//! **Problem.** The bytes of an Arrow file are the columns; reading them should cost no copy, on all cores, also when
//! all rows are one record batch; and a file that lies about itself must end in an error.
//! **Idea.** When it is opened, a file is indexed (`index`): where its record batches and dictionaries lie, by the
//! footer, or for a stream by walking from message to message, which makes one of the other. The file is mapped into
//! memory (`bytes`) and arrays are views of it. A record batch is decoded once and handed out in slices of rows.
//! **Invariants.**
//! - The position of a row is its number in the file.
//! - Every offset, length and text is validated before it is used; sizes of compressed buffers are checked before
//!   memory is taken for them (`check`): a column of a record batch may become 256 MiB, or 64 times what is stored of it; third-party code runs under guard.
//! - A column that cannot be read fails the questions that read it, and no others.
//!
//! # The risk of a mapped file
//! A mapped file must not change while it is read: one that is cut short meanwhile ends the process with SIGBUS, and
//! one that is written to can show bytes that were never validated. [`IpcOptions::memory_map`] turns mapping off.

mod bytes;
mod check;
mod decode;
mod index;
mod scan;
mod source;
#[cfg(test)]
mod tests;

pub use source::{IpcOptions, IpcSource};

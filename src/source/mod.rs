//! Where rows come from: files and globs, decompression, CSV.

pub mod csv;
pub mod decompress;
pub mod input;

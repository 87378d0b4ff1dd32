//! bzip2: a decoder of our own that uses every core on one file.
//!
//! **Problem.** Blocks start at any bit, right after one another, and nothing says where; a block's 48-bit magic may
//! also occur inside another block's data.
//! **Idea.** Every magic in the file is a *candidate* and becomes one piece. Workers decode candidates independently
//! ([`block`]); the [`chain`] then follows the true structure — stream headers, blocks, ends of streams — and keeps a
//! candidate only if a block is due exactly where it starts. As all magics are candidates, a due block always is one.
//! **Invariants.** A false magic costs time, never truth. Every block's and every stream's checksum is verified, and
//! the file is good only if the chain reaches its end. Stored bytes are read once, but for a few bytes a block.
//! **Limits.** Randomised blocks (bzip2 before 0.9.5) are refused; files are at most 256 GiB long.

mod bits;
mod block;
mod bwt;
mod chain;
mod crc;
mod huffman;
mod magic;
mod mtf;
mod rle;
mod scan;
mod stream;

#[cfg(test)]
mod tests;

pub(super) use stream::{Bzip2Stream, KeptBlocks, decode_near};

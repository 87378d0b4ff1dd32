//! Pieces of text from a bzip2 file: one candidate each, decoded by any worker, confirmed along the chain.

use super::block::{BlockDecoder, BlockFault, DecodedBlock, MAX_STORED_BYTES};
use super::chain::{Chain, damaged};
use super::scan::{Candidate, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use crate::source::decompress::{Cell, Next, Piece, Scratch, TextStream};
use crate::source::input::{InputCounters, InputFile};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A position is the block's byte offset times this, plus the offset in its text; see `RowId`.
const POSITION_SHIFT: u32 = 26;
/// Files beyond this have positions of more than 64 bits.
const MAX_FILE_BYTES: u64 = 1 << (64 - POSITION_SHIFT);

/// Text of blocks that sampling decoded and the pass shall not decode again; each is handed out once.
pub(in crate::source::decompress) struct KeptBlocks {
    blocks: Mutex<BTreeMap<u64, (DecodedBlock, Vec<u8>)>>,
    counters: Arc<InputCounters>,
}

impl KeptBlocks {
    pub(in crate::source::decompress) fn new(counters: Arc<InputCounters>) -> Self {
        KeptBlocks { blocks: Mutex::default(), counters }
    }

    fn keep(&self, start_bit: u64, block: DecodedBlock, text: &[u8]) {
        if self.counters.book(text.len())
            && let Some((_, replaced)) = lock(&self.blocks).insert(start_bit, (block, text.to_vec()))
        {
            self.counters.give_back(replaced.len());
        }
    }

    fn take(&self, start_bit: u64) -> Option<(DecodedBlock, Vec<u8>)> {
        let taken = lock(&self.blocks).remove(&start_bit)?;
        self.counters.give_back(taken.1.len());
        Some(taken)
    }
}

impl Drop for KeptBlocks {
    fn drop(&mut self) {
        lock(&self.blocks).values().for_each(|(_, text)| self.counters.give_back(text.len()));
    }
}

/// What a piece claims about the file.
struct BlockClaim {
    start_bit: u64,
    reaches_end: bool,
    /// With `end_bit` counted from the start of the file.
    outcome: Result<DecodedBlock, BlockFault>,
}

/// One bzip2 file.
pub(in crate::source::decompress) struct Bzip2Stream {
    input: Arc<InputFile>,
    scanner: Mutex<Scanner>,
    chain: Mutex<Chain>,
    kept: Arc<KeptBlocks>,
    is_sample: bool,
}

impl Bzip2Stream {
    /// A stream that takes the blocks in `kept` from there.
    pub(in crate::source::decompress) fn new(input: Arc<InputFile>, kept: Arc<KeptBlocks>) -> Result<Self> {
        Bzip2Stream::open(input, kept, false)
    }

    /// A stream for looking at the beginning, which fills `kept` and the cache of the file's first bytes.
    pub(in crate::source::decompress) fn sample(input: Arc<InputFile>, kept: Arc<KeptBlocks>) -> Result<Self> {
        Bzip2Stream::open(input, kept, true)
    }

    fn open(input: Arc<InputFile>, kept: Arc<KeptBlocks>, is_sample: bool) -> Result<Self> {
        if input.length() >= MAX_FILE_BYTES {
            return Err(input.error(ErrorKind::Unsupported, "bzip2 files of 256 GiB and more are not supported"));
        }
        let scanner = Mutex::new(Scanner::new(is_sample));
        Ok(Bzip2Stream { input, scanner, chain: Mutex::new(Chain::new()), kept, is_sample })
    }

    fn decode(&self, candidate: &Candidate, scratch: &mut Scratch, text: &mut Vec<u8>) -> BlockClaim {
        let mut joined = scratch.spare_text.pop().unwrap_or_default();
        let decoder = decoder_of(scratch);
        let stored = candidate.stored(&mut joined);
        let outcome = decoder.decode(stored, candidate.start_bit % 8, text);
        if joined.capacity() > 0 {
            scratch.spare_text.push(joined);
        }
        let outcome = outcome.map(|block| counted_from(candidate.start_bit, block));
        BlockClaim { start_bit: candidate.start_bit, reaches_end: candidate.reaches_end, outcome }
    }

    /// Decodes the block that is due at `start_bit` when the stored bytes up to the next magic did not hold all of it.
    fn decode_anew(&self, start_bit: u64, text: &mut Vec<u8>) -> Result<Result<DecodedBlock, BlockFault>> {
        let first = start_bit / 8;
        let mut stored = vec![0; (self.input.length() - first).min(MAX_STORED_BYTES) as usize];
        self.input.read_at(first, &mut stored)?;
        let outcome = BlockDecoder::new().decode(&stored, start_bit % 8, text);
        Ok(outcome.map(|block| counted_from(start_bit, block)))
    }

    fn fault(&self, start_bit: u64, fault: BlockFault) -> Error {
        let at = start_bit / 8;
        match fault {
            BlockFault::Unfinished => damaged(&self.input, at, "the file ends inside the bzip2 block that starts here"),
            BlockFault::Damaged(what) => damaged(&self.input, at, format!("bzip2 block is damaged: {what}")),
            BlockFault::Unsupported(what) => self
                .input
                .error(ErrorKind::Unsupported, format!("bzip2 block cannot be read: {what}"))
                .with_place(|place| place.byte = Some(at))
                .hint("decompress and compress the file again with a current bzip2"),
        }
    }
}

impl TextStream for Bzip2Stream {
    fn next(&self, scratch: &mut Scratch, _wait: bool) -> Result<Next> {
        // Candidates are single blocks, small enough to share out evenly whatever the number of workers.
        let Some(candidate) = lock(&self.scanner).next(&self.input)? else { return Ok(Next::End) };
        let start_bit = candidate.start_bit;
        let kept = if self.is_sample { None } else { self.kept.take(start_bit) };
        let (claim, text) = match kept {
            Some((block, text)) => {
                (BlockClaim { start_bit, reaches_end: candidate.reaches_end, outcome: Ok(block) }, text)
            }
            None => {
                let mut text = scratch.spare_text.pop().unwrap_or_default();
                text.clear();
                (self.decode(&candidate, scratch, &mut text), text)
            }
        };
        let damage = match claim.outcome {
            Err(fault) if fault != BlockFault::Unfinished => Some(self.fault(start_bit, fault)),
            _ => None,
        };
        Ok(Next::Piece(Piece {
            ordinal: candidate.ordinal,
            text,
            cells: vec![Cell { at: 0, base: position(start_bit) }],
            claim: Box::new(claim),
            damage,
            stored_bytes: candidate.stored_bytes,
        }))
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        let Some(claim) = piece.claim.downcast_ref::<BlockClaim>() else {
            return Err(Error::internal("a piece of another stream was to be confirmed"));
        };
        let start_bit = claim.start_bit;
        let mut chain = lock(&self.chain);
        let due = match chain.next_block(&self.input) {
            Ok(due) => due,
            Err(error) => {
                piece.text.clear();
                return Err(error);
            }
        };
        if due != Some(start_bit) {
            let had_text = !piece.text.is_empty();
            piece.text.clear();
            piece.damage = None;
            let understood_to = due.unwrap_or(chain.at_bit());
            if start_bit < understood_to {
                // A magic by chance, inside the data of a block before.
                return Ok(had_text);
            }
            let what = match due {
                Some(_) => "this bzip2 block was not there before",
                None => "the header of a bzip2 stream is damaged: blocks follow behind the last whole stream",
            };
            return Err(damaged(&self.input, understood_to / 8, what));
        }
        let (outcome, is_new) = match claim.outcome {
            Err(BlockFault::Unfinished) if !claim.reaches_end => (self.decode_anew(start_bit, &mut piece.text)?, true),
            outcome => (outcome, false),
        };
        match outcome {
            Ok(block) => {
                let passed = chain.pass_block(&self.input, block.end_bit, block.crc, block.transformed_bytes);
                passed.inspect_err(|_| piece.text.clear())?;
                if self.is_sample {
                    self.kept.keep(start_bit, block, &piece.text);
                }
                Ok(is_new)
            }
            Err(fault) => {
                piece.text.clear();
                Err(piece.damage.take().unwrap_or_else(|| self.fault(start_bit, fault)))
            }
        }
    }

    fn finish(&self) -> Result<Option<String>> {
        let mut chain = lock(&self.chain);
        if let Some(due) = chain.next_block(&self.input)? {
            return Err(damaged(&self.input, due / 8, "this bzip2 block was not there before"));
        }
        self.input.close();
        if !self.is_sample {
            self.input.release_head();
        }
        let ignored = chain.ignored();
        Ok((ignored > 0).then(|| {
            let at = self.input.length() - ignored;
            format!(
                "{}: {ignored} bytes after the last bzip2 stream, from byte {at} on, are ignored",
                self.input.name()
            )
        }))
    }
}

impl Drop for Bzip2Stream {
    fn drop(&mut self) {
        self.input.close();
    }
}

/// Decodes the first block that starts at or after byte `from`: its position and its text. `None` when there is none
/// near, or none that is sound: whether one is damaged is for the pass to say.
pub(in crate::source::decompress) fn decode_near(input: &InputFile, from: u64) -> Result<Option<(u64, Vec<u8>)>> {
    const STEP: u64 = 256 << 10;
    let (mut stored, mut text) = (vec![], vec![]);
    loop {
        let known = stored.len() as u64;
        let fresh = input.length().saturating_sub(from + known).min(STEP) as usize;
        if fresh == 0 || known >= 2 * MAX_STORED_BYTES {
            return Ok(None);
        }
        stored.resize(stored.len() + fresh, 0);
        input.read_at(from + known, &mut stored[known as usize..])?;
        let mut magics = vec![];
        super::magic::find_block_magics(&stored, &mut magics);
        let Some(&start_bit) = magics.first() else { continue };
        match BlockDecoder::new().decode(&stored, start_bit, &mut text) {
            Ok(_) => return Ok(Some((position(8 * from + start_bit), text))),
            Err(BlockFault::Unfinished) => {}
            Err(_) => return Ok(None),
        }
    }
}

fn counted_from(start_bit: u64, block: DecodedBlock) -> DecodedBlock {
    DecodedBlock { end_bit: block.end_bit + start_bit / 8 * 8, ..block }
}

fn position(start_bit: u64) -> u64 {
    (start_bit / 8) << POSITION_SHIFT
}

fn decoder_of(scratch: &mut Scratch) -> &mut BlockDecoder {
    if scratch.decoder.as_ref().is_none_or(|decoder| !decoder.is::<BlockDecoder>()) {
        scratch.decoder = Some(BlockDecoder::new());
    }
    match scratch.decoder.as_mut().and_then(|decoder| decoder.downcast_mut()) {
        Some(decoder) => decoder,
        None => unreachable!("put there above"),
    }
}

//! Texts as their lengths, the bytes of the short ones and those of the long ones.
//!
//! Short texts stand in their views when they are read back, long ones in a buffer: so the bytes of these become that buffer as
//! they are.

use super::bytes::{Input, cut_short, put_number};
use super::numbers::{numbers, put as put_numbers};
use crate::batch::INLINE_BYTES;
use crate::error::Result;
use arrow::array::{BinaryViewArray, ByteView, GenericByteViewArray, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::ByteViewType;

/// Fewer bytes are not compressed, nor are those of which compression does not take away one in so many.
const LEAST_BYTES: usize = 64;
const LEAST_GAIN: usize = 8;

/// Writes texts; the bytes of the long ones. `None`, and nothing is written, if these are more than a place in a buffer can say.
pub(super) fn put<T: ByteViewType + ?Sized>(
    texts: &GenericByteViewArray<T>,
    nulls: Option<&NullBuffer>,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let length = |(row, view): (usize, &u128)| {
        let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
        if is_null { 0 } else { *view as u32 as usize }
    };
    let lengths: Vec<usize> = texts.views().iter().enumerate().map(length).collect();
    let bytes_of =
        |is_wanted: &dyn Fn(usize) -> bool| lengths.iter().copied().filter(|length| is_wanted(*length)).sum();
    let bytes_short: usize = bytes_of(&|length| length <= INLINE_BYTES);
    let bytes_long: usize = bytes_of(&|length| length > INLINE_BYTES);
    u32::try_from(bytes_long).ok()?;
    let (mut short, mut long) = (Vec::with_capacity(bytes_short), Vec::with_capacity(bytes_long));
    for (view, &length) in texts.views().iter().zip(&lengths) {
        if length <= INLINE_BYTES {
            short.extend_from_slice(&view.to_le_bytes()[4..4 + length]);
        } else {
            let ByteView { buffer_index, offset, .. } = ByteView::from(*view);
            long.extend_from_slice(&texts.data_buffers()[buffer_index as usize][offset as usize..][..length]);
        }
    }
    put_numbers(lengths.iter().map(|length| *length as i64), out);
    squeeze(&short, out);
    squeeze(&long, out);
    Some(long.len())
}

/// Writes bytes: their number, the number that is stored, and these, compressed if they are fewer.
fn squeeze(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    if bytes.len() >= LEAST_BYTES {
        let compressed = lz4_flex::block::compress(bytes);
        if compressed.len() < bytes.len() - bytes.len() / LEAST_GAIN {
            put_number(compressed.len() as u64, out);
            return out.extend_from_slice(&compressed);
        }
    }
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn squeezed(input: &mut Input<'_>) -> Result<Vec<u8>> {
    let (length, stored) = (input.length()?, input.length()?);
    let bytes = input.take(stored)?;
    if stored == length {
        return Ok(bytes.to_vec());
    }
    // No block is compressed further than this.
    if length / 256 > stored {
        return Err(cut_short());
    }
    lz4_flex::block::decompress(bytes, length).ok().filter(|bytes| bytes.len() == length).ok_or_else(cut_short)
}

/// What was written.
struct Written {
    views: Vec<u128>,
    /// The bytes of the short texts, one after the other.
    short: Vec<u8>,
    /// Those of the long ones.
    long: Vec<u8>,
    lengths: Vec<usize>,
}

fn written(rows: usize, input: &mut Input<'_>) -> Result<Written> {
    let lengths = numbers(rows, input)?.map(|length| usize::try_from(length).map_err(|_| cut_short()));
    let lengths = lengths.collect::<Result<Vec<usize>>>()?;
    let (mut short, long) = (squeezed(input)?, squeezed(input)?);
    let bytes_short = short.len();
    // So that the longest of them can be taken of the last one, too.
    short.extend_from_slice(&[0; INLINE_BYTES]);
    let (mut at, mut offset) = (0_usize, 0_usize);
    let mut views = Vec::with_capacity(rows);
    for &length in &lengths {
        if length <= INLINE_BYTES {
            let mut view = [0; 16];
            let text = short.get(at..at + INLINE_BYTES).ok_or_else(cut_short)?;
            view[4..].copy_from_slice(text);
            let unused = 8 * (INLINE_BYTES - length) as u32;
            views.push((u128::from_le_bytes(view) << unused >> unused) | length as u128);
            at += length;
        } else {
            let text = offset.checked_add(length).and_then(|end| long.get(offset..end)).ok_or_else(cut_short)?;
            let prefix = text.first_chunk::<4>().ok_or_else(cut_short)?;
            let view = ByteView {
                length: u32::try_from(length).map_err(|_| cut_short())?,
                prefix: u32::from_le_bytes(*prefix),
                buffer_index: 0,
                offset: u32::try_from(offset).map_err(|_| cut_short())?,
            };
            views.push(view.as_u128());
            offset += length;
        }
    }
    if at != bytes_short || offset != long.len() {
        return Err(cut_short());
    }
    short.truncate(bytes_short);
    Ok(Written { views, short, long, lengths })
}

fn array<T: ByteViewType + ?Sized>(
    views: Vec<u128>,
    long: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> GenericByteViewArray<T> {
    let buffers = if long.is_empty() { Vec::new() } else { vec![Buffer::from_vec(long)] };
    // SAFETY: each view has the length of its text; a short one has its bytes and zeros behind them, a long one its first four bytes
    // and a place in the only buffer where all of its bytes stand. Who calls has seen to it that they are what `T` asks for.
    unsafe { GenericByteViewArray::new_unchecked(ScalarBuffer::from(views), buffers.into(), nulls) }
}

/// So many texts that were written.
///
/// # Errors
/// `Io` when they are not there, or are no UTF-8.
pub(super) fn texts(rows: usize, nulls: Option<NullBuffer>, input: &mut Input<'_>) -> Result<StringViewArray> {
    let Written { views, short, long, lengths } = written(rows, input)?;
    // All texts together are UTF-8, and none begins or ends within a character.
    let (whole_short, whole_long) =
        (std::str::from_utf8(&short).map_err(|_| cut_short())?, std::str::from_utf8(&long).map_err(|_| cut_short())?);
    if !(whole_short.is_ascii() && whole_long.is_ascii()) {
        let (mut in_short, mut in_long) = (0, 0);
        for length in lengths {
            let (whole, at) =
                if length <= INLINE_BYTES { (whole_short, &mut in_short) } else { (whole_long, &mut in_long) };
            *at += length;
            if !whole.is_char_boundary(*at) {
                return Err(cut_short());
            }
        }
    }
    Ok(array(views, long, nulls))
}

/// So many byte strings that were written.
///
/// # Errors
/// `Io` when they are not there.
pub(super) fn byte_texts(rows: usize, nulls: Option<NullBuffer>, input: &mut Input<'_>) -> Result<BinaryViewArray> {
    let Written { views, long, .. } = written(rows, input)?;
    Ok(array(views, long, nulls))
}

//! Whether the bytes of a page bear out what it claims.

use super::delta::Lengths;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

/// Texts whose lengths stand apart from them (`DELTA_LENGTH_BYTE_ARRAY`, `DELTA_BYTE_ARRAY`) in a page: the decoder
/// unpacks all lengths at once. Writers end a page long before.
const MOST_TEXTS: u64 = 1 << 24;
/// Bytes that the texts of a page may become where each is told by its difference from the one before.
const MOST_BYTES: u64 = 1 << 30;

/// What a column is, as far as its pages are concerned.
pub(super) struct PageCheck {
    physical: Type,
    /// Bytes of a value of fixed width.
    width: usize,
    definition_bits: u32,
    repetition_bits: u32,
}

impl PageCheck {
    pub(super) fn new(column: &ColumnDescriptor) -> Self {
        let width = match column.physical_type() {
            Type::BOOLEAN | Type::BYTE_ARRAY => 0,
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).unwrap_or_default(),
        };
        let bits = |most: i16| u16::BITS - most.unsigned_abs().leading_zeros();
        PageCheck {
            physical: column.physical_type(),
            width,
            definition_bits: bits(column.max_def_level()),
            repetition_bits: bits(column.max_rep_level()),
        }
    }

    /// The page as the decoder may see it.
    ///
    /// # Errors
    /// A claim that the bytes of the page cannot hold.
    pub(super) fn checked(&self, mut page: Page) -> Result<Page> {
        match &mut page {
            Page::DictionaryPage { buf, num_values, .. } => self.check_dictionary(buf.len(), *num_values)?,
            Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, .. } => {
                let repetition = levels_end(buf, 0, *rep_level_encoding, self.repetition_bits, *num_values)?;
                let start = levels_end(buf, repetition, *def_level_encoding, self.definition_bits, *num_values)?;
                self.check_values(buf, start, *encoding, *num_values)?;
            }
            Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let start = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                self.check_values(buf, within(start, buf)?, *encoding, *num_values)?;
            }
        }
        Ok(page)
    }

    fn check_dictionary(&self, bytes: usize, entries: u32) -> Result<()> {
        let most = match self.physical {
            Type::BOOLEAN => bytes.saturating_mul(8),
            // Each has its length before it.
            Type::BYTE_ARRAY => bytes / size_of::<u32>(),
            _ => bytes / self.width.max(1),
        };
        if entries as usize <= most {
            return Ok(());
        }
        Err(ParquetError::General(format!("a dictionary page claims to hold {entries} entries in {bytes} bytes")))
    }

    /// Looks at the values of a data page, which begin at `start`, and cuts off texts that are not whole.
    fn check_values(&self, page: &mut Bytes, start: usize, encoding: Encoding, values: u32) -> Result<()> {
        if !matches!(self.physical, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) {
            return Ok(());
        }
        match encoding {
            Encoding::PLAIN if self.physical == Type::BYTE_ARRAY => {
                let whole = start + whole_texts_bytes(&page[start..], values);
                page.truncate(whole);
            }
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                check_count(&Lengths::new(&page[start..])?, values)?;
            }
            Encoding::DELTA_BYTE_ARRAY => {
                let shared = Lengths::new(&page[start..])?;
                check_count(&shared, values)?;
                let (shared_bytes, end) = shared.sum()?;
                let own = Lengths::new(page.get(start + end..).unwrap_or_default())?;
                check_count(&own, values)?;
                let bytes = shared_bytes + own.sum()?.0;
                if bytes > MOST_BYTES {
                    return Err(ParquetError::General(format!("the texts of a page claim to have {bytes} bytes")));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn check_count(lengths: &Lengths<'_>, values: u32) -> Result<()> {
    let count = lengths.count();
    if count <= u64::from(values).min(MOST_TEXTS) {
        return Ok(());
    }
    Err(ParquetError::General(format!("a page of {values} values claims to have the lengths of {count}")))
}

/// Where the levels of a data page that begin at `start` end.
fn levels_end(page: &Bytes, start: usize, encoding: Encoding, bits: u32, values: u32) -> Result<usize> {
    if bits == 0 {
        return Ok(start);
    }
    let length = match encoding {
        Encoding::RLE => {
            let length = page.get(start..).and_then(|rest| rest.first_chunk()).ok_or_else(levels_are_cut_off)?;
            u64::from(u32::from_le_bytes(*length)) + size_of::<u32>() as u64
        }
        // Bits side by side, which no writer makes any more.
        _ => (u64::from(values) * u64::from(bits)).div_ceil(8),
    };
    within(start as u64 + length, page)
}

fn within(end: u64, page: &Bytes) -> Result<usize> {
    usize::try_from(end).ok().filter(|end| *end <= page.len()).ok_or_else(levels_are_cut_off)
}

fn levels_are_cut_off() -> ParquetError {
    ParquetError::EOF("the levels of a page go on beyond its end".to_owned())
}

/// The bytes up to the first of `most` texts, each with its length before it, that is not whole.
fn whole_texts_bytes(texts: &[u8], most: u32) -> usize {
    let mut at = 0;
    for _ in 0..most {
        let Some(length) = texts.get(at..).and_then(|rest| rest.first_chunk()) else { return at };
        let end = at + size_of::<u32>() + u32::from_le_bytes(*length) as usize;
        if end > texts.len() {
            return at;
        }
        at = end;
    }
    texts.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::schema::types::{ColumnPath, Type as SchemaType};
    use std::sync::Arc;

    fn check(physical: Type, width: i32, definition: i16) -> PageCheck {
        let of_column = SchemaType::primitive_type_builder("x", physical).with_length(width).build().unwrap();
        PageCheck::new(&ColumnDescriptor::new(Arc::new(of_column), definition, 0, ColumnPath::from("x")))
    }

    fn dictionary(bytes: usize, num_values: u32) -> Page {
        Page::DictionaryPage { buf: vec![0; bytes].into(), num_values, encoding: Encoding::PLAIN, is_sorted: false }
    }

    fn data(buf: Vec<u8>, num_values: u32, encoding: Encoding) -> Page {
        let (def_level_encoding, rep_level_encoding) = (Encoding::RLE, Encoding::RLE);
        Page::DataPage {
            buf: buf.into(),
            num_values,
            encoding,
            def_level_encoding,
            rep_level_encoding,
            statistics: None,
        }
    }

    #[test]
    fn a_dictionary_holds_no_more_entries_than_its_bytes_can() {
        let cases = [(Type::INT32, 4, 5), (Type::DOUBLE, 8, 2), (Type::INT96, 12, 1), (Type::BYTE_ARRAY, 4, 5)];
        for (physical, width, most) in cases {
            let check = check(physical, 0, 0);
            assert!(check.checked(dictionary(width * most, most as u32)).is_ok(), "{physical}");
            assert!(check.checked(dictionary(width * most - 1, most as u32)).is_err(), "{physical}");
        }
        assert!(check(Type::FIXED_LEN_BYTE_ARRAY, 16, 0).checked(dictionary(31, 2)).is_err());
        // Nothing but nulls.
        assert!(check(Type::BYTE_ARRAY, 0, 1).checked(dictionary(0, 0)).is_ok());
    }

    #[test]
    fn texts_are_cut_off_before_the_first_that_is_not_whole() {
        let texts = |lengths: &[u32]| -> Vec<u8> {
            lengths.iter().flat_map(|length| [&length.to_le_bytes()[..], b"abc"].concat()).collect()
        };
        let levels = [&2_u32.to_le_bytes()[..], &[6, 1]].concat();
        for (lengths, whole) in [(&[3, 3, 3][..], 3), (&[3, 900, 3], 1), (&[3, 3, u32::MAX], 2)] {
            let page = [levels.clone(), texts(lengths)].concat();
            let checked = check(Type::BYTE_ARRAY, 0, 1).checked(data(page, 3, Encoding::PLAIN)).unwrap();
            assert_eq!(checked.buffer().len(), levels.len() + 7 * whole, "{lengths:?}");
        }
        // What stands behind the last text is nobody's business.
        let page = [texts(&[3, 3]), b"\xFF\xFF".to_vec()].concat();
        let checked = check(Type::BYTE_ARRAY, 0, 0).checked(data(page.clone(), 2, Encoding::PLAIN)).unwrap();
        assert_eq!(checked.buffer().len(), page.len());
    }

    #[test]
    fn levels_and_packed_lengths_stay_within_their_page() {
        let check = check(Type::BYTE_ARRAY, 0, 1);
        let too_long = [&100_u32.to_le_bytes()[..], &[6, 1]].concat();
        assert!(check.checked(data(too_long, 3, Encoding::PLAIN)).is_err());
        // A head that claims three lengths, the first of which is zero.
        let lengths = [&2_u32.to_le_bytes()[..], &[6, 1], &[0x80, 1, 4, 3, 0]].concat();
        assert!(check.checked(data(lengths.clone(), 3, Encoding::DELTA_LENGTH_BYTE_ARRAY)).is_ok());
        assert!(check.checked(data(lengths, 2, Encoding::DELTA_LENGTH_BYTE_ARRAY)).is_err());
        let v2 = Page::DataPageV2 {
            buf: vec![0; 8].into(),
            num_values: 3,
            encoding: Encoding::PLAIN,
            num_nulls: 0,
            num_rows: 3,
            def_levels_byte_len: u32::MAX,
            rep_levels_byte_len: 3,
            is_compressed: false,
            statistics: None,
        };
        assert!(check.checked(v2).is_err());
    }

    #[test]
    fn texts_told_by_differences_must_not_become_more_than_a_page_may() {
        // `count` equal lengths: blocks of 2^16 values with no bits each.
        let equal = |count: u64, length: i32| {
            let mut bytes = vec![0x80, 0x80, 0x04, 1];
            for mut value in [count, u64::from((length << 1).cast_unsigned())] {
                while value >= 0x80 {
                    bytes.push(value as u8 | 0x80);
                    value >>= 7;
                }
                bytes.push(value as u8);
            }
            bytes.extend(std::iter::repeat_n([0, 0], count.div_ceil(1 << 16) as usize).flatten());
            bytes
        };
        let check = check(Type::BYTE_ARRAY, 0, 0);
        let page = |shared: i32| {
            data([equal(1 << 20, shared), equal(1 << 20, 0)].concat(), 1 << 20, Encoding::DELTA_BYTE_ARRAY)
        };
        assert!(check.checked(page(1000)).is_ok());
        assert!(check.checked(page(1100)).is_err());
        let lengths = |count: u64| data(equal(count, 0), u32::MAX, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        assert!(check.checked(lengths(MOST_TEXTS)).is_ok());
        assert!(check.checked(lengths(MOST_TEXTS + 1)).is_err());
    }
}

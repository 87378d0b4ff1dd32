//! One text key, made for short codes: texts of up to 12 bytes are compared and hashed as one 128-bit number.

use super::code_numbers::CodeNumbers;
use super::integer_index::HASHER;
use super::keys::{ABSENT, GroupKeys, NULL_HASH, next_id, single};
use super::order::{NULL_HEAD, shorten_prefix, text_head};
use crate::batch::coded::Coded;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::take;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;
use std::sync::Arc;

const INLINE_BYTES: u32 = 12;

/// A text of up to 12 bytes as Arrow's view of it (length, bytes, zeros), or of a longer one the length and, in the
/// upper half, its place in [`TextKeys::long_texts`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct View {
    low: u64,
    high: u64,
}

impl View {
    fn new(bits: u128) -> Self {
        View { low: bits as u64, high: (bits >> 64) as u64 }
    }

    fn bits(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn length(self) -> u32 {
        self.low as u32
    }

    fn hash(self) -> u64 {
        HASHER.hash_one(self.bits())
    }
}

/// Numbers texts by their views, longer ones by their bytes.
#[derive(Default)]
pub(super) struct TextKeys {
    short: HashTable<(View, u32)>,
    long: HashTable<u32>,
    /// By group number; anything for null.
    views: Vec<View>,
    long_texts: String,
    null: Option<u32>,
    codes: CodeNumbers,
}

impl TextKeys {
    #[inline(always)]
    fn number(&mut self, texts: &StringViewArray, row: usize, bits: u128) -> Result<u32> {
        let view = View::new(bits);
        if view.length() > INLINE_BYTES {
            return self.long_number(texts.value(row));
        }
        match self.short.entry(view.hash(), |entry| entry.0 == view, |entry| entry.0.hash()) {
            Entry::Occupied(entry) => Ok(entry.get().1),
            Entry::Vacant(entry) => {
                let id = next_id(self.views.len())?;
                entry.insert((view, id));
                self.views.push(view);
                Ok(id)
            }
        }
    }

    #[inline(never)]
    fn long_number(&mut self, text: &str) -> Result<u32> {
        let (views, long_texts) = (&self.views, &self.long_texts);
        let known = |id: &u32| long_text(long_texts, views[*id as usize]);
        let hash = |text: &str| HASHER.hash_one(text.as_bytes());
        match self.long.entry(hash(text), |id| known(id) == text, |id| hash(known(id))) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => {
                let id = next_id(self.views.len())?;
                entry.insert(id);
                self.views.push(View { low: text.len() as u64, high: self.long_texts.len() as u64 });
                self.long_texts.push_str(text);
                Ok(id)
            }
        }
    }

    fn null_number(&mut self) -> Result<u32> {
        if let Some(id) = self.null {
            return Ok(id);
        }
        let id = next_id(self.views.len())?;
        self.views.push(View::new(0));
        self.null = Some(id);
        Ok(id)
    }

    /// The group of a text, or `ABSENT`.
    #[inline(always)]
    fn known(&self, texts: &StringViewArray, row: usize, bits: u128) -> u32 {
        let view = View::new(bits);
        if view.length() > INLINE_BYTES {
            let text = texts.value(row);
            let known = |id: &&u32| long_text(&self.long_texts, self.views[**id as usize]) == text;
            return self.long.find(HASHER.hash_one(text.as_bytes()), |id| known(&id)).copied().unwrap_or(ABSENT);
        }
        self.short.find(view.hash(), |entry| entry.0 == view).map_or(ABSENT, |entry| entry.1)
    }

    /// Appends the group of each text, or of null, to `ids`.
    fn find_texts(&self, texts: &StringViewArray, ids: &mut Vec<u32>) {
        let views = texts.views().iter().enumerate();
        match texts.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => ids.extend(views.map(|(row, bits)| self.known(texts, row, *bits))),
            Some(nulls) => {
                let null = self.null.unwrap_or(ABSENT);
                let id = |((row, bits), valid): ((usize, &u128), bool)| {
                    if valid { self.known(texts, row, *bits) } else { null }
                };
                ids.extend(views.zip(nulls).map(id));
            }
        }
    }

    /// As [`TextKeys::find_texts`], of codes: each entry of the dictionary is looked up once, if that is less work.
    fn find_codes(&self, coded: &Coded<'_>, ids: &mut Vec<u32>) -> Result<()> {
        if coded.texts.len() > coded.codes.len() {
            self.find_texts(take(coded.texts, coded.codes, None)?.as_string_view(), ids);
            return Ok(());
        }
        let mut of_entry = Vec::with_capacity(coded.texts.len());
        self.find_texts(coded.texts, &mut of_entry);
        ids.extend(coded.codes.values().iter().map(|code| of_entry.get(*code as usize).copied().unwrap_or(ABSENT)));
        if let Some(nulls) = coded.nulls() {
            let null = self.null.unwrap_or(ABSENT);
            (!nulls.inner()).set_indices().for_each(|row| ids[row] = null);
        }
        Ok(())
    }

    fn intern_codes(&mut self, coded: &Coded<'_>, ids: &mut Vec<u32>) -> Result<()> {
        self.codes.turn_to(coded);
        let mut all_known = true;
        ids.extend(coded.codes.values().iter().map(|code| {
            let group = self.codes.get(*code);
            all_known &= group != ABSENT;
            group
        }));
        let nulls = coded.nulls();
        match (nulls, self.null) {
            (None, _) if all_known => return Ok(()),
            (Some(nulls), Some(group)) => {
                (!nulls.inner()).set_indices().for_each(|row| ids[row] = group);
                if all_known || !ids.contains(&ABSENT) {
                    return Ok(());
                }
            }
            _ => {}
        }
        // Some are new: in row order, so that groups are numbered as they appear.
        let views = coded.texts.views();
        for (row, (id, code)) in ids.iter_mut().zip(coded.codes.values()).enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                *id = self.null_number()?;
                continue;
            }
            *id = self.codes.get(*code);
            if *id == ABSENT {
                let bits = views.get(*code as usize).ok_or_else(|| Error::internal("a code that names no text"))?;
                *id = self.number(coded.texts, *code as usize, *bits)?;
                self.codes.set(*code, *id);
            }
        }
        Ok(())
    }
}

/// The hash of a text as a key, wherever it stands.
#[inline(always)]
pub(super) fn text_hash(text: &[u8]) -> u64 {
    HASHER.hash_one(text)
}

fn long_text(long_texts: &str, view: View) -> &str {
    let start = view.high as usize;
    &long_texts[start..start + view.length() as usize]
}

impl GroupKeys for TextKeys {
    fn intern(&mut self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let column = single(keys)?;
        ids.clear();
        if let Some(coded) = Coded::of(column.as_ref()) {
            return self.intern_codes(&coded, ids);
        }
        let texts = column.as_string_view_opt();
        let texts = texts.ok_or_else(|| Error::internal(format!("expected text keys, got {}", column.data_type())))?;
        ids.reserve(texts.len());
        match texts.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                for (row, bits) in texts.views().iter().enumerate() {
                    ids.push(self.number(texts, row, *bits)?);
                }
            }
            Some(nulls) => {
                for (row, (bits, valid)) in texts.views().iter().zip(nulls).enumerate() {
                    ids.push(if valid { self.number(texts, row, *bits)? } else { self.null_number()? });
                }
            }
        }
        Ok(())
    }

    fn find(&self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let column = single(keys)?;
        ids.clear();
        if let Some(coded) = Coded::of(column.as_ref()) {
            return self.find_codes(&coded, ids);
        }
        let texts = column.as_string_view_opt();
        let texts = texts.ok_or_else(|| Error::internal(format!("expected text keys, got {}", column.data_type())))?;
        self.find_texts(texts, ids);
        Ok(())
    }

    fn len(&self) -> usize {
        self.views.len()
    }

    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut texts = StringViewBuilder::with_capacity(groups.len());
        for &group in groups {
            let view = self.views[group as usize];
            if self.null == Some(group) {
                texts.append_null();
            } else if view.length() > INLINE_BYTES {
                texts.append_value(long_text(&self.long_texts, view));
            } else {
                let bytes = view.bits().to_le_bytes();
                let text = std::str::from_utf8(&bytes[4..4 + view.length() as usize]);
                texts.append_value(text.map_err(|_| Error::internal("a text key is not UTF-8"))?);
            }
        }
        Ok(vec![Arc::new(texts.finish())])
    }

    fn head(&self, group: u32, skip: usize) -> u128 {
        let view = self.views[group as usize];
        if self.null == Some(group) {
            return NULL_HEAD;
        }
        match view.length() {
            // The view holds the text behind its length, and zeros behind that.
            length @ 0..=INLINE_BYTES => {
                let text = view.bits() >> 32 >> (8 * skip);
                text.swap_bytes() | u128::from(length.saturating_sub(skip as u32))
            }
            _ => text_head(long_text(&self.long_texts, view).as_bytes(), skip),
        }
    }

    fn tail(&self, group: u32) -> &[u8] {
        let view = self.views[group as usize];
        if view.length() <= INLINE_BYTES {
            return &[];
        }
        long_text(&self.long_texts, view).as_bytes()
    }

    fn hashes(&self) -> Vec<u64> {
        let of_view = |(group, view): (usize, &View)| {
            if self.null == Some(group as u32) {
                return NULL_HASH;
            }
            match view.length() {
                length @ 0..=INLINE_BYTES => text_hash(&view.bits().to_le_bytes()[4..4 + length as usize]),
                _ => text_hash(long_text(&self.long_texts, *view).as_bytes()),
            }
        };
        self.views.iter().enumerate().map(of_view).collect()
    }

    fn shorten_prefix(&self, prefix: &mut Option<Vec<u8>>) -> usize {
        let not_null = self.views.iter().enumerate().filter(|(group, _)| self.null != Some(*group as u32));
        let lengths = not_null.map(|(_, view)| {
            let inline = view.bits().to_le_bytes();
            let text = match view.length() {
                length @ 0..=INLINE_BYTES => &inline[4..4 + length as usize],
                _ => long_text(&self.long_texts, *view).as_bytes(),
            };
            shorten_prefix(prefix, std::iter::once(text))
        });
        lengths.max().unwrap_or(0)
    }

    fn seal(&mut self) {
        self.short = HashTable::new();
        self.long = HashTable::new();
        self.codes = CodeNumbers::default();
        self.views.shrink_to_fit();
        self.long_texts.shrink_to_fit();
    }

    fn bytes_held(&self) -> usize {
        self.short.allocation_size()
            + self.long.allocation_size()
            + self.views.capacity() * size_of::<View>()
            + self.long_texts.capacity()
            + self.codes.bytes_held()
    }
}

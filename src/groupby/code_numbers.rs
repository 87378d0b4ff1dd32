//! The group of each code of one dictionary, as far as rows have named it: each text is looked up once a dictionary.

use super::keys::ABSENT;
use crate::batch::coded::Coded;
use arrow::array::{Array, ArrayRef};

/// Groups by code, for the dictionary seen last.
#[derive(Default)]
pub(super) struct CodeNumbers {
    dictionary: Option<ArrayRef>,
    groups: Vec<u32>,
}

impl CodeNumbers {
    /// Turns to the dictionary of this column, if it is another one.
    pub(super) fn turn_to(&mut self, coded: &Coded<'_>) {
        if !self.dictionary.as_ref().is_some_and(|known| coded.is_of(known)) {
            self.groups.clear();
            self.groups.resize(coded.texts.len(), ABSENT);
            self.dictionary = Some(coded.dictionary());
        }
    }

    /// The group of a code, or `ABSENT`.
    #[inline(always)]
    pub(super) fn get(&self, code: i32) -> u32 {
        self.groups.get(code as usize).copied().unwrap_or(ABSENT)
    }

    pub(super) fn set(&mut self, code: i32, group: u32) {
        if let Some(known) = self.groups.get_mut(code as usize) {
            *known = group;
        }
    }

    /// Bytes held on the heap, those of the dictionary included.
    pub(super) fn bytes_held(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, |dictionary| dictionary.get_array_memory_size());
        self.groups.capacity() * size_of::<u32>() + dictionary
    }
}

//! One text a group.

use arrow::array::{ArrayRef, StringViewArray};
use std::ops::Range;
use std::sync::Arc;

/// Texts, one a group, or none yet; counts the bytes they hold.
#[derive(Default)]
pub(super) struct Texts {
    texts: Vec<Option<Box<str>>>,
    bytes: usize,
}

impl Texts {
    pub(super) fn grow(&mut self, groups: usize) {
        self.texts.resize(groups.max(self.texts.len()), None);
    }

    #[inline]
    pub(super) fn get(&self, group: usize) -> Option<&str> {
        self.texts[group].as_deref()
    }

    pub(super) fn set(&mut self, group: usize, text: &str) {
        let old = self.texts[group].replace(text.into());
        self.bytes += text.len();
        self.bytes -= old.map_or(0, |old| old.len());
    }

    /// One text a row, none where it is null.
    pub(super) fn read(column: &StringViewArray) -> Self {
        let texts: Vec<Option<Box<str>>> = column.iter().map(|text| text.map(Box::from)).collect();
        let bytes = texts.iter().flatten().map(|text| text.len()).sum();
        Texts { texts, bytes }
    }

    pub(super) fn column(&self, groups: Range<usize>) -> ArrayRef {
        Arc::new(self.texts[groups].iter().map(Option::as_deref).collect::<StringViewArray>())
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.texts.capacity() * size_of::<Option<Box<str>>>() + self.bytes
    }
}

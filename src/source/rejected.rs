//! Records that a commit sets aside.

use crate::error::Place;
use std::ops::Range;
use std::sync::Arc;

/// Records of a file that were set aside because the user chose so, in input order.
///
/// They are many in a bad file, so none holds memory of its own: its text lies in what [`Locate::text`] gives.
///
/// [`Locate::text`]: super::Locate::text
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedRecords {
    /// The file as the user named it.
    pub file: Option<Arc<str>>,
    /// The records.
    pub records: Vec<Reject>,
    /// What is wrong with them; each record names one by its number.
    pub reasons: Vec<Arc<str>>,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The position that its row would have, see [`RowId`](crate::batch::RowId).
    pub position: u64,
    /// The line where it begins, from 1.
    pub line: u64,
    /// Byte of the text where it begins.
    pub byte: u64,
    /// Number of the reason among [`RejectedRecords::reasons`].
    pub reason: u32,
    /// Where it lies in the text that it was read from, without its line end.
    pub text: Range<u32>,
}

impl RejectedRecords {
    /// What is wrong with a record of these.
    pub fn reason(&self, reject: &Reject) -> Arc<str> {
        self.reasons.get(reject.reason as usize).cloned().unwrap_or_default()
    }

    /// Where a record of these stands.
    pub fn place(&self, reject: &Reject) -> Place {
        Place { file: self.file.clone(), line: Some(reject.line), byte: Some(reject.byte), ..Place::default() }
    }
}

impl Reject {
    /// The record as it stands in the file, given the text that it was read from.
    pub fn raw<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.text.start as usize..self.text.end as usize).unwrap_or_default()
    }
}

//! CSV and TSV text to Arrow columns.

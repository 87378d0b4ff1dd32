//! The pages of a row group, each looked at before the decoder sees it.
//!
//! **Problem.** The decoder takes a page at its word: it makes room for as many entries of a dictionary, or lengths of
//! texts, as the page claims to have, and goes on behind a text that claims to reach beyond its page. In a damaged file
//! that asks for more memory than there is, and the process ends.
//! **Idea.** What the decoder is given is what the bytes of a page bear out: claims that they cannot hold are refused, and
//! texts are cut off before the first that is not whole (`page_check`), so that those before it can still be read.

use super::chunks::ChunkSource;
use super::page_check::PageCheck;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use std::sync::Arc;

/// One row group of a file, for the decoder.
pub(super) struct RowGroupPages {
    pub(super) source: Arc<ChunkSource>,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) row_group: usize,
}

impl RowGroupPages {
    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.row_group)
    }

    fn chunk(&self, leaf: usize) -> Result<CheckedPages> {
        let missing = || ParquetError::General(format!("column {leaf} is missing"));
        let chunk = self.group().columns().get(leaf).ok_or_else(missing)?;
        let located = self.metadata.page_index().and_then(|index| index.page_locations(self.row_group, leaf).cloned());
        let pages = SerializedPageReader::new(Arc::clone(&self.source), chunk, self.num_rows(), located)?;
        Ok(CheckedPages { pages, check: PageCheck::new(chunk.column_descr()) })
    }
}

impl RowGroups for RowGroupPages {
    fn num_rows(&self) -> usize {
        // That it is not negative was checked when the file was opened.
        self.group().num_rows().unsigned_abs() as usize
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(OneChunk(Some(self.chunk(leaf)?))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The column chunks of one row group: one.
struct OneChunk(Option<CheckedPages>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk: Box<dyn PageReader> = Box::new(self.0.take()?);
        Some(Ok(chunk))
    }
}

impl PageIterator for OneChunk {}

/// The pages of a column chunk.
struct CheckedPages {
    pages: SerializedPageReader<ChunkSource>,
    check: PageCheck,
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages.get_next_page()?.map(|page| self.check.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.pages.take_deferred_dictionary()?.map(|page| self.check.checked(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

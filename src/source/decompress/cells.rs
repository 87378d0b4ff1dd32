//! Where row positions start anew in a text.

/// From `at` on (byte offset in the piece's text) a record's position is `base + (offset − at)`; see `RowId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Byte offset in the piece's text.
    pub at: usize,
    /// Position of that byte.
    pub base: u64,
}

/// Row positions of records that start at `starts`, ascending offsets into the text of `cells`.
pub(crate) fn positions_of(starts: impl Iterator<Item = usize>, cells: &[Cell]) -> impl Iterator<Item = u64> {
    let mut cell = 0;
    starts.map(move |start| {
        while cells.get(cell + 1).is_some_and(|next| next.at <= start) {
            cell += 1;
        }
        cells.get(cell).map_or(start as u64, |cell| cell.base + (start - cell.at) as u64)
    })
}

/// The cells of `text[from..to]`, moved so that `from` lies at `to_offset`.
pub(crate) fn cells_within(cells: &[Cell], from: usize, to: usize, to_offset: usize) -> Vec<Cell> {
    let mut within: Vec<Cell> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.at < to || cell.at == from) {
        if cell.at <= from {
            within.clear();
            within.push(Cell { at: to_offset, base: cell.base + (from - cell.at) as u64 });
        } else {
            within.push(Cell { at: cell.at - from + to_offset, base: cell.base });
        }
    }
    within
}

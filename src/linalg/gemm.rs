//! The product of two matrices, added to a third: what all large computations here come down to.
//!
//! The scheme is that of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008): both factors are
//! packed, a block of [`DEPTH`] at a time, into strips as wide as the innermost loop takes them; that loop keeps a small
//! rectangle of the result in registers. An entry is a chain of fused multiply-adds over a block, and blocks are added in
//! order; neither depends on the shape of the rectangle, so every instruction set gives the same bits.

/// Rows of a block: a strip of one factor stays in the first cache, the packed other one in the second.
const DEPTH: usize = if cfg!(test) { 32 } else { 256 };

/// A matrix that stands somewhere in memory.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    values: &'a [f64],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> View<'a> {
    /// `rows` × `columns` entries, of columns that begin `step` values apart.
    pub(super) fn new(values: &'a [f64], rows: usize, columns: usize, step: usize) -> Self {
        View { values, rows, columns, row_step: 1, column_step: step }
    }

    pub(super) fn transposed(self) -> Self {
        let View { values, rows, columns, row_step, column_step } = self;
        View { values, rows: columns, columns: rows, row_step: column_step, column_step: row_step }
    }

    /// These rows of it.
    pub(super) fn of_rows(self, range: std::ops::Range<usize>) -> Self {
        View { values: self.from(range.start * self.row_step), rows: range.len(), ..self }
    }

    /// These columns of it.
    pub(super) fn of_columns(self, range: std::ops::Range<usize>) -> Self {
        View { values: self.from(range.start * self.column_step), columns: range.len(), ..self }
    }

    /// Of a matrix without entries there are none to begin at.
    fn from(&self, start: usize) -> &'a [f64] {
        self.values.get(start..).unwrap_or_default()
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }
}

/// Packs `view`, in strips of `width` rows, column after column within a strip; the last strip is filled up with zeros.
fn pack(view: View<'_>, width: usize, packed: &mut Vec<f64>) {
    /// Columns whose values of a row stand side by side are taken so many at a time: a line of the cache of each row of a strip.
    const LINE: usize = 8;
    // What is left from before is written over, but for the filling.
    packed.resize(view.rows.div_ceil(width) * width * view.columns, 0.0);
    if view.columns == 0 {
        return;
    }
    for (strip, start) in packed.chunks_exact_mut(width * view.columns).zip((0..view.rows).step_by(width)) {
        let height = width.min(view.rows - start);
        if height < width {
            strip.fill(0.0);
        }
        if view.row_step == 1 {
            for (column, part) in strip.chunks_exact_mut(width).enumerate() {
                part[..height].copy_from_slice(&view.values[start + column * view.column_step..][..height]);
            }
            continue;
        }
        for (line, parts) in strip.chunks_mut(width * LINE).enumerate() {
            for row in 0..height {
                let first = (start + row) * view.row_step + line * LINE * view.column_step;
                let values = view.values[first..].iter().step_by(view.column_step);
                for (part, value) in parts.chunks_exact_mut(width).zip(values) {
                    part[row] = *value;
                }
            }
        }
    }
}

/// The entries of a rectangle, column after column, at most 24 × 8.
type Rectangle = [f64; 192];

/// How the innermost loop is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// On any machine.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Engine {
    /// Those that this machine can run, the slowest first.
    pub(super) fn available() -> Vec<Engine> {
        let mut engines = vec![Engine::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                engines.push(Engine::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                engines.push(Engine::Avx512);
            }
        }
        engines
    }

    pub(super) fn best() -> Engine {
        Engine::available().pop().unwrap_or(Engine::Portable)
    }

    /// Rows and columns of its rectangle.
    fn shape(self) -> (usize, usize) {
        match self {
            Engine::Portable => (8, 4),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2 => (12, 4),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512 => (24, 8),
        }
    }

    /// Has the cache fetch what will be added to.
    #[inline(always)]
    fn fetch(self, entries: &[f64]) {
        #[cfg(target_arch = "x86_64")]
        x86::fetch(entries);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = entries;
    }

    /// The product of two strips.
    #[inline(always)]
    fn multiply(self, left: &[f64], right: &[f64], out: &mut Rectangle) {
        match self {
            Engine::Portable => portable(left, right, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine other than the portable one comes from `available`, which detected its features.
            Engine::Avx2 => unsafe { x86::avx2(left, right, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Engine::Avx512 => unsafe { x86::avx512(left, right, out) },
        }
    }
}

fn portable(left: &[f64], right: &[f64], out: &mut Rectangle) {
    let mut sums = [[0.0_f64; 8]; 4];
    for (a, b) in left.chunks_exact(8).zip(right.chunks_exact(4)) {
        for (sums, b) in sums.iter_mut().zip(b) {
            for (sum, a) in sums.iter_mut().zip(a) {
                *sum = a.mul_add(*b, *sum);
            }
        }
    }
    out[..32].copy_from_slice(sums.as_flattened());
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Rectangle;
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_set1_pd, _mm256_setzero_pd,
        _mm256_storeu_pd, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_set1_pd, _mm512_setzero_pd, _mm512_storeu_pd,
    };

    /// Has the cache fetch these entries while something else is done.
    pub(super) fn fetch(entries: &[f64]) {
        for line in entries.chunks(8) {
            // SAFETY: every x86-64 machine has the instruction, and it reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(left: &[f64], right: &[f64], out: &mut Rectangle) {
        let mut sums = [[_mm256_setzero_pd(); 3]; 4];
        for (a, b) in left.as_chunks::<12>().0.iter().zip(right.as_chunks::<4>().0) {
            let a = a.as_chunks::<4>().0;
            // SAFETY: each chunk has the four values that are read.
            let a: [_; 3] = std::array::from_fn(|part| unsafe { _mm256_loadu_pd(a[part].as_ptr()) });
            for (sums, b) in sums.iter_mut().zip(b) {
                let b = _mm256_set1_pd(*b);
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum = _mm256_fmadd_pd(a, b, *sum);
                }
            }
        }
        for (sum, place) in sums.as_flattened().iter().zip(out.as_chunks_mut::<4>().0) {
            // SAFETY: each place has room for the four values that are written.
            unsafe { _mm256_storeu_pd(place.as_mut_ptr(), *sum) };
        }
    }

    /// Steps of the product whose strip of the left factor is fetched ahead of time.
    const AHEAD: usize = 8;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(left: &[f64], right: &[f64], out: &mut Rectangle) {
        let mut sums = [[_mm512_setzero_pd(); 3]; 8];
        for (a, b) in left.as_chunks::<24>().0.iter().zip(right.as_chunks::<8>().0) {
            for line in 0..3 {
                // Past the end of a strip stands the next one; a line that is nowhere is not fetched.
                _mm_prefetch::<_MM_HINT_T0>(a.as_ptr().wrapping_add(AHEAD * 24 + line * 8).cast());
            }
            let a = a.as_chunks::<8>().0;
            // SAFETY: each chunk has the eight values that are read.
            let a: [_; 3] = std::array::from_fn(|part| unsafe { _mm512_loadu_pd(a[part].as_ptr()) });
            for (sums, b) in sums.iter_mut().zip(b) {
                let b = _mm512_set1_pd(*b);
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum = _mm512_fmadd_pd(a, b, *sum);
                }
            }
        }
        for (sum, place) in sums.as_flattened().iter().zip(out.as_chunks_mut::<8>().0) {
            // SAFETY: each place has room for the eight values that are written.
            unsafe { _mm512_storeu_pd(place.as_mut_ptr(), *sum) };
        }
    }
}

/// Which entries of a product are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// Those on the diagonal and below it; what stands above it afterwards is anything.
    Lower,
}

/// Adds `sign` (1 or −1) times `left` times `right` to `whole`, whose columns begin `step` values apart.
pub(super) fn add_product(whole: &mut [f64], step: usize, left: View<'_>, right: View<'_>, sign: f64, part: Part) {
    add_product_by(Engine::best(), whole, step, left, right, sign, part);
}

pub(super) fn add_product_by(
    engine: Engine,
    whole: &mut [f64],
    step: usize,
    left: View<'_>,
    right: View<'_>,
    sign: f64,
    part: Part,
) {
    let (height, width) = engine.shape();
    let (mut packed_left, mut packed_right) = (Vec::new(), Vec::new());
    let mut out: Rectangle = [0.0; 192];
    for start in (0..left.columns).step_by(DEPTH) {
        let block = start..(start + DEPTH).min(left.columns);
        let depth = block.len();
        pack(left.of_columns(block.clone()), height, &mut packed_left);
        pack(right.of_rows(block).transposed(), width, &mut packed_right);
        for (right_strip, first_column) in packed_right.chunks_exact(width * depth).zip((0..).step_by(width)) {
            let columns = width.min(right.columns - first_column);
            let above = if part == Part::Lower { first_column / height } else { 0 };
            let left_strips = packed_left.chunks_exact(height * depth).zip((0..).step_by(height));
            for (left_strip, first_row) in left_strips.skip(above) {
                let rows = height.min(left.rows - first_row);
                let place = |column: usize| (first_column + column) * step + first_row;
                (0..columns).for_each(|column| engine.fetch(&whole[place(column)..][..rows]));
                engine.multiply(left_strip, right_strip, &mut out);
                for (column, sums) in out.chunks_exact(height).take(columns).enumerate() {
                    let entries = &mut whole[place(column)..][..rows];
                    entries.iter_mut().zip(sums).for_each(|(entry, sum)| *entry += sign * sum);
                }
            }
        }
    }
}

//! Values and how often each is held, sorted, of which any may come or go.
//!
//! They stand in blocks, so that one that comes moves few others, and blocks on shelves, so that the value at a place is found by the
//! sums of these.

/// A block of so many is cut in two.
const MOST_IN_BLOCK: usize = if cfg!(test) { 8 } else { 256 };
/// A shelf of so many blocks, too.
const MOST_ON_SHELF: usize = if cfg!(test) { 6 } else { 256 };

/// An encoded value, which compares as the value does.
pub(super) trait Key: Ord + Clone {
    /// Of these bytes.
    fn of(bytes: &[u8]) -> Self;

    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// What it takes on the heap.
    fn heap_bytes(&self) -> usize;
}

/// An encoded number: a byte and the eight bytes of the number at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Short {
    bytes: [u8; 15],
    length: u8,
}

impl Key for Short {
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        let mut short = Short { bytes: [0; 15], length: bytes.len().min(15) as u8 };
        short.bytes[..usize::from(short.length)].copy_from_slice(&bytes[..usize::from(short.length)]);
        short
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Key for Box<[u8]> {
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    fn bytes(&self) -> &[u8] {
        self
    }

    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Counted<K> {
    shelves: Vec<Shelf<K>>,
    values: u64,
    different: usize,
    heap_bytes: usize,
}

/// Some blocks, in order; never none.
#[derive(Debug)]
struct Shelf<K> {
    blocks: Vec<Block<K>>,
    /// How often their values are held, all together.
    count: u64,
}

/// Some of the values; never none.
#[derive(Debug)]
struct Block<K> {
    values: Vec<(K, u64)>,
    /// How often they are held, all together.
    count: u64,
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Counted { shelves: Vec::new(), values: 0, different: 0, heap_bytes: 0 }
    }
}

impl<K: Key> Shelf<K> {
    fn first(&self) -> &K {
        &self.blocks[0].values[0].0
    }

    /// The block in which a value stands or would stand.
    fn block_of(&self, key: &K) -> usize {
        self.blocks.partition_point(|block| block.values[0].0 <= *key).saturating_sub(1)
    }
}

impl<K: Key> Counted<K> {
    /// How many values are held, equal ones included.
    pub(super) fn values(&self) -> u64 {
        self.values
    }

    /// How many different ones.
    pub(super) fn different(&self) -> usize {
        self.different
    }

    /// What the keys take on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// The shelf on which a value stands or would stand.
    fn shelf_of(&self, key: &K) -> usize {
        self.shelves.partition_point(|shelf| shelf.first() <= key).saturating_sub(1)
    }

    pub(super) fn add(&mut self, key: K) {
        self.values += 1;
        let at_shelf = self.shelf_of(&key);
        let Some(shelf) = self.shelves.get_mut(at_shelf) else {
            (self.different, self.heap_bytes) = (1, key.heap_bytes());
            let block = Block { values: vec![(key, 1)], count: 1 };
            self.shelves.push(Shelf { blocks: vec![block], count: 1 });
            return;
        };
        let at = shelf.block_of(&key);
        shelf.count += 1;
        let block = &mut shelf.blocks[at];
        block.count += 1;
        match block.values.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(found) => block.values[found].1 += 1,
            Err(place) => {
                self.different += 1;
                self.heap_bytes += key.heap_bytes();
                block.values.insert(place, (key, 1));
                if block.values.len() > MOST_IN_BLOCK {
                    let values = block.values.split_off(MOST_IN_BLOCK / 2);
                    let count = values.iter().map(|(_, count)| count).sum();
                    block.count -= count;
                    shelf.blocks.insert(at + 1, Block { values, count });
                }
                if shelf.blocks.len() > MOST_ON_SHELF {
                    let blocks = shelf.blocks.split_off(MOST_ON_SHELF / 2);
                    let count = blocks.iter().map(|block| block.count).sum();
                    shelf.count -= count;
                    self.shelves.insert(at_shelf + 1, Shelf { blocks, count });
                }
            }
        }
    }

    /// Takes away one of the values like this, of which there is one.
    pub(super) fn remove(&mut self, key: &K) {
        let at_shelf = self.shelf_of(key);
        let Some(shelf) = self.shelves.get_mut(at_shelf) else { return };
        let at = shelf.block_of(key);
        let block = &mut shelf.blocks[at];
        let Ok(found) = block.values.binary_search_by(|(known, _)| known.cmp(key)) else { return };
        self.values -= 1;
        shelf.count -= 1;
        block.count -= 1;
        block.values[found].1 -= 1;
        if block.values[found].1 == 0 {
            self.different -= 1;
            self.heap_bytes -= key.heap_bytes();
            block.values.remove(found);
            if block.values.is_empty() {
                shelf.blocks.remove(at);
            }
            if shelf.blocks.is_empty() {
                self.shelves.remove(at_shelf);
            }
        }
    }

    /// The value at a place, from 0, equal ones counted, and how many stand up to the last one like it.
    pub(super) fn at(&self, place: u64) -> Option<(&K, u64)> {
        let mut before = 0;
        let is_behind = |count: u64, before: &mut u64| {
            let is_behind = *before + count > place;
            *before += if is_behind { 0 } else { count };
            is_behind
        };
        let shelf = self.shelves.iter().find(|shelf| is_behind(shelf.count, &mut before))?;
        let block = shelf.blocks.iter().find(|block| is_behind(block.count, &mut before))?;
        let (key, count) = block.values.iter().find(|(_, count)| is_behind(*count, &mut before))?;
        Some((key, before + count))
    }

    /// All different values, ascending, and how often each is held.
    pub(super) fn each(&self, mut see: impl FnMut(&K, u64)) {
        let blocks = self.shelves.iter().flat_map(|shelf| &shelf.blocks);
        blocks.flat_map(|block| &block.values).for_each(|(key, count)| see(key, *count));
    }

    pub(super) fn bytes_held(&self) -> usize {
        // Blocks are half full at least where they grew, and may be fuller.
        2 * self.different * size_of::<(K, u64)>() + self.heap_bytes + self.shelves.capacity() * size_of::<Shelf<K>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_that_come_and_go_are_where_a_sorted_map_has_them() {
        let mut random = 11_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for different in [1, 3, 4000] {
            let (mut counted, mut map) = (Counted::<Short>::default(), BTreeMap::<u64, u64>::new());
            let key = |value: u64| Short::of(&value.to_be_bytes());
            for step in 0..20_000_u64 {
                let value = next(different);
                // It grows at first, and shrinks to nothing in the end.
                let comes = next(20_000) >= step;
                match map.get_mut(&value) {
                    Some(count) if !comes => {
                        *count -= 1;
                        counted.remove(&key(value));
                        if *count == 0 {
                            map.remove(&value);
                        }
                    }
                    _ if comes => {
                        *map.entry(value).or_default() += 1;
                        counted.add(key(value));
                    }
                    _ => {}
                }
                let all: u64 = map.values().sum();
                assert_eq!((counted.values(), counted.different()), (all, map.len()));
                if step % 997 == 0 {
                    let mut found = Vec::new();
                    counted.each(|key, count| found.push((*key, count)));
                    let expected: Vec<(Short, u64)> = map.iter().map(|(value, count)| (key(*value), *count)).collect();
                    assert_eq!(found, expected);
                    let mut end = 0;
                    for (value, count) in &map {
                        for place in [end, end + count - 1] {
                            assert_eq!(counted.at(place), Some((&key(*value), end + count)));
                        }
                        end += count;
                    }
                    assert_eq!(counted.at(end), None);
                }
            }
        }
    }

    #[test]
    fn texts_give_their_bytes_back() {
        let mut counted = Counted::<Box<[u8]>>::default();
        for text in ["b", "a", "b", "long enough"] {
            counted.add(Box::<[u8]>::of(text.as_bytes()));
        }
        let with = counted.bytes_held();
        counted.remove(&Box::<[u8]>::of(b"long enough"));
        assert!(counted.bytes_held() + "long enough".len() <= with);
        assert_eq!(counted.at(1).map(|(key, end)| (key.bytes(), end)), Some((&b"b"[..], 3)));
    }
}

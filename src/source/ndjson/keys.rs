//! The keys of the records as a tree: which column a key, or a key within the object of a key, stands for.

use std::collections::HashMap;

/// An object of the record, at its place in the nesting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(usize);

impl Node {
    /// The record itself.
    pub(super) const ROOT: Node = Node(0);
}

/// Finds keys.
pub(super) trait Keys {
    /// The entry of a key; `expected` is a guess at it.
    fn find(&mut self, node: Node, key: &[u8], expected: usize) -> Option<usize>;
    /// The object that is the value of an entry, if such objects have columns of their own.
    fn child(&mut self, node: Node, entry: usize) -> Option<Node>;
}

/// The keys known of all records.
#[derive(Clone, Debug)]
pub(super) struct KeyTree {
    nodes: Vec<Object>,
}

#[derive(Clone, Debug, Default)]
struct Object {
    entries: Vec<Entry>,
    by_key: HashMap<Box<[u8]>, usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Box<[u8]>,
    /// Number of the column that holds its plain values.
    column: Option<usize>,
    child: Option<Node>,
}

impl Default for KeyTree {
    fn default() -> Self {
        KeyTree { nodes: vec![Object::default()] }
    }
}

impl KeyTree {
    /// The tree of columns that stand at these paths.
    pub(super) fn of<'a>(paths: impl Iterator<Item = (usize, &'a Vec<String>)>) -> Self {
        let mut tree = KeyTree::default();
        for (column, path) in paths {
            let mut node = Node::ROOT;
            for (depth, key) in path.iter().enumerate() {
                let entry = tree.insert(node, key.as_bytes());
                if depth + 1 == path.len() {
                    tree.nodes[node.0].entries[entry].column = Some(column);
                } else {
                    node = tree.insert_child(node, entry);
                }
            }
        }
        tree
    }

    pub(super) fn column(&self, node: Node, entry: usize) -> Option<usize> {
        self.nodes[node.0].entries[entry].column
    }

    /// The keys that lead to an object. It is searched for: nobody asks but to tell of a key.
    pub(super) fn path(&self, node: Node) -> Vec<String> {
        let mut path = Vec::new();
        let mut below = node;
        let parent = |below: Node| {
            let holds = |entry: &&Entry| entry.child == Some(below);
            let mut nodes = self.nodes.iter().enumerate();
            nodes.find_map(|(at, object)| Some((Node(at), object.entries.iter().find(holds)?)))
        };
        while let Some((above, entry)) = parent(below) {
            path.push(String::from_utf8_lossy(&entry.key).into_owned());
            below = above;
        }
        path.reverse();
        path
    }

    fn known(&self, node: Node, key: &[u8], expected: usize) -> Option<usize> {
        let object = &self.nodes[node.0];
        match object.entries.get(expected) {
            Some(entry) if *entry.key == *key => Some(expected),
            _ => object.by_key.get(key).copied(),
        }
    }

    fn insert(&mut self, node: Node, key: &[u8]) -> usize {
        let object = &mut self.nodes[node.0];
        if let Some(&known) = object.by_key.get(key) {
            return known;
        }
        object.by_key.insert(key.into(), object.entries.len());
        object.entries.push(Entry { key: key.into(), column: None, child: None });
        object.entries.len() - 1
    }

    fn insert_child(&mut self, node: Node, entry: usize) -> Node {
        let next = Node(self.nodes.len());
        let child = *self.nodes[node.0].entries[entry].child.get_or_insert(next);
        if child == next {
            self.nodes.push(Object::default());
        }
        child
    }
}

impl Keys for &KeyTree {
    #[inline]
    fn find(&mut self, node: Node, key: &[u8], expected: usize) -> Option<usize> {
        self.known(node, key, expected)
    }

    fn child(&mut self, node: Node, entry: usize) -> Option<Node> {
        self.nodes[node.0].entries[entry].child
    }
}

/// A tree that takes up whatever keys it meets, and where they stand.
#[derive(Debug, Default)]
pub(super) struct GrowingTree {
    tree: KeyTree,
    /// The path of each node but the first.
    paths: HashMap<usize, Vec<String>>,
}

impl GrowingTree {
    /// The keys that lead to an entry.
    pub(super) fn path(&self, node: Node, entry: usize) -> Vec<String> {
        let mut path = self.paths.get(&node.0).cloned().unwrap_or_default();
        path.push(String::from_utf8_lossy(&self.tree.nodes[node.0].entries[entry].key).into_owned());
        path
    }

    /// The column noted for an entry, `next` if it is its first.
    pub(super) fn column_or(&mut self, node: Node, entry: usize, next: usize) -> usize {
        *self.tree.nodes[node.0].entries[entry].column.get_or_insert(next)
    }
}

impl Keys for GrowingTree {
    fn find(&mut self, node: Node, key: &[u8], _expected: usize) -> Option<usize> {
        Some(self.tree.insert(node, key))
    }

    fn child(&mut self, node: Node, entry: usize) -> Option<Node> {
        let path = self.path(node, entry);
        let child = self.tree.insert_child(node, entry);
        self.paths.insert(child.0, path);
        Some(child)
    }
}

//! Many tasks at once. So far: random streams that are the same wherever a task runs.

pub mod random;

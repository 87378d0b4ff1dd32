//! One stored input file: positioned reads that are counted, and a small cache of its first bytes.

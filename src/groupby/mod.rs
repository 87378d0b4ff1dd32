//! Grouping: key columns to dense group numbers, and the table that joins keys with aggregate states.

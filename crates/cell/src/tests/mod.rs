//! Tests of the cell.

//! Two cells of one tenant: placement per record, the signed profile, and what is refused.

mod two_cells;

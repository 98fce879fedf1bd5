//! Two cells of one tenant: placement per record, the signed profile, what is refused, and alerts that
//! become one incident without a name crossing.

mod detection;
mod export;
mod growth;
mod hunting;
mod kit;
mod link;
mod present;
mod robust;
mod two_cells;

//! What a file says is what a look-up gives, and a file that cannot be used says where.

mod agents;
mod places;

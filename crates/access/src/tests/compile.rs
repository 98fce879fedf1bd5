//! What the types promise, checked by compiling.
//!
//! A type that has the trait makes the call ambiguous, so that this file no longer compiles.

use serde::Serialize;

use crate::{Granted, GrantedCell, Hunt, Operate};

struct HasIt;

macro_rules! lacks {
    ($type:ty: $trait:path) => {{
        trait Ambiguous<A> {
            fn check() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
        <$type as Ambiguous<_>>::check();
    }};
}

#[test]
fn a_grant_can_neither_be_copied_nor_written_down() {
    lacks!(Granted<Hunt>: Clone);
    lacks!(Granted<Hunt>: Serialize);
    lacks!(Granted<Hunt>: Default);
    lacks!(GrantedCell<Operate>: Clone);
    lacks!(GrantedCell<Operate>: Serialize);
    lacks!(GrantedCell<Operate>: Default);
}

#[test]
fn a_grant_and_its_context_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Granted<Hunt>>();
    crosses::<GrantedCell<Operate>>();
    crosses::<crate::Cx>();
}

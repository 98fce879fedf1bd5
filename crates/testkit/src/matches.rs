//! `matches!` as a statement asserts nothing, and no lint says so; this one asserts.

/// Asserts that a value matches a pattern (with an optional `if`), and prints the value if not.
///
/// ```text
/// check_matches!(log.commit(), Err(wal::Error::Poisoned));
/// ```
#[macro_export]
macro_rules! check_matches {
    ($value:expr, $($pattern:tt)+) => {
        match $value {
            $($pattern)+ => {}
            other => panic!("expected `{}`, got `{other:?}`", stringify!($($pattern)+)),
        }
    };
}

//! Searching in strings: every position, overlapping ones included.

/// Byte positions at which `needle` begins. An empty needle begins at 0.
pub(crate) fn overlapping<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = usize> + 't {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let start = from?;
        let at = start + text.get(start..)?.find(needle)?;
        from = text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map(|c| at + c.len_utf8());
        Some(at)
    })
}

/// Positions at which `needle` (in lower case) begins without regard to ASCII case.
pub(crate) fn ascii_positions<'t>(
    text: &'t [u8],
    needle: &'t [u8],
) -> impl Iterator<Item = usize> + 't {
    let first = needle.first().copied();
    let last = text.len().checked_sub(needle.len());
    let ends = last.map_or(0, |last| last + 1);
    (0..ends).filter(move |at| {
        let Some(first) = first else { return true };
        text.get(*at)
            .is_some_and(|b| b.to_ascii_lowercase() == first)
            && text
                .get(*at..at + needle.len())
                .is_some_and(|window| window.eq_ignore_ascii_case(needle))
    })
}

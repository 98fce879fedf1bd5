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

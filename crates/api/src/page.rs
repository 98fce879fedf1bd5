//! Pages of lists.
//!
//! A page token says after which item the next page begins. It is signed under the cell's key and
//! bound to its list, so that only this cell makes them and none can be used on another list.
//!
//! Layout, in hexadecimal: version (1 byte), key of the last item, tag (16 bytes).

use cell::Cell;
use model::{Code, limits};

use crate::failure::Failure;
use crate::wire::PageQuery;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;

/// A page that was asked for.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    cell: &'a Cell,
    /// What the token is bound to: the list's name and whose it is.
    list: String,
    /// Items at most.
    pub(crate) limit: usize,
    /// The key after which the page begins.
    pub(crate) after: Option<Vec<u8>>,
}

impl<'a> Page<'a> {
    pub(crate) fn of(cell: &'a Cell, list: String, query: &PageQuery) -> Result<Self, Failure> {
        let limit = query.limit.unwrap_or(limits::PAGE_ITEMS_DEFAULT);
        if !(1..=limits::PAGE_ITEMS_MAX).contains(&limit) {
            let max = limits::PAGE_ITEMS_MAX;
            return Err(Failure::bad(format!("`limit` is 1 to {max}")));
        }
        let mut page = Self {
            cell,
            list,
            limit,
            after: None,
        };
        if let Some(token) = &query.page_token {
            let after = page
                .open(token)
                .ok_or_else(|| Failure::of(Code::BadPageToken))?;
            page.after = Some(after);
        }
        Ok(page)
    }

    /// The items of the page out of a list that is sorted by `key`, and the token of the next page.
    pub(crate) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> Vec<u8>,
    ) -> (Vec<T>, Option<String>) {
        let later = |item: &T| self.after.as_ref().is_none_or(|after| key(item) > *after);
        let mut items = items.into_iter().filter(later);
        let page: Vec<T> = items.by_ref().take(self.limit).collect();
        let more = items.next().is_some();
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| self.token(&key(last)));
        (page, next)
    }

    /// The token of the page that begins after `key`.
    pub(crate) fn token(&self, key: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&self.tag(key));
        bytes
            .iter()
            .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
                use std::fmt::Write as _;
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    fn open(&self, token: &str) -> Option<Vec<u8>> {
        let bytes = unhex(token)?;
        let (version, rest) = bytes.split_first()?;
        let (key, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
        // No need of constant time: the tag guards a position in the client's own list.
        (*version == VERSION && tag == self.tag(key)).then(|| key.to_vec())
    }

    fn tag(&self, key: &[u8]) -> [u8; TAG_BYTES] {
        let mut input = format!("page-token\0{VERSION}\0{}\0", self.list).into_bytes();
        input.extend_from_slice(key);
        // The key of stored token hashes; a secret has 32 random bytes, never this prefix.
        let mac = self.cell.store().vault().token_hash(&input);
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        tag
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let digits: Vec<u8> = text.bytes().map(digit).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(
        pairs
            .map(|pair| pair.iter().fold(0, |n, d| (n << 4) | d))
            .collect(),
    )
}

//! The text of a schema: which words may stand in it.
//!
//! SQLite keeps each statement that made a table or an index as it was written, comments included. So
//! every word must be the language's or the name of something on the list, and an index's statement must
//! be the one that is on the list.

use super::list::{CATALOGUE, CENTRE, Flavour};

const LANGUAGE: [&str; 33] = [
    "ADD",
    "ALTER",
    "AND",
    "BETWEEN",
    "BIGINT",
    "BLOB",
    "BOOLEAN",
    "CHECK",
    "COLUMN",
    "CREATE",
    "CURRENT_TIMESTAMP",
    "DEFAULT",
    "FOREIGN",
    "IN",
    "INDEX",
    "INTEGER",
    "IS",
    "KEY",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "PRIMARY",
    "REFERENCES",
    "ROWID",
    "STRICT",
    "TABLE",
    "TEXT",
    "TIMESTAMP",
    "UNIQUE",
    "WHERE",
    "WITHOUT",
    "length",
];
/// Digits of a number in a statement.
const DIGITS_MAX: usize = 4;
/// Letters of a name, and of several one after the other.
const NAME_MAX: usize = 40;
const NAMES_MAX: usize = 160;
/// Bytes before and after a text in a page that may be printable by chance.
const STRAY_MAX: usize = 8;

/// Whether a statement that made a table has known words only.
pub(super) fn is_table(sql: &str, flavour: &Flavour) -> bool {
    let names = |word: &str| is_name(word, flavour);
    let known = |word: &str| word.is_empty() || is_language(word) || names(word);
    sql.chars().all(is_written) && sql.split(|c| !is_word(c)).all(known)
}

/// A statement without the liberties of its writing.
pub(super) fn plain(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether printable bytes of a page are a part of a schema's text: beside the statements there are
/// names one after the other, and stray bytes of what stands before and after.
pub(super) fn is_schema(run: &[u8]) -> bool {
    let Ok(run) = std::str::from_utf8(run) else {
        return false;
    };
    (0..=STRAY_MAX).any(|skip| {
        (0..=STRAY_MAX).any(|cut| {
            let end = run.len().checked_sub(cut);
            let part = end.and_then(|end| run.get(skip..end));
            part.is_some_and(is_part)
        })
    })
}

fn is_part(text: &str) -> bool {
    // A statement follows the number of its table's page, which may be printable.
    if let Some((names, statement)) = text.split_once("CREATE ") {
        let mut without = names.chars();
        without.next_back();
        return are_words(statement) && (are_words(names) || are_words(without.as_str()));
    }
    are_words(text)
}

fn are_words(text: &str) -> bool {
    text.chars().all(is_written) && text.split(|c| !is_word(c)).all(is_row_of_words)
}

/// Whether a word is a row of known ones.
fn is_row_of_words(word: &str) -> bool {
    if word.len() > NAMES_MAX {
        return false;
    }
    let mut reached = vec![false; word.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for start in 0..word.len() {
        if !reached.get(start).is_some_and(|r| *r) {
            continue;
        }
        for end in start + 1..=word.len().min(start + NAME_MAX) {
            let known = word.get(start..end).is_some_and(|part| {
                is_language(part)
                    || ["table", "index", "sqlite_autoindex_", "_"].contains(&part)
                    || is_name(part, &CATALOGUE)
                    || is_name(part, &CENTRE)
            });
            if known && let Some(place) = reached.get_mut(end) {
                *place = true;
            }
        }
    }
    reached.last().is_some_and(|r| *r)
}

fn is_language(word: &str) -> bool {
    let is_number = word.len() <= DIGITS_MAX && word.bytes().all(|b| b.is_ascii_digit());
    !word.is_empty() && (is_number || LANGUAGE.contains(&word))
}

fn is_name(word: &str, flavour: &Flavour) -> bool {
    let column = |(table, columns): &(&str, &[(&str, super::list::Holds)])| {
        *table == word || columns.iter().any(|(column, _)| *column == word)
    };
    flavour.tables.iter().any(column) || flavour.indexes.iter().any(|(name, _)| *name == word)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Letters, and what stands between them; no quotes and no comments.
fn is_written(c: char) -> bool {
    is_word(c) || c.is_ascii_whitespace() || "(),=<>".contains(c)
}

//! Simple patterns of `parse`: captures of text between texts, found without a regular expression.
//!
//! Promise: the same captures as the pattern's regular expression gives, in which every capture and
//! every skip takes as little as it can and the last one the rest. With nothing but texts between them
//! the first place where each text is found is the one: none is found later for it.

use kql::resolved::TextPart;

/// A pattern whose captures are all text.
#[derive(Clone, Debug)]
pub(super) struct Between {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    /// Anything; whether it is captured.
    Any(bool),
}

impl Between {
    pub(super) fn new(parts: &[TextPart]) -> Self {
        let part = |part: &TextPart| match part {
            TextPart::Text(text) => Part::Text(text.as_ref().into()),
            TextPart::Skip => Part::Any(false),
            TextPart::Capture => Part::Any(true),
        };
        let mut parts: Vec<Part> = parts.iter().map(part).collect();
        // Texts beside one another are one: the first must be where the second goes on.
        parts.dedup_by(|next, before| match (before, next) {
            (Part::Text(before), Part::Text(next)) => {
                *before = format!("{before}{next}").into();
                true
            }
            _ => false,
        });
        Self { parts }
    }

    /// Puts the captures into `found`; whether the whole text has the form.
    pub(super) fn read<'t>(&self, text: &'t str, found: &mut Vec<&'t str>) -> bool {
        found.clear();
        let mut rest = text;
        let mut parts = self.parts.as_slice();
        while let [part, next @ ..] = parts {
            parts = next;
            let captured = match part {
                Part::Text(wanted) => match rest.strip_prefix(&**wanted) {
                    Some(after) => {
                        rest = after;
                        continue;
                    }
                    None => return false,
                },
                Part::Any(captured) => *captured,
            };
            let length = match next {
                // The last one takes the rest.
                [] => Some(rest.len()),
                // The one after it can have what is there.
                [Part::Any(_), ..] => Some(0),
                // It ends the text.
                [Part::Text(wanted)] if rest.ends_with(&**wanted) => {
                    rest.len().checked_sub(wanted.len())
                }
                [Part::Text(_)] => None,
                [Part::Text(wanted), ..] => rest.find(&**wanted),
            };
            let Some((value, after)) = length.and_then(|length| rest.split_at_checked(length))
            else {
                return false;
            };
            if captured {
                found.push(value);
            }
            rest = after;
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::regexes::compile;
    use kql::resolved::PatternMode;
    use model::ColumnType;

    /// Every pattern of up to five parts over a few texts, beside its regular expression.
    #[test]
    fn captures_are_those_of_the_regular_expression() {
        let part = |n: usize| match n {
            0 => TextPart::Capture,
            1 => TextPart::Skip,
            2 => TextPart::Text("a".into()),
            3 => TextPart::Text("ab".into()),
            _ => TextPart::Text(" ".into()),
        };
        let texts = [
            "", "a", "ab", "aab", "abab", "a b", "ba ab a", " a", "ab ", "xabyabz", "a\nb",
            "ä ab ß",
        ];
        let mut compared = 0;
        for code in 1..5_usize.pow(5) {
            let parts: Vec<TextPart> = (0..5)
                .map(|at| code / 5_usize.pow(at) % 5)
                .map(part)
                .collect();
            let captures = parts
                .iter()
                .filter(|p| matches!(p, TextPart::Capture))
                .count();
            let types = vec![ColumnType::String; captures];
            let pattern = super::super::extract::pattern(&parts, &PatternMode::Simple, &types);
            let regex = compile(&pattern).expect("a pattern");
            let between = Between::new(&parts);
            for text in texts {
                let mut found = Vec::new();
                let has = between.read(text, &mut found);
                let wanted = regex.captures(text).map(|c| {
                    let parts = c.iter().skip(1);
                    parts
                        .map(|m| m.map_or("", |m| m.as_str()))
                        .collect::<Vec<_>>()
                });
                assert_eq!(has.then_some(found), wanted, "{pattern} in {text:?}");
                compared += 1;
            }
        }
        assert_eq!(compared, (5_usize.pow(5) - 1) * texts.len());
    }
}

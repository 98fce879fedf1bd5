//! The scanner against an independent reader of JSON.

use proptest::prelude::*;

use crate::json::{Kind, Scanner, parse, write_string};

fn ours(text: &str) -> bool {
    parse(text).is_some()
}

fn theirs(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

#[test]
fn what_is_json_is_agreed_on() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nullx",
        "true",
        "tru",
        "false",
        "\"\"",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u0041\"",
        "\"\\x\"",
        "\"a\u{1}\"",
        "\"\u{7f}é€😀\"",
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e5",
        "1E+5",
        "1e-",
        "+1",
        "0x1",
        "NaN",
        "[",
        "]",
        "[]",
        "[1]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2]",
        "[[]]",
        "[[}",
        "{",
        "}",
        "{}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":{\"b\":[{},[],\"x\",1,null,true,false]}}",
        "[1]x",
        "1 2",
        "{\"a\":1}}",
        "\u{feff}1",
        "[\n1\r,\t2 ]",
        "123456789012345678901234567890",
        "\"12345678\\n\"",
        "\"1234567\\\\\"",
        "{\"a\":[}",
        "[{]",
        "{\"a\" :1}",
        "{ }",
        "[ ]",
    ] {
        assert_eq!(ours(text), theirs(text), "{text:?}");
    }
}

#[test]
fn a_lone_surrogate_is_replaced_and_a_pair_is_one_character() {
    let text = |json: &str| parse(json).unwrap().0.text().into_owned();
    assert_eq!(
        text(r#""\ud83d\ude00\u00e9\/\b\f\n\r\t\"\\""#),
        "😀é/\u{8}\u{c}\n\r\t\"\\"
    );
    assert_eq!(text(r#""a\ud83db""#), "a\u{fffd}b");
    assert_eq!(text(r#""\ude00""#), "\u{fffd}");
    assert_eq!(text(r#""\ud83d\u0041""#), "\u{fffd}A");
    // What is stored must be readable by those who refuse a lone surrogate.
    let mut out = String::new();
    parse(r#"{"a" : [ "\ud83d", "x y" ] }"#)
        .unwrap()
        .0
        .write_compact(&mut out);
    assert_eq!(out, "{\"a\":[\"\u{fffd}\",\"x y\"]}");
}

#[test]
fn what_is_lost_is_known() {
    for (json, lost) in [
        (r#""\ud83d\ude00""#, false),
        (r#""\ud83d""#, true),
        (r#""\uD83D\u0041""#, true),
        (r#""\\ud83d""#, false),
        (r#""\\\ud83d""#, true),
        (r#"{"a":["x\ude00y"]}"#, true),
        (r#"{"a":["\\\\ud83d","\ud83d\ude00"]}"#, false),
        (r#"{"\udfff":1}"#, true),
        ("17", false),
    ] {
        assert_eq!(parse(json).unwrap().0.is_inexact(), lost, "{json}");
    }
    let canonical = |json: &str| {
        let mut out = Vec::new();
        parse(json).unwrap().0.write_canonical(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        canonical(r#""\u0061\uD83D\n\ud83d\ude00""#),
        "\"a\\ud83d\\n😀\""
    );
    assert_ne!(canonical(r#""\ud83d""#), canonical(r#""\ud83e""#));
    assert_ne!(canonical(r#""\ud83d""#), canonical(r#""\\ud83d""#));
    assert_ne!(canonical(r#""\ud83d""#), canonical("\"\u{fffd}\""));
}

#[test]
fn depth_is_counted_without_recursion() {
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    for n in [1, 2, 63, 64, 65, 128, 129, 1_000_000] {
        assert_eq!(parse(&deep(n)).unwrap().1 as usize, n);
    }
    assert!(parse(&"[".repeat(1_000_000)).is_none());
    // Brackets of both kinds at and beyond each word of the bit stack.
    let mixed = |n: usize| "{\"a\":[".repeat(n) + &"]}".repeat(n);
    assert_eq!(parse(&mixed(500)).unwrap().1, 1000);
    assert!(parse(&("{\"a\":[".repeat(500) + &"]}".repeat(499) + "}]")).is_none());
}

#[test]
fn a_fault_says_where() {
    let at = |text: &str| Scanner::new(text).value().unwrap_err().at;
    assert_eq!(at("{\"a\":1,}"), 7);
    assert_eq!(at("{\"a\":tru}"), 5);
    assert_eq!(at("\"abc"), 4);
}

#[test]
fn numbers_keep_their_text() {
    let (value, _) = parse("639199803770463703").unwrap();
    assert_eq!(
        (value.kind, value.text),
        (Kind::Number, "639199803770463703")
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_is_read_and_written_as_it_was(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let (ours, _) = parse(&pretty).unwrap();
        let mut compact = String::new();
        ours.write_compact(&mut compact);
        prop_assert_eq!(&compact, &serde_json::to_string(&value).unwrap());
        // The canonical form is JSON of the same value, whatever the blanks.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        ours.write_canonical(&mut a);
        parse(&compact).unwrap().0.write_canonical(&mut b);
        prop_assert_eq!(&a, &b);
        let back: serde_json::Value = serde_json::from_slice(&a).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn the_canonical_form_does_not_depend_on_how_a_character_was_escaped(
        text in any::<String>(),
        numbered in any::<u64>(),
    ) {
        let plain = serde_json::to_string(&text).unwrap();
        let one = |(n, c): (usize, char)| {
            let mut units = [0; 2];
            if numbered >> (n % 64) & 1 == 1 {
                let units = c.encode_utf16(&mut units).iter();
                return units.map(|unit| format!("\\u{unit:04X}")).collect::<Vec<_>>().concat();
            }
            let quoted = serde_json::to_string(&c).unwrap();
            if c == '/' { "\\/".to_owned() } else { quoted.get(1..quoted.len() - 1).unwrap().to_owned() }
        };
        let escaped: Vec<_> = text.chars().enumerate().map(one).collect();
        let escaped = format!("\"{}\"", escaped.concat());
        let canonical = |json: &str| {
            let mut out = Vec::new();
            parse(json).unwrap().0.write_canonical(&mut out);
            out
        };
        prop_assert_eq!(canonical(&plain), canonical(&escaped));
    }

    #[test]
    fn damaged_json_is_judged_alike(value in any_json(), at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f) {
        let mut text = serde_json::to_string(&value).unwrap();
        let at = at.index(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, std::str::from_utf8(&[byte]).unwrap());
        } else {
            text.truncate(text.floor_char_boundary(at));
        }
        // The other reader refuses lone surrogates in strings only when they are decoded.
        prop_assert_eq!(ours(&text), theirs(&text), "{}", text);
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let mut json = String::new();
        write_string(&text, &mut json);
        prop_assert_eq!(parse(&json).unwrap().0.text(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}

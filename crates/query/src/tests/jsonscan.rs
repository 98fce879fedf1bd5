//! JSON read past says what JSON read says.

use crate::json::Json;
use crate::jsonscan::{is_canonical, is_json, keys, strings};

const TEXTS: [&str; 40] = [
    "{}",
    "[]",
    "\"\"",
    "1",
    "-1",
    "-0",
    "0",
    "01",
    "1.0",
    "1.50",
    "1e3",
    "true",
    "false",
    "null",
    "nul",
    "{\"a\":1}",
    "{\"a\": 1}",
    " {\"a\":1}",
    "{\"a\":1} ",
    "{\"a\":1,\"a\":2}",
    "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"longer than eight bytes\"}",
    "[\"a\",\"b\"]",
    "[\"a\" , \"b\"]",
    "[\"a\",1]",
    "[\"a\",]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "[1 2]",
    "\"a\\n\"",
    "\"a\\u0041\"",
    "\"a\\x\"",
    "\"tab\there\"",
    "\"open",
    "{\"k\\n\":1}",
    "99999999999999999999",
    "1234567890123456789",
    "\"ünïcödé and more\"",
    "[[[[[]]]]]x",
];

#[test]
fn what_is_said_is_what_the_values_say() {
    for text in TEXTS {
        let value = Json::parse(text);
        if is_json(text) {
            assert!(value.is_some(), "{text}");
        }
        if is_canonical(text) {
            assert_eq!(value.as_ref().map(Json::to_text).as_deref(), Some(text));
        }
        let mut found = Vec::new();
        if keys(text, &mut found).is_some() {
            let bag = value.as_ref().and_then(Json::as_bag).expect(text);
            let names: Vec<&str> = bag.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(found, names, "{text}");
        }
        if strings(text, &mut found).is_some() {
            let items = value.as_ref().and_then(Json::as_array).expect(text);
            let known: Vec<Json> = found.iter().map(|t| Json::Text((*t).to_owned())).collect();
            assert_eq!(items, known, "{text}");
        }
    }
}

#[test]
fn the_usual_is_answered_here() {
    let text = "{\"Operation\":\"MailItemsAccessed\",\"Folders\":[{\"Id\":12}],\"x\":true}";
    assert!(is_canonical(text) && is_json(text));
    let mut found = Vec::new();
    assert!(keys(text, &mut found).is_some());
    assert_eq!(found, ["Operation", "Folders", "x"]);
    assert!(strings("[\"a\", \"b\"]", &mut found).is_some());
    assert_eq!(found, ["a", "b"]);
}

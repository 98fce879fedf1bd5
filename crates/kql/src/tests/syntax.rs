//! The tree: its shape, and that it is the text.

use expect_test::{Expect, expect};

use crate::syntax::dump;

fn check(text: &str, expect: Expect) {
    let syntax = crate::parse(text);
    assert_eq!(syntax.root().text().to_string(), text);
    expect.assert_eq(&dump(&syntax.root()));
}

#[test]
fn a_pipeline() {
    check(
        "T // all\n| where a.b[0] == -1 and c has_any ('x')\n\n| take 5;",
        expect![[r#"
            Root
              Query
                Pipeline
                  Name
                    Word T
                  Pipe |
                  Operator
                    Word where
                    Chain
                      Chain
                        Path
                          Name
                            Word a
                          Member
                            Dot .
                            Name
                              Word b
                          Index
                            OpenBracket [
                            Literal
                              Integer 0
                            CloseBracket ]
                        EqualEqual ==
                        Unary
                          Minus -
                          Literal
                            Integer 1
                      Word and
                      Chain
                        Name
                          Word c
                        Word has_any
                        List
                          OpenParen (
                          Literal
                            String 'x'
                          CloseParen )
                  Pipe |
                  Operator
                    Word take
                    Literal
                      Integer 5
              Semicolon ;
        "#]],
    );
}

#[test]
fn statements() {
    check(
        "let f = (a: long) { a + 1 };\nlet x = dynamic({'k': [1, null]});\nprint y = f(x)",
        expect![[r#"
            Root
              Let
                Word let
                Name
                  Word f
                Assign =
                Lambda
                  Params
                    OpenParen (
                    Param
                      Name
                        Word a
                      Colon :
                      Word long
                    CloseParen )
                  Body
                    OpenBrace {
                    Query
                      Chain
                        Name
                          Word a
                        Plus +
                        Literal
                          Integer 1
                    CloseBrace }
              Semicolon ;
              Let
                Word let
                Name
                  Word x
                Assign =
                DynamicLiteral
                  Word dynamic
                  OpenParen (
                  JsonObject
                    OpenBrace {
                    JsonEntry
                      Literal
                        String 'k'
                      Colon :
                      JsonArray
                        OpenBracket [
                        Literal
                          Integer 1
                        Comma ,
                        Literal
                          Word null
                        CloseBracket ]
                    CloseBrace }
                  CloseParen )
              Semicolon ;
              Query
                Pipeline
                  Operator
                    Word print
                    Named
                      Name
                        Word y
                      Assign =
                      Call
                        Name
                          Word f
                        Args
                          OpenParen (
                          Name
                            Word x
                          CloseParen )
        "#]],
    );
}

#[test]
fn operators_with_options() {
    check(
        "T | join kind=inner hint.strategy=shuffle (U | count) on $left.a == $right.b, c",
        expect![[r#"
            Root
              Query
                Pipeline
                  Name
                    Word T
                  Pipe |
                  Operator
                    Word join
                    OperatorOption
                      Word kind
                      Assign =
                      Word inner
                    OperatorOption
                      Word hint
                      Dot .
                      Word strategy
                      Assign =
                      Word shuffle
                    Paren
                      OpenParen (
                      Pipeline
                        Name
                          Word U
                        Pipe |
                        Operator
                          Word count
                      CloseParen )
                    OnList
                      Word on
                      Chain
                        Path
                          Name
                            Word $left
                          Member
                            Dot .
                            Name
                              Word a
                        EqualEqual ==
                        Path
                          Name
                            Word $right
                          Member
                            Dot .
                            Name
                              Word b
                      Comma ,
                      Name
                        Word c
        "#]],
    );
}

#[test]
fn summaries() {
    check(
        "T | summarize n = count(), (a, b) = arg_max(t, *) by bin(t, 1h) | sort by n asc nulls last",
        expect![[r#"
            Root
              Query
                Pipeline
                  Name
                    Word T
                  Pipe |
                  Operator
                    Word summarize
                    Named
                      Name
                        Word n
                      Assign =
                      Call
                        Name
                          Word count
                        Args
                          OpenParen (
                          CloseParen )
                    Comma ,
                    Named
                      NameList
                        OpenParen (
                        Name
                          Word a
                        Comma ,
                        Name
                          Word b
                        CloseParen )
                      Assign =
                      Call
                        Name
                          Word arg_max
                        Args
                          OpenParen (
                          Name
                            Word t
                          Comma ,
                          All
                            Star *
                          CloseParen )
                    ByList
                      Word by
                      Call
                        Name
                          Word bin
                        Args
                          OpenParen (
                          Name
                            Word t
                          Comma ,
                          Literal
                            TimeSpan 1h
                          CloseParen )
                  Pipe |
                  Operator
                    Word sort
                    Word by
                    SortKey
                      Name
                        Word n
                      Word asc
                      Word nulls
                      Word last
        "#]],
    );
}

#[test]
fn recovery() {
    check(
        "T | wher a == 1 | take 5",
        expect![[r#"
        Root
          Query
            Pipeline
              Name
                Word T
              Pipe |
              Operator
                Word wher
                Skipped
                  Word a
                  EqualEqual ==
                  Integer 1
              Pipe |
              Operator
                Word take
                Literal
                  Integer 5
    "#]],
    );
    check(
        "T | where a == | project b, ) | take",
        expect![[r#"
        Root
          Query
            Pipeline
              Name
                Word T
              Pipe |
              Operator
                Word where
                Chain
                  Name
                    Word a
                  EqualEqual ==
              Pipe |
              Operator
                Word project
                Name
                  Word b
                Comma ,
          Skipped
            CloseParen )
          Query
            Pipeline
              Pipe |
              Operator
                Word take
    "#]],
    );
}

#[test]
fn unsupported_operators_keep_their_tokens() {
    check(
        "T | macro-expand (where x > 1 | take 1) (count) | count",
        expect![[r#"
            Root
              Query
                Pipeline
                  Name
                    Word T
                  Pipe |
                  OpaqueOperator
                    Word macro-expand
                    OpenParen (
                    Word where
                    Word x
                    Greater >
                    Integer 1
                    Pipe |
                    Word take
                    Integer 1
                    CloseParen )
                    OpenParen (
                    Word count
                    CloseParen )
                  Pipe |
                  Operator
                    Word count
        "#]],
    );
}

/// Texts that a reader of the language meets; none of them may lose a byte.
#[test]
fn lossless() {
    let texts = [
        "",
        " ",
        "\u{feff}T",
        "T\u{202f}|\u{a0}take 1",
        "#directive\nT",
        "T | where a matches regex @\"\\d+\" // end",
        "print ```several\nlines```, ~~~more~~~",
        "print h'secret', H@\"also\", 'a' \"b\"",
        "print 1..2, 1., 1.5e3, 0xff, 5minutes, datetime(2024-01-01 10:00), time(1:00:00)",
        "T | where Time between (ago(1d)..now())",
        "let 7zip = dynamic(['a']); T | where 3rd in (7zip)",
        "T\n\n\n| extend x=1,\n\n y=2",
        "T | project-away a*, *b, *c*",
        "T | extend a ! b ~ c ^ d § e",
        "'unterminated",
        "@'unterminated '' still",
        "T | ) ] } ;;; ( [ {",
        "dynamic(",
        "let",
        "let =",
        "let x",
        "let x = ",
        "T | join",
        "T | mv-expand",
        "datatable(a:",
        "datatable(a: string)[",
        "T | where x in",
        "T | where x between (1",
        "T | sort by",
        "T | order by a nulls",
        "T | render timechart with (",
        ".ingest inline into T <| 1@2, \u{1}",
    ];
    for text in texts {
        assert_eq!(crate::parse(text).root().text().to_string(), text);
    }
}

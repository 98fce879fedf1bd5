//! What is said about the commonest mistakes.

use expect_test::{Expect, expect};

use super::findings;

fn check(query: &str, expect: Expect) {
    expect.assert_eq(&findings(query));
}

#[test]
fn names() {
    check(
        "Logon | where Usr == 'a'",
        expect![[r#"
        error[KQL0207]: unknown column `Usr`
          --> query:1:15
          1 | Logon | where Usr == 'a'
            |               ^^^
          help: a column with a similar name exists: `User`
    "#]],
    );
    check(
        "Logon | where user == 'a' | project Resul",
        expect![[r#"
        error[KQL0207]: unknown column `user`
          --> query:1:15
          1 | Logon | where user == 'a' | project Resul
            |               ^^^^
          help: a column with a similar name exists: `User`
        error[KQL0207]: unknown column `Resul`
          --> query:1:37
          1 | Logon | where user == 'a' | project Resul
            |                                     ^^^^^
          help: a column with a similar name exists: `Result`
    "#]],
    );
    check(
        "Logn | take 5",
        expect![[r#"
        error[KQL0203]: unknown table `Logn`
          --> query:1:1
          1 | Logn | take 5
            | ^^^^
          help: a table with a similar name exists: `Logon`
    "#]],
    );
    check(
        "Logon | were User == 'a'",
        expect![[r#"
        error[KQL0201]: unknown operator `were`
          --> query:1:9
          1 | Logon | were User == 'a'
            |         ^^^^
          help: an operator with a similar name exists: `where`
    "#]],
    );
    check(
        "Logon | project tolowr(User)",
        expect![[r#"
        error[KQL0202]: unknown function `tolowr`
          --> query:1:17
          1 | Logon | project tolowr(User)
            |                 ^^^^^^
          help: a function with a similar name exists: `tolower`
    "#]],
    );
    check(
        "Logon | project _row_id",
        expect![[r#"
            error[KQL0214]: column `_row_id` cannot be named here
              --> query:1:17
              1 | Logon | project _row_id
                |                 ^^^^^^^
              help: `row_id()` gives it
        "#]],
    );
    check(
        "Logon | project User | project _source_fields",
        expect![[r#"
            error[KQL0214]: column `_source_fields` cannot be named here
              --> query:1:32
              1 | Logon | project User | project _source_fields
                |                                ^^^^^^^^^^^^^^
              help: name it in an expression, before the row of the table is projected or grouped
        "#]],
    );
    check(
        "let since = 1d; Logon | where Timestamp > ago(snce)",
        expect![[r#"
            error[KQL0207]: unknown column `snce`
              --> query:1:47
              1 | let since = 1d; Logon | where Timestamp > ago(snce)
                |                                               ^^^^
              help: a variable with a similar name exists: `since`
        "#]],
    );
    check(
        "Logon | project-away Nothing*",
        expect![[r#"
        error[KQL0207]: no column matches `Nothing*`
          --> query:1:22
          1 | Logon | project-away Nothing*
            |                      ^^^^^^^^
    "#]],
    );
    check(
        "Logon | project User, User",
        expect![[r#"
        error[KQL0208]: column `User` is named twice
          --> query:1:23
          1 | Logon | project User, User
            |                       ^^^^
          help: give one of them another name
    "#]],
    );
    check(
        "Logon | extend first = 1",
        expect![[r#"
        error[KQL0003]: `first` is a word of the language and cannot name a column
          --> query:1:16
          1 | Logon | extend first = 1
            |                ^^^^^
          help: write it as `['first']`
    "#]],
    );
}

#[test]
fn types() {
    check(
        "Logon | where Port has '80'",
        expect![[r#"
            error[KQL0301]: `has` does not take `int` and `string`
              --> query:1:15
              1 | Logon | where Port has '80'
                |               ^^^^^^^^^^^^^
              help: convert the value that is no string with `tostring()`
        "#]],
    );
    check(
        "Logon | where User = 'a'",
        expect![[r#"
        error[KQL0003]: `=` gives a name and does not compare
          --> query:1:20
          1 | Logon | where User = 'a'
            |                    ^
          help: compare with `==`
    "#]],
    );
    check(
        "Logon | where Bytes",
        expect![[r#"
        error[KQL0303]: a condition is of type `bool`, and this is of type `long`
          --> query:1:15
          1 | Logon | where Bytes
            |               ^^^^^
    "#]],
    );
    check(
        "Logon | where Extra.flag",
        expect![[r#"
        error[KQL0303]: a condition is of type `bool`, and this is of type `dynamic`
          --> query:1:15
          1 | Logon | where Extra.flag
            |               ^^^^^^^^^^
          help: convert it with `tobool(…)`
    "#]],
    );
    check(
        "Logon | extend x = User + 'a'",
        expect![[r#"
        error[KQL0301]: `+` does not take `string` and `string`
          --> query:1:20
          1 | Logon | extend x = User + 'a'
            |                    ^^^^^^^^^^
          help: join strings with `strcat()`
    "#]],
    );
    check(
        "Logon | where Timestamp > '2024-01-01'",
        expect![[r#"
        error[KQL0301]: `>` does not take `datetime` and `string`
          --> query:1:15
          1 | Logon | where Timestamp > '2024-01-01'
            |               ^^^^^^^^^^^^^^^^^^^^^^^^
          help: write instants as `datetime(2024-12-31)`, convert text with `todatetime()`
    "#]],
    );
    check(
        "Logon | extend x = User.name",
        expect![[r#"
        error[KQL0310]: a string has no parts
          --> query:1:20
          1 | Logon | extend x = User.name
            |                    ^^^^
          help: read it as JSON first: `parse_json(…)`
    "#]],
    );
    check(
        "Logon | project substring(User)",
        expect![[r#"
            error[KQL0302]: `substring` does not take (string)
              --> query:1:17
              1 | Logon | project substring(User)
                |                 ^^^^^^^^^^^^^^^
              help: it is called as `substring(text: any, start: integer, length: integer?)`
        "#]],
    );
    check(
        "Logon | summarize count() by Extra.a",
        expect![[r#"
        error[KQL0304]: cannot group by a dynamic value
          --> query:1:30
          1 | Logon | summarize count() by Extra.a
            |                              ^^^^^^^
          help: convert it, for example with `tostring(…)`
    "#]],
    );
    check(
        "Logon | sort by Extra",
        expect![[r#"
        error[KQL0304]: cannot order by a dynamic value
          --> query:1:17
          1 | Logon | sort by Extra
            |                 ^^^^^
          help: convert it, for example with `tostring(…)`
    "#]],
    );
    check(
        "Logon | mv-expand User",
        expect![[r#"
        error[KQL0310]: `mv-expand` wants a dynamic value, and this is of type `string`
          --> query:1:19
          1 | Logon | mv-expand User
            |                   ^^^^
          help: read text as JSON with `parse_json(…)`
    "#]],
    );
}

#[test]
fn aggregates() {
    check(
        "Logon | extend n = count()",
        expect![[r#"
        error[KQL0305]: the aggregate `count` stands outside of `summarize`
          --> query:1:20
          1 | Logon | extend n = count()
            |                    ^^^^^
          help: aggregate with `summarize`, then use the column
    "#]],
    );
    check(
        "Logon | summarize User by Port",
        expect![[r#"
        error[KQL0306]: column `User` stands outside of an aggregate
          --> query:1:19
          1 | Logon | summarize User by Port
            |                   ^^^^
          help: put it after `by`, or into an aggregate such as `take_any()`
    "#]],
    );
    check(
        "Logon | summarize total = sum(User)",
        expect![[r#"
            error[KQL0302]: `sum` does not take (string)
              --> query:1:27
              1 | Logon | summarize total = sum(User)
                |                           ^^^^^^^^^
              help: it is called as `sum(value: number, timespan or datetime)`
        "#]],
    );
    check(
        "Logon | summarize n = count() | where Port > 1",
        expect![[r#"
            error[KQL0207]: unknown column `Port`
              --> query:1:39
              1 | Logon | summarize n = count() | where Port > 1
                |                                       ^^^^
              help: the columns here are `n`
        "#]],
    );
}

/// What people write who come from another language, or slip.
#[test]
fn slips() {
    check(
        "Logon | where User has \"C:\\Users\\\"",
        expect![[r#"
            error[KQL0002]: the string has no end
              --> query:1:24
              1 | Logon | where User has "C:\Users\"
                |                        ^^^^^^^^^^^
              help: a backslash takes the quote into the string: double it, or write `@` before the string
        "#]],
    );
    check(
        "let f = (x: long) { f(x - 1) }; print f(3)",
        expect![[r#"
        error[KQL0202]: unknown function `f`
          --> query:1:21
          1 | let f = (x: long) { f(x - 1) }; print f(3)
            |                     ^
          help: a function cannot call itself; it sees what is defined before it
    "#]],
    );
    check(
        "Logon | evaluate bag_unpak(User)",
        expect![[r#"
        error[KQL0402]: the plugin `bag_unpak` is not supported
          --> query:1:18
          1 | Logon | evaluate bag_unpak(User)
            |                  ^^^^^^^^^^^^^^^
          help: a plugin with a similar name exists: `bag_unpack`
    "#]],
    );
    check(
        "print tostring(decimal(1e5)), decimal(-12.5e-3), decimal(1e)",
        expect![[r#"
        error[KQL0006]: `decimal(1e)` is not a literal of that type
          --> query:1:50
          1 | print tostring(decimal(1e5)), decimal(-12.5e-3), decimal(1e)
            |                                                  ^^^^^^^^^^^
    "#]],
    );
    check(
        "Logon | summarize count() User",
        expect![[r#"
        error[KQL0003]: expected `|` or the end of the operator, found `User`
          --> query:1:27
          1 | Logon | summarize count() User
            |                           ^^^^
          help: columns are separated by commas, and groups stand after `by`
    "#]],
    );
    check(
        "Logon | order by User descending",
        expect![[r#"
        error[KQL0003]: expected `|` or the end of the operator, found `descending`
          --> query:1:23
          1 | Logon | order by User descending
            |                       ^^^^^^^^^^
          help: the direction is `desc`
    "#]],
    );
    check(
        "Logon | summarize count(*)",
        expect![[r#"
        error[KQL0003]: `*` cannot stand here
          --> query:1:25
          1 | Logon | summarize count(*)
            |                         ^
          help: rows are counted with `count()`; all columns are meant by leaving `project` out
    "#]],
    );
    check(
        "Logon | join kind=left (Logon) on User",
        expect![[r#"
        error[KQL0210]: `join` has no kind `left`
          --> query:1:14
          1 | Logon | join kind=left (Logon) on User
            |              ^^^^^^^^^
          help: all rows of the left side are kept by `kind=leftouter`
    "#]],
    );
    check(
        "SigninLogs | take 1",
        expect![[r#"
        error[KQL0203]: unknown table `SigninLogs`
          --> query:1:1
          1 | SigninLogs | take 1
            | ^^^^^^^^^^
          help: sign-ins are in `EntraIdSignInEvents` and `IdentityLogonEvents`
    "#]],
    );
    check(
        "set query_now = datetime(2020-01-01); set notruncation; print now()",
        expect![[r#"
        error[KQL0403]: the option `query_now` is not supported yet
          --> query:1:1
          1 | set query_now = datetime(2020-01-01); set notruncation; print now()
            | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: write the time into the query: a `where`, or a `let` in the place of `now()`
    "#]],
    );
}

#[test]
fn grammar() {
    check(
        "Logon | where (User == 'a'",
        expect![[r#"
        error[KQL0004]: expected `)`, found the end of the query
          --> query:1:27
          1 | Logon | where (User == 'a'
            |                           ^
          help: close the bracket that was opened before
    "#]],
    );
    check(
        "Logon | where User ==",
        expect![[r#"
        error[KQL0003]: expected an expression, found the end of the query
          --> query:1:22
          1 | Logon | where User ==
            |                      ^
    "#]],
    );
    check(
        "Logon | where User == 'a",
        expect![[r#"
        error[KQL0002]: the string has no end
          --> query:1:23
          1 | Logon | where User == 'a
            |                       ^^
          help: end it with the quote it begins with
    "#]],
    );
    check(
        "Logon | where User matches regex '\\d+'",
        expect![[r#"
        error[KQL0006]: unknown escape `\d` in a string
          --> query:1:34
          1 | Logon | where User matches regex '\d+'
            |                                  ^^^^^
          help: double the backslash, or write the string as `@"…"`
    "#]],
    );
    check(
        "Logon | | take 5",
        expect![[r#"
            error[KQL0003]: expected an operator, found `|`
              --> query:1:9
              1 | Logon | | take 5
                |         ^
              help: one bar stands between two operators
        "#]],
    );
    check(
        "let x = 5",
        expect![[r#"
        error[KQL0005]: the text has no query
          --> query:1:10
          1 | let x = 5
            |          ^
          help: after the `let` statements, name a table
    "#]],
    );
    check(
        "",
        expect![[r#"
        error[KQL0005]: the text has no query
          --> query:1:1
          1 | 
            | ^
          help: after the `let` statements, name a table
    "#]],
    );
}

#[test]
fn more_grammar() {
    check(
        "Logon | fork (count) (take 1) | count",
        expect![[r#"
        error[KQL0403]: `fork` gives several results, so a query ends with it
          --> query:1:9
          1 | Logon | fork (count) (take 1) | count
            |         ^^^^
          help: write what follows into each of its parts
    "#]],
    );
    check(
        "Logon | where User in 'a'",
        expect![[r#"
            error[KQL0003]: expected a list in brackets, found `'a'`
              --> query:1:23
              1 | Logon | where User in 'a'
                |                       ^^^
              help: write the list in brackets: `("a", "b")`
        "#]],
    );
    check(
        "Logon | top 5 Port",
        expect![[r#"
            error[KQL0003]: expected `by`, found `Port`
              --> query:1:15
              1 | Logon | top 5 Port
                |               ^^^^
              help: write `by` before the columns
        "#]],
    );
    check(
        "Logon | take many",
        expect![[r#"
        error[KQL0204]: unknown name `many`
          --> query:1:14
          1 | Logon | take many
            |              ^^^^
    "#]],
    );
    check(
        "Logon | where User == \u{201c}a\u{201d}",
        expect![[r#"
            error[KQL0001]: curly quotes do not make a string
              --> query:1:23
              1 | Logon | where User == “a”
                |                       ^^^
              help: write straight quotes: `"` or `'`
        "#]],
    );
    check(
        ".show tables",
        expect![[r#"
            error[KQL0404]: management commands are not part of hunting
              --> query:1:1
              1 | .show tables
                | ^
        "#]],
    );
}

#[test]
fn lists_and_parts() {
    check(
        "Logon | where User in ()",
        expect![[r#"
        error[KQL0003]: expected an expression, found `)`
          --> query:1:24
          1 | Logon | where User in ()
            |                        ^
    "#]],
    );
    check(
        "print strcat('a', )",
        expect![[r#"
        error[KQL0003]: expected an expression, found `)`
          --> query:1:19
          1 | print strcat('a', )
            |                   ^
    "#]],
    );
    check(
        "Logon | mv-expandExtra",
        expect![[r#"
        error[KQL0201]: unknown operator `mv-expandExtra`
          --> query:1:9
          1 | Logon | mv-expandExtra
            |         ^^^^^^^^^^^^^^
    "#]],
    );
    check(
        "print datetime_diff('minutes', now(), ago(1d))",
        expect![[r#"
            error[KQL0302]: `minutes` is not a part of the calendar
              --> query:1:7
              1 | print datetime_diff('minutes', now(), ago(1d))
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: parts are year, quarter, month, week, day, hour, minute, second, millisecond, microsecond, nanosecond
        "#]],
    );
    check(
        "print @'a\nb'",
        expect![[r#"
            error[KQL0002]: the string has no end
              --> query:1:7
              1 | print @'a
                |       ^^^
              help: end it with the quote it begins with
            error[KQL0003]: expected `|` or the end of the operator, found `b`
              --> query:2:1
              2 | b'
                | ^
              help: columns are separated by commas, and groups stand after `by`
            error[KQL0002]: the string has no end
              --> query:2:2
              2 | b'
                |  ^
              help: end it with the quote it begins with
        "#]],
    );
    check(
        "Logon | extend x = +User",
        expect![[r#"
        error[KQL0301]: `+` does not take `string`
          --> query:1:20
          1 | Logon | extend x = +User
            |                    ^^^^^
    "#]],
    );
}

#[test]
fn joins_and_regexes() {
    check(
        "Logon | join (Device) on User",
        expect![[r#"
        error[KQL0207]: unknown column `User` on the right side of the join
          --> query:1:26
          1 | Logon | join (Device) on User
            |                          ^^^^
    "#]],
    );
    check(
        "Logon | join kind=lefttouter (Process) on User",
        expect![[r#"
            error[KQL0210]: `join` has no kind `lefttouter`
              --> query:1:14
              1 | Logon | join kind=lefttouter (Process) on User
                |              ^^^^^^^^^^^^^^^
              help: kinds are innerunique, inner, leftouter, rightouter, fullouter, leftanti, rightanti, leftsemi, rightsemi
        "#]],
    );
    check(
        "Logon | join (Process) on $left.User == tolower($right.User)",
        expect![[r#"
            error[KQL0309]: a join's condition is a column of both sides, or `$left.a == $right.b`
              --> query:1:27
              1 | Logon | join (Process) on $left.User == tolower($right.User)
                |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: make other keys with `extend` before the join
        "#]],
    );
    check(
        "Logon | join (Process) on $left.Port == $right.User",
        expect![[r#"
            error[KQL0309]: the join compares `int` with `string`
              --> query:1:27
              1 | Logon | join (Process) on $left.Port == $right.User
                |                           ^^^^^^^^^^^^^^^^^^^^^^^^^
              help: convert one side with `extend` before the join
        "#]],
    );
    check(
        "Logon | where User matches regex @'(?=a)b'",
        expect![[r#"
        error[KQL0307]: the regular expression does not compile: look-around, including look-ahead and look-behind, is not supported
          --> query:1:34
          1 | Logon | where User matches regex @'(?=a)b'
            |                                  ^^^^^^^^^
          help: look-around and back-references do not exist here
    "#]],
    );
    check(
        "Logon | extend x = extract('(', 1, User)",
        expect![[r#"
        error[KQL0307]: the regular expression does not compile: unclosed group
          --> query:1:28
          1 | Logon | extend x = extract('(', 1, User)
            |                            ^^^
    "#]],
    );
}

#[test]
fn keys_of_two_types() {
    check(
        "Logon | join (Address) on Port",
        expect![[r#"
        error[KQL0309]: `Port` is a `int` on the left and a `string` on the right
          --> query:1:27
          1 | Logon | join (Address) on Port
            |                           ^^^^
          help: convert one side with `extend` before the join
    "#]],
    );
    check(
        "Logon | extend x = coalesce(Port, User)",
        expect![[r#"
        error[KQL0302]: `coalesce` does not take (int, string)
          --> query:1:20
          1 | Logon | extend x = coalesce(Port, User)
            |                    ^^^^^^^^^^^^^^^^^^^^
          help: it is called as `coalesce(value: any, value: any+)`
    "#]],
    );
}

#[test]
fn known_and_not_supported() {
    check(
        "Logon | macro-expand Group as G (G.Logon)",
        expect![[r#"
            error[KQL0401]: the operator `macro-expand` is not supported yet
              --> query:1:9
              1 | Logon | macro-expand Group as G (G.Logon)
                |         ^^^^^^^^^^^^
        "#]],
    );
    check(
        "Logon | evaluate preview()",
        expect![[r#"
            error[KQL0302]: `preview` wants a number of rows
              --> query:1:9
              1 | Logon | evaluate preview()
                |         ^^^^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        "Logon | macro-expand by User",
        expect![[r#"
            error[KQL0401]: the operator `macro-expand` is not supported yet
              --> query:1:9
              1 | Logon | macro-expand by User
                |         ^^^^^^^^^^^^
        "#]],
    );
    check(
        "Logon | extend r = row_number()",
        expect![[r#"
            error[KQL0312]: `row_number` wants rows in an order
              --> query:1:20
              1 | Logon | extend r = row_number()
                |                    ^^^^^^^^^^^^
              help: put `sort by …` or `serialize` before it
        "#]],
    );
    check(
        "Logon | evaluate autocluster()",
        expect![[r#"
            error[KQL0402]: the plugin `autocluster` is not supported
              --> query:1:18
              1 | Logon | evaluate autocluster()
                |                  ^^^^^^^^^^^^^
              help: plugins are active_users_count, activity_counts_metrics, activity_engagement, activity_metrics, bag_unpack, dcount_intersect, geo_line_lookup, geo_polygon_lookup, ipv4_lookup, ipv6_lookup, narrow, new_activity_metrics, pivot, preview, rolling_percentile, rows_near, session_count, sliding_window_counts
        "#]],
    );
    check(
        "let x = externaldata(a: string)['https://example.org/a.csv']; x",
        expect![[r#"
            error[KQL0405]: `externaldata` reads no address that is not on the operator's list
              --> query:1:33
              1 | let x = externaldata(a: string)['https://example.org/a.csv']; x
                |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: ask the operator to allow and pin it, or write the values into a `datatable`
        "#]],
    );
    check(
        "cluster('x').database('y').Logon",
        expect![[r#"
        error[KQL0404]: a query reads the tables of its own tenant only
          --> query:1:1
          1 | cluster('x').database('y').Logon
            | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check(
        "database('y').Logon | take 1",
        expect![[r#"
        error[KQL0404]: a query reads the tables of its own tenant only
          --> query:1:1
          1 | database('y').Logon | take 1
            | ^^^^^^^^^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn several_at_once() {
    check(
        "Logon | where Usr == 'a' | project Usr, tolowr(Result), Port | where Prt > 1",
        expect![[r#"
            error[KQL0207]: unknown column `Usr`
              --> query:1:15
              1 | Logon | where Usr == 'a' | project Usr, tolowr(Result), Port | where Prt > 1
                |               ^^^
              help: a column with a similar name exists: `User`
            error[KQL0207]: unknown column `Usr`
              --> query:1:36
              1 | Logon | where Usr == 'a' | project Usr, tolowr(Result), Port | where Prt > 1
                |                                    ^^^
              help: a column with a similar name exists: `User`
            error[KQL0202]: unknown function `tolowr`
              --> query:1:41
              1 | Logon | where Usr == 'a' | project Usr, tolowr(Result), Port | where Prt > 1
                |                                         ^^^^^^
              help: a function with a similar name exists: `tolower`
            error[KQL0207]: unknown column `Prt`
              --> query:1:70
              1 | Logon | where Usr == 'a' | project Usr, tolowr(Result), Port | where Prt > 1
                |                                                                      ^^^
              help: a column with a similar name exists: `Port`
        "#]],
    );
    check(
        "let a = Nowhere | take 1; a | join (a) on b; ",
        expect![[r#"
        error[KQL0203]: unknown table `Nowhere`
          --> query:1:9
          1 | let a = Nowhere | take 1; a | join (a) on b; 
            |         ^^^^^^^
    "#]],
    );
}

#[test]
fn others_of_top_nested() {
    check(
        "Logon | top-nested 2 of Port with others = 'rest' by count()",
        expect![[r#"
            error[KQL0301]: the label of the others is of type `string`, and the values are of type `int`
              --> query:1:44
              1 | Logon | top-nested 2 of Port with others = 'rest' by count()
                |                                            ^^^^^^
              help: convert the values, for example with `tostring(…)`
        "#]],
    );
    check(
        "Logon | top-nested 2 of User with others = Result by count()",
        expect![[r#"
            error[KQL0204]: unknown name `Result`
              --> query:1:44
              1 | Logon | top-nested 2 of User with others = Result by count()
                |                                            ^^^^^^
        "#]],
    );
}

#[test]
fn names_are_called_as_they_are_written() {
    check(
        "print iif(1, 2, 3), floor('a', 1), todouble(1, 2)",
        expect![[r#"
            error[KQL0302]: `iif` does not take (long, long, long)
              --> query:1:7
              1 | print iif(1, 2, 3), floor('a', 1), todouble(1, 2)
                |       ^^^^^^^^^^^^
              help: it is called as `iif(condition: bool, then: any, else: any)`
            error[KQL0302]: `floor` does not take (string, long)
              --> query:1:21
              1 | print iif(1, 2, 3), floor('a', 1), todouble(1, 2)
                |                     ^^^^^^^^^^^^^
              help: it is called as `floor(value: number, size: number)` or `floor(value: timespan, size: timespan)` or `floor(value: datetime, size: timespan)`
            error[KQL0302]: `todouble` does not take (long, long)
              --> query:1:36
              1 | print iif(1, 2, 3), floor('a', 1), todouble(1, 2)
                |                                    ^^^^^^^^^^^^^^
              help: it is called as `todouble(value: any)`
        "#]],
    );
    check(
        "Logon | summarize makeset(User, User), argmax(Extra, User), 1 + merge_tdigest(Port)",
        expect![[r#"
            error[KQL0302]: `makeset` does not take (string, string)
              --> query:1:19
              1 | Logon | summarize makeset(User, User), argmax(Extra, User), 1 + merge_tdigest(Port)
                |                   ^^^^^^^^^^^^^^^^^^^
              help: it is called as `makeset(value: any, limit: integer?)`
            error[KQL0302]: `argmax` does not take (dynamic, string)
              --> query:1:40
              1 | Logon | summarize makeset(User, User), argmax(Extra, User), 1 + merge_tdigest(Port)
                |                                        ^^^^^^^^^^^^^^^^^^^
              help: it is called as `argmax(value: any but dynamic, returned: any*)`
            error[KQL0302]: `merge_tdigest` does not take (int)
              --> query:1:65
              1 | Logon | summarize makeset(User, User), argmax(Extra, User), 1 + merge_tdigest(Port)
                |                                                                 ^^^^^^^^^^^^^^^^^^^
              help: it is called as `merge_tdigest(digest: array)`
        "#]],
    );
    check(
        "Logon | where iif",
        expect![[r#"
        error[KQL0207]: unknown column `iif`
          --> query:1:15
          1 | Logon | where iif
            |               ^^^
          help: a function has brackets: `iif()`
    "#]],
    );
    check(
        "Logon | mvexpand Port",
        expect![[r#"
        error[KQL0310]: `mvexpand` wants a dynamic value, and this is of type `int`
          --> query:1:18
          1 | Logon | mvexpand Port
            |                  ^^^^
          help: read text as JSON with `parse_json(…)`
    "#]],
    );
    check(
        "Logon | mv-apply Port on (take 1)",
        expect![[r#"
        error[KQL0310]: `mv-apply` wants a dynamic value, and this is of type `int`
          --> query:1:18
          1 | Logon | mv-apply Port on (take 1)
            |                  ^^^^
          help: read text as JSON with `parse_json(…)`
    "#]],
    );
}

#[test]
fn aggregates_refuse_what_the_official_parser_refuses() {
    for aggregate in [
        "sum(Port > 1)",
        "sum(User)",
        "sum(Extra)",
        "avg(Port > 1)",
        "avg(User)",
        "min(Extra)",
        "max(Extra)",
        "stdev(User)",
        "make_bag(User)",
    ] {
        let said = findings(&format!("Logon | summarize {aggregate}"));
        assert!(said.starts_with("error[KQL0302]"), "{aggregate}: {said}");
    }
}

#[test]
fn arguments_of_few_values() {
    let queries = [
        "print datetime_part('weekday', now())",
        "print extract_all('(a)(b)', dynamic([2, 3]), 'ab')",
        "print parse_command_line('a b', 'linux')",
        "Logon | summarize dcount(User, 5), percentile(Bytes, 101)",
        "Logon | summarize take_any(User, 500.5), hll(User, 4), percentiles(Bytes, 0, 100)",
        "Logon | parse-kv User as (a: long) with (regex='(a)=1')",
        "Logon | parse-kv User as (a: long) with (pair_delimiter=',', kv_delimiter='=', quote='<->')",
        "Logon | parse-kv User as (a: long) with (pair_delimiter=',', kv_delimiter='=', escape='')",
        r"print extract(@'(a)\1', 0, 'aa')",
        "Logon | evaluate sliding_window_counts(User, Timestamp, ago(30d), now(), 7d, 'week')",
    ];
    let all: Vec<String> = queries.iter().map(|query| findings(query)).collect();
    expect![[r#"
        error[KQL0302]: `weekday` is not a part of the calendar
          --> query:1:7
          1 | print datetime_part('weekday', now())
            |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: parts are year, quarter, month, week_of_year, dayofyear, day, hour, minute, second, millisecond, microsecond, nanosecond

        error[KQL0302]: the regular expression has no group 3
          --> query:1:29
          1 | print extract_all('(a)(b)', dynamic([2, 3]), 'ab')
            |                             ^^^^^^^^^^^^^^^
          help: its groups are counted from 1 to 2

        error[KQL0302]: `linux` is not a way to read a command line
          --> query:1:33
          1 | print parse_command_line('a b', 'linux')
            |                                 ^^^^^^^
          help: the only one is `windows`

        error[KQL0302]: 5 is not an accuracy
          --> query:1:32
          1 | Logon | summarize dcount(User, 5), percentile(Bytes, 101)
            |                                ^
          help: accuracies go from 0, the quickest, to 4
        error[KQL0302]: 101 is not a percentile
          --> query:1:54
          1 | Logon | summarize dcount(User, 5), percentile(Bytes, 101)
            |                                                      ^^^
          help: percentiles go from 0 to 100


        error[KQL0307]: the regular expression needs two groups, for key and value
          --> query:1:42
          1 | Logon | parse-kv User as (a: long) with (regex='(a)=1')
            |                                          ^^^^^^^^^^^^^
          help: put both in round brackets; `(?:…)` is no group

        error[KQL0003]: a quote is one character, or an opening and a closing one
          --> query:1:80
          1 | Logon | parse-kv User as (a: long) with (pair_delimiter=',', kv_delimiter='=', quote='<->')
            |                                                                                ^^^^^^^^^^^

        error[KQL0003]: an escape is one character
          --> query:1:80
          1 | Logon | parse-kv User as (a: long) with (pair_delimiter=',', kv_delimiter='=', escape='')
            |                                                                                ^^^^^^^^^

        error[KQL0307]: the regular expression does not compile: backreferences are not supported
          --> query:1:15
          1 | print extract(@'(a)\1', 0, 'aa')
            |               ^^^^^^^^
          help: back-references do not exist here; the code of a letter has three digits: `\101`

        error[KQL0403]: windows of the calendar are not supported yet in `sliding_window_counts`
          --> query:1:78
          1 | Logon | evaluate sliding_window_counts(User, Timestamp, ago(30d), now(), 7d, 'week')
            |                                                                              ^^^^^^
          help: say how long they are: `7d`
    "#]].assert_eq(&all.join("\n"));
}

#[test]
fn operators_say_what_they_do_not_do() {
    check(
        "Logon | macro-expand by User, Result",
        expect![[r#"
            error[KQL0401]: the operator `macro-expand` is not supported yet
              --> query:1:9
              1 | Logon | macro-expand by User, Result
                |         ^^^^^^^^^^^^
        "#]],
    );
    check(
        "Logon | project-away *",
        expect![[r#"
        error[KQL0003]: the result has no column
          --> query:1:1
          1 | Logon | project-away *
            | ^^^^^^^^^^^^^^^^^^^^^^
          help: keep one with `project`, or count the rows with `count`
    "#]],
    );
    check(
        "Logon | summarize",
        expect![[r#"
        error[KQL0003]: the result has no column
          --> query:1:1
          1 | Logon | summarize
            | ^^^^^^^^^^^^^^^^^
          help: keep one with `project`, or count the rows with `count`
    "#]],
    );
    check(
        "Logon | lookup kind=rightouter (Process) on User",
        expect![[r#"
            error[KQL0210]: `lookup` has no kind `rightouter`
              --> query:1:16
              1 | Logon | lookup kind=rightouter (Process) on User
                |                ^^^^^^^^^^^^^^^
              help: kinds of `lookup` are leftouter, inner; `join` has more
        "#]],
    );
    check(
        "Logon | parse kind=regex flags=z User with 'a' b:long",
        expect![[r#"
            error[KQL0210]: `z` are no flags of a regular expression
              --> query:1:9
              1 | Logon | parse kind=regex flags=z User with 'a' b:long
                |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: flags are U (ungreedy), m (lines), s (a dot is a line break, too), i (any case)
        "#]],
    );
    check(
        "Logon | sort by Timestamp asc | scan declare (n: long = 0) with (step a: true => n = 1; step a: true => n = 2;)",
        expect![[r#"
            error[KQL0208]: two steps are called `a`
              --> query:1:89
              1 | Logon | sort by Timestamp asc | scan declare (n: long = 0) with (step a: true => n = 1; step a: true => n = 2;)
                |                                                                                         ^^^^^^^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        "range x from decimal(1) to decimal(3) step decimal(1)",
        expect![[r#"
            error[KQL0301]: `range` does not count in decimals
              --> query:1:1
              1 | range x from decimal(1) to decimal(3) step decimal(1)
                | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: use `real`, and convert afterwards with `todecimal()`
        "#]],
    );
    check(
        "Logon | reduce kind=other by User",
        expect![[r#"
        error[KQL0210]: `reduce` has no kind `other`
          --> query:1:16
          1 | Logon | reduce kind=other by User
            |                ^^^^^^^^^^
          help: `kind=source` keeps the rows
    "#]],
    );
    check(
        "Logon | make-series count() on Timestamp step -1d",
        expect![[r#"
            error[KQL0302]: the step of an axis must be greater than zero
              --> query:1:47
              1 | Logon | make-series count() on Timestamp step -1d
                |                                               ^^^
        "#]],
    );
}

#[test]
fn parts_are_kept_apart() {
    check(
        "Logon | partition by User (as Part | extend n = toscalar(Part | count))",
        expect![[r#"
            error[KQL0403]: the rows of a part cannot be read inside of an expression
              --> query:1:58
              1 | Logon | partition by User (as Part | extend n = toscalar(Part | count))
                |                                                          ^^^^^^^^^^^^
              help: put their values beside the rows with `join`, or compute them before with `summarize … by`
        "#]],
    );
    check(
        "Logon | partition by User (as Part | where Port in ((Part | project Port)))",
        expect![[r#"
            error[KQL0403]: the rows of a part cannot be read inside of an expression
              --> query:1:53
              1 | Logon | partition by User (as Part | where Port in ((Part | project Port)))
                |                                                     ^^^^^^^^^^^^^^^^^^^^^
              help: put their values beside the rows with `join`, or compute them before with `summarize … by`
        "#]],
    );
    check(
        "Logon | partition by User (join kind=rightouter (Process) on User)",
        expect![[r#"
            error[KQL0403]: rows without a partner would belong to no part here
              --> query:1:28
              1 | Logon | partition by User (join kind=rightouter (Process) on User)
                |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              help: inside of `mv-apply` and `partition`, keep those of the part's own rows: `kind=leftouter`
        "#]],
    );
    check(
        "Logon | partition by User (union (Process))",
        expect![[r#"
            error[KQL0403]: this query in a query loses the part that its rows belong to
              --> query:1:28
              1 | Logon | partition by User (union (Process))
                |                            ^^^^^^^^^^^^^^^
              help: inside of `mv-apply` and `partition`, go on from the rows of the part only: `as` names them
        "#]],
    );
}

#[test]
fn settings_that_change_nothing_are_warned_about() {
    check(
        "set notruncation; set queryconsistency = 'x'; print 1",
        expect![[""]],
    );
    check(
        "set query_take_max_record = 2; print 1",
        expect![[r#"
        warning[KQL0502]: there is no option `query_take_max_record`
          --> query:1:1
          1 | set query_take_max_record = 2; print 1
            | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: an option with a similar name exists: `query_take_max_records`
    "#]],
    );
    check(
        "set foo = 1; print 1",
        expect![[r#"
        warning[KQL0502]: there is no option `foo`
          --> query:1:1
          1 | set foo = 1; print 1
            | ^^^^^^^^^^^
          help: it changes nothing; a variable is made with `let name = value;`
    "#]],
    );
    check(
        "set truncation_max_records = many; print 1",
        expect![[r#"
        warning[KQL0502]: `truncation_max_records` wants a number of rows
          --> query:1:1
          1 | set truncation_max_records = many; print 1
            | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: write it as `set truncation_max_records = 1000;`
    "#]],
    );
}

#[test]
fn comparisons_that_no_row_meets_are_warned_about() {
    check(
        "Logon | where Port == 'abc'",
        expect![[r#"
            warning[KQL0501]: a value of type `int` is never equal to the text `abc`
              --> query:1:15
              1 | Logon | where Port == 'abc'
                |               ^^^^^^^^^^^^^
              help: compare with a value of that type, or make a text of it with `tostring(…)`
        "#]],
    );
    check(
        "Logon | where Port == '22' or tostring(Port) == 'x'",
        expect![[""]],
    );
    check(
        "Logon | where Bytes in ('1', 'x')",
        expect![[r#"
            warning[KQL0501]: a value of type `long` is never equal to the text `x`
              --> query:1:15
              1 | Logon | where Bytes in ('1', 'x')
                |               ^^^^^^^^^^^^^^^^^^
              help: compare with a value of that type, or make a text of it with `tostring(…)`
        "#]],
    );
    check(
        "let list = dynamic(['a']); Logon | where User has (list)",
        expect![[r#"
        warning[KQL0501]: `has` compares with the array's text, not with its elements
          --> query:1:42
          1 | let list = dynamic(['a']); Logon | where User has (list)
            |                                          ^^^^^^^^^^^^^^^
          help: for one of several texts use `has_any (…)`
    "#]],
    );
    check(
        "Logon | where User == dynamic(['a'])",
        expect![[r#"
        warning[KQL0501]: `==` compares with the array's text, not with its elements
          --> query:1:15
          1 | Logon | where User == dynamic(['a'])
            |               ^^^^^^^^^^^^^^^^^^^^^^
          help: for one of several texts use `in (…)`
    "#]],
    );
    check(
        "Logon | where User in ('a' 'b')",
        expect![[r#"
        warning[KQL0503]: two texts without a comma between them are one text
          --> query:1:24
          1 | Logon | where User in ('a' 'b')
            |                        ^^^^^^^
          help: put a comma between them
    "#]],
    );
}

#[test]
fn hints_and_drawings_that_do_not_exist_are_warned_about() {
    check(
        "Logon | join hint.strategy=shufle (Process) on User | summarize hint.strategy=shuffle hint.shufflekey=User hint.shufflekey=Port count() by User",
        expect![[r#"
            warning[KQL0502]: the hint `strategy` has no value `shufle`
              --> query:1:14
              1 | Logon | join hint.strategy=shufle (Process) on User | summarize hint.strategy=shuffle hint.shufflekey=User hint.shufflekey=Port count() by User
                |              ^^^^^^^^^^^^^^^^^^^^
              help: a value with a similar name exists: `shuffle`
        "#]],
    );
    check(
        "Logon | join hint.foo=bar kind=outer (Process) on User",
        expect![[r#"
        warning[KQL0502]: there is no hint `foo`
          --> query:1:14
          1 | Logon | join hint.foo=bar kind=outer (Process) on User
            |              ^^^^^^^^^^^^
          help: there are concurrency, distribution, materialized, num_partitions, pass_filters, pass_filters_column, progressive_top, remote, shufflekey, spread, strategy
        warning[KQL0503]: `join` has no kind `outer`, and it is taken for `fullouter`
          --> query:1:27
          1 | Logon | join hint.foo=bar kind=outer (Process) on User
            |                           ^^^^^^^^^^
          help: write `kind=fullouter`
    "#]],
    );
    check(
        "Logon | summarize n = count() by User | render timechart with (title=\"x\", ycolumns=n)",
        expect![[""]],
    );
    check(
        "Logon | summarize n = count() by User | render pichart with (titel=\"x\", kind=stackd, ycolumns=n, m)",
        expect![[r#"
        warning[KQL0502]: there is no drawing `pichart`
          --> query:1:41
          1 | Logon | summarize n = count() by User | render pichart with (titel="x", kind=stackd, ycolumns=n, m)
            |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: a drawing with a similar name exists: `piechart`
        warning[KQL0502]: drawings have no property `titel`
          --> query:1:41
          1 | Logon | summarize n = count() by User | render pichart with (titel="x", kind=stackd, ycolumns=n, m)
            |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: there are accumulate, anomalycolumns, kind, legend, series, title, xaxis, xcolumn, xmax, xmin, xtitle, yaxis, ycolumns, ymax, ymin, ysplit, ytitle
        warning[KQL0502]: the property `kind` has no value `stackd`
          --> query:1:41
          1 | Logon | summarize n = count() by User | render pichart with (titel="x", kind=stackd, ycolumns=n, m)
            |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: a value with a similar name exists: `stacked`
        warning[KQL0502]: the result has no column `m` to draw
          --> query:1:41
          1 | Logon | summarize n = count() by User | render pichart with (titel="x", kind=stackd, ycolumns=n, m)
            |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: a column with a similar name exists: `n`
    "#]],
    );
    check(
        "Logon | render piechart with (title)",
        expect![[r#"
        warning[KQL0502]: the property `title` has no value
          --> query:1:9
          1 | Logon | render piechart with (title)
            |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: give it one: `title = …`
    "#]],
    );
}

#[test]
fn forms_that_are_taken_for_others_are_warned_about() {
    check(
        "Process | parse FileName with 'a' b c 'd'",
        expect![[r#"
        warning[KQL0503]: a text between two columns is missing: nothing says where the first one ends
          --> query:1:37
          1 | Process | parse FileName with 'a' b c 'd'
            |                                     ^
          help: put the text that stands between them
    "#]],
    );
    check(
        "let f = (T: (User: string)) { T | extend p = Port | where User == 'a' }; f(Logon)",
        expect![[r#"
        warning[KQL0503]: `Port` is no column that the parameter declares
          --> query:1:46
          1 | let f = (T: (User: string)) { T | extend p = Port | where User == 'a' }; f(Logon)
            |                                              ^^^^
          help: declare it: `(Port: …)`, or take any table: `(*)`
    "#]],
    );
    check(
        "let f = (T: (User: string)) { T | extend Port = 1 | where Port == 1 }; Logon | invoke f()",
        expect![[""]],
    );
    check(
        "Logon | make-series count() on Timestamp from ago(1d) to (-1h) step 1h",
        expect![[r#"
        error[KQL0301]: an axis of instants goes to an instant, and this is a timespan
          --> query:1:58
          1 | Logon | make-series count() on Timestamp from ago(1d) to (-1h) step 1h
            |                                                          ^^^^^
          help: count from the present: `ago(7d)`, `now() - 1h`
    "#]],
    );
}

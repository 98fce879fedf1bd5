//! The formatter: the form that it gives, and that it changes nothing but blanks.

use expect_test::{Expect, expect};

use crate::format::{comments, laid_out, same_shape};

/// The text in the one form. Whatever the text: the same syntax, the same comments, and no change
/// the second time.
fn checked(text: &str) -> String {
    let syntax = crate::parse(text);
    if !syntax.diagnostics.is_empty() {
        assert_eq!(crate::format(text), text, "a text with errors stays");
        return text.to_owned();
    }
    let formatted = laid_out(&syntax.root(), text);
    let again = crate::parse(&formatted);
    assert!(
        again.diagnostics.is_empty() && same_shape(&syntax.root(), &again.root()),
        "other syntax:\n{text}\n----\n{formatted}"
    );
    assert_eq!(
        comments(text),
        comments(&formatted),
        "{text}\n----\n{formatted}"
    );
    assert_eq!(crate::format(&formatted), formatted, "from\n{text}");
    assert!(formatted.is_empty() || formatted.ends_with('\n'));
    formatted
}

#[expect(clippy::needless_pass_by_value, reason = "the macro gives a value")]
fn check(text: &str, wanted: Expect) {
    wanted.assert_eq(&checked(text));
}

/// Every query of the published and recorded ones that is there, with its place.
fn published() -> Option<Vec<(String, String)>> {
    let Some(folder) = testkit::shared_data() else {
        testkit::skip("no shared data: formatting of published queries");
        return None;
    };
    let mut all = Vec::new();
    for file in ["cases", "engine_cases", "hunting_queries"] {
        let text = std::fs::read_to_string(folder.join(format!("kql/{file}.jsonl"))).unwrap();
        for (line, row) in text.lines().enumerate() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            all.push((
                format!("{file}:{}", line + 1),
                row["query"].as_str().unwrap().to_owned(),
            ));
        }
    }
    Some(all)
}

#[test]
fn published_queries_stay_the_same_query() {
    let Some(all) = published() else { return };
    for (place, query) in &all {
        println!("{place}");
        checked(query);
    }
    assert!(all.len() > 1_000);
}

/// The queries of the manual.
pub(super) fn manual() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/kql");
    let mut all = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let blocks = text.split("\n```kql").skip(1);
        let inner = blocks.filter_map(|b| b.split_once('\n')?.1.split("\n```").next());
        all.extend(inner.map(str::to_owned));
    }
    all
}

#[test]
fn the_manuals_queries_stay_the_same_query() {
    let all = manual();
    for query in &all {
        checked(query);
    }
    assert!(all.len() > 30);
}

#[test]
fn a_short_query_is_one_line() {
    check(
        "  Logon|take  5 ",
        expect![[r#"
        Logon | take 5
    "#]],
    );
    check(
        "print   x=1,y = -2",
        expect![[r#"
        print x = 1, y = -2
    "#]],
    );
}

#[test]
fn one_operator_a_line() {
    check(
        "Logon | where Port==3389 and User !in~ ('a',\"b\") | summarize n=count(),max(Port) by User, bin(Timestamp,1h)|order by n desc nulls last",
        expect![[r#"
            Logon
            | where Port == 3389 and User !in~ ('a', "b")
            | summarize n = count(), max(Port) by User, bin(Timestamp, 1h)
            | order by n desc nulls last
        "#]],
    );
}

#[test]
fn long_lists_have_an_item_a_line() {
    check(
        "Process | extend a = case(FileName has 'powershell', 'shell', FileName has 'certutil', 'download', 'other') , b = strcat('first', 'second')",
        expect![[r#"
            Process
            | extend
                a = case(FileName has 'powershell', 'shell', FileName has 'certutil', 'download', 'other'),
                b = strcat('first', 'second')
        "#]],
    );
    check(
        "Process | where FileName in~ ('alpha.exe','beta.exe','gamma.exe','delta.exe','epsilon.exe','zeta.exe','eta.exe','theta.exe') and User != ''",
        expect![[r#"
            Process
            | where FileName in~ (
                    'alpha.exe', 'beta.exe', 'gamma.exe', 'delta.exe', 'epsilon.exe', 'zeta.exe', 'eta.exe',
                    'theta.exe'
                )
                and User != ''
        "#]],
    );
    check(
        "Process | where (FileName =~ 'powershell.exe' or CommandLine has 'EncodedCommand') and not(User startswith 'svc') and LogonId between (1..20)",
        expect![[r#"
            Process
            | where (FileName =~ 'powershell.exe' or CommandLine has 'EncodedCommand')
                and not(User startswith 'svc')
                and LogonId between (1 .. 20)
        "#]],
    );
}

#[test]
fn queries_in_queries_are_indented() {
    check(
        "let t=(a:long, T:(x:string)){T|where x=='1'|take a}; let big = Process | where LogonId > 5 | project User; Logon | join kind=leftanti (Process | where FileName=='a' | project User) on User | where Port in (toscalar(big | count), 5)",
        expect![[r#"
            let t = (a: long, T: (x: string)) {
                T
                | where x == '1'
                | take a
            };
            let big =
                Process
                | where LogonId > 5
                | project User;
            Logon
            | join kind=leftanti (
                Process
                | where FileName == 'a'
                | project User
            ) on User
            | where Port in (toscalar(big | count), 5)
        "#]],
    );
    check(
        "Logon | mv-apply e = Extra to typeof(string) on (where e has 'a' | summarize n=count() | top 3 by n) | union (Process | take 3), Device",
        expect![[r#"
            Logon
            | mv-apply e = Extra to typeof(string) on (
                where e has 'a'
                | summarize n = count()
                | top 3 by n
            )
            | union (Process | take 3), Device
        "#]],
    );
}

#[test]
fn comments_stay() {
    check(
        "// What this is for.\n\n\nlet x = 5; // five\n// The query.\nLogon // all of them\n// only remote\n| where Port == x // 5\n   and User == 'a'\n| project User, // who\n   Port\n   // nothing else\n// the end",
        expect![[r#"
            // What this is for.

            let x = 5; // five
            // The query.
            Logon // all of them
            // only remote
            | where Port == x // 5
                and User == 'a'
            | project
                User, // who
                Port
            // nothing else
            // the end
        "#]],
    );
}

#[test]
fn tables_have_a_row_a_line() {
    check(
        "datatable(Name:string,Count:long)['first row',1,'second row',2,'third row',3,'fourth row',4,'fifth row',5,'sixth row',6,'seventh',7] | where Count>1",
        expect![[r#"
            datatable(Name: string, Count: long) [
                'first row', 1,
                'second row', 2,
                'third row', 3,
                'fourth row', 4,
                'fifth row', 5,
                'sixth row', 6,
                'seventh', 7
            ]
            | where Count > 1
        "#]],
    );
}

#[test]
fn other_forms() {
    check(
        "Logon | make-series n=count() default=0 on Timestamp from ago(1d) to now() step 1h by User | parse kind=regex User with 'a' b:long ' ' * | render timechart with (title='x')",
        expect![[r#"
            Logon
            | make-series n = count() default=0 on Timestamp from ago(1d) to now() step 1h by User
            | parse kind=regex User with 'a' b:long ' ' *
            | render timechart with (title='x')
        "#]],
    );
    check(
        "Logon | sort by Timestamp asc | scan with_match_id=m declare (n:long=0) with (step a: Port==1 => n=1; step b output=last: Port==2 and n==1 => n = a.n+1;) | evaluate bag_unpack(Extra):(*, a:string)",
        expect![[r#"
            Logon
            | sort by Timestamp asc
            | scan with_match_id=m declare (n: long = 0) with (
                step a: Port == 1 => n = 1;
                step b output=last: Port == 2 and n == 1 => n = a.n + 1;
            )
            | evaluate bag_unpack(Extra) : (*, a: string)
        "#]],
    );
    check(
        "E | make-graph A-->B with N on Id | graph-match cycles=none (a)-[e*1..3]->(b)<--(c) where a.x==1 project a.Id,e",
        expect![[r#"
            E
            | make-graph A --> B with N on Id
            | graph-match cycles=none (a)-[e*1..3]->(b)<--(c) where a.x == 1 project a.Id, e
        "#]],
    );
    check(
        "print d = dynamic({'a':[1,2,-3],'b':{'c':null}}), x = Extra.a['b'][0].c, y = -(-1), z=1-1, l = 'a' 'b'",
        expect![[r#"
            print
                d = dynamic({'a': [1, 2, -3], 'b': {'c': null}}),
                x = Extra.a['b'][0].c,
                y = -(-1),
                z = 1 - 1,
                l = 'a' 'b'
        "#]],
    );
    check(
        "set notruncation;;\n\nsearch in (Logon,Process) User:'ana' or * has \"x\"",
        expect![[r#"
        set notruncation;;

        search in (Logon, Process) User:'ana' or * has "x"
    "#]],
    );
}

#[test]
fn what_cannot_be_laid_out_stays() {
    // On one line `long(1)` would be a literal.
    let text = "print long\n(1)";
    assert_eq!(crate::format(text), text);
}

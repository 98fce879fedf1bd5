//! What operators and functions make of their operands: conversions, folding, sets.

use expect_test::{Expect, expect};

use super::resolved;
use crate::explain::explain;

/// The expression that a condition or column becomes.
fn check(query: &str, expect: Expect) {
    expect.assert_eq(&explain(&resolved(query)));
}

#[test]
fn numbers_widen() {
    check(
        "Logon | project a = Port + Port, b = Port * 1.5, c = Bytes / 2, d = -Port",
        expect![[r#"
            source Logon
            project a = +(long(Port#3), long(Port#3)), b = *(real(Port#3), 1.5), c = /(Bytes#4, 2), d = unary -(long(Port#3))
        "#]],
    );
    check(
        "Logon | project a = bin(Port, Port), b = bin(Port, 0.5), c = bin_at(Port, int(2), Port)",
        expect![[r#"
            source Logon
            project a = bin(long(Port#3), long(Port#3)), b = bin(real(Port#3), 0.5), c = bin_at(long(Port#3), 2, long(Port#3))
        "#]],
    );
    check(
        "Logon | where Port > Bytes and Bytes == 1.5 and Port between (1 .. 2.5)",
        expect![[r#"
            source Logon
            filter and(>(long(Port#3), Bytes#4), ==(real(Bytes#4), 1.5), between(real(Port#3), 1.0, 2.5))
        "#]],
    );
}

#[test]
fn instants_and_spans() {
    check(
        "print ago(1d), now(-1h), datetime(2024-05-01) + 2 * 1d, 1d / 1h, 90m * 2",
        expect![[r#"
            values 1 rows ()
            project print_0 = 2024-04-30T12:00:00.0000000Z, print_1 = 2024-05-01T11:00:00.0000000Z, print_2 = 2024-05-03T00:00:00.0000000Z, print_3 = /(1.00:00:00, 01:00:00), print_4 = 03:00:00
        "#]],
    );
    check(
        "Logon | where Timestamp between (datetime(2024-01-01) .. 7d)",
        expect![[r#"
            source Logon
            filter between(Timestamp#0, 2024-01-01T00:00:00.0000000Z, 2024-01-08T00:00:00.0000000Z)
        "#]],
    );
    check(
        "Logon | project Timestamp - ago(1h), Timestamp % 1d, Timestamp + 1h",
        expect![[r#"
            source Logon
            project Column1 = -(Timestamp#0, 2024-05-01T11:00:00.0000000Z), Column2 = %(Timestamp#0, 1.00:00:00), Column3 = +(Timestamp#0, 01:00:00)
        "#]],
    );
}

#[test]
fn dynamic_values_convert() {
    check(
        "Logon | where Extra.a == 'x' and Extra.n > 5 and Extra.id == 9007199254740993",
        expect![[r#"
            source Logon
            filter and(==(string(Extra#5["a"]), "x"), >(real(Extra#5["n"]), 5.0), ==(long(Extra#5["id"]), 9007199254740993))
        "#]],
    );
    check(
        "Logon | where Extra.a has 'x' and Extra.flag == true and tolower(Extra.b) != ''",
        expect![[r#"
            source Logon
            filter and(has(string(Extra#5["a"]), "x"), ==(bool(Extra#5["flag"]), true), !=(tolower(string(Extra#5["b"])), ""))
        "#]],
    );
    check(
        "Logon | project Extra.n * 2, iff(isempty(Extra.a), 'none', Extra.a), parse_json(Extra)",
        expect![[r#"
            source Logon
            project Column1 = *(long(Extra#5["n"]), 2), Column2 = iff(isempty(Extra#5["a"]), "none", string(Extra#5["a"])), Extra#5
        "#]],
    );
}

#[test]
fn sets() {
    check(
        "Logon | where User in ('a', 'b') or Port !in (1, 2.5) or User in~ (dynamic(['x', 'y']))",
        expect![[r#"
            source Logon
            filter or(User#1 In ("a", "b"), real(Port#3) NotIn (1.0, 2.5), User#1 InCi ("x", "y"))
        "#]],
    );
    check(
        "let bad = dynamic(['a', 'b']); Logon | where User has_any (bad) and User has_all ('x')",
        expect![[r#"
            source Logon
            filter and(User#1 HasAny ("a", "b"), User#1 HasAll ("x"))
        "#]],
    );
    check(
        "Logon | where User in (Extra.users) or User !in ('a', Extra.users)",
        expect![[r#"
            source Logon
            filter or(User#1 In (elements of Extra#5["users"]), and(User#1 NotIn ("a"), User#1 NotIn (elements of Extra#5["users"])))
        "#]],
    );
    check(
        "Logon | where User in (Device | project DeviceId) and User !in ((Process | distinct User, FileName))",
        expect![[r#"
            shared 0:
              source Device
              project DeviceId#1
              project DeviceId#0
            shared 1:
              source Process
              project User#1, FileName#2
              distinct
              project User#0
            source Logon
            filter and(User#1 In (shared 0), User#1 NotIn (shared 1))
        "#]],
    );
    check(
        "Logon | where Extra.n in (1, 2)",
        expect![[r#"
        source Logon
        filter real(Extra#5["n"]) In (1.0, 2.0)
    "#]],
    );
}

#[test]
fn three_valued_operators_are_flat() {
    check(
        "Logon | where User == 'a' or User == 'b' or User == 'c' and not(Port == 1)",
        expect![[r#"
            source Logon
            filter or(==(User#1, "a"), ==(User#1, "b"), and(==(User#1, "c"), not(==(Port#3, int(1)))))
        "#]],
    );
}

#[test]
fn choices() {
    check(
        "Logon | project a = iff(Port > 1, Port, Bytes), b = case(Port == 1, 'one', Port == 2, 'two', User), c = coalesce(Port, 1.5)",
        expect![[r#"
            source Logon
            project a = iff(>(Port#3, int(1)), long(Port#3), Bytes#4), b = case(==(Port#3, int(1)), "one", ==(Port#3, int(2)), "two", User#1), c = coalesce(real(Port#3), 1.5)
        "#]],
    );
    check(
        "Logon | project x = max_of(1, 2.5, Port), y = bin(Timestamp, 1h), z = bin(Bytes, 0.5)",
        expect![[r#"
            source Logon
            project x = max_of(1.0, 2.5, real(Port#3)), y = bin(Timestamp#0, 01:00:00), z = bin(real(Bytes#4), 0.5)
        "#]],
    );
}

#[test]
fn literals() {
    check(
        "print a = 0x1F, b = int(5), c = real(nan), d = decimal(-1.50), e = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), f = long(null), g = true, h = 1e3, i = time(1.02:03:04.5), j = 'a' \"b\" @'c\\d', k = dynamic({'x': [1, -2, null, datetime(2024-01-01)]})",
        expect![[r#"
            values 1 rows ()
            project a = 31, b = int(5), c = NaN, d = decimal(-1.50), e = guid(74be27de1e4e49d9b579fe0b331d3642), f = long(null), g = true, h = 1000.0, i = 1.02:03:04.5000000, j = "abc\\d", k = dynamic({"x":[1,-2,null,"2024-01-01T00:00:00.0000000Z"]})
        "#]],
    );
}

#[test]
fn subqueries_are_shared() {
    check(
        "let n = toscalar(Logon | count); Logon | where Bytes > n and Port < n",
        expect![[r#"
            shared 0:
              source Logon
              summarize count() by 
              project Count#0
              take 1
            source Logon
            filter and(>(Bytes#4, first of shared 0), <(long(Port#3), first of shared 0))
        "#]],
    );
    check(
        "let m = materialize(Logon | where Port == 1); union m, (m | where Bytes > 1)",
        expect![[r#"
            shared 0:
              source Logon
              filter ==(Port#3, int(1))
              shared 0
              project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
              shared 0
              filter >(Bytes#4, 1)
              project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
            union (Timestamp: datetime, User: string, Result: string, Port: int, Bytes: long, Extra: dynamic)
        "#]],
    );
}

#[test]
fn aggregates() {
    check(
        "Logon | summarize countif(Port == 1), sumif(Bytes, Port > 1), make_set_if(User, Port > 2, 10), dcount(User, 2)",
        expect![[r#"
            source Logon
            summarize count() if ==(Port#3, int(1)), sum(Bytes#4) if >(Port#3, int(1)), make_set(User#1, 10) if >(Port#3, int(2)), dcount(User#1, 2) by 
        "#]],
    );
    check(
        "Logon | summarize x = count() * 2 + sum(Port) by h = bin(Timestamp, 1h)",
        expect![[r#"
            source Logon
            summarize count(), sum(Port#3) by bin(Timestamp#0, 01:00:00)
            project h = summary_0#0, x = +(*(summary_1#1, 2), summary_2#2)
        "#]],
    );
    check(
        "Logon | summarize percentiles_array(Bytes, 5, 95), percentile(Port, 50)",
        expect![[r#"
            source Logon
            summarize percentiles_array(Bytes#4, 5.0, 95.0), percentile(long(Port#3), 50.0) by 
        "#]],
    );
}

#[test]
fn joins() {
    check(
        "Logon | join kind=inner (Process) on User, $left.Bytes == $right.LogonId",
        expect![[r#"
              source Logon
              source Process
            join Inner on User#1 = User#1, Bytes#4 = LogonId#4
        "#]],
    );
    check(
        "Address | lookup kind=inner (Device | project Ip = DeviceId, Score) on Ip",
        expect![[r#"
              source Address
              source Device
              project Ip = DeviceId#1, Score#2
            join Inner on Ip#0 = Ip#0
            project Ip#0, Port#1, Score#3
        "#]],
    );
    check(
        "Logon | join hint.strategy=shuffle kind=fullouter (Logon | project Port = tolong(Port)) on $left.Port == $right.Port",
        expect![[r#"
              source Logon
              source Logon
              project Port = long(Port#3)
            join FullOuter on long(Port#3) = Port#0
        "#]],
    );
}

#[test]
fn ingestion_time_is_carried() {
    check(
        "Logon | where ingestion_time() > ago(1h) | take 5",
        expect![[r#"
            source Logon
            filter >(_ingested_at#6, 2024-05-01T11:00:00.0000000Z)
            take 5
            project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
        "#]],
    );
    check(
        "Logon | extend t = ingestion_time() | project t, u = ingestion_time()",
        expect![[r#"
            source Logon
            project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5, _ingested_at#6, t = _ingested_at#6
            project t#7, u = _ingested_at#6
        "#]],
    );
}

#[test]
fn row_id_and_source_fields_are_carried() {
    check(
        "Logon | where row_id() == 'a' | project id = row_id(), _source_fields.EventID, row_id()",
        expect![[r#"
            source Logon
            filter ==(_row_id#6, "a")
            project id = _row_id#6, _source_fields_EventID = _source_fields#7["EventID"], RowId = _row_id#6
        "#]],
    );
    // Not part of a star, and gone with the row.
    check(
        "Logon | where * has 'x' | extend e = _source_fields | summarize n = count(), take_any(row_id()) by tostring(e.a) | extend r = row_id()",
        expect![[r#"
            source Logon
            filter or(has(User#1, "x"), has(Result#2, "x"), has(string(Extra#5), "x"))
            project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5, _row_id#6, _source_fields#7, e = _source_fields#7
            summarize count(), take_any(_row_id#6) by string(e#8["a"])
            project e_a#0, n#1, RowId#2, r = ""
        "#]],
    );
    check(
        "union (Logon | project User), (Logon | where ['_source_fields'].x == 1) | project User, row_id(), _source_fields",
        expect![[r#"
              source Logon
              project User#1
              project User#0, Timestamp = datetime(null), Result = "", Port = int(null), Bytes = long(null), Extra = dynamic(null), _row_id = "", _source_fields = dynamic(null)
              source Logon
              filter ==(real(_source_fields#7["x"]), 1.0)
              project User#1, Timestamp#0, Result#2, Port#3, Bytes#4, Extra#5, _row_id#6, _source_fields#7
            union (User: string, Timestamp: datetime, Result: string, Port: int, Bytes: long, Extra: dynamic, [_row_id: string], [_source_fields: dynamic])
            project User#0, RowId = _row_id#6, _source_fields#7
        "#]],
    );
    check(
        "datatable (a: long) [1] | extend row_id(), ingestion_time()",
        expect![[r#"
            values 1 rows (a: long)
            project a#0, RowId = "", $IngestionTime = datetime(null)
        "#]],
    );
}

#[test]
fn functions_of_the_query() {
    check(
        "let recent = (T: (Timestamp: datetime), d: timespan) { T | where Timestamp > ago(d) }; recent(Logon, 2h)",
        expect![[r#"
            source Logon
            filter >(Timestamp#0, 2024-05-01T10:00:00.0000000Z)
        "#]],
    );
    check(
        "let all = () { Device | where IsServer }; all | count",
        expect![[r#"
            source Device
            filter IsServer#3
            summarize count() by 
        "#]],
    );
    check(
        "let up = (s: string) { toupper(s) }; Logon | project up(User), up('x')",
        expect![[r#"
            source Logon
            project Column1 = toupper(User#1), Column2 = toupper("x")
        "#]],
    );
}

#[test]
fn order_and_rows() {
    check(
        "Logon | sort by User, Port asc, Bytes desc nulls first | top 3 by Timestamp",
        expect![[r#"
            source Logon
            sort User#1 desc nulls last, Port#3 asc nulls first, Bytes#4 desc nulls first
            sort Timestamp#0 desc nulls last
            take 3
        "#]],
    );
    check(
        "Logon | order by Timestamp asc nulls last | limit 2 * 5 | as X | union X",
        expect![[r#"
              source Logon
              sort Timestamp#0 asc nulls last
              take 10
              project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
              source Logon
              sort Timestamp#0 asc nulls last
              take 10
              project Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
            union (Timestamp: datetime, User: string, Result: string, Port: int, Bytes: long, Extra: dynamic)
        "#]],
    );
    check(
        "Logon | mvexpand Extra limit 7 | render timechart with (title = 'a b', xcolumn = User)",
        expect![[r#"
            source Logon
            mv-expand #5 to dynamic Bag index=false max=Some(7)
            render timechart
        "#]],
    );
}

#[test]
fn others_of_top_nested() {
    // One level: the first, then the rest as one row, if there is a rest.
    check(
        "Logon | top-nested 2 of User with others = 'rest' by n = count()",
        expect![[r#"
            shared 0:
              source Logon
              project $t0 = User#1, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
              summarize count() by $t0#0
              project level_0 = summary_0#0, level_1 = summary_1#1
              sort level_1#1 desc nulls last
              window RowNumber(1, false) per ()
              filter <=($n#2, 2)
              project level_0#0, level_1#1
              project level_0#0, level_1#1
              shared 0
              project level_0#0, level_1#1, part = 0
                source Logon
                project $t0 = User#1, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
                shared 0
              join LeftAnti on $t0#0 = level_0#0
              summarize count(), count() by 
              filter >(summary_1#1, 0)
              project $o = "rest", $o = summary_0#0
              project level_0 = $o#0, level_1 = $o#1, part = 1
            union (level_0: string, level_1: long, part: long)
            sort part#2 asc nulls first, level_1#1 desc nulls last, level_0#0 desc nulls last
            project User = level_0#0, n = level_1#1
        "#]],
    );
    // Other ports of a user show nothing but what is below them; other users have their label above
    // an empty port. All results are kept, so none is another.
    check(
        "Logon | top-nested 2 of User with others = 'rest' by n = count(), top-nested 1 of Port by sum(Bytes), top-nested of Result with others = 'all' by max(Port)",
        expect![[r#"
            shared 0:
              source Logon
              project $t0 = User#1, $t1 = Port#3, $t2 = Result#2, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
              summarize count() by $t0#0
              project level_0 = summary_0#0, level_1 = summary_1#1
              sort level_1#1 desc nulls last
              window RowNumber(1, false) per ()
              filter <=($n#2, 2)
              project level_0#0, level_1#1
              project level_0#0, level_1#1
            shared 1:
                shared 0
                  source Logon
                  project $t0 = User#1, $t1 = Port#3, $t2 = Result#2, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
                  shared 0
                join LeftSemi on $t0#0 = level_0#0
                summarize sum(Bytes#7) by $t0#0, $t1#1
                project level_0 = summary_0#0, level_1 = summary_1#1, level_2 = summary_2#2
                sort level_0#0 asc nulls first, level_2#2 desc nulls last
                window RowNumber(1, false) per (level_0#0)
                filter <=($n#3, 1)
                project level_0#0, level_1#1, level_2#2
              join Inner on level_0#0 = level_0#0
              project level_0#0, level_1#1, $r1#3, $r2#4
            shared 2:
                shared 1
                  source Logon
                  project $t0 = User#1, $t1 = Port#3, $t2 = Result#2, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
                  shared 1
                join LeftSemi on $t0#0 = level_0#0, $t1#1 = $r1#2
                summarize max(Port#6) by $t0#0, $t1#1, $t2#2
                project level_0 = summary_0#0, level_1 = summary_1#1, level_2 = summary_2#2, level_3 = summary_3#3
                sort level_0#0 asc nulls first, level_1#1 asc nulls first, level_3#3 desc nulls last
              join Inner on level_0#0 = level_0#0, $r1#2 = level_1#1
              project level_0#0, level_1#1, $r1#2, $r2#3, $r2#6, $r3#7
              shared 2
              project level_0#0, level_1#1, level_2 = $r1#2, level_3 = $r2#3, level_4 = $r2#4, level_5 = $r3#5, part = 0
                shared 0
                    source Logon
                    project $t0 = User#1, $t1 = Port#3, $t2 = Result#2, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
                    shared 0
                  join LeftSemi on $t0#0 = level_0#0
                  shared 1
                join LeftAnti on $t0#0 = level_0#0, $t1#1 = $r1#2
                summarize max(Port#6), count() by $t0#0
                filter >(summary_2#2, 0)
                project $o = summary_0#0, $o = int(null), $o = long(null), $o = "all", $o = summary_1#1
              join Inner on level_0#0 = $o#0
              project level_0#0, level_1#1, $r1#3, $r2#4, $r3#5, $r4#6
              project level_0#0, level_1#1, level_2 = $r1#2, level_3 = $r2#3, level_4 = $r3#4, level_5 = $r4#5, part = 1
                source Logon
                project $t0 = User#1, $t1 = Port#3, $t2 = Result#2, Timestamp#0, User#1, Result#2, Port#3, Bytes#4, Extra#5
                shared 0
              join LeftAnti on $t0#0 = level_0#0
              summarize count(), max(Port#6), count() by 
              filter >(summary_2#2, 0)
              project $o = "rest", $o = summary_0#0, $o = int(null), $o = long(null), $o = "all", $o = summary_1#1
              project level_0 = $o#0, level_1 = $o#1, level_2 = $o#2, level_3 = $o#3, level_4 = $o#4, level_5 = $o#5, part = 2
            union (level_0: string, level_1: long, level_2: int, level_3: long, level_4: string, level_5: int, part: long)
            sort part#6 asc nulls first, level_1#1 desc nulls last, level_0#0 desc nulls last, level_3#3 desc nulls last, level_2#2 desc nulls last, level_5#5 desc nulls last, level_4#4 desc nulls last
            project User = level_0#0, n = level_1#1, Port = level_2#2, aggregated_Port = level_3#3, Result = level_4#4, aggregated_Result = level_5#5
        "#]],
    );
}

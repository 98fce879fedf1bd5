//! What the result's columns are called, in which order, of which type.

use expect_test::{Expect, expect};

use super::resolved;
use crate::explain::columns;

fn check(query: &str, expect: Expect) {
    expect.assert_eq(&columns(&resolved(query).root.columns));
}

#[test]
fn of_project_and_extend() {
    check(
        "Logon | project User, Bytes + 1, Port * 2",
        expect!["User: string, Column1: long, Column2: long"],
    );
    check(
        "Logon | project Extra.a.b, Extra['c d'], Extra[0], Extra[User]",
        expect!["Extra_a_b: dynamic, Extra_c d: dynamic, Extra_0: dynamic, Extra_: dynamic"],
    );
    check(
        "Logon | project tostring(Extra.a), split(User, '@')[0], bin(Bytes, 10), toupper(User)",
        expect!["Extra_a: string, User_0: dynamic, Bytes: long, Column1: string"],
    );
    check(
        "Logon | project strlen(User), tolong(Port), strlen(User)",
        expect!["strlen_User: long, Port: long, strlen_User1: long"],
    );
    check(
        "Device | extend Score = round(Score, 1), Score > 1",
        expect![
            "Timestamp: datetime, DeviceId: string, Score: real, IsServer: bool, Column1: bool"
        ],
    );
    check(
        "Device | extend tostring(Score) | project-reorder Score, *",
        expect!["Score: string, Timestamp: datetime, DeviceId: string, IsServer: bool"],
    );
    check(
        "Device | extend ['a b'] = 1, Column1 = 2, 3",
        expect![
            "Timestamp: datetime, DeviceId: string, Score: real, IsServer: bool, a b: long, Column1: long, Column2: long"
        ],
    );
}

#[test]
fn of_nameless_parts() {
    check(
        "Logon | project parse_url(User).Host, bag_pack('a', Extra).a.b, array_concat(Extra)[0].x",
        expect!["Host: dynamic, b: dynamic, 0_x: dynamic"],
    );
    check(
        "Logon | project array_sort_asc(Extra.a), repeat(1, 2), strlen(toupper(User))",
        expect!["Extra_a_sorted: dynamic, repeat_: dynamic, strlen_: long"],
    );
    check(
        "Logon | extend Extra.x, tostring(Extra.x) | project-keep Extra_*",
        expect!["Extra_x: string"],
    );
    check(
        "Logon | summarize strlen(max(User)), percentiles_array(Bytes, 5)",
        expect!["strlen_max_User: long, percentiles_Bytes: dynamic"],
    );
    check("Logon | count as N", expect!["N: long"]);
}

#[test]
fn of_time_generated() {
    check(
        "Device | where TimeGenerated > ago(1d) | project TimeGenerated, Score",
        expect!["TimeGenerated: datetime, Score: real"],
    );
    check(
        "Device | project-away TimeGenerated | getschema",
        expect!["ColumnName: string, ColumnOrdinal: int, DataType: string, ColumnType: string"],
    );
    check(
        "Device | join kind=inner (Logon) on $left.DeviceId == $right.User | project TimeGenerated1",
        expect!["TimeGenerated1: datetime"],
    );
    check(
        "Device | summarize count() by bin(TimeGenerated, 1h)",
        expect!["TimeGenerated: datetime, count_: long"],
    );
}

#[test]
fn of_summarize() {
    check(
        "Logon | summarize count(), dcount(User), count() by Result, bin(Timestamp, 1d)",
        expect![
            "Result: string, Timestamp: datetime, count_: long, dcount_User: long, count_1: long"
        ],
    );
    check(
        "Logon | summarize make_set(User), make_list(Extra.x), sum(Bytes), avg(Port), max(Port)",
        expect![
            "set_User: dynamic, list_Extra_x: dynamic, sum_Bytes: long, avg_Port: real, max_Port: int"
        ],
    );
    check(
        "Logon | summarize arg_max(Timestamp, *) by User",
        expect![
            "User: string, Timestamp: datetime, Result: string, Port: int, Bytes: long, Extra: dynamic"
        ],
    );
    check(
        "Logon | summarize Last = arg_max(Timestamp, Result, Port) by User",
        expect!["User: string, Last: datetime, Result: string, Port: int"],
    );
    check(
        "Logon | summarize (When, Who) = arg_min(Timestamp, User)",
        expect!["When: datetime, Who: string"],
    );
    check(
        "Logon | summarize percentile(Bytes, 99.9), percentiles(Port, 5, 95), countif(Port > 1)",
        expect![
            "percentile_Bytes_99_9: long, percentile_Port_5: long, percentile_Port_95: long, countif_: long"
        ],
    );
    check(
        "Logon | summarize Ten = 10 * percentile(Port, 5), round(percentile(todecimal(Port), 5), 1)",
        expect!["Ten: long, percentile_Port_5: real"],
    );
    check(
        "Logon | summarize Rate = countif(Result == 'fail') * 1.0 / count(), round(avg(Bytes), 1) by User",
        expect!["User: string, Rate: real, avg_Bytes: real"],
    );
    check(
        "Logon | summarize take_any(*) by User",
        expect![
            "User: string, Timestamp: datetime, Result: string, Port: int, Bytes: long, Extra: dynamic"
        ],
    );
    check(
        "Logon | summarize any(Port), argmax(Bytes, Port), makeset(User)",
        expect!["any_Port: int, max_Bytes: long, max_Bytes_Port: int, set_User: dynamic"],
    );
    check(
        "Logon | summarize any(Port + 1), anyif(Port, true), anyif(Port + 1, true)",
        expect!["any_: long, anyif_Port: int, anyif_: long"],
    );
    check(
        "Logon | summarize by User, tolower(Result)",
        expect!["User: string, Column1: string"],
    );
    check(
        "Logon | summarize User = dcount(User) by tostring(Extra.a)",
        expect!["Extra_a: string, User: long"],
    );
}

#[test]
fn of_aggregates_over_time_and_truth() {
    // Accepted and typed as by the official parser; what it refuses is among the diagnostics.
    check(
        "Logon | extend Span = Timestamp - ago(1d), Is = Port > 1 | summarize sum(Timestamp), sum(Span), avg(Timestamp), max(Is), percentile(Timestamp, 50), stdev(Span)",
        expect![
            "sum_Timestamp: datetime, sum_Span: timespan, avg_Timestamp: datetime, max_Is: bool, percentile_Timestamp_50: datetime, stdev_Span: real"
        ],
    );
}

#[test]
fn of_all_other_columns() {
    // A column is left out if it is a key or an argument by itself, under whatever name.
    check(
        "Logon | project User, Result, Port | summarize arg_max(Port, *) by Who = User",
        expect!["Who: string, Port: int, Result: string"],
    );
    check(
        "Logon | project User, Result, Port | summarize take_any(*) by Port = (User)",
        expect!["Port: string, Result: string, Port1: int"],
    );
    // One that an expression only reads stays, and gives way to the name of the expression.
    check(
        "Logon | project Timestamp, User, Port | summarize arg_max(Port, *) by bin(Timestamp, 1h)",
        expect!["Timestamp: datetime, Port: int, Timestamp1: datetime, User: string"],
    );
    check(
        "Logon | project Timestamp, User | summarize arg_max(todatetime(Timestamp), *)",
        expect!["Timestamp: datetime, Timestamp1: datetime, User: string"],
    );
    check(
        "Logon | project User, Port | summarize Q = arg_min(tolong(Port), *)",
        expect!["Q: long, User: string, Port: int"],
    );
    // The other name of a column does not hide the column.
    check(
        "Device | summarize arg_max(TimeGenerated, *) by DeviceId",
        expect![
            "DeviceId: string, TimeGenerated: datetime, Timestamp: datetime, Score: real, IsServer: bool"
        ],
    );
}

#[test]
fn of_rows_of_nameless_values() {
    check(
        "Logon | summarize arg_max(Port + 1, User, Bytes + 1), arg_min(Port, -Bytes)",
        expect!["max_: long, User: string, max__arg2: long, Port: int, min_Port_arg1: long"],
    );
    check(
        "Logon | summarize take_any(Port + 1, User), take_any(Bytes, -Bytes)",
        expect!["any_arg0: long, User: string, Bytes: long, any_arg1: long"],
    );
    check(
        "Logon | summarize argmax(Port, -Bytes, User), argmin(-Port, User), any(-Port, User)",
        expect![
            "max_Port: int, max_Port_arg1: long, max_Port_User: string, min_: long, min__User: string, any_arg0: long, any_User: string"
        ],
    );
}

#[test]
fn of_joins() {
    check(
        "Device | join (Logon | project Timestamp, User) on $left.DeviceId == $right.User",
        expect![
            "Timestamp: datetime, DeviceId: string, Score: real, IsServer: bool, Timestamp1: datetime, User: string"
        ],
    );
    check(
        "Address | join kind=leftouter (Address) on Ip",
        expect!["Ip: string, Port: string, Ip1: string, Port1: string"],
    );
    check(
        "Address | join kind=leftanti (Logon) on $left.Ip == $right.User",
        expect!["Ip: string, Port: string"],
    );
    check(
        "Address | join kind=rightsemi (Device) on $left.Ip == $right.DeviceId",
        expect!["Timestamp: datetime, DeviceId: string, Score: real, IsServer: bool"],
    );
    check(
        "Address | lookup (datatable(Ip: string, Ip1: long, Port: int)[]) on Ip",
        expect!["Ip: string, Port: string, Ip1: long, Port1: int"],
    );
    check(
        "datatable(a: long, a1: long)[] | join (datatable(a: long, a1: long)[]) on a",
        expect!["a: long, a1: long, a2: long, a11: long"],
    );
    check(
        "datatable(a: long)[] | join (datatable(a: long, a1: long)[]) on a",
        expect!["a: long, a2: long, a1: long"],
    );
}

#[test]
fn of_unions() {
    check(
        "union Device, Address",
        expect![
            "Timestamp: datetime, DeviceId: string, Score: real, IsServer: bool, Ip: string, Port: string"
        ],
    );
    check(
        "union (Logon | project Port), (Address | project Port, Ip)",
        expect!["Port_int: int, Port_string: string, Ip: string"],
    );
    check(
        "union kind=inner (Logon | project Port, User), (Process | project User)",
        expect!["User: string"],
    );
    check(
        "Address | union withsource=Which (print Ip = 'a')",
        expect!["Which: string, Ip: string, Port: string"],
    );
    check(
        "union isfuzzy=true Nowhere, Address, (Elsewhere | take 1)",
        expect!["Ip: string, Port: string"],
    );
    check(
        "union D*, A* | project Ip, DeviceId",
        expect!["Ip: string, DeviceId: string"],
    );
}

#[test]
fn of_the_rest() {
    check(
        "print 1, 'a', x = now(), strlen('a')",
        expect!["print_0: long, print_1: string, x: datetime, print_3: long"],
    );
    check("Logon | count", expect!["Count: long"]);
    check(
        "Logon | distinct User, tolower(Result), Code = Port",
        expect!["User: string, Column1: string, Code: int"],
    );
    check(
        "Logon | mv-expand Extra to typeof(long)",
        expect![
            "Timestamp: datetime, User: string, Result: string, Port: int, Bytes: long, Extra: long"
        ],
    );
    check(
        "Address | mv-expand with_itemindex = i x = split(Ip, '.'), y = dynamic([1]) to typeof(int)",
        expect!["Ip: string, Port: string, x: dynamic, y: int, i: long"],
    );
    check(
        "Process | project-away Time*, *ID",
        expect!["User: string, FileName: string, CommandLine: string, LogonId: long"],
    );
    check(
        "Process | project-keep LogonID, File*",
        expect!["FileName: string, LogonID: string"],
    );
    check(
        "Process | project-reorder Logon* desc, FileName | project-rename Id = LogonId",
        expect![
            "Id: long, LogonID: string, FileName: string, Timestamp: datetime, User: string, CommandLine: string"
        ],
    );
    check(
        "range x from ago(1d) to now() step 1h",
        expect!["x: datetime"],
    );
    check(
        "Address | getschema",
        expect!["ColumnName: string, ColumnOrdinal: int, DataType: string, ColumnType: string"],
    );
    check(
        "let f = (a: long, b: string = 'x') { strcat(b, a) }; print f(1), y = f(b = 'z', 2)",
        expect!["print_0: string, y: string"],
    );
}

//! The function table: every scalar function, operator and aggregate of the language, one row each.
//!
//! A row has the name, old spellings, what it means, how an unnamed result column is called, the
//! signatures as text and one line for the reader. Resolver, diagnostics, completions and the
//! manual's index all read these rows; supporting a function is adding one.
//!
//! A signature is `(name: kind, name: kind?, name: kind*) -> result`; `?` may be left out, `*` may
//! be repeated or left out, `+` may be repeated. The module `signatures` says what the kinds
//! accept.
//!
//! Does not compute anything: `query` has a kernel per [`ScalarFn`] and [`AggregateFn`].

use std::collections::HashMap;
use std::sync::LazyLock;

use model::ColumnType;

use crate::resolved::WindowFn;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// A call in [`crate::resolved::ExprKind::Call`].
    Call(ScalarFn),
    /// A conversion: [`crate::resolved::ExprKind::Cast`].
    Cast(ColumnType),
    /// Something the resolver spells out itself.
    Special(Special),
    /// A function of neighbouring rows: [`crate::resolved::Op::Window`].
    Window(WindowFn),
    /// An aggregate; the second says that the argument after the value is a filter (`sumif`).
    Aggregate(AggregateFn, bool),
}

/// Functions that the resolver spells out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// The query's instant, plus an offset.
    Now,
    /// The query's instant, minus a timespan.
    Ago,
    /// When the row was stored.
    IngestionTime,
    /// What the row is called.
    RowId,
    /// A column if there is one of that name, else a default.
    ColumnIfExists,
    /// One value of a relation.
    ToScalar,
    /// All columns of the row as a bag.
    PackAll,
    /// Columns as a bag with their own names.
    BagPackColumns,
    /// A number or identifier that nobody can foretell; here it follows from the row.
    Random,
    /// The names of a relation's columns.
    ColumnNamesOf,
    /// A condition that must be a true constant.
    Assert,
    /// Rounded down to a multiple that `set` names.
    BinAuto,
}

/// How Kusto calls the column of an unnamed call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// `Column1`, `print_0`.
    None,
    /// As the first argument would be called.
    First,
    /// `prefix_argument`.
    Prefix(&'static str),
    /// This, whatever the arguments.
    Whole(&'static str),
    /// `prefix_argument_argument`.
    Pair(&'static str),
    /// `argument_suffix`.
    Suffix(&'static str),
    /// As the argument, if there is only one.
    Only,
    /// Always so.
    Fixed(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name in today's spelling.
    pub name: &'static str,
    /// Old spellings that still work.
    pub synonyms: &'static [&'static str],
    /// What it stands for.
    pub meaning: Meaning,
    /// How an unnamed result column is called.
    pub naming: Naming,
    /// Accepted arguments and the result, tried in order.
    pub signatures: &'static [&'static str],
    /// One line for the reader.
    pub doc: &'static str,
}

macro_rules! scalar_functions {
    ($($variant:ident $name:literal [$($synonym:literal),*] $naming:expr, [$($signature:literal),+] $doc:literal;)*
     ; $($op:ident $symbol:literal;)*) => {
        /// A scalar function or operator.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum ScalarFn {
            $(#[doc = concat!("`", $name, "`: ", $doc, ".")] $variant,)*
            $(#[doc = concat!("Operator `", $symbol, "`.")] $op,)*
        }

        impl ScalarFn {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* $(Self::$op,)*];

            /// The name or symbol in the language.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    $(Self::$op => $symbol,)*
                }
            }
        }

        const SCALARS: &[Function] = &[$(Function {
            name: $name,
            synonyms: &[$($synonym),*],
            meaning: Meaning::Call(ScalarFn::$variant),
            naming: $naming,
            signatures: &[$($signature),+],
            doc: $doc,
        },)*];
    };
}

use Naming::{First, None as Plain, Only, Prefix, Whole};

scalar_functions! {
    // Text.
    Strcat "strcat" [] Plain, ["(value: text+) -> string"] "texts joined end to end";
    StrcatDelim "strcat_delim" [] Plain, ["(delimiter: text, value: text+) -> string"] "texts joined by a delimiter";
    StrcatArray "strcat_array" ["array_strcat"] Plain, ["(array: array, delimiter: text) -> string"] "elements joined by a delimiter";
    Strcmp "strcmp" [] Plain, ["(a: text, b: text) -> long"] "-1, 0 or 1 by ordinal order";
    Strrep "strrep" [] Plain, ["(value: text, times: long, delimiter: text?) -> string"] "a text repeated";
    Strlen "strlen" [] Prefix("strlen"), ["(text: stringish) -> long"] "number of characters";
    StringSize "string_size" [] Prefix("string_size"), ["(text: stringish) -> long"] "number of UTF-8 bytes";
    Toupper "toupper" [] Plain, ["(text: text) -> string"] "upper case";
    Tolower "tolower" [] Plain, ["(text: text) -> string"] "lower case";
    Substring "substring" [] Plain, ["(text: text, start: integer, length: integer?) -> string"] "part of a text, from position `start`";
    Indexof "indexof" [] Plain, ["(text: text, needle: text, start: integer?, length: integer?, occurrence: integer?) -> long"] "position of a text in another, -1 if absent";
    Reverse "reverse" [] Plain, ["(text: text) -> string"] "the characters backwards";
    Split "split" [] First, ["(text: text, delimiter: string, index: integer?) -> dynamic"] "array of the parts between delimiters";
    Extract "extract" [] Plain, ["(regex: regex, group: long, text: string) -> string", "(regex: regex, group: long, text: string, type: type) -> type"] "what a group of a regular expression matches";
    ExtractAll "extract_all" ["extractall"] Plain, ["(regex: regex, text: string) -> dynamic", "(regex: regex, groups: array, text: string) -> dynamic"] "array of everything the groups match";
    ExtractJson "extract_json" ["extractjson"] Plain, ["(path: string, json: string) -> string", "(path: string, json: string, type: type) -> type"] "the value at a JSON path";
    ReplaceString "replace_string" [] Plain, ["(text: string, needle: string, replacement: string) -> string"] "every occurrence of a text replaced";
    ReplaceStrings "replace_strings" [] Plain, ["(text: string, needles: array, replacements: array) -> string"] "every occurrence of several texts replaced";
    ReplaceRegex "replace_regex" [] Plain, ["(text: string, regex: regex, replacement: string) -> string"] "every match of a regular expression replaced";
    Replace "replace" [] Plain, ["(regex: regex, replacement: string, text: string) -> string"] "old form of replace_regex";
    Trim "trim" [] Plain, ["(regex: regex, text: string) -> string"] "matches cut from both ends";
    TrimStart "trim_start" [] Plain, ["(regex: regex, text: string) -> string"] "matches cut from the start";
    TrimEnd "trim_end" [] Plain, ["(regex: regex, text: string) -> string"] "matches cut from the end";
    Countof "countof" [] Plain, ["(text: string, search: string, kind: string?) -> long"] "occurrences of a text, or of a regular expression with kind `regex`";
    Translate "translate" [] Plain, ["(from: string, to: string, text: string) -> string"] "characters replaced one by one";
    RegexQuote "regex_quote" [] Plain, ["(text: text) -> string"] "a text as a regular expression that matches it";
    IndexofRegex "indexof_regex" [] Plain, ["(text: text, regex: regex, start: integer?, length: integer?, occurrence: integer?) -> long"] "position of a match, -1 if absent";
    HasAnyIndex "has_any_index" [] Plain, ["(text: stringish, terms: array) -> long"] "position of the first term that the text has, -1 if none";
    UnicodeCodepointsFromString "unicode_codepoints_from_string" ["to_utf8"] Plain, ["(text: text) -> dynamic"] "array of code points";
    UnicodeCodepointsToString "unicode_codepoints_to_string" ["make_string"] Plain, ["(code: any+) -> string"] "text of code points";
    ParseCommandLine "parse_command_line" [] Plain, ["(text: text, parser: string) -> dynamic"] "array of a command line's arguments";

    // Encodings and hashes.
    UrlEncode "url_encode" [] Plain, ["(text: string) -> string"] "percent-encoded, blanks as `+`";
    UrlEncodeComponent "url_encode_component" [] Plain, ["(text: string) -> string"] "percent-encoded";
    UrlDecode "url_decode" [] Plain, ["(text: string) -> string"] "percent-decoded";
    Base64EncodeTostring "base64_encode_tostring" ["base64_encodestring"] Plain, ["(text: string) -> string"] "base64 of a text";
    Base64DecodeTostring "base64_decode_tostring" ["base64_decodestring"] Plain, ["(base64: string) -> string"] "text of base64";
    Base64DecodeToarray "base64_decode_toarray" [] Plain, ["(base64: string) -> dynamic"] "array of the bytes of base64";
    Tohex "tohex" [] First, ["(value: integer, length: integer?) -> string"] "hexadecimal digits";
    Hash "hash" ["hash_xxhash64"] Plain, ["(value: notdynamic, modulus: integer?) -> long"] "xxhash64 of a value";
    HashSha256 "hash_sha256" [] Plain, ["(value: notdynamic) -> string"] "SHA-256 of a value, as hexadecimal digits";
    HashSha1 "hash_sha1" [] Plain, ["(value: notdynamic) -> string"] "SHA-1 of a value, as hexadecimal digits";
    HashMd5 "hash_md5" [] Plain, ["(value: notdynamic) -> string"] "MD5 of a value, as hexadecimal digits";

    // Structured text.
    ParseJson "parse_json" ["todynamic", "parsejson", "toobject"] First, ["(json: stringish) -> dynamic"] "the value that a JSON text says";
    ParseUrl "parse_url" ["parseurl"] Plain, ["(url: string) -> dynamic"] "bag of a URL's parts";
    ParseUrlquery "parse_urlquery" ["parseurlquery"] Plain, ["(query: string) -> dynamic"] "bag of a URL query's parameters";
    ParsePath "parse_path" [] Plain, ["(path: string) -> dynamic"] "bag of a file path's parts";
    ParseVersion "parse_version" [] Plain, ["(version: string) -> decimal"] "a version as a number that compares rightly";
    ParseCsv "parse_csv" [] First, ["(csv: stringish) -> dynamic"] "array of one record's fields";
    ParseXml "parse_xml" [] First, ["(xml: stringish) -> dynamic"] "the value that an XML text says";

    // Addresses.
    ParseIpv4 "parse_ipv4" [] Plain, ["(address: string) -> long"] "an IPv4 address as a number";
    ParseIpv4Mask "parse_ipv4_mask" [] Plain, ["(address: string, prefix: long) -> long"] "an IPv4 address under a prefix, as a number";
    ParseIpv6 "parse_ipv6" [] Plain, ["(address: string) -> string"] "an address in full IPv6 form";
    FormatIpv4 "format_ipv4" [] Plain, ["(address: any, prefix: long?) -> string"] "an IPv4 address as text";
    FormatIpv4Mask "format_ipv4_mask" [] Plain, ["(address: any, prefix: long) -> string"] "an IPv4 network as text";
    Ipv4IsPrivate "ipv4_is_private" [] Plain, ["(address: string) -> bool"] "whether an IPv4 address is in 10/8, 172.16/12 or 192.168/16";
    Ipv4IsInRange "ipv4_is_in_range" [] Plain, ["(address: string, range: string) -> bool"] "whether an IPv4 address is in a network";
    Ipv4IsInAnyRange "ipv4_is_in_any_range" [] Plain, ["(address: string, ranges: array) -> bool", "(address: string, range: string+) -> bool"] "whether an IPv4 address is in one of several networks";
    Ipv4IsMatch "ipv4_is_match" [] Plain, ["(a: string, b: string, prefix: long?) -> bool"] "whether two IPv4 addresses agree under the smallest prefix";
    Ipv4Compare "ipv4_compare" [] Plain, ["(a: string, b: string, prefix: long?) -> long"] "-1, 0 or 1 of two IPv4 addresses under the smallest prefix";
    Ipv4NetmaskSuffix "ipv4_netmask_suffix" [] Plain, ["(address: string) -> long"] "the prefix length of an IPv4 network";
    Ipv6IsMatch "ipv6_is_match" [] Plain, ["(a: string, b: string, prefix: long?) -> bool"] "whether two addresses agree under the smallest prefix";
    Ipv6Compare "ipv6_compare" [] Plain, ["(a: string, b: string, prefix: long?) -> long"] "-1, 0 or 1 of two addresses under the smallest prefix";
    Ipv6IsInRange "ipv6_is_in_range" [] Plain, ["(address: string, range: string) -> bool"] "whether an IPv6 address is in a network";
    HasIpv4 "has_ipv4" [] Plain, ["(text: stringish, address: string) -> bool"] "whether a text has an IPv4 address as a term";
    HasAnyIpv4 "has_any_ipv4" [] Plain, ["(text: stringish, addresses: array) -> bool", "(text: stringish, address: string+) -> bool"] "whether a text has one of several IPv4 addresses";
    HasIpv4Prefix "has_ipv4_prefix" [] Plain, ["(text: stringish, prefix: string) -> bool"] "whether a text has an IPv4 address that starts so";
    HasAnyIpv4Prefix "has_any_ipv4_prefix" [] Plain, ["(text: stringish, prefixes: array) -> bool", "(text: stringish, prefix: string+) -> bool"] "whether a text has an IPv4 address that starts in one of several ways";

    // Time.
    Startofday "startofday" [] First, ["(time: datetime, offset: long?) -> datetime"] "midnight of the day, `offset` days on";
    Startofweek "startofweek" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "midnight of the week's Sunday, `offset` weeks on";
    Startofmonth "startofmonth" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "first instant of the month, `offset` months on";
    Startofyear "startofyear" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "first instant of the year, `offset` years on";
    Endofday "endofday" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "last instant of the day, `offset` days on";
    Endofweek "endofweek" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "last instant of the week's Saturday, `offset` weeks on";
    Endofmonth "endofmonth" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "last instant of the month, `offset` months on";
    Endofyear "endofyear" [] Plain, ["(time: datetime, offset: long?) -> datetime"] "last instant of the year, `offset` years on";
    Dayofweek "dayofweek" [] Plain, ["(time: datetime) -> timespan"] "days since Sunday, as a timespan";
    Dayofmonth "dayofmonth" [] Plain, ["(time: datetime) -> int"] "day of the month, from 1";
    Dayofyear "dayofyear" [] Plain, ["(time: datetime) -> int"] "day of the year, from 1";
    Hourofday "hourofday" [] Plain, ["(time: datetime) -> int"] "hour of the day, 0 to 23";
    WeekOfYear "week_of_year" ["weekofyear"] Plain, ["(time: datetime) -> int"] "ISO 8601 week of the year";
    Monthofyear "monthofyear" ["getmonth"] Plain, ["(time: datetime) -> int"] "month of the year, from 1";
    Getyear "getyear" [] Plain, ["(time: datetime) -> int"] "the year";
    DatetimeAdd "datetime_add" [] Plain, ["(part: string, count: integer, time: datetime) -> datetime"] "an instant, so many years, months, days … on";
    DatetimeDiff "datetime_diff" [] Plain, ["(part: string, a: datetime, b: datetime) -> long"] "boundaries of a part of the calendar between two instants";
    DatetimePart "datetime_part" ["datepart"] Plain, ["(part: string, time: datetime) -> int"] "a part of an instant";
    DatetimeLocalToUtc "datetime_local_to_utc" [] Plain, ["(time: datetime, zone: string) -> datetime"] "UTC of a local time";
    DatetimeUtcToLocal "datetime_utc_to_local" [] Plain, ["(time: datetime, zone: string) -> datetime"] "local time of UTC";
    FormatDatetime "format_datetime" [] First, ["(time: datetime, format: string) -> string"] "an instant in a given format";
    FormatTimespan "format_timespan" [] First, ["(span: timespan, format: string) -> string"] "a timespan in a given format";
    MakeDatetime "make_datetime" [] Only, ["(year: integer, month: integer, day: integer) -> datetime", "(year: integer, month: integer, day: integer, hour: integer, minute: integer, second: real?) -> datetime"] "an instant of its parts";
    MakeTimespan "make_timespan" [] Only, ["(hours: integer, minutes: integer) -> timespan", "(hours: integer, minutes: integer, seconds: real) -> timespan", "(days: integer, hours: integer, minutes: integer, seconds: real) -> timespan"] "a timespan of its parts";
    UnixtimeSecondsTodatetime "unixtime_seconds_todatetime" [] Plain, ["(seconds: number) -> datetime"] "instant of seconds since 1970";
    UnixtimeMillisecondsTodatetime "unixtime_milliseconds_todatetime" [] Plain, ["(milliseconds: number) -> datetime"] "instant of milliseconds since 1970";
    UnixtimeMicrosecondsTodatetime "unixtime_microseconds_todatetime" [] Plain, ["(microseconds: number) -> datetime"] "instant of microseconds since 1970";
    UnixtimeNanosecondsTodatetime "unixtime_nanoseconds_todatetime" [] Plain, ["(nanoseconds: number) -> datetime"] "instant of nanoseconds since 1970";
    Bin "bin" ["floor"] First, ["(value: number, size: number) -> widest", "(value: timespan, size: timespan) -> timespan", "(value: datetime, size: timespan) -> datetime"] "rounded down to a multiple";
    BinAt "bin_at" [] First, ["(value: number, size: number, at: number) -> widest", "(value: timespan, size: timespan, at: timespan) -> timespan", "(value: datetime, size: timespan, at: datetime) -> datetime"] "rounded down to a multiple counted from a fixed point";

    // Numbers.
    Round "round" [] First, ["(value: number, digits: long?) -> arg1"] "rounded half away from zero";
    Ceiling "ceiling" [] First, ["(value: integer) -> real", "(value: number) -> arg1", "(value: real) -> real"] "least integer not below";
    Abs "abs" [] First, ["(value: integer) -> long", "(value: number) -> arg1", "(value: timespan) -> timespan"] "absolute value";
    Sign "sign" [] Plain, ["(value: real) -> real"] "-1, 0 or 1";
    Pow "pow" [] First, ["(base: real, exponent: real) -> real"] "power";
    Sqrt "sqrt" [] First, ["(value: real) -> real"] "square root";
    Exp "exp" [] First, ["(value: real) -> real"] "e to a power";
    Exp2 "exp2" [] First, ["(value: real) -> real"] "2 to a power";
    Exp10 "exp10" [] First, ["(value: real) -> real"] "10 to a power";
    Log "log" [] First, ["(value: real) -> real"] "natural logarithm";
    Log2 "log2" [] First, ["(value: real) -> real"] "logarithm to base 2";
    Log10 "log10" [] First, ["(value: real) -> real"] "logarithm to base 10";
    Sin "sin" [] First, ["(value: real) -> real"] "sine";
    Cos "cos" [] First, ["(value: real) -> real"] "cosine";
    Tan "tan" [] First, ["(value: real) -> real"] "tangent";
    Asin "asin" [] First, ["(value: real) -> real"] "inverse sine";
    Acos "acos" [] First, ["(value: real) -> real"] "inverse cosine";
    Atan "atan" [] First, ["(value: real) -> real"] "inverse tangent";
    Atan2 "atan2" [] First, ["(y: real, x: real) -> real"] "angle of a point";
    Pi "pi" [] Plain, ["() -> real"] "the circle's ratio";
    Isnan "isnan" [] Plain, ["(value: real) -> bool"] "whether a number is NaN";
    Isinf "isinf" [] Plain, ["(value: real) -> bool"] "whether a number is infinite";
    Isfinite "isfinite" [] Plain, ["(value: real) -> bool"] "whether a number is finite";
    BinaryAnd "binary_and" [] First, ["(a: integer, b: integer) -> long"] "bits set in both";
    BinaryOr "binary_or" [] First, ["(a: integer, b: integer) -> long"] "bits set in either";
    BinaryXor "binary_xor" [] First, ["(a: integer, b: integer) -> long"] "bits set in one";
    BinaryNot "binary_not" [] First, ["(value: integer) -> long"] "bits flipped";
    BinaryShiftLeft "binary_shift_left" [] First, ["(value: integer, count: integer) -> long"] "bits moved up";
    BinaryShiftRight "binary_shift_right" [] First, ["(value: integer, count: integer) -> long"] "bits moved down";
    FormatBytes "format_bytes" [] First, ["(size: number, digits: integer?, unit: string?) -> string"] "a size with a unit";

    // Choice and presence.
    Not "not" [] Plain, ["(value: bool) -> bool"] "the opposite; null stays null";
    Iff "iff" ["iif"] Plain, ["(condition: bool, then: common, else: common) -> common"] "one of two values; null chooses the second";
    Case "case" [] Plain, ["(condition: bool, then: common, else: common) -> common"] "the value of the first true condition, else the last";
    Coalesce "coalesce" [] Plain, ["(value: common, value: common+) -> common"] "the first that is not null (for strings: not empty)";
    MaxOf "max_of" [] Plain, ["(value: common, value: common+) -> common"] "the largest";
    MinOf "min_of" [] Plain, ["(value: common, value: common+) -> common"] "the smallest";
    Isnull "isnull" [] Plain, ["(value: any) -> bool"] "whether a value is null; a string never is";
    Isnotnull "isnotnull" ["notnull"] Plain, ["(value: any) -> bool"] "whether a value is not null";
    Isempty "isempty" [] Plain, ["(value: any) -> bool"] "whether a value is null or the empty string";
    Isnotempty "isnotempty" ["notempty"] Plain, ["(value: any) -> bool"] "whether a value is neither null nor the empty string";
    Gettype "gettype" [] Prefix("type"), ["(value: any) -> string"] "the name of a value's type";

    // Dynamic values.
    ArrayLength "array_length" ["arraylength"] Plain, ["(array: array) -> long"] "number of elements; null for what is not an array";
    ArrayConcat "array_concat" [] Plain, ["(array: array+) -> dynamic"] "arrays one after the other";
    ArraySlice "array_slice" [] Plain, ["(array: array, start: integer, end: integer) -> dynamic"] "elements from one position to another, inclusive";
    ArrayIndexOf "array_index_of" [] Plain, ["(array: array, value: any, start: integer?, length: integer?, occurrence: integer?) -> long"] "position of an element, -1 if absent";
    ArrayReverse "array_reverse" [] Plain, ["(array: array) -> dynamic"] "elements backwards";
    ArraySortAsc "array_sort_asc" [] Naming::Suffix("sorted"), ["(array: array, nulls_last: bool?) -> dynamic", "(array: array, others: array+) -> dynamic", "(array: array, others: array, nulls_last: bool) -> dynamic"] "elements in rising order";
    ArraySortDesc "array_sort_desc" [] Naming::Suffix("sorted"), ["(array: array, nulls_last: bool?) -> dynamic", "(array: array, others: array+) -> dynamic", "(array: array, others: array, nulls_last: bool) -> dynamic"] "elements in falling order";
    ArraySum "array_sum" [] Plain, ["(array: array) -> real"] "sum of the elements";
    PackArray "pack_array" [] Plain, ["(value: any*) -> dynamic"] "array of values";
    BagPack "bag_pack" ["pack", "pack_dictionary"] Plain, ["(key_or_value: any*) -> dynamic"] "bag of keys and values in turn";
    BagKeys "bag_keys" ["treepath_keys"] Plain, ["(bag: dynamic) -> dynamic"] "array of a bag's keys";
    BagMerge "bag_merge" [] Plain, ["(bag: dynamic+) -> dynamic"] "bags in one, the first wins";
    BagHasKey "bag_has_key" [] Plain, ["(bag: dynamic, key: string) -> bool"] "whether a bag has a key";
    BagRemoveKeys "bag_remove_keys" [] Plain, ["(bag: dynamic, keys: array) -> dynamic"] "a bag without some keys";
    BagSetKey "bag_set_key" [] Plain, ["(bag: dynamic, key: string, value: any) -> dynamic"] "a bag with a key set";
    BagZip "bag_zip" [] Plain, ["(keys: array, values: array) -> dynamic"] "bag of two arrays";
    SetHasElement "set_has_element" [] Plain, ["(set: array, value: any) -> bool"] "whether an array has an element";
    SetUnion "set_union" [] Plain, ["(set: array+) -> dynamic"] "elements of any array, each once";
    SetIntersect "set_intersect" [] Plain, ["(set: array+) -> dynamic"] "elements of all arrays, each once";
    SetDifference "set_difference" [] Plain, ["(set: array+) -> dynamic"] "elements of the first array that no other has, each once";
    Zip "zip" [] Plain, ["(array: array+) -> dynamic"] "array of arrays, element by element";
    Repeat "repeat" [] Prefix("repeat"), ["(value: notdynamic, count: integer) -> dynamic"] "array of one value repeated";
    RangeArray "range" [] Plain, ["(start: number, stop: number, step: number?) -> dynamic", "(start: datetime, stop: datetime, step: timespan?) -> dynamic", "(start: timespan, stop: timespan, step: timespan?) -> dynamic"] "array of evenly spaced values";

    // Arrays.
    ArrayIff "array_iff" ["array_iif"] Plain, ["(conditions: array, then: any, else: any) -> dynamic"] "elements of one array or the other, by a condition each";
    ArrayRotateLeft "array_rotate_left" [] Plain, ["(array: array, count: integer) -> dynamic"] "elements moved to the left, around the end";
    ArrayRotateRight "array_rotate_right" [] Plain, ["(array: array, count: integer) -> dynamic"] "elements moved to the right, around the end";
    ArrayShiftLeft "array_shift_left" [] Plain, ["(array: array, count: integer, fill: any?) -> dynamic"] "elements moved to the left, the gap filled";
    ArrayShiftRight "array_shift_right" [] Plain, ["(array: array, count: integer, fill: any?) -> dynamic"] "elements moved to the right, the gap filled";
    ArraySplit "array_split" [] Plain, ["(array: array, positions: any) -> dynamic"] "an array cut at positions";
    JaccardIndex "jaccard_index" [] Plain, ["(a: array, b: array) -> real"] "elements of both sets by elements of either";
    SetEquals "set_equals" [] Plain, ["(a: array, b: array) -> bool"] "whether two arrays have the same elements";
    Treepath "treepath" [] Prefix("tree"), ["(value: dynamic) -> dynamic"] "array of the paths in a value";
    DynamicToJson "dynamic_to_json" [] Plain, ["(value: any) -> string"] "a value as JSON text, keys sorted";
    EstimateDataSize "estimate_data_size" [] Plain, ["(column: any+) -> long"] "bytes of values, estimated";

    // Series.
    SeriesAbs "series_abs" [] Plain, ["(series: array) -> dynamic"] "absolute value of each element";
    SeriesAcos "series_acos" [] Plain, ["(series: array) -> dynamic"] "inverse cosine of each element";
    SeriesAsin "series_asin" [] Plain, ["(series: array) -> dynamic"] "inverse sine of each element";
    SeriesAtan "series_atan" [] Plain, ["(series: array) -> dynamic"] "inverse tangent of each element";
    SeriesCeiling "series_ceiling" [] Plain, ["(series: array) -> dynamic"] "each element rounded up";
    SeriesFloor "series_floor" [] Plain, ["(series: array) -> dynamic"] "each element rounded down";
    SeriesCos "series_cos" [] Plain, ["(series: array) -> dynamic"] "cosine of each element";
    SeriesSin "series_sin" [] Plain, ["(series: array) -> dynamic"] "sine of each element";
    SeriesTan "series_tan" [] Plain, ["(series: array) -> dynamic"] "tangent of each element";
    SeriesExp "series_exp" [] Plain, ["(series: array) -> dynamic"] "e to the power of each element";
    SeriesLog "series_log" [] Plain, ["(series: array) -> dynamic"] "natural logarithm of each element";
    SeriesSign "series_sign" [] Plain, ["(series: array) -> dynamic"] "sign of each element";
    SeriesAdd "series_add" [] Plain, ["(a: any, b: any) -> dynamic"] "sums element by element";
    SeriesSubtract "series_subtract" [] Plain, ["(a: any, b: any) -> dynamic"] "differences element by element";
    SeriesMultiply "series_multiply" [] Plain, ["(a: any, b: any) -> dynamic"] "products element by element";
    SeriesDivide "series_divide" [] Plain, ["(a: any, b: any) -> dynamic"] "quotients element by element";
    SeriesPow "series_pow" [] Plain, ["(a: any, b: any) -> dynamic"] "powers element by element";
    SeriesEquals "series_equals" [] Plain, ["(a: any, b: any) -> dynamic"] "`==` element by element";
    SeriesNotEquals "series_not_equals" [] Plain, ["(a: any, b: any) -> dynamic"] "`!=` element by element";
    SeriesLess "series_less" [] Plain, ["(a: any, b: any) -> dynamic"] "`<` element by element";
    SeriesLessEquals "series_less_equals" [] Plain, ["(a: any, b: any) -> dynamic"] "`<=` element by element";
    SeriesGreater "series_greater" [] Plain, ["(a: any, b: any) -> dynamic"] "`>` element by element";
    SeriesGreaterEquals "series_greater_equals" [] Plain, ["(a: any, b: any) -> dynamic"] "`>=` element by element";
    SeriesDotProduct "series_dot_product" [] Plain, ["(a: any, b: any) -> real"] "sum of the products element by element";
    SeriesCosineSimilarity "series_cosine_similarity" [] Plain, ["(a: array, b: array, magnitude_a: real?, magnitude_b: real?) -> real"] "cosine of the angle between two series";
    SeriesPearsonCorrelation "series_pearson_correlation" [] Plain, ["(a: array, b: array) -> real"] "correlation of two series";
    SeriesMagnitude "series_magnitude" [] Plain, ["(series: array) -> real"] "root of the sum of the squares";
    SeriesProduct "series_product" [] Plain, ["(series: array) -> real"] "product of the elements";
    SeriesSum "series_sum" [] Plain, ["(series: array) -> real"] "sum of the elements";
    SeriesFillConst "series_fill_const" [] First, ["(series: array, value: any, missing: any?) -> dynamic"] "missing elements replaced by a value";
    SeriesFillForward "series_fill_forward" [] First, ["(series: array, missing: any?) -> dynamic"] "missing elements replaced by the last one before";
    SeriesFillBackward "series_fill_backward" [] First, ["(series: array, missing: any?) -> dynamic"] "missing elements replaced by the next one";
    SeriesFillLinear "series_fill_linear" [] First, ["(series: array, missing: any?, edges: bool?, value: any?) -> dynamic"] "missing elements interpolated";
    SeriesFir "series_fir" [] Plain, ["(series: array, filter: array, normalize: bool?, center: bool?) -> dynamic"] "a series through a filter";
    SeriesIir "series_iir" [] Plain, ["(series: array, numerators: array, denominators: array) -> dynamic"] "a series through a recursive filter";
    SeriesStats "series_stats" [] Plain, ["(series: array, ignore_nonfinite: bool?) -> dynamic"] "minimum, maximum, mean and variance of a series";
    SeriesStatsDynamic "series_stats_dynamic" [] Plain, ["(series: array, ignore_nonfinite: bool?) -> dynamic"] "bag of the statistics of a series";
    SeriesFitLine "series_fit_line" [] Plain, ["(series: array) -> dynamic"] "the line that fits a series best";
    SeriesFitLineDynamic "series_fit_line_dynamic" [] Plain, ["(series: array) -> dynamic"] "bag of the line that fits a series best";
    SeriesOutliers "series_outliers" [] First, ["(series: array, kind: string?, ignored: any?, low: real?, high: real?) -> dynamic"] "how far each element is outside of the usual";
    SeriesSeasonal "series_seasonal" [] Plain, ["(series: array, period: integer?) -> dynamic"] "the part of a series that repeats";
    SeriesDecompose "series_decompose" [] Plain, ["(series: array, seasonality: integer?, trend: string?, test_points: integer?, threshold: real?) -> dynamic"] "baseline, season, trend and residual of a series";
    SeriesDecomposeAnomalies "series_decompose_anomalies" [] Plain, ["(series: array, threshold: real?, seasonality: integer?, trend: string?, test_points: integer?, method: string?, season_threshold: real?) -> dynamic"] "elements of a series that its baseline does not explain";
    SeriesDecomposeForecast "series_decompose_forecast" [] Plain, ["(series: array, points: integer, seasonality: integer?, trend: string?, threshold: real?) -> dynamic"] "a series continued by its baseline";

    // Further numbers.
    Cot "cot" [] Plain, ["(value: real) -> real"] "cotangent";
    Degrees "degrees" [] Plain, ["(radians: real) -> real"] "an angle in degrees";
    Radians "radians" [] Plain, ["(degrees: real) -> real"] "an angle in radians";
    Erf "erf" [] First, ["(value: real) -> real"] "error function";
    Erfc "erfc" [] First, ["(value: real) -> real"] "complementary error function";
    Gamma "gamma" [] First, ["(value: real) -> real"] "gamma function";
    Loggamma "loggamma" [] First, ["(value: real) -> real"] "logarithm of the gamma function";
    BetaCdf "beta_cdf" [] Plain, ["(x: real, alpha: real, beta: real) -> real"] "cumulative beta distribution";
    BetaInv "beta_inv" [] Plain, ["(probability: real, alpha: real, beta: real) -> real"] "inverse of the cumulative beta distribution";
    BetaPdf "beta_pdf" [] Plain, ["(x: real, alpha: real, beta: real) -> real"] "density of the beta distribution";
    WelchTest "welch_test" [] Plain, ["(mean1: real, variance1: real, count1: real, mean2: real, variance2: real, count2: real) -> real"] "probability that two samples have the same mean";
    BitsetCountOnes "bitset_count_ones" [] First, ["(value: integer) -> long"] "number of bits set";
    Around "around" [] Plain, ["(value: number, center: number, delta: number) -> bool", "(value: datetime, center: datetime, delta: timespan) -> bool", "(value: timespan, center: timespan, delta: timespan) -> bool"] "whether a value is near another";
    ConvertAngle "convert_angle" [] Plain, ["(value: real, from: string, to: string) -> real"] "an angle in another unit";
    ConvertEnergy "convert_energy" [] Plain, ["(value: real, from: string, to: string) -> real"] "an energy in another unit";
    ConvertForce "convert_force" [] Plain, ["(value: real, from: string, to: string) -> real"] "a force in another unit";
    ConvertLength "convert_length" [] Plain, ["(value: real, from: string, to: string) -> real"] "a length in another unit";
    ConvertMass "convert_mass" [] Plain, ["(value: real, from: string, to: string) -> real"] "a mass in another unit";
    ConvertSpeed "convert_speed" [] Plain, ["(value: real, from: string, to: string) -> real"] "a speed in another unit";
    ConvertTemperature "convert_temperature" [] Plain, ["(value: real, from: string, to: string) -> real"] "a temperature in another unit";
    ConvertVolume "convert_volume" [] Plain, ["(value: real, from: string, to: string) -> real"] "a volume in another unit";

    // Further texts.
    HashCombine "hash_combine" [] Plain, ["(hash: integer, hash: integer+) -> long"] "hashes combined to one";
    HashMany "hash_many" [] Plain, ["(value: any, value: any+) -> long"] "one hash of several values";
    Isascii "isascii" [] Plain, ["(text: string) -> bool"] "whether a text is ASCII";
    Isutf8 "isutf8" [] Plain, ["(text: string) -> bool"] "whether a text is UTF-8";
    Base64DecodeToguid "base64_decode_toguid" [] Plain, ["(base64: string) -> guid"] "guid of base64";
    Base64EncodeFromguid "base64_encode_fromguid" [] Plain, ["(value: guid) -> string"] "base64 of a guid";
    Base64EncodeFromarray "base64_encode_fromarray" [] Plain, ["(bytes: array) -> string"] "base64 of bytes";
    GzipCompressToBase64String "gzip_compress_to_base64_string" [] Plain, ["(text: string) -> string"] "a text compressed with gzip, as base64";
    GzipDecompressFromBase64String "gzip_decompress_from_base64_string" [] Plain, ["(base64: string) -> string"] "a text out of gzip in base64";
    ZlibCompressToBase64String "zlib_compress_to_base64_string" [] Plain, ["(text: string) -> string"] "a text compressed with zlib, as base64";
    ZlibDecompressFromBase64String "zlib_decompress_from_base64_string" [] Plain, ["(base64: string) -> string"] "a text out of zlib in base64";
    PunycodeFromString "punycode_from_string" [] Plain, ["(text: string) -> string"] "a text in Punycode";
    PunycodeToString "punycode_to_string" [] Plain, ["(punycode: string) -> string"] "a text out of Punycode";
    PunycodeDomainFromString "punycode_domain_from_string" [] Plain, ["(domain: string) -> string"] "a domain with its labels out of Punycode";
    PunycodeDomainToString "punycode_domain_to_string" [] Plain, ["(domain: string) -> string"] "a domain with its labels in Punycode";
    Ipv4RangeToCidrList "ipv4_range_to_cidr_list" [] Plain, ["(start: string, end: string) -> dynamic"] "array of the networks between two addresses";
    Ipv6IsInAnyRange "ipv6_is_in_any_range" [] Plain, ["(address: string, ranges: array) -> bool", "(address: string, range: string+) -> bool"] "whether an address is in one of several networks";
    ParseIpv6Mask "parse_ipv6_mask" [] Plain, ["(address: string, prefix: long) -> string"] "an address under a prefix, in full IPv6 form";
    GeoInfoFromIpAddress "geo_info_from_ip_address" [] Plain, ["(address: string) -> dynamic"] "where an address is, from data that the operator supplies";
    ParseUserAgent "parse_user_agent" [] Plain, ["(agent: string, wanted: any) -> dynamic"] "bag of what a user agent says, from data that the operator supplies";
    HllMerge "hll_merge" [] Naming::Fixed("hll_merged_result"), ["(sketch: array, sketch: array+) -> dynamic"] "sketches of distinct values as one";
    DcountHll "dcount_hll" [] Prefix("dcount_hll"), ["(sketch: array) -> long"] "number of distinct values in a sketch, estimated";
    TdigestMerge "tdigest_merge" ["merge_tdigest"] Naming::Fixed("tdigests_merge_result"), ["(digest: array, digest: array+) -> dynamic"] "digests of values as one";
    PercentileTdigest "percentile_tdigest" [] Prefix("percentile_tdigest"), ["(digest: array, percentile: number) -> dynamic", "(digest: array, percentile: number, type: type) -> type"] "a percentile of the values in a digest";
    PercentilesArrayTdigest "percentiles_array_tdigest" [] Prefix("percentile_tdigest"), ["(digest: array, percentiles: array) -> dynamic", "(digest: array, percentile: number+) -> dynamic"] "several percentiles of the values in a digest, as an array";
    PercentrankTdigest "percentrank_tdigest" [] Plain, ["(digest: array, value: any) -> real"] "the percent of the values in a digest that are not above a value";
    RankTdigest "rank_tdigest" [] Plain, ["(digest: array, value: any) -> real"] "the number of the values in a digest that are not above a value";
    SeriesFft "series_fft" [] Plain, ["(real: array, imaginary: array?) -> dynamic"] "Fourier transform of a series";
    SeriesIfft "series_ifft" [] Plain, ["(real: array, imaginary: array?) -> dynamic"] "inverse Fourier transform of a series";
    SeriesFitPoly "series_fit_poly" [] Plain, ["(y: array, x: array?, degree: integer?) -> dynamic", "(y: array, degree: integer) -> dynamic"] "the polynomial that fits a series best";
    SeriesFit2lines "series_fit_2lines" [] Plain, ["(series: array) -> dynamic"] "the two lines, one after the other, that fit a series best";
    SeriesFit2linesDynamic "series_fit_2lines_dynamic" [] Plain, ["(series: array) -> dynamic"] "bag of the two lines that fit a series best";
    SeriesPeriodsDetect "series_periods_detect" [] Plain, ["(series: array, least: number, most: number, count: integer) -> dynamic"] "the periods with which a series repeats";
    SeriesPeriodsValidate "series_periods_validate" [] Plain, ["(series: array, period: number+) -> dynamic"] "how well a series repeats with given periods";
    DatetimeListTimezones "datetime_list_timezones" [] Plain, ["() -> dynamic"] "array of the names of time zones";

    // Places.
    GeoDistance2points "geo_distance_2points" [] Plain, ["(longitude1: number, latitude1: number, longitude2: number, latitude2: number, spheroid: any?) -> real"] "metres between two points";
    GeoAzimuth "geo_azimuth" [] Plain, ["(longitude1: number, latitude1: number, longitude2: number, latitude2: number) -> real"] "direction from a point to another, clockwise from north, in radians";
    GeoAngle "geo_angle" [] Plain, ["(longitude1: number, latitude1: number, longitude2: number, latitude2: number, longitude3: number, latitude3: number) -> real"] "clockwise angle at the second of three points, in radians";
    GeoPointInCircle "geo_point_in_circle" [] Plain, ["(longitude: number, latitude: number, center_longitude: number, center_latitude: number, radius: number) -> bool"] "whether a point is in a circle on the earth";
    GeoPointInPolygon "geo_point_in_polygon" [] Plain, ["(longitude: number, latitude: number, polygon: array) -> bool"] "whether a point is in a polygon";
    GeoDistancePointToLine "geo_distance_point_to_line" [] Plain, ["(longitude: number, latitude: number, line: array) -> real"] "metres from a point to a line";
    GeoDistancePointToPolygon "geo_distance_point_to_polygon" [] Plain, ["(longitude: number, latitude: number, polygon: array) -> real"] "metres from a point to a polygon, 0 inside";
    GeoClosestPointOnLine "geo_closest_point_on_line" [] Plain, ["(longitude: number, latitude: number, line: array) -> dynamic"] "the point of a line nearest to a point";
    GeoClosestPointOnPolygon "geo_closest_point_on_polygon" [] Plain, ["(longitude: number, latitude: number, polygon: array) -> dynamic"] "the point of a polygon nearest to a point";
    GeoLineLength "geo_line_length" [] Plain, ["(line: array) -> real"] "metres along a line";
    GeoLineCentroid "geo_line_centroid" [] Plain, ["(line: array) -> dynamic"] "the mean point of a line";
    GeoLineInterpolatePoint "geo_line_interpolate_point" [] Plain, ["(line: array, fraction: number) -> dynamic"] "the point after a share of a line";
    GeoLineLocatePoint "geo_line_locate_point" [] Plain, ["(line: array, longitude: number, latitude: number, spheroid: any?) -> real"] "the share of a line at which it is nearest to a point";
    GeoPolygonArea "geo_polygon_area" [] Plain, ["(polygon: array) -> real"] "square metres of a polygon";
    GeoPolygonPerimeter "geo_polygon_perimeter" [] Plain, ["(polygon: array) -> real"] "metres around a polygon";
    GeoPolygonCentroid "geo_polygon_centroid" [] Plain, ["(polygon: array) -> dynamic"] "the mean point of a polygon";
    GeoIntersects2lines "geo_intersects_2lines" [] Plain, ["(a: array, b: array) -> bool"] "whether two lines meet";
    GeoIntersectsLineWithPolygon "geo_intersects_line_with_polygon" [] Plain, ["(line: array, polygon: array) -> bool"] "whether a line meets a polygon";
    GeoIntersects2polygons "geo_intersects_2polygons" [] Plain, ["(a: array, b: array) -> bool"] "whether two polygons meet";
    GeoUnionLinesArray "geo_union_lines_array" [] Plain, ["(lines: array) -> dynamic"] "lines as one, where they run together";
    GeoUnionPolygonsArray "geo_union_polygons_array" [] Plain, ["(polygons: array) -> dynamic"] "what any of several polygons has";
    GeoIntersection2lines "geo_intersection_2lines" [] Plain, ["(a: array, b: array) -> dynamic"] "what two lines share";
    GeoIntersection2polygons "geo_intersection_2polygons" [] Plain, ["(a: array, b: array) -> dynamic"] "what two polygons share";
    GeoIntersectionLineWithPolygon "geo_intersection_line_with_polygon" [] Plain, ["(line: array, polygon: array) -> dynamic"] "what a line shares with a polygon";
    GeoPointBuffer "geo_point_buffer" [] Plain, ["(longitude: number, latitude: number, radius: number, tolerance: number?) -> dynamic"] "the polygon of all places within a distance of a point";
    GeoLineBuffer "geo_line_buffer" [] Plain, ["(line: array, radius: number, tolerance: number?) -> dynamic"] "the polygon of all places within a distance of a line";
    GeoPolygonBuffer "geo_polygon_buffer" [] Plain, ["(polygon: array, radius: number, tolerance: number?) -> dynamic"] "the polygon of all places within a distance of a polygon";
    GeoLineDensify "geo_line_densify" [] Plain, ["(line: array, tolerance: number?, preserve_crossing: bool?) -> dynamic"] "a line that is straight on a flat map, as arcs on the earth";
    GeoPolygonDensify "geo_polygon_densify" [] Plain, ["(polygon: array, tolerance: number?, preserve_crossing: bool?) -> dynamic"] "a polygon with edges that are straight on a flat map, as arcs on the earth";
    GeoLineSimplify "geo_line_simplify" [] Plain, ["(line: array, tolerance: number?) -> dynamic"] "a line with fewer places";
    GeoPolygonSimplify "geo_polygon_simplify" [] Plain, ["(polygon: array, tolerance: number?) -> dynamic"] "a polygon with fewer places";
    GeoSimplifyPolygonsArray "geo_simplify_polygons_array" [] Plain, ["(polygons: array, tolerance: number?) -> dynamic"] "polygons with fewer places and the same borders between them";
    GeoFromWkt "geo_from_wkt" [] Plain, ["(text: stringish) -> dynamic"] "the GeoJSON of a geometry in well-known text";
    GeoPointToGeohash "geo_point_to_geohash" [] Plain, ["(longitude: number, latitude: number, accuracy: integer?) -> string"] "the Geohash of a point";
    GeoGeohashToCentralPoint "geo_geohash_to_central_point" [] Plain, ["(geohash: string) -> dynamic"] "the middle of a Geohash cell";
    GeoGeohashToPolygon "geo_geohash_to_polygon" [] Plain, ["(geohash: string) -> dynamic"] "the polygon of a Geohash cell";
    GeoGeohashNeighbors "geo_geohash_neighbors" [] Plain, ["(geohash: string) -> dynamic"] "the Geohash cells around one";
    GeoPointToS2cell "geo_point_to_s2cell" [] Plain, ["(longitude: number, latitude: number, level: integer?) -> string"] "the S2 cell of a point";
    GeoS2cellToCentralPoint "geo_s2cell_to_central_point" [] Plain, ["(cell: string) -> dynamic"] "the middle of an S2 cell";
    GeoS2cellToPolygon "geo_s2cell_to_polygon" [] Plain, ["(cell: string) -> dynamic"] "the polygon of an S2 cell";
    GeoS2cellNeighbors "geo_s2cell_neighbors" [] Plain, ["(cell: string) -> dynamic"] "the S2 cells around one";
    GeoLineToS2cells "geo_line_to_s2cells" [] Plain, ["(line: array, level: integer?, radius: number?) -> dynamic"] "the S2 cells that cover a line";
    GeoPolygonToS2cells "geo_polygon_to_s2cells" [] Plain, ["(polygon: array, level: integer?, radius: number?) -> dynamic"] "the S2 cells that cover a polygon";
    GeoPointToH3cell "geo_point_to_h3cell" [] Plain, ["(longitude: number, latitude: number, resolution: integer?) -> string"] "the H3 cell of a point";
    GeoH3cellToCentralPoint "geo_h3cell_to_central_point" [] Plain, ["(cell: string) -> dynamic"] "the middle of an H3 cell";
    GeoH3cellToPolygon "geo_h3cell_to_polygon" [] Plain, ["(cell: string) -> dynamic"] "the polygon of an H3 cell";
    GeoH3cellNeighbors "geo_h3cell_neighbors" [] Plain, ["(cell: string) -> dynamic"] "the H3 cells around one";
    GeoH3cellChildren "geo_h3cell_children" [] Plain, ["(cell: string, resolution: integer?) -> dynamic"] "the H3 cells inside of one";
    GeoH3cellParent "geo_h3cell_parent" [] Plain, ["(cell: string, resolution: integer?) -> string"] "the H3 cell around one, of a coarser resolution";
    GeoH3cellRings "geo_h3cell_rings" [] Plain, ["(cell: string, distance: integer) -> dynamic"] "the H3 cells around one, ring by ring";
    GeoPolygonToH3cells "geo_polygon_to_h3cells" [] Plain, ["(polygon: array, resolution: integer?, radius: number?) -> dynamic"] "the H3 cells whose middle is in a polygon";
    GeoH3cellLevel "geo_h3cell_level" [] Plain, ["(cell: string) -> int"] "the resolution of an H3 cell";

    ; // Operators.
    // Of two numbers of one type, or with datetimes and timespans.
    Add "+"; Subtract "-"; Multiply "*"; Divide "/"; Modulo "%"; Negate "unary -";
    // Of two values of one type.
    Equal "=="; NotEqual "!="; Less "<"; LessOrEqual "<="; Greater ">"; GreaterOrEqual ">=";
    // Of bools, with Kusto's three values.
    And "and"; Or "or";
    // `value between (low .. high)`: three arguments of one type.
    Between "between"; NotBetween "!between";
    // Of two strings.
    EqualCi "=~"; NotEqualCi "!~";
    Has "has"; NotHas "!has"; HasCs "has_cs"; NotHasCs "!has_cs";
    HasPrefix "hasprefix"; NotHasPrefix "!hasprefix"; HasPrefixCs "hasprefix_cs"; NotHasPrefixCs "!hasprefix_cs";
    HasSuffix "hassuffix"; NotHasSuffix "!hassuffix"; HasSuffixCs "hassuffix_cs"; NotHasSuffixCs "!hassuffix_cs";
    Contains "contains"; NotContains "!contains"; ContainsCs "contains_cs"; NotContainsCs "!contains_cs";
    StartsWith "startswith"; NotStartsWith "!startswith"; StartsWithCs "startswith_cs"; NotStartsWithCs "!startswith_cs";
    EndsWith "endswith"; NotEndsWith "!endswith"; EndsWithCs "endswith_cs"; NotEndsWithCs "!endswith_cs";
    MatchesRegex "matches regex";
    // A number from the instant of the query and the row: `new_guid()`, `rand()`.
    RandomGuid "new_guid()"; RandomReal "rand()";
    // Keys and values in turn; those without a value are left out.
    PackPresent "pack_all(true)";
}

macro_rules! aggregate_functions {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// An aggregate. Variants with a filter (`sumif`) are the plain one with
        /// [`crate::resolved::Aggregate::filter`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum AggregateFn {
            $(#[doc = concat!("`", $name, "`: ", $doc, ".")] $variant,)*
        }

        impl AggregateFn {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the language.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

aggregate_functions! {
    Count "count" "number of rows";
    Dcount "dcount" "number of distinct values, estimated; the second argument, if any, is a literal accuracy";
    CountDistinct "count_distinct" "number of distinct values";
    Sum "sum" "sum";
    Avg "avg" "mean; NaN of nothing";
    Min "min" "least";
    Max "max" "greatest";
    ArgMin "arg_min" "the row where a value is least";
    ArgMax "arg_max" "the row where a value is greatest";
    TakeAny "take_any" "values of any one row";
    MakeList "make_list" "array of all values; the second argument, if any, is a literal size limit";
    MakeListWithNulls "make_list_with_nulls" "array of all values, nulls included";
    MakeSet "make_set" "array of the distinct values; the second argument, if any, is a literal size limit";
    MakeBag "make_bag" "bags merged into one";
    Percentile "percentile" "one or more percentiles of a value";
    PercentilesArray "percentiles_array" "several percentiles of a value, as an array";
    WeightedPercentile "percentilew" "one or more percentiles of a value; the second argument is its weight";
    WeightedPercentilesArray "percentilesw_array" "several weighted percentiles of a value, as an array";
    Covariance "covariance" "covariance of samples of two values";
    Covariancep "covariancep" "covariance of two values over a population";
    Stdev "stdev" "standard deviation of a sample";
    Stdevp "stdevp" "standard deviation of a population";
    Hll "hll" "sketch of the distinct values; the second argument, if any, is a literal accuracy";
    HllMerge "hll_merge" "sketches of distinct values as one";
    Tdigest "tdigest" "digest of the values, for percentiles; the second argument, if any, is a weight";
    TdigestMerge "tdigest_merge" "digests of values as one";
    Buildschema "buildschema" "the schema that all values admit";
    Variance "variance" "variance of a sample";
    Variancep "variancep" "variance of a population";
    BinaryAllAnd "binary_all_and" "bits set in all values";
    BinaryAllOr "binary_all_or" "bits set in any value";
    BinaryAllXor "binary_all_xor" "bits set in an odd number of values";
}

const fn cast(
    name: &'static str,
    synonyms: &'static [&'static str],
    to: ColumnType,
    signature: &'static [&'static str],
    doc: &'static str,
) -> Function {
    Function {
        name,
        synonyms,
        meaning: Meaning::Cast(to),
        naming: First,
        signatures: signature,
        doc,
    }
}

const CASTS: &[Function] = &[
    cast(
        "tostring",
        &[],
        ColumnType::String,
        &["(value: any) -> string"],
        "a value as text",
    ),
    cast(
        "tolong",
        &[],
        ColumnType::Long,
        &["(value: any) -> long"],
        "a value as a 64-bit integer",
    ),
    cast(
        "toint",
        &[],
        ColumnType::Int,
        &["(value: any) -> int"],
        "a value as a 32-bit integer",
    ),
    cast(
        "toreal",
        &["todouble"],
        ColumnType::Real,
        &["(value: any) -> real"],
        "a value as a floating-point number",
    ),
    cast(
        "todecimal",
        &[],
        ColumnType::Decimal,
        &["(value: any) -> decimal"],
        "a value as a decimal number",
    ),
    cast(
        "tobool",
        &["toboolean"],
        ColumnType::Bool,
        &["(value: any) -> bool"],
        "a value as true or false",
    ),
    cast(
        "todatetime",
        &[],
        ColumnType::DateTime,
        &["(value: any) -> datetime"],
        "a value as an instant",
    ),
    cast(
        "totimespan",
        &["totime"],
        ColumnType::TimeSpan,
        &["(value: any) -> timespan"],
        "a value as a duration",
    ),
    cast(
        "toguid",
        &[],
        ColumnType::Guid,
        &["(value: stringish) -> guid"],
        "a value as a 128-bit identifier",
    ),
];

const fn special(
    name: &'static str,
    synonyms: &'static [&'static str],
    meaning: Special,
    naming: Naming,
    signature: &'static [&'static str],
    doc: &'static str,
) -> Function {
    Function {
        name,
        synonyms,
        meaning: Meaning::Special(meaning),
        naming,
        signatures: signature,
        doc,
    }
}

const SPECIALS: &[Function] = &[
    special(
        "now",
        &[],
        Special::Now,
        Plain,
        &["(offset: timespan?) -> datetime"],
        "the query's instant",
    ),
    special(
        "ago",
        &[],
        Special::Ago,
        Plain,
        &["(span: timespan) -> datetime"],
        "an instant before the query's",
    ),
    special(
        "ingestion_time",
        &[],
        Special::IngestionTime,
        Whole("$IngestionTime"),
        &["() -> datetime"],
        "when the row was stored; null once the row is projected",
    ),
    special(
        "row_id",
        &[],
        Special::RowId,
        Whole("RowId"),
        &["() -> string"],
        "what the row is called, as `residency explain` takes it; empty once the row is projected",
    ),
    special(
        "column_ifexists",
        &["columnifexists"],
        Special::ColumnIfExists,
        Plain,
        &["(name: string, default: any) -> arg1"],
        "a column if there is one of that name, else a default",
    ),
    special(
        "toscalar",
        &[],
        Special::ToScalar,
        Plain,
        &["(relation: table) -> any"],
        "first value of a relation",
    ),
    special(
        "pack_all",
        &[],
        Special::PackAll,
        Plain,
        &["(ignore_empty: bool?) -> dynamic"],
        "all columns of the row as a bag",
    ),
    special(
        "bag_pack_columns",
        &[],
        Special::BagPackColumns,
        Plain,
        &["(column: any+) -> dynamic"],
        "columns as a bag under their own names",
    ),
    special(
        "new_guid",
        &[],
        Special::Random,
        Plain,
        &["() -> guid"],
        "an identifier of its own for each row",
    ),
    special(
        "rand",
        &[],
        Special::Random,
        Plain,
        &["(below: integer?) -> real"],
        "a number from 0 to 1, or a whole one below `below`",
    ),
    special(
        "column_names_of",
        &[],
        Special::ColumnNamesOf,
        Plain,
        &["(relation: table) -> dynamic"],
        "array of the names of a table's columns",
    ),
    special(
        "assert",
        &[],
        Special::Assert,
        Plain,
        &["(condition: bool, message: string) -> bool"],
        "refuses the query if a constant condition does not hold",
    ),
    special(
        "bin_auto",
        &[],
        Special::BinAuto,
        First,
        &[
            "(value: number) -> arg1",
            "(value: timespan) -> timespan",
            "(value: datetime) -> datetime",
        ],
        "rounded down to a multiple of what `set query_bin_auto_size` says",
    ),
];

const fn window(
    name: &'static str,
    function: WindowFn,
    signatures: &'static [&'static str],
    doc: &'static str,
) -> Function {
    Function {
        name,
        synonyms: &[],
        meaning: Meaning::Window(function),
        naming: Plain,
        signatures,
        doc,
    }
}

const WINDOWS: &[Function] = &[
    window(
        "prev",
        WindowFn::Prev,
        &["(value: any, offset: integer?, default: any?) -> arg1"],
        "the value of an earlier row",
    ),
    window(
        "next",
        WindowFn::Next,
        &["(value: any, offset: integer?, default: any?) -> arg1"],
        "the value of a later row",
    ),
    window(
        "row_number",
        WindowFn::RowNumber,
        &["(first: integer?, restart: bool?) -> long"],
        "the number of the row",
    ),
    window(
        "row_cumsum",
        WindowFn::RowCumsum,
        &["(term: summable, restart: bool?) -> arg1"],
        "the sum of the rows so far",
    ),
    window(
        "row_rank_dense",
        WindowFn::RowRankDense,
        &["(term: orderable, restart: bool?) -> long"],
        "the rank of the row, without gaps",
    ),
    window(
        "row_rank_min",
        WindowFn::RowRankMin,
        &["(term: orderable, restart: bool?) -> long"],
        "the rank of the row, equal rows sharing the least",
    ),
    window(
        "row_window_session",
        WindowFn::RowWindowSession,
        &["(time: datetime, longest: timespan, gap: timespan, restart: bool?) -> datetime"],
        "the start of the session that the row is in",
    ),
];

const fn aggregate(
    name: &'static str,
    synonyms: &'static [&'static str],
    meaning: (AggregateFn, bool),
    naming: Naming,
    signatures: &'static [&'static str],
    doc: &'static str,
) -> Function {
    Function {
        name,
        synonyms,
        meaning: Meaning::Aggregate(meaning.0, meaning.1),
        naming,
        signatures,
        doc,
    }
}

const ALL_ROWS: bool = false;
const FILTERED: bool = true;

const AGGREGATES: &[Function] = &[
    aggregate(
        "count",
        &["cnt"],
        (AggregateFn::Count, ALL_ROWS),
        Prefix("count"),
        &["() -> long", "(ignored: any) -> long"],
        "number of rows",
    ),
    aggregate(
        "countif",
        &[],
        (AggregateFn::Count, FILTERED),
        Prefix("countif"),
        &["(filter: bool) -> long"],
        "number of rows that meet a condition",
    ),
    aggregate(
        "dcount",
        &[],
        (AggregateFn::Dcount, ALL_ROWS),
        Prefix("dcount"),
        &["(value: any, accuracy: integer?) -> long"],
        "number of distinct values, estimated",
    ),
    aggregate(
        "dcountif",
        &[],
        (AggregateFn::Dcount, FILTERED),
        Prefix("dcountif"),
        &["(value: any, filter: bool, accuracy: integer?) -> long"],
        "number of distinct values of the rows that meet a condition",
    ),
    aggregate(
        "count_distinct",
        &[],
        (AggregateFn::CountDistinct, ALL_ROWS),
        Prefix("count_distinct"),
        &["(value: notdynamic) -> long"],
        "number of distinct values",
    ),
    aggregate(
        "count_distinctif",
        &[],
        (AggregateFn::CountDistinct, FILTERED),
        Prefix("count_distinctif"),
        &["(value: notdynamic, filter: bool) -> long"],
        "number of distinct values of the rows that meet a condition",
    ),
    aggregate(
        "sum",
        &[],
        (AggregateFn::Sum, ALL_ROWS),
        Prefix("sum"),
        &["(value: summable) -> promoted"],
        "sum",
    ),
    aggregate(
        "sumif",
        &[],
        (AggregateFn::Sum, FILTERED),
        Prefix("sumif"),
        &["(value: summable, filter: bool) -> promoted"],
        "sum over the rows that meet a condition",
    ),
    aggregate(
        "avg",
        &[],
        (AggregateFn::Avg, ALL_ROWS),
        Prefix("avg"),
        &["(value: summable) -> mean"],
        "mean",
    ),
    aggregate(
        "avgif",
        &[],
        (AggregateFn::Avg, FILTERED),
        Prefix("avgif"),
        &["(value: summable, filter: bool) -> mean"],
        "mean over the rows that meet a condition",
    ),
    aggregate(
        "min",
        &[],
        (AggregateFn::Min, ALL_ROWS),
        Prefix("min"),
        &["(value: orderable) -> arg1"],
        "least value",
    ),
    aggregate(
        "minif",
        &[],
        (AggregateFn::Min, FILTERED),
        Prefix("minif"),
        &["(value: orderable, filter: bool) -> arg1"],
        "least value of the rows that meet a condition",
    ),
    aggregate(
        "max",
        &[],
        (AggregateFn::Max, ALL_ROWS),
        Prefix("max"),
        &["(value: orderable) -> arg1"],
        "greatest value",
    ),
    aggregate(
        "maxif",
        &[],
        (AggregateFn::Max, FILTERED),
        Prefix("maxif"),
        &["(value: orderable, filter: bool) -> arg1"],
        "greatest value of the rows that meet a condition",
    ),
    aggregate(
        "arg_max",
        &["argmax"],
        (AggregateFn::ArgMax, ALL_ROWS),
        Plain,
        &["(value: orderable, returned: any*) -> row"],
        "the row where a value is greatest",
    ),
    aggregate(
        "arg_min",
        &["argmin"],
        (AggregateFn::ArgMin, ALL_ROWS),
        Plain,
        &["(value: orderable, returned: any*) -> row"],
        "the row where a value is least",
    ),
    aggregate(
        "take_any",
        &["any"],
        (AggregateFn::TakeAny, ALL_ROWS),
        Plain,
        &["(returned: any+) -> row"],
        "values of any one row",
    ),
    aggregate(
        "take_anyif",
        &["anyif"],
        (AggregateFn::TakeAny, FILTERED),
        First,
        &["(returned: any, filter: bool) -> row"],
        "a value of any row that meets a condition",
    ),
    aggregate(
        "make_list",
        &["makelist"],
        (AggregateFn::MakeList, ALL_ROWS),
        Prefix("list"),
        &["(value: any, limit: integer?) -> dynamic"],
        "array of all values",
    ),
    aggregate(
        "make_list_if",
        &[],
        (AggregateFn::MakeList, FILTERED),
        Prefix("list"),
        &["(value: any, filter: bool, limit: integer?) -> dynamic"],
        "array of the values of the rows that meet a condition",
    ),
    aggregate(
        "make_list_with_nulls",
        &[],
        (AggregateFn::MakeListWithNulls, ALL_ROWS),
        Prefix("list"),
        &["(value: any) -> dynamic"],
        "array of all values, nulls included",
    ),
    aggregate(
        "make_set",
        &["makeset"],
        (AggregateFn::MakeSet, ALL_ROWS),
        Prefix("set"),
        &["(value: any, limit: integer?) -> dynamic"],
        "array of the distinct values",
    ),
    aggregate(
        "make_set_if",
        &[],
        (AggregateFn::MakeSet, FILTERED),
        Prefix("set"),
        &["(value: any, filter: bool, limit: integer?) -> dynamic"],
        "array of the distinct values of the rows that meet a condition",
    ),
    aggregate(
        "make_bag",
        &["make_dictionary"],
        (AggregateFn::MakeBag, ALL_ROWS),
        Prefix("bag"),
        &["(bag: dynamic, limit: integer?) -> dynamic"],
        "bags merged into one",
    ),
    aggregate(
        "make_bag_if",
        &[],
        (AggregateFn::MakeBag, FILTERED),
        Prefix("bag"),
        &["(bag: dynamic, filter: bool, limit: integer?) -> dynamic"],
        "bags of the rows that meet a condition merged into one",
    ),
    aggregate(
        "percentile",
        &[],
        (AggregateFn::Percentile, ALL_ROWS),
        Plain,
        &["(value: summable, percentile: number) -> row"],
        "a percentile of a value",
    ),
    aggregate(
        "percentiles",
        &[],
        (AggregateFn::Percentile, ALL_ROWS),
        Plain,
        &["(value: summable, percentile: number+) -> row"],
        "several percentiles of a value",
    ),
    aggregate(
        "percentiles_array",
        &[],
        (AggregateFn::PercentilesArray, ALL_ROWS),
        Prefix("percentiles"),
        &[
            "(value: summable, percentiles: array) -> dynamic",
            "(value: summable, percentile: number+) -> dynamic",
        ],
        "several percentiles of a value, as an array",
    ),
    aggregate(
        "percentilew",
        &[],
        (AggregateFn::WeightedPercentile, ALL_ROWS),
        Plain,
        &["(value: summable, weight: integer, percentile: number) -> row"],
        "a percentile of a weighted value",
    ),
    aggregate(
        "percentilesw",
        &[],
        (AggregateFn::WeightedPercentile, ALL_ROWS),
        Plain,
        &["(value: summable, weight: integer, percentile: number+) -> row"],
        "several percentiles of a weighted value",
    ),
    aggregate(
        "percentilesw_array",
        &[],
        (AggregateFn::WeightedPercentilesArray, ALL_ROWS),
        Prefix("percentiles"),
        &[
            "(value: summable, weight: integer, percentiles: array) -> dynamic",
            "(value: summable, weight: integer, percentile: number+) -> dynamic",
        ],
        "several percentiles of a weighted value, as an array",
    ),
    aggregate(
        "covariance",
        &[],
        (AggregateFn::Covariance, ALL_ROWS),
        Naming::Pair("covariance"),
        &["(a: number, b: number) -> real"],
        "covariance of samples of two values",
    ),
    aggregate(
        "covarianceif",
        &[],
        (AggregateFn::Covariance, FILTERED),
        Naming::Pair("covarianceif"),
        &["(a: number, b: number, filter: bool) -> real"],
        "covariance over the rows that meet a condition",
    ),
    aggregate(
        "covariancep",
        &[],
        (AggregateFn::Covariancep, ALL_ROWS),
        Naming::Pair("covariancep"),
        &["(a: number, b: number) -> real"],
        "covariance of two values over a population",
    ),
    aggregate(
        "covariancepif",
        &[],
        (AggregateFn::Covariancep, FILTERED),
        Naming::Pair("covariancepif"),
        &["(a: number, b: number, filter: bool) -> real"],
        "covariance over a population of the rows that meet a condition",
    ),
    aggregate(
        "stdevpif",
        &[],
        (AggregateFn::Stdevp, FILTERED),
        Prefix("stdevpif"),
        &["(value: summable, filter: bool) -> real"],
        "standard deviation of a population of the rows that meet a condition",
    ),
    aggregate(
        "stdev",
        &[],
        (AggregateFn::Stdev, ALL_ROWS),
        Prefix("stdev"),
        &["(value: summable) -> real"],
        "standard deviation of a sample",
    ),
    aggregate(
        "stdevif",
        &[],
        (AggregateFn::Stdev, FILTERED),
        Prefix("stdevif"),
        &["(value: summable, filter: bool) -> real"],
        "standard deviation of a sample of the rows that meet a condition",
    ),
    aggregate(
        "stdevp",
        &[],
        (AggregateFn::Stdevp, ALL_ROWS),
        Prefix("stdevp"),
        &["(value: summable) -> real"],
        "standard deviation of a population",
    ),
    aggregate(
        "variance",
        &[],
        (AggregateFn::Variance, ALL_ROWS),
        Prefix("variance"),
        &["(value: summable) -> real"],
        "variance of a sample",
    ),
    aggregate(
        "varianceif",
        &[],
        (AggregateFn::Variance, FILTERED),
        Prefix("varianceif"),
        &["(value: summable, filter: bool) -> real"],
        "variance of a sample of the rows that meet a condition",
    ),
    aggregate(
        "variancep",
        &[],
        (AggregateFn::Variancep, ALL_ROWS),
        Prefix("variancep"),
        &["(value: summable) -> real"],
        "variance of a population",
    ),
    aggregate(
        "variancepif",
        &[],
        (AggregateFn::Variancep, FILTERED),
        Prefix("variancepif"),
        &["(value: summable, filter: bool) -> real"],
        "variance of a population of the rows that meet a condition",
    ),
    aggregate(
        "hll",
        &[],
        (AggregateFn::Hll, ALL_ROWS),
        Prefix("hll"),
        &["(value: any, accuracy: integer?) -> dynamic"],
        "sketch of the distinct values, for `dcount_hll` and `hll_merge`",
    ),
    aggregate(
        "hll_if",
        &[],
        (AggregateFn::Hll, FILTERED),
        Prefix("hll_if"),
        &["(value: any, filter: bool, accuracy: integer?) -> dynamic"],
        "sketch of the distinct values of the rows that meet a condition",
    ),
    aggregate(
        "hll_merge",
        &[],
        (AggregateFn::HllMerge, ALL_ROWS),
        Prefix("hll_merge"),
        &["(sketch: array) -> dynamic"],
        "sketches of distinct values as one",
    ),
    aggregate(
        "tdigest",
        &[],
        (AggregateFn::Tdigest, ALL_ROWS),
        Prefix("tdigest"),
        &["(value: summable, weight: integer?) -> dynamic"],
        "digest of the values, for `percentile_tdigest` and `rank_tdigest`",
    ),
    aggregate(
        "tdigest_merge",
        &["merge_tdigest"],
        (AggregateFn::TdigestMerge, ALL_ROWS),
        Prefix("merge_tdigests"),
        &["(digest: array) -> dynamic"],
        "digests of values as one",
    ),
    aggregate(
        "buildschema",
        &[],
        (AggregateFn::Buildschema, ALL_ROWS),
        Prefix("schema"),
        &["(value: dynamic) -> dynamic"],
        "the schema that all values admit",
    ),
    aggregate(
        "binary_all_and",
        &[],
        (AggregateFn::BinaryAllAnd, ALL_ROWS),
        First,
        &["(value: integer) -> long"],
        "bits set in all values",
    ),
    aggregate(
        "binary_all_or",
        &[],
        (AggregateFn::BinaryAllOr, ALL_ROWS),
        First,
        &["(value: integer) -> long"],
        "bits set in any value",
    ),
    aggregate(
        "binary_all_xor",
        &[],
        (AggregateFn::BinaryAllXor, ALL_ROWS),
        First,
        &["(value: integer) -> long"],
        "bits set in an odd number of values",
    ),
];

/// Functions that give several columns: what each is called and its type. In an expression such a
/// call is its first value.
pub const TUPLES: &[(ScalarFn, &[(&str, ColumnType)])] = &[
    (
        ScalarFn::SeriesFft,
        &[("real", ColumnType::Dynamic), ("imag", ColumnType::Dynamic)],
    ),
    (
        ScalarFn::SeriesIfft,
        &[("real", ColumnType::Dynamic), ("imag", ColumnType::Dynamic)],
    ),
    (
        ScalarFn::SeriesFitPoly,
        &[
            ("rsquare", ColumnType::Real),
            ("coefficients", ColumnType::Dynamic),
            ("variance", ColumnType::Real),
            ("rvariance", ColumnType::Real),
            ("poly_fit", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesFit2lines,
        &[
            ("rsquare", ColumnType::Real),
            ("split_idx", ColumnType::Long),
            ("variance", ColumnType::Real),
            ("rvariance", ColumnType::Real),
            ("line_fit", ColumnType::Dynamic),
            ("right_rsquare", ColumnType::Real),
            ("right_slope", ColumnType::Real),
            ("right_interception", ColumnType::Real),
            ("right_variance", ColumnType::Real),
            ("right_rvariance", ColumnType::Real),
            ("left_rsquare", ColumnType::Real),
            ("left_slope", ColumnType::Real),
            ("left_interception", ColumnType::Real),
            ("left_variance", ColumnType::Real),
            ("left_rvariance", ColumnType::Real),
        ],
    ),
    (
        ScalarFn::SeriesPeriodsDetect,
        &[
            ("periods", ColumnType::Dynamic),
            ("scores", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesPeriodsValidate,
        &[
            ("periods", ColumnType::Dynamic),
            ("scores", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesStats,
        &[
            ("min", ColumnType::Real),
            ("min_idx", ColumnType::Long),
            ("max", ColumnType::Real),
            ("max_idx", ColumnType::Long),
            ("avg", ColumnType::Real),
            ("stdev", ColumnType::Real),
            ("variance", ColumnType::Real),
        ],
    ),
    (
        ScalarFn::SeriesFitLine,
        &[
            ("rsquare", ColumnType::Real),
            ("slope", ColumnType::Real),
            ("variance", ColumnType::Real),
            ("rvariance", ColumnType::Real),
            ("interception", ColumnType::Real),
            ("line_fit", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesDecompose,
        &[
            ("baseline", ColumnType::Dynamic),
            ("seasonal", ColumnType::Dynamic),
            ("trend", ColumnType::Dynamic),
            ("residual", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesDecomposeForecast,
        &[
            ("baseline", ColumnType::Dynamic),
            ("seasonal", ColumnType::Dynamic),
            ("trend", ColumnType::Dynamic),
            ("residual", ColumnType::Dynamic),
        ],
    ),
    (
        ScalarFn::SeriesDecomposeAnomalies,
        &[
            ("ad_flag", ColumnType::Dynamic),
            ("ad_score", ColumnType::Dynamic),
            ("baseline", ColumnType::Dynamic),
        ],
    ),
];

/// The columns of a function of [`TUPLES`].
pub fn tuple(function: ScalarFn) -> Option<&'static [(&'static str, ColumnType)]> {
    let found = TUPLES.iter().find(|(known, _)| *known == function);
    found.map(|(_, columns)| *columns)
}

/// Functions that answer from data that an operator supplies; without it they give null.
pub const WITHOUT_DATA: &[ScalarFn] = &[ScalarFn::GeoInfoFromIpAddress, ScalarFn::ParseUserAgent];

/// Every row, scalar functions first.
pub fn all() -> impl Iterator<Item = &'static Function> {
    [SCALARS, CASTS, SPECIALS, WINDOWS, AGGREGATES]
        .into_iter()
        .flatten()
}

/// The scalar function of that exact name or old spelling.
pub fn scalar(name: &str) -> Option<&'static Function> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> =
        LazyLock::new(|| index([SCALARS, CASTS, SPECIALS, WINDOWS].into_iter().flatten()));
    BY_NAME.get(name).copied()
}

/// The aggregate of that exact name or old spelling.
pub fn aggregate_named(name: &str) -> Option<&'static Function> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> =
        LazyLock::new(|| index(AGGREGATES.iter()));
    BY_NAME.get(name).copied()
}

fn index(
    rows: impl Iterator<Item = &'static Function>,
) -> HashMap<&'static str, &'static Function> {
    rows.flat_map(|row| {
        std::iter::once(row.name)
            .chain(row.synonyms.iter().copied())
            .map(move |name| (name, row))
    })
    .collect()
}

//! Scalar kernels: every function and operator of the language over Arrow columns, with Kusto's
//! semantics.
//!
//! A [`Kernel`] is a DataFusion function. Lowering makes one per call, knows the Kusto types of its
//! arguments.
//!
//! Promises
//! - Pure: same arguments, same result. A kernel never fails for a value; it gives null.
//! - Every function of `kql`'s table is matched here by name: a new one does not compile unnoticed.

pub(crate) mod args;
mod arrays;
mod between;
pub(crate) mod convert;
pub(crate) mod decimals;
mod decompose;
mod dynamics;
mod encode;
pub(crate) mod expand;
pub(crate) mod extract;
pub(crate) mod geo;
mod hashes;
pub(crate) mod lookups;
pub(crate) mod member;
pub(crate) mod memory;
pub(crate) mod net;
mod numbers;
mod operators;
mod packed;
pub(crate) use operators::order;
pub(crate) use packed::time_zones;
pub(crate) mod regexes;
mod series;
mod sketches;
mod special;
mod spectrum;
mod strings;
mod text;
pub(crate) mod time;
mod xml;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, StringArray, StructArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kql::functions::ScalarFn as F;
use kql::resolved::MemberOp;
use model::{ColumnType, RowId};
use reference::Reference;

use crate::json::{self, Step};
use args::{Arg, Call, Guard};
use expand::Expansion;
use extract::Extraction;
use geo::lookup::Shapes;
use member::Known;
use net::Networks;
use regexes::Patterns;

/// Which computation a kernel does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A function or operator of the table.
    Function(F),
    /// A conversion to the promised type.
    Cast,
    /// Steps into a dynamic, or into a string that is JSON.
    Path(Vec<Step>),
    /// Several chains of steps into one value; a struct of what is at each.
    Paths(Arc<json::Branch>, usize),
    /// One step, known at run time.
    ComputedPath,
    /// A set operator over expressions; the flag says that the one expression is an array.
    Member(MemberOp, bool),
    /// A set operator over a set known before; the number tells sets apart.
    KnownMember(MemberOp, Known, u64),
    /// `mv-expand`.
    Expand(Expansion),
    /// `parse` and `parse-kv`.
    Extract(Arc<Extraction>),
    /// Numbers of the networks that have an address; the number tells sets apart.
    Networks(Networks, u64),
    /// Numbers of the shapes that have a place; the number tells sets apart.
    Shapes(Arc<Shapes>, u64),
    /// Field `usize` of a struct.
    Field(usize),
    /// Part `i64` of a text that a delimiter parts, as text; from the end if it is negative.
    SplitPart(i64),
    /// NaN as null, so that both sort together.
    NanToNull,
    /// A function that looks up what the operator supplied.
    LookUp(F, Arc<Reference>),
    /// The printed form of a row's id.
    RowId,
    /// The value as it is, counted: what a plain plan expression made.
    Counted,
}

/// What tells two kernels apart beside their arguments.
#[derive(PartialEq, Eq, Hash, Debug)]
enum Identity<'a> {
    Function(F),
    Cast,
    Path(&'a [Step]),
    Paths(&'a json::Branch),
    ComputedPath,
    Member(u8, bool),
    KnownMember(u8, u64),
    Expand(&'a Expansion),
    Extract(&'a Extraction),
    Networks(u64),
    Shapes(u64),
    Field(usize),
    SplitPart(i64),
    NanToNull,
    RowId,
    Counted,
}

/// One call of a query, as a DataFusion function.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    work: Work,
    arg_types: Vec<ColumnType>,
    result: ColumnType,
    data_type: DataType,
    signature: Signature,
    guard: Guard,
    patterns: Patterns,
}

impl Kernel {
    pub(crate) fn new(
        work: Work,
        arg_types: Vec<ColumnType>,
        result: ColumnType,
        guard: &Guard,
        patterns: &Patterns,
    ) -> Self {
        let data_type = match &work {
            Work::Expand(expansion) => expansion.data_type(),
            Work::Extract(extraction) => extraction.data_type(),
            Work::Paths(_, count) => {
                let types = vec![ColumnType::Dynamic; *count];
                DataType::Struct(crate::aggregates::struct_fields(&types))
            }
            _ => decimals::data_type(result),
        };
        // What is random must not be computed again for a condition that asks for it.
        let volatility = match &work {
            Work::Function(F::RandomReal | F::RandomGuid) => Volatility::Volatile,
            _ => Volatility::Immutable,
        };
        Self {
            work,
            arg_types,
            result,
            data_type,
            signature: Signature::user_defined(volatility),
            guard: guard.clone(),
            patterns: patterns.clone(),
        }
    }

    pub(crate) fn into_udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }

    fn identity(&self) -> Identity<'_> {
        match &self.work {
            Work::Function(function) | Work::LookUp(function, _) => Identity::Function(*function),
            Work::Cast => Identity::Cast,
            Work::Path(steps) => Identity::Path(steps),
            Work::Paths(tree, _) => Identity::Paths(tree),
            Work::ComputedPath => Identity::ComputedPath,
            Work::Member(op, array) => Identity::Member(*op as u8, *array),
            Work::KnownMember(op, _, set) => Identity::KnownMember(*op as u8, *set),
            Work::Expand(expansion) => Identity::Expand(expansion),
            Work::Extract(extraction) => Identity::Extract(extraction),
            Work::Networks(_, set) => Identity::Networks(*set),
            Work::Shapes(_, set) => Identity::Shapes(*set),
            Work::Field(at) => Identity::Field(*at),
            Work::SplitPart(at) => Identity::SplitPart(*at),
            Work::NanToNull => Identity::NanToNull,
            Work::RowId => Identity::RowId,
            Work::Counted => Identity::Counted,
        }
    }

    fn run(&self, args: &[Arg], rows: usize) -> Result<ArrayRef> {
        let call = Call {
            args,
            rows,
            result: self.result,
            guard: &self.guard,
        };
        match &self.work {
            Work::Function(function) => run(*function, &call, &self.patterns),
            Work::LookUp(function, reference) => lookups::run(*function, &call, reference),
            Work::Cast => convert::cast(&call),
            Work::Path(steps) => dynamics::path(&call, steps),
            Work::Paths(tree, count) => dynamics::paths(&call, tree, *count),
            Work::ComputedPath => dynamics::computed_path(&call),
            Work::Member(op, array) => member::computed(*op, *array, &call),
            Work::KnownMember(op, set, _) => member::known(*op, set, &call),
            Work::Expand(expansion) => expansion.run(args, rows, &self.guard),
            Work::Extract(extraction) => extraction.run(&call),
            Work::Networks(networks, _) => networks.run(&call),
            Work::Shapes(shapes, _) => shapes.run(&call),
            Work::SplitPart(at) => text::split_part(&call, *at),
            Work::NanToNull => {
                let value = call.arg(0)?;
                call.reals(|row| value.real(row).filter(|x| !x.is_nan()))
            }
            Work::Field(_) | Work::RowId | Work::Counted => {
                exec_err!("`{}` takes no call", self.name())
            }
        }
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
            && self.arg_types == other.arg_types
            && self.result == other.result
    }
}

impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.arg_types.hash(state);
        self.result.hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        match &self.work {
            Work::Function(function) | Work::LookUp(function, _) => function.as_str(),
            Work::Cast => "cast",
            Work::Path(_) | Work::Paths(..) | Work::ComputedPath => "path",
            Work::Member(..) | Work::KnownMember(..) => "member",
            Work::Expand(_) => "expand",
            Work::Extract(_) => "extract",
            Work::Networks(..) => "networks",
            Work::Shapes(..) => "shapes",
            Work::Field(_) => "field",
            Work::SplitPart(_) => "split_part",
            Work::NanToNull => "nan_to_null",
            Work::RowId => "row_id",
            Work::Counted => "counted",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.guard.check()?;
        match self.work {
            Work::Field(at) => return self.field(&call, at),
            Work::RowId => return self.row_id(&call),
            Work::Counted => return self.counted(&call),
            _ => {}
        }
        let constant = call
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { call.number_rows };
        let args: Vec<Arg> = call
            .args
            .iter()
            .zip(&self.arg_types)
            .map(|(value, ty)| Arg::new(value, *ty))
            .collect::<Result<_>>()?;
        let array = self.run(&args, rows)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(self.guard.keep(array)?)
        })
    }
}

/// Those that work on what is no value of the language.
impl Kernel {
    fn field(&self, call: &ScalarFunctionArgs, at: usize) -> Result<ColumnarValue> {
        let array = first(call)?;
        let Some(structs) = array.as_any().downcast_ref::<StructArray>() else {
            return exec_err!("not a struct: {}", array.data_type());
        };
        match structs.columns().get(at) {
            // A null struct's fields are null.
            Some(column) if structs.null_count() > 0 => {
                let valid = datafusion::arrow::compute::is_not_null(structs)?;
                let nulls =
                    datafusion::arrow::array::new_null_array(column.data_type(), column.len());
                let zipped = datafusion::arrow::compute::kernels::zip::zip(&valid, column, &nulls)?;
                Ok(ColumnarValue::Array(self.guard.keep(zipped)?))
            }
            Some(column) => Ok(ColumnarValue::Array(column.clone())),
            None => exec_err!("a struct has no field {at}"),
        }
    }

    fn row_id(&self, call: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = first(call)?;
        let Some(ids) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
            return exec_err!("not a row's id: {}", array.data_type());
        };
        let texts = ids.iter().map(|id| {
            let id = id.and_then(|bytes| bytes.try_into().ok());
            id.map_or_else(String::new, |id| RowId::from_bytes(id).to_string())
        });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        Ok(ColumnarValue::Array(self.guard.keep(texts)?))
    }

    fn counted(&self, call: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.first() {
            Some(ColumnarValue::Array(array)) => {
                Ok(ColumnarValue::Array(self.guard.keep(array.clone())?))
            }
            Some(scalar) => Ok(scalar.clone()),
            None => exec_err!("a value is missing"),
        }
    }
}

fn first(call: &ScalarFunctionArgs) -> Result<ArrayRef> {
    let Some(value) = call.args.first() else {
        return exec_err!("an argument is missing");
    };
    value.to_array(call.number_rows)
}

/// Base64 of bytes, as data of a value.
pub(crate) fn base64_of(bytes: &[u8]) -> String {
    let mut out = String::new();
    encode::base64_encode(bytes, &mut out);
    out
}

/// The bytes of base64.
pub(crate) fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
    encode::base64_decode(text)
}

/// One function of the table. Those that lowering spells out as plan expressions (`and`, `iff` …)
/// do not come here.
#[rustfmt::skip]
fn run(function: F, call: &Call<'_>, patterns: &Patterns) -> Result<ArrayRef> {
    match function {
        F::Strcat | F::StrcatDelim | F::StrcatArray | F::Strcmp | F::Strrep | F::Strlen
        | F::StringSize | F::Toupper | F::Tolower | F::Substring | F::Indexof | F::Reverse
        | F::Split | F::ReplaceString | F::ReplaceStrings | F::Translate | F::HasAnyIndex
        | F::UnicodeCodepointsFromString | F::UnicodeCodepointsToString | F::ParseCommandLine => {
            text::run(function, call)
        }
        F::Extract | F::ExtractAll | F::ReplaceRegex | F::Replace | F::Trim | F::TrimStart
        | F::TrimEnd | F::Countof | F::RegexQuote | F::IndexofRegex | F::MatchesRegex => {
            regexes::run(function, call, patterns)
        }
        F::UrlEncode | F::UrlEncodeComponent | F::UrlDecode | F::Base64EncodeTostring
        | F::Base64DecodeTostring | F::Base64DecodeToarray | F::ParseUrl | F::ParseUrlquery
        | F::ParsePath | F::ParseCsv => encode::run(function, call),
        F::ExtractJson => dynamics::extract_json(call),
        F::ParseIpv4 | F::ParseIpv4Mask | F::ParseIpv6 | F::FormatIpv4 | F::FormatIpv4Mask
        | F::Ipv4IsPrivate | F::Ipv4IsInRange | F::Ipv4IsInAnyRange | F::Ipv4IsMatch
        | F::Ipv4Compare | F::Ipv4NetmaskSuffix | F::Ipv6IsMatch | F::Ipv6Compare
        | F::Ipv6IsInRange | F::HasIpv4 | F::HasAnyIpv4 | F::HasIpv4Prefix
        | F::HasAnyIpv4Prefix | F::Ipv4RangeToCidrList | F::Ipv6IsInAnyRange
        | F::ParseIpv6Mask => net::run(function, call),
        F::Startofday | F::Startofweek | F::Startofmonth | F::Startofyear | F::Endofday
        | F::Endofweek | F::Endofmonth | F::Endofyear | F::Dayofweek | F::Dayofmonth
        | F::Dayofyear | F::Hourofday | F::WeekOfYear | F::Monthofyear | F::Getyear
        | F::DatetimeAdd | F::DatetimeDiff | F::DatetimePart | F::FormatDatetime
        | F::FormatTimespan | F::MakeDatetime | F::MakeTimespan | F::UnixtimeSecondsTodatetime
        | F::UnixtimeMillisecondsTodatetime | F::UnixtimeMicrosecondsTodatetime
        | F::UnixtimeNanosecondsTodatetime => time::run(function, call),
        F::Bin | F::BinAt => operators::bin(call),
        F::Round | F::Ceiling | F::Abs | F::Sign | F::Pow | F::Sqrt | F::Exp | F::Exp2
        | F::Exp10 | F::Log | F::Log2 | F::Log10 | F::Sin | F::Cos | F::Tan | F::Asin
        | F::Acos | F::Atan | F::Atan2 | F::Isnan | F::Isinf | F::Isfinite | F::BinaryAnd
        | F::BinaryOr | F::BinaryXor | F::BinaryNot | F::BinaryShiftLeft | F::BinaryShiftRight
        | F::Tohex | F::FormatBytes => numbers::run(function, call),
        F::MaxOf => operators::extreme(call, Ordering::Greater),
        F::MinOf => operators::extreme(call, Ordering::Less),
        F::ParseJson | F::ArrayLength | F::ArrayConcat | F::ArraySlice | F::ArrayIndexOf
        | F::ArrayReverse | F::ArraySortAsc | F::ArraySortDesc | F::ArraySum | F::PackArray
        | F::BagPack | F::BagKeys | F::BagMerge | F::BagHasKey | F::BagRemoveKeys
        | F::BagSetKey | F::BagZip | F::SetHasElement | F::SetUnion | F::SetIntersect
        | F::SetDifference | F::Zip | F::Repeat | F::RangeArray | F::Gettype => {
            dynamics::run(function, call)
        }
        F::Add | F::Subtract | F::Multiply | F::Divide | F::Modulo | F::Negate => {
            operators::arithmetic(function, call)
        }
        F::Equal | F::NotEqual | F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual
        | F::Between | F::NotBetween => operators::compare(function, call),
        F::EqualCi | F::NotEqualCi | F::Has | F::NotHas | F::HasCs | F::NotHasCs
        | F::HasPrefix | F::NotHasPrefix | F::HasPrefixCs | F::NotHasPrefixCs | F::HasSuffix
        | F::NotHasSuffix | F::HasSuffixCs | F::NotHasSuffixCs | F::Contains | F::NotContains
        | F::ContainsCs | F::NotContainsCs | F::StartsWith | F::NotStartsWith
        | F::StartsWithCs | F::NotStartsWithCs | F::EndsWith | F::NotEndsWith | F::EndsWithCs
        | F::NotEndsWithCs => text::operator(function, call),
        F::And | F::Or | F::Not | F::Iff | F::Case | F::Coalesce | F::Isnull | F::Isnotnull
        | F::Isempty | F::Isnotempty | F::Pi => {
            exec_err!("`{}` is spelled out by lowering", function.as_str())
        }
        F::Hash | F::HashSha256 | F::HashSha1 | F::HashMd5 | F::HashCombine | F::HashMany
        | F::RandomGuid | F::RandomReal => hashes::run(function, call),
        F::ParseVersion => decimals::parse_version(call),
        F::DatetimeLocalToUtc | F::DatetimeUtcToLocal | F::Isascii | F::Isutf8
        | F::Base64DecodeToguid | F::Base64EncodeFromguid | F::Base64EncodeFromarray
        | F::GzipCompressToBase64String | F::GzipDecompressFromBase64String
        | F::ZlibCompressToBase64String | F::ZlibDecompressFromBase64String
        | F::PunycodeFromString | F::PunycodeToString | F::PunycodeDomainFromString
        | F::PunycodeDomainToString => packed::run(function, call),
        F::ArrayIff | F::ArrayRotateLeft | F::ArrayRotateRight | F::ArrayShiftLeft
        | F::ArrayShiftRight | F::ArraySplit | F::JaccardIndex | F::SetEquals | F::Treepath
        | F::DynamicToJson | F::EstimateDataSize | F::PackPresent => arrays::run(function, call),
        F::Cot | F::Degrees | F::Radians | F::Erf | F::Erfc | F::Gamma | F::Loggamma
        | F::BetaCdf | F::BetaInv | F::BetaPdf | F::WelchTest | F::BitsetCountOnes | F::Around
        | F::ConvertAngle | F::ConvertEnergy | F::ConvertForce | F::ConvertLength
        | F::ConvertMass | F::ConvertSpeed | F::ConvertTemperature | F::ConvertVolume => {
            special::run(function, call)
        }
        F::SeriesAbs | F::SeriesAcos | F::SeriesAsin | F::SeriesAtan | F::SeriesCeiling
        | F::SeriesFloor | F::SeriesCos | F::SeriesSin | F::SeriesTan | F::SeriesExp
        | F::SeriesLog | F::SeriesSign | F::SeriesAdd | F::SeriesSubtract | F::SeriesMultiply
        | F::SeriesDivide | F::SeriesPow | F::SeriesEquals | F::SeriesNotEquals | F::SeriesLess
        | F::SeriesLessEquals | F::SeriesGreater | F::SeriesGreaterEquals | F::SeriesDotProduct
        | F::SeriesCosineSimilarity | F::SeriesPearsonCorrelation | F::SeriesMagnitude
        | F::SeriesProduct | F::SeriesSum | F::SeriesFillConst | F::SeriesFillForward
        | F::SeriesFillBackward | F::SeriesFillLinear | F::SeriesFir | F::SeriesIir
        | F::SeriesStats | F::SeriesStatsDynamic | F::SeriesFitLine | F::SeriesFitLineDynamic
        | F::SeriesOutliers | F::SeriesSeasonal | F::SeriesDecompose
        | F::SeriesDecomposeAnomalies | F::SeriesDecomposeForecast => series::run(function, call),
        F::SeriesFft | F::SeriesIfft | F::SeriesFitPoly | F::SeriesFit2lines
        | F::SeriesFit2linesDynamic | F::SeriesPeriodsDetect | F::SeriesPeriodsValidate => {
            spectrum::run(function, call)
        }
        F::HllMerge | F::DcountHll | F::TdigestMerge | F::PercentileTdigest
        | F::PercentilesArrayTdigest | F::PercentrankTdigest | F::RankTdigest => {
            sketches::run(function, call)
        }
        F::ParseXml => {
            let text = call.arg(0)?;
            call.dynamics(|row| xml::parse(text.text(row)))
        }
        F::GeoDistance2points | F::GeoAzimuth | F::GeoAngle | F::GeoPointInCircle | F::GeoPointInPolygon | F::GeoDistancePointToLine | F::GeoDistancePointToPolygon | F::GeoClosestPointOnLine | F::GeoClosestPointOnPolygon | F::GeoLineLength | F::GeoLineCentroid | F::GeoLineInterpolatePoint | F::GeoLineLocatePoint | F::GeoPolygonArea | F::GeoPolygonPerimeter | F::GeoPolygonCentroid | F::GeoIntersects2lines | F::GeoIntersectsLineWithPolygon | F::GeoIntersects2polygons | F::GeoUnionLinesArray | F::GeoUnionPolygonsArray | F::GeoIntersection2lines | F::GeoIntersection2polygons | F::GeoIntersectionLineWithPolygon | F::GeoPointBuffer | F::GeoLineBuffer | F::GeoPolygonBuffer | F::GeoLineDensify | F::GeoPolygonDensify | F::GeoLineSimplify | F::GeoPolygonSimplify | F::GeoSimplifyPolygonsArray | F::GeoLineToS2cells | F::GeoPolygonToS2cells | F::GeoPolygonToH3cells | F::GeoFromWkt | F::GeoPointToGeohash | F::GeoGeohashToCentralPoint | F::GeoGeohashToPolygon | F::GeoGeohashNeighbors | F::GeoPointToS2cell | F::GeoS2cellToCentralPoint | F::GeoS2cellToPolygon | F::GeoS2cellNeighbors | F::GeoPointToH3cell | F::GeoH3cellToCentralPoint | F::GeoH3cellToPolygon | F::GeoH3cellNeighbors | F::GeoH3cellChildren | F::GeoH3cellParent | F::GeoH3cellRings | F::GeoH3cellLevel => geo::run(function, call),
        F::GeoInfoFromIpAddress | F::ParseUserAgent => {
            exec_err!("`{}` is a look-up", function.as_str())
        }
        F::DatetimeListTimezones => exec_err!("`{}` is spelled out by lowering", function.as_str()),
    }
}

//! Special functions of mathematics and units of measure.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Call, Cell};

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    let of_real = |f: fn(f64) -> f64| call.reals(|row| a.real(row).map(f));
    let real = |at: usize, row: usize| call.optional(at)?.real(row);
    match function {
        F::Cot => of_real(|x| 1.0 / x.tan()),
        F::Degrees => of_real(f64::to_degrees),
        F::Radians => of_real(f64::to_radians),
        F::Erf => of_real(|x| 1.0 - erfc(x)),
        F::Erfc => of_real(erfc),
        F::Gamma => of_real(gamma),
        F::Loggamma => of_real(ln_gamma),
        F::BetaCdf => call.reals(|row| Some(beta_cdf(real(0, row)?, real(1, row)?, real(2, row)?))),
        F::BetaInv => call.reals(|row| {
            let p = real(0, row).filter(|p| (0.0..=1.0).contains(p))?;
            Some(beta_inv(p, real(1, row)?, real(2, row)?))
        }),
        F::BetaPdf => call.reals(|row| {
            let (x, a, b) = (real(0, row)?, real(1, row)?, real(2, row)?);
            let beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
            Some(((a - 1.0) * x.ln() + (b - 1.0) * (1.0 - x).ln() - beta).exp())
        }),
        F::WelchTest => call.reals(|row| {
            let first = (real(0, row)?, real(1, row)?, real(2, row)?);
            Some(welch(first, (real(3, row)?, real(4, row)?, real(5, row)?)))
        }),
        F::BitsetCountOnes => call.longs(|row| Some(i64::from(a.long(row)?.count_ones()))),
        F::Around => around(call),
        F::ConvertAngle => converted(call, ANGLE),
        F::ConvertEnergy => converted(call, ENERGY),
        F::ConvertForce => converted(call, FORCE),
        F::ConvertLength => converted(call, LENGTH),
        F::ConvertMass => converted(call, MASS),
        F::ConvertSpeed => converted(call, SPEED),
        F::ConvertVolume => converted(call, VOLUME),
        F::ConvertTemperature => {
            let (from, to) = (call.arg(1)?, call.arg(2)?);
            call.reals(|row| {
                let (scale, zero) = temperature(from.text(row))?;
                let (to_scale, to_zero) = temperature(to.text(row))?;
                let kelvin = (a.real(row)? + zero) * scale;
                Some(kelvin / to_scale - to_zero)
            })
        }
        other => exec_err!("`{}` is no special function", other.as_str()),
    }
}

fn around(call: &Call<'_>) -> Result<ArrayRef> {
    let (value, center, delta) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    if [value, center, delta]
        .iter()
        .any(|a| a.ty() == ColumnType::Real)
    {
        return call.bools(|row| {
            let away = (value.real(row)? - center.real(row)?).abs();
            Some(away <= delta.real(row)?)
        });
    }
    call.bools(|row| {
        if value.cell(row) == Cell::Null {
            return None;
        }
        let away = value.long(row)?.checked_sub(center.long(row)?)?;
        Some(away.saturating_abs() <= delta.long(row)?)
    })
}

/// Lanczos' approximation.
#[expect(clippy::excessive_precision, reason = "the published coefficients")]
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_93,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_13,
    -176.615_029_162_140_59,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_571_6e-6,
    1.505_632_735_149_311_6e-7,
];

pub(super) fn ln_gamma(x: f64) -> f64 {
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin().abs()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.0;
    let mut place = 0.0;
    for (at, coefficient) in LANCZOS.iter().enumerate() {
        sum += if at == 0 {
            *coefficient
        } else {
            coefficient / (x + place)
        };
        place += 1.0;
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

fn gamma(x: f64) -> f64 {
    if x <= 0.0 && x.fract() == 0.0 {
        return f64::NAN;
    }
    // Whole numbers are exact up to where reals are.
    if x.fract() == 0.0 && x <= 23.0 {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor < x {
            product *= factor;
            factor += 1.0;
        }
        return product;
    }
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return pi / ((pi * x).sin() * gamma(1.0 - x));
    }
    ln_gamma(x).exp()
}

/// By its series near zero, by a continued fraction far out.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x.is_nan() || x > 27.0 {
        return if x.is_nan() { x } else { 0.0 };
    }
    let sqrt_pi = std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0_f64);
        while term.abs() > 1e-17 * sum.abs() && n < 200.0 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - 2.0 / sqrt_pi * sum;
    }
    let mut fraction = x;
    let mut k = 60.0;
    while k > 0.0 {
        fraction = x + k / 2.0 / fraction;
        k -= 1.0;
    }
    (-x * x).exp() / (sqrt_pi * fraction)
}

/// The regularised incomplete beta function, by Lentz' continued fraction.
fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if !(0.0..=1.0).contains(&x) || a <= 0.0 || b <= 0.0 {
        return f64::NAN;
    }
    if x <= 0.0 || x >= 1.0 {
        return x;
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

#[expect(
    clippy::many_single_char_names,
    reason = "the letters of the published algorithm"
)]
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut h = d;
    let mut m = 1.0;
    while m <= 300.0 {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
        m += 1.0;
    }
    h
}

/// By halving: the distribution rises.
fn beta_inv(p: f64, a: f64, b: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || a <= 0.0 || b <= 0.0 {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if beta_cdf(middle, a, b) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Both sides of Student's distribution.
fn welch(first: (f64, f64, f64), second: (f64, f64, f64)) -> f64 {
    let ((m1, v1, n1), (m2, v2, n2)) = (first, second);
    let (e1, e2) = (v1 / n1, v2 / n2);
    let t = (m1 - m2) / (e1 + e2).sqrt();
    let freedom = (e1 + e2).powi(2) / (e1.powi(2) / (n1 - 1.0) + e2.powi(2) / (n2 - 1.0));
    beta_cdf(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// Names of units, and how much of the first unit one is.
type Units = &'static [(&'static str, f64)];

const ANGLE: Units = &[
    ("Arcminute", std::f64::consts::PI / 10_800.0),
    ("Arcsecond", std::f64::consts::PI / 648_000.0),
    ("Centiradian", 0.01),
    ("Deciradian", 0.1),
    ("Degree", std::f64::consts::PI / 180.0),
    ("Gradian", std::f64::consts::PI / 200.0),
    ("Microdegree", std::f64::consts::PI / 180.0e6),
    ("Microradian", 1e-6),
    ("Millidegree", std::f64::consts::PI / 180.0e3),
    ("Milliradian", 1e-3),
    ("Nanodegree", std::f64::consts::PI / 180.0e9),
    ("Nanoradian", 1e-9),
    ("NatoMil", std::f64::consts::PI / 3_200.0),
    ("Radian", 1.0),
    ("Revolution", 2.0 * std::f64::consts::PI),
    ("Tilt", 1.0),
];

const ENERGY: Units = &[
    ("BritishThermalUnit", 1_055.055_852_62),
    ("Calorie", 4.184),
    ("ElectronVolt", 1.602_176_565e-19),
    ("Erg", 1e-7),
    ("FootPound", 1.355_817_948),
    ("GigawattHour", 3.6e12),
    ("Gigajoule", 1e9),
    ("Joule", 1.0),
    ("Kilocalorie", 4_184.0),
    ("Kilojoule", 1e3),
    ("KilowattHour", 3.6e6),
    ("Megacalorie", 4.184e6),
    ("Megajoule", 1e6),
    ("MegawattHour", 3.6e9),
    ("Millijoule", 1e-3),
    ("WattHour", 3_600.0),
];

const FORCE: Units = &[
    ("Decanewton", 10.0),
    ("Dyn", 1e-5),
    ("KilogramForce", 9.806_65),
    ("Kilonewton", 1e3),
    ("KiloPond", 9.806_65),
    ("KilopoundForce", 4_448.221_615_260_5),
    ("Meganewton", 1e6),
    ("Micronewton", 1e-6),
    ("Millinewton", 1e-3),
    ("Newton", 1.0),
    ("OunceForce", 0.278_013_850_953_781_2),
    ("Poundal", 0.138_254_954_376),
    ("PoundForce", 4.448_221_615_260_5),
    ("ShortTonForce", 8_896.443_230_521),
    ("TonneForce", 9_806.65),
];

const LENGTH: Units = &[
    ("Angstrom", 1e-10),
    ("AstronomicalUnit", 1.495_978_707e11),
    ("Centimeter", 0.01),
    ("Chain", 20.116_8),
    ("Decimeter", 0.1),
    ("Fathom", 1.828_8),
    ("Foot", 0.304_8),
    ("Hand", 0.101_6),
    ("Hectometer", 100.0),
    ("Inch", 0.025_4),
    ("Kilometer", 1e3),
    ("LightYear", 9.460_730_472_580_8e15),
    ("Meter", 1.0),
    ("Microinch", 2.54e-8),
    ("Micrometer", 1e-6),
    ("Mil", 2.54e-5),
    ("Mile", 1_609.344),
    ("Millimeter", 1e-3),
    ("Nanometer", 1e-9),
    ("NauticalMile", 1_852.0),
    ("Parsec", 3.085_677_581_28e16),
    ("Shackle", 27.432),
    ("Yard", 0.914_4),
];

const MASS: Units = &[
    ("Centigram", 1e-5),
    ("Decagram", 0.01),
    ("Decigram", 1e-4),
    ("EarthMass", 5.972_2e24),
    ("Grain", 6.479_891e-5),
    ("Gram", 1e-3),
    ("Hectogram", 0.1),
    ("Kilogram", 1.0),
    ("Kilopound", 453.592_37),
    ("Kilotonne", 1e6),
    ("LongHundredweight", 50.802_345_44),
    ("LongTon", 1_016.046_908_8),
    ("Megatonne", 1e9),
    ("Microgram", 1e-9),
    ("Milligram", 1e-6),
    ("Nanogram", 1e-12),
    ("Ounce", 0.028_349_523_125),
    ("Pound", 0.453_592_37),
    ("ShortHundredweight", 45.359_237),
    ("ShortTon", 907.184_74),
    ("Slug", 14.593_903),
    ("SolarMass", 1.988_55e30),
    ("Stone", 6.350_293_18),
    ("Tonne", 1e3),
];

const SPEED: Units = &[
    ("CentimeterPerHour", 0.01 / 3_600.0),
    ("CentimeterPerMinute", 0.01 / 60.0),
    ("CentimeterPerSecond", 0.01),
    ("FootPerHour", 0.304_8 / 3_600.0),
    ("FootPerMinute", 0.304_8 / 60.0),
    ("FootPerSecond", 0.304_8),
    ("InchPerHour", 0.025_4 / 3_600.0),
    ("InchPerMinute", 0.025_4 / 60.0),
    ("InchPerSecond", 0.025_4),
    ("KilometerPerHour", 1_000.0 / 3_600.0),
    ("KilometerPerMinute", 1_000.0 / 60.0),
    ("KilometerPerSecond", 1_000.0),
    ("Knot", 1_852.0 / 3_600.0),
    ("MeterPerHour", 1.0 / 3_600.0),
    ("MeterPerMinute", 1.0 / 60.0),
    ("MeterPerSecond", 1.0),
    ("MilePerHour", 1_609.344 / 3_600.0),
    ("MillimeterPerSecond", 1e-3),
    ("YardPerHour", 0.914_4 / 3_600.0),
    ("YardPerMinute", 0.914_4 / 60.0),
    ("YardPerSecond", 0.914_4),
];

const VOLUME: Units = &[
    // Rounded, as in the service's own table.
    ("AcreFoot", 1.0 / 0.000_810_714),
    ("AuTablespoon", 2e-5),
    ("BoardFoot", 0.002_359_737_216),
    ("Centiliter", 1e-5),
    ("CubicCentimeter", 1e-6),
    ("CubicDecimeter", 1e-3),
    ("CubicFoot", 0.028_316_846_592),
    ("CubicInch", 1.638_706_4e-5),
    ("CubicKilometer", 1e9),
    ("CubicMeter", 1.0),
    ("CubicMile", 4_168_181_825.440_579_6),
    ("CubicMillimeter", 1e-9),
    ("CubicYard", 0.764_554_857_984),
    ("Deciliter", 1e-4),
    ("ImperialGallon", 0.004_546_09),
    ("ImperialOunce", 2.841_306_25e-5),
    ("ImperialPint", 5.682_612_5e-4),
    ("Liter", 1e-3),
    ("Microliter", 1e-9),
    ("Milliliter", 1e-6),
    ("OilBarrel", 0.158_987_294_928),
    ("UsGallon", 0.003_785_411_784),
    ("UsOunce", 2.957_352_956_25e-5),
    ("UsPint", 4.731_764_73e-4),
    ("UsQuart", 9.463_529_46e-4),
    ("UsTablespoon", 1.478_676_478_125e-5),
    ("UsTeaspoon", 4.928_921_593_75e-6),
];

fn converted(call: &Call<'_>, units: Units) -> Result<ArrayRef> {
    let (value, from, to) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    let unit = |name: &str| {
        let found = units.iter().find(|(known, _)| *known == name);
        found.map(|(_, size)| *size)
    };
    call.reals(|row| {
        let (from, to) = (unit(from.text(row))?, unit(to.text(row))?);
        Some(value.real(row)? * from / to)
    })
}

/// How many kelvins a degree is, and what zero lies above absolute zero, in degrees.
fn temperature(name: &str) -> Option<(f64, f64)> {
    Some(match name {
        "Kelvin" => (1.0, 0.0),
        "DegreeCelsius" => (1.0, 273.15),
        "DegreeFahrenheit" => (5.0 / 9.0, 459.67),
        "DegreeRankine" => (5.0 / 9.0, 0.0),
        "DegreeDelisle" => (-2.0 / 3.0, -559.725),
        "DegreeNewton" => (100.0 / 33.0, 90.139_5),
        "DegreeReaumur" => (1.25, 218.52),
        "DegreeRoemer" => (40.0 / 21.0, 135.903_75),
        _ => return None,
    })
}

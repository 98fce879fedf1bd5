//! Where and when people work: a city and an offset per country, and the rhythm of a week.
//!
//! Offsets are standard time; summer time is left out on purpose (it would move a tenant's hours,
//! not its content). A country that is not listed works in UTC and has no city.

use crate::dice::Dice;
use model::Ticks;
use model::ticks::{PER_DAY, PER_SECOND};

/// A country's place and hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) code: &'static str,
    pub(crate) offset_minutes: i64,
    pub(crate) city: &'static str,
    pub(crate) state: &'static str,
    pub(crate) latitude: &'static str,
    pub(crate) longitude: &'static str,
    /// Days of rest, Monday being 0.
    pub(crate) rest: [i64; 2],
}

const SATURDAY: [i64; 2] = [5, 6];
const FRIDAY: [i64; 2] = [4, 5];

const ELSEWHERE: Place = place("", 0, "", "", "", "", SATURDAY);

const fn place(
    code: &'static str,
    offset_minutes: i64,
    city: &'static str,
    state: &'static str,
    latitude: &'static str,
    longitude: &'static str,
    rest: [i64; 2],
) -> Place {
    Place {
        code,
        offset_minutes,
        city,
        state,
        latitude,
        longitude,
        rest,
    }
}

const PLACES: &[Place] = &[
    place("AE", 240, "Dubai", "Dubai", "25.2", "55.3", SATURDAY),
    place("AT", 60, "Graz", "Styria", "47.1", "15.4", SATURDAY),
    place(
        "AU",
        600,
        "Brisbane",
        "Queensland",
        "-27.5",
        "153.0",
        SATURDAY,
    ),
    place("BE", 60, "Ghent", "East Flanders", "51.1", "3.7", SATURDAY),
    place("BR", -180, "Curitiba", "Parana", "-25.4", "-49.3", SATURDAY),
    place("CA", -300, "Ottawa", "Ontario", "45.4", "-75.7", SATURDAY),
    place("CH", 60, "Bern", "Bern", "46.9", "7.4", SATURDAY),
    place(
        "CL", -240, "Valdivia", "Los Rios", "-39.8", "-73.2", SATURDAY,
    ),
    place("DE", 60, "Kassel", "Hesse", "51.3", "9.5", SATURDAY),
    place("DK", 60, "Aarhus", "Midtjylland", "56.2", "10.2", SATURDAY),
    place(
        "EG",
        120,
        "Alexandria",
        "Alexandria",
        "31.2",
        "29.9",
        FRIDAY,
    ),
    place("ES", 60, "Zaragoza", "Aragon", "41.6", "-0.9", SATURDAY),
    place("FI", 120, "Tampere", "Pirkanmaa", "61.5", "23.8", SATURDAY),
    place(
        "FR",
        60,
        "Nantes",
        "Pays de la Loire",
        "47.2",
        "-1.6",
        SATURDAY,
    ),
    place("GB", 0, "Leeds", "England", "53.8", "-1.5", SATURDAY),
    place("IE", 0, "Cork", "Munster", "51.9", "-8.5", SATURDAY),
    place("IL", 120, "Haifa", "Haifa", "32.8", "35.0", FRIDAY),
    place("IN", 330, "Pune", "Maharashtra", "18.5", "73.9", SATURDAY),
    place(
        "IT",
        60,
        "Bologna",
        "Emilia-Romagna",
        "44.5",
        "11.3",
        SATURDAY,
    ),
    place("JP", 540, "Sendai", "Miyagi", "38.3", "140.9", SATURDAY),
    place("KR", 540, "Daegu", "Daegu", "35.9", "128.6", SATURDAY),
    place("NL", 60, "Utrecht", "Utrecht", "52.1", "5.1", SATURDAY),
    place("NO", 60, "Bergen", "Vestland", "60.4", "5.3", SATURDAY),
    place("NZ", 720, "Dunedin", "Otago", "-45.9", "170.5", SATURDAY),
    place(
        "PL",
        60,
        "Poznan",
        "Greater Poland",
        "52.4",
        "16.9",
        SATURDAY,
    ),
    place("PT", 0, "Braga", "Braga", "41.5", "-8.4", SATURDAY),
    place("SE", 60, "Uppsala", "Uppsala", "59.9", "17.6", SATURDAY),
    place(
        "SG",
        480,
        "Singapore",
        "Singapore",
        "1.3",
        "103.8",
        SATURDAY,
    ),
    place("US", -360, "Omaha", "Nebraska", "41.3", "-95.9", SATURDAY),
    place(
        "ZA",
        120,
        "Durban",
        "KwaZulu-Natal",
        "-29.9",
        "31.0",
        SATURDAY,
    ),
];

impl Place {
    /// A place in another country than `code`.
    pub(crate) fn abroad(dice: &mut Dice, code: &str) -> Self {
        let mut place = *dice.pick(PLACES);
        while place.code == code {
            place = *dice.pick(PLACES);
        }
        place
    }

    /// The place of an ISO 3166 code; `None` if it is not listed.
    pub(crate) fn of(code: &str) -> Self {
        PLACES
            .iter()
            .find(|p| p.code == code)
            .copied()
            .unwrap_or(ELSEWHERE)
    }

    /// The local hour, 0 to 23, and whether the day is one of work.
    pub(crate) fn local(&self, at: Ticks) -> (usize, bool) {
        let local = at.0 + self.offset_minutes * 60 * PER_SECOND;
        let hour = local.rem_euclid(PER_DAY) / (3600 * PER_SECOND);
        // 0001-01-01 was a Monday.
        let weekday = local.div_euclid(PER_DAY).rem_euclid(7);
        (
            usize::try_from(hour).unwrap_or(0),
            !self.rest.contains(&weekday),
        )
    }
}

/// Activity of each local hour on a day of work.
const WORK: [u64; 24] = [
    3, 2, 2, 2, 2, 3, 6, 20, 60, 90, 95, 85, 55, 75, 90, 85, 70, 45, 18, 10, 8, 6, 5, 4,
];
/// Activity of each local hour on a day of rest.
const REST: [u64; 24] = [
    3, 2, 2, 2, 2, 2, 2, 3, 4, 5, 6, 6, 5, 5, 5, 4, 4, 4, 4, 4, 4, 3, 3, 3,
];

/// Spreads a number of rows over the hours of a tenant's days.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    start: Ticks,
    /// Sum of the weights up to the end of each hour.
    until: Vec<u64>,
}

impl Calendar {
    pub(crate) fn new(place: &Place, start: Ticks, days: u32) -> Self {
        let mut sum = 0;
        let until = (0..i64::from(days) * 24)
            .map(|n| {
                let (hour, works) = place.local(Ticks(start.0 + n * 3600 * PER_SECOND));
                let week = if works { WORK } else { REST };
                sum += week.get(hour).copied().unwrap_or(1);
                sum
            })
            .collect();
        Self { start, until }
    }

    /// When row `done` of `total` falls due. Grows with `done`; stays inside the days.
    pub(crate) fn at(&self, done: u64, total: u64) -> Ticks {
        let whole = u128::from(self.until.last().copied().unwrap_or(1));
        // Parts of a weight in 2^32 keep sub-second resolution without a fraction type.
        let point = u64::try_from(((u128::from(done) * whole) << 32) / u128::from(total.max(1)))
            .unwrap_or(u64::MAX);
        let hour = self.until.partition_point(|end| end << 32 <= point);
        let begin = hour
            .checked_sub(1)
            .and_then(|h| self.until.get(h))
            .copied()
            .unwrap_or(0);
        let end = self.until.get(hour).copied().unwrap_or(begin + 1);
        let hour_ticks = 3600 * PER_SECOND.unsigned_abs();
        let inside = u128::from(point - (begin << 32)) * u128::from(hour_ticks)
            / (u128::from(end - begin) << 32);
        let ticks = hour as u64 * hour_ticks + u64::try_from(inside).unwrap_or(0);
        Ticks(self.start.0 + i64::try_from(ticks).unwrap_or(0))
    }
}

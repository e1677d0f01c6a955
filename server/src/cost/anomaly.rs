//! Days that cost more, or less, than days like them, and what made them so.

use super::money::Micros;
use super::period::DAY_MICROS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Same weekdays that a day is held against; so many weeks back are another time.
const WEEKS: usize = 8;
/// Fewer say nothing of what is usual.
const WEEKS_MIN: usize = 4;
/// A median deviation is that of a normal distribution divided by this.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// As is usual for medians: about one of two thousand days by chance.
const SCORE_MIN: f64 = 3.5;
/// Days that are all alike still differ by so much without anyone's fault.
const DEVIATION_OF_MEDIAN_MIN: f64 = 0.05;
/// A unit of currency is nobody's concern.
const DIFFERENCE_MIN: Micros = Micros(1_000_000);
const DRIVERS_MAX: usize = 5;

/// Costs of a day by what may drive them, such as teams, users or pools.
#[derive(Debug, Clone, PartialEq)]
pub struct DayCosts {
    /// Start of the day in UTC, Unix microseconds.
    pub day_micros: i64,
    pub by: BTreeMap<Arc<str>, DayPart>,
    /// Whether hours of it have no price, so that its cost is not known: such a day is neither judged nor an example.
    pub is_unpriced: bool,
}

/// What one of them cost on a day, for how much use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DayPart {
    pub cost: Micros,
    pub gpu_hours: f64,
}

/// A day that is not like its weekday in the weeks before.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    pub day_micros: i64,
    pub cost: Micros,
    /// Median of the same weekdays before.
    pub expected: Micros,
    /// Deviations from it.
    pub score: f64,
    /// What differs most from its own median, the largest difference first.
    pub drivers: Vec<Driver>,
}

/// What one team, user or pool has to do with an anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    pub name: Arc<str>,
    pub cost: Micros,
    /// Median of the same weekdays before.
    pub expected: Micros,
    pub gpu_hours: f64,
    /// Likewise a median.
    pub expected_gpu_hours: f64,
    /// Of the difference, what comes of more or fewer GPU-hours at the price of before; the rest is price. None where
    /// there are no GPU-hours.
    pub by_quantity: Option<Micros>,
}

impl Driver {
    /// Above zero where more was spent than usual.
    pub fn difference(&self) -> Micros {
        self.cost - self.expected
    }

    /// Of the difference, what comes of another price or mix of prices; sums with `by_quantity` to the difference.
    pub fn by_price(&self) -> Option<Micros> {
        self.by_quantity.map(|quantity| self.difference() - quantity)
    }

    fn of(name: &Arc<str>, day: &DayCosts, before: &[&DayCosts]) -> Self {
        let part = |day: &DayCosts| day.by.get(name).copied().unwrap_or_default();
        let DayPart { cost, gpu_hours } = part(day);
        let expected = median(before.iter().map(|other| part(other).cost).collect());
        let mut hours: Vec<f64> = before.iter().map(|other| part(other).gpu_hours).collect();
        hours.sort_unstable_by(f64::total_cmp);
        let expected_gpu_hours = hours.get(hours.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        let difference = cost - expected;
        let by_quantity = match (gpu_hours > 0.0, expected_gpu_hours > 0.0) {
            (false, false) => None,
            (true, true) => {
                let at_old_price = (gpu_hours / expected_gpu_hours - 1.0) * expected.0 as f64;
                Some(Micros(at_old_price.round() as i64))
            }
            // What is new or gone had no other price.
            _ => Some(difference),
        };
        Self { name: Arc::clone(name), cost, expected, gpu_hours, expected_gpu_hours, by_quantity }
    }
}

/// The days that stand out among `days`, which are in order. A day is held against at most eight of its weekday
/// before it, days that stood out themselves or have no price excluded; with fewer than four of them nothing is said.
pub fn anomalies(days: &[DayCosts]) -> Vec<Anomaly> {
    let mut odd: BTreeSet<i64> = BTreeSet::new();
    let mut found = Vec::new();
    for (at, day) in days.iter().enumerate().filter(|(_, day)| !day.is_unpriced) {
        let alike = |other: &&DayCosts| {
            (day.day_micros - other.day_micros) % (7 * DAY_MICROS) == 0
                && !odd.contains(&other.day_micros)
                && !other.is_unpriced
        };
        let before: Vec<&DayCosts> = days[..at].iter().rev().filter(alike).take(WEEKS).collect();
        if let Some(anomaly) = held_against(day, &before) {
            odd.insert(day.day_micros);
            found.push(anomaly);
        }
    }
    found
}

fn held_against(day: &DayCosts, before: &[&DayCosts]) -> Option<Anomaly> {
    if before.len() < WEEKS_MIN {
        return None;
    }
    let cost = total(day);
    let expected = median(before.iter().map(|other| total(other)).collect());
    let off = median(before.iter().map(|other| Micros((total(other) - expected).0.abs())).collect());
    let deviation = (off.0 as f64 * MAD_TO_DEVIATION).max(expected.0 as f64 * DEVIATION_OF_MEDIAN_MIN);
    let difference = cost - expected;
    let score = if deviation > 0.0 { difference.0 as f64 / deviation } else { f64::INFINITY };
    if score.abs() < SCORE_MIN || difference.0.abs() < DIFFERENCE_MIN.0 {
        return None;
    }
    let names: BTreeSet<&Arc<str>> = before.iter().copied().chain([day]).flat_map(|day| day.by.keys()).collect();
    let mut drivers: Vec<Driver> = names.into_iter().map(|name| Driver::of(name, day, before)).collect();
    drivers.retain(|driver| driver.difference() != Micros::ZERO);
    drivers.sort_by_key(|driver| (std::cmp::Reverse(driver.difference().0.abs()), Arc::clone(&driver.name)));
    drivers.truncate(DRIVERS_MAX);
    Some(Anomaly { day_micros: day.day_micros, cost, expected, score, drivers })
}

fn total(day: &DayCosts) -> Micros {
    day.by.values().map(|part| part.cost).sum()
}

/// The middle one, of an even number the lower of the two.
fn median(mut all: Vec<Micros>) -> Micros {
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(at: i64, vision: i64, speech: i64) -> DayCosts {
        // A GPU-hour costs one.
        let part = |cost: i64| DayPart { cost: Micros(cost * 1_000_000), gpu_hours: cost as f64 };
        let by = [("vision", vision), ("speech", speech)].map(|(name, cost)| (Arc::from(name), part(cost)));
        DayCosts { day_micros: at * DAY_MICROS, by: BTreeMap::from(by), is_unpriced: false }
    }

    /// Seven weeks, with cheap weekends.
    fn weeks() -> Vec<DayCosts> {
        (0..49).map(|at| if at % 7 < 5 { day(at, 100 + at % 3, 50) } else { day(at, 10, 50) }).collect()
    }

    #[test]
    fn a_weekday_is_like_weekdays_and_a_weekend_like_weekends() {
        assert!(anomalies(&weeks()).is_empty());
    }

    #[test]
    fn a_day_that_stands_out_names_its_driver_and_does_not_change_what_is_usual() {
        let mut days = weeks();
        days[40] = day(40, 100, 150);
        days[47] = day(47, 100, 150);
        let found = anomalies(&days);
        assert_eq!(found.iter().map(|a| a.day_micros / DAY_MICROS).collect::<Vec<_>>(), [40, 47]);
        assert_eq!((found[1].cost, found[1].expected), (Micros(250_000_000), Micros(60_000_000)));
        let drivers: Vec<(&str, i64)> =
            found[1].drivers.iter().map(|d| (&*d.name, d.difference().0 / 1_000_000)).collect();
        assert_eq!(drivers, [("speech", 100), ("vision", 90)]);
        assert_eq!(found[1].drivers[0].by_quantity, Some(Micros(100_000_000)), "hours, at the same price");
    }

    #[test]
    fn a_price_is_told_from_a_quantity() {
        let mut days = weeks();
        let speech = days[48].by.get_mut("speech").expect("a team");
        // Half as many hours again, at three times the price: 50 became 225.
        *speech = DayPart { cost: Micros(225_000_000), gpu_hours: 75.0 };
        let driver = &anomalies(&days)[0].drivers[0];
        assert_eq!((driver.cost, driver.expected), (Micros(225_000_000), Micros(50_000_000)));
        assert_eq!((driver.by_quantity, driver.by_price()), (Some(Micros(25_000_000)), Some(Micros(150_000_000))));
        *days[48].by.get_mut("speech").expect("a team") = DayPart { cost: Micros(225_000_000), gpu_hours: 0.0 };
        days.iter_mut().for_each(|day| day.by.values_mut().for_each(|part| part.gpu_hours = 0.0));
        assert_eq!(anomalies(&days)[0].drivers[0].by_price(), None, "without hours nobody knows");
    }

    #[test]
    fn a_day_without_prices_is_neither_odd_nor_an_example() {
        let mut days = weeks();
        for at in [20, 27, 34, 41, 48] {
            days[at] = DayCosts { is_unpriced: true, ..day(at as i64, 0, 0) };
        }
        assert!(anomalies(&days).is_empty());
        days[48] = day(48, 10, 50);
        assert!(anomalies(&days).is_empty(), "four Sundays of before had no price, and two are too few");
    }

    proptest! {
        #[test]
        fn quantity_and_price_sum_to_the_difference(costs in prop::collection::vec((-1_000_000_000_000_i64..1_000_000_000_000, 0.0..1e6_f64), 30..60)) {
            let day = |(at, (cost, gpu_hours)): (usize, &(i64, f64))| DayCosts {
                day_micros: at as i64 * DAY_MICROS,
                by: BTreeMap::from([(Arc::from("a"), DayPart { cost: Micros(*cost), gpu_hours: *gpu_hours })]),
                is_unpriced: false,
            };
            let days: Vec<DayCosts> = costs.iter().enumerate().map(day).collect();
            for driver in anomalies(&days).iter().flat_map(|anomaly| &anomaly.drivers) {
                let parts = driver.by_quantity.zip(driver.by_price());
                prop_assert!(parts.is_none_or(|(quantity, price)| quantity + price == driver.difference()));
            }
        }
    }
}

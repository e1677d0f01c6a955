//! What the days to come will probably cost. Estimates, not money: nothing is charged by them.

use super::budget::DayCost;
use super::money::Micros;
use super::period::DAY_MICROS;

/// The last eight weeks say more of the next days than the year does.
const DAYS_MAX: usize = 56;
/// From here on there is a trend, and each weekday was there twice.
const TREND_DAYS_MIN: usize = 14;
const DAYS_MIN: usize = 3;
/// Further ahead nobody knows.
const AHEAD_MAX: usize = 100;
/// Four of five outcomes lie within so many deviations.
const BAND_DEVIATIONS: f64 = 1.281_552;

/// An estimate and how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub low: Micros,
    pub expected: Micros,
    pub high: Micros,
    /// Each day ahead.
    pub days: Vec<Micros>,
    pub method: &'static str,
}

pub(super) const METHOD_TREND: &str = "straight line and weekday differences, fitted to at most 56 days; \
     four of five outcomes lie within the band if days differ from it as they did so far";
pub(super) const METHOD_MEAN: &str =
    "mean of the days so far, which are too few for a trend; four of five outcomes lie within the band";

impl Forecast {
    /// Where so much of the first day is spent already: that day costs no less.
    pub(super) fn from(mut self, spent: Micros) -> Self {
        let Some(first) = self.days.first_mut() else { return self };
        let more = Micros((spent - *first).0.max(0));
        *first = *first + more;
        Self { low: (self.low + more).max(spent), expected: self.expected + more, high: self.high + more, ..self }
    }

    /// With what was spent before.
    pub(super) fn after(self, spent: Micros) -> Self {
        Self { low: self.low + spent, expected: self.expected + spent, high: self.high + spent, ..self }
    }
}

/// `ahead` days from the one that starts at `next_micros`, after days in order; none where those are too few.
pub(super) fn forecast(days: &[DayCost], next_micros: i64, ahead: usize) -> Option<Forecast> {
    let days = &days[days.len().saturating_sub(DAYS_MAX)..];
    if days.len() < DAYS_MIN {
        return None;
    }
    let costs: Vec<(i64, f64)> = days.iter().map(|day| (day.day_micros / DAY_MICROS, day.cost.0 as f64)).collect();
    let next = next_micros / DAY_MICROS;
    let method = if costs.len() < TREND_DAYS_MIN { METHOD_MEAN } else { METHOD_TREND };
    let fit = Fit::of(&costs, method);
    let fitted = |day: i64| fit.at(day);
    let squares: f64 = costs.iter().map(|(day, cost)| (cost - fitted(*day)).powi(2)).sum();
    let deviation = (squares / (costs.len() - fit.free) as f64).sqrt();
    let ahead = ahead.min(AHEAD_MAX);
    let days: Vec<Micros> = (0..ahead as i64).map(|day| Micros(fitted(next + day).max(0.0).round() as i64)).collect();
    let expected: Micros = days.iter().copied().sum();
    let band = Micros((BAND_DEVIATIONS * deviation * (ahead as f64).sqrt()).round() as i64);
    let low = Micros((expected - band).0.max(0));
    Some(Forecast { low, expected, high: expected + band, days, method })
}

/// A line of one slope through the means of each weekday: least squares of trend and weekdays together.
struct Fit {
    slope: f64,
    /// Mean day and mean cost, of each weekday.
    means: [(f64, f64); 7],
    /// Numbers that were fitted.
    free: usize,
}

impl Fit {
    fn of(costs: &[(i64, f64)], method: &str) -> Self {
        let all = mean(costs.iter().copied());
        if method == METHOD_MEAN {
            return Self { slope: 0.0, means: [all.unwrap_or_default(); 7], free: 1 };
        }
        let of_weekday = |weekday: usize| costs.iter().copied().filter(move |(day, _)| weekday_of(*day) == weekday);
        let means: [(f64, f64); 7] =
            std::array::from_fn(|weekday| mean(of_weekday(weekday)).or(all).unwrap_or_default());
        let (over, under) = costs.iter().fold((0.0, 0.0), |(over, under), (day, cost)| {
            let (middle, mean) = means[weekday_of(*day)];
            let off = *day as f64 - middle;
            (over + off * (cost - mean), under + off * off)
        });
        Self { slope: if under == 0.0 { 0.0 } else { over / under }, means, free: 8 }
    }

    fn at(&self, day: i64) -> f64 {
        let (middle, mean) = self.means[weekday_of(day)];
        mean + self.slope * (day as f64 - middle)
    }
}

fn weekday_of(day: i64) -> usize {
    day.rem_euclid(7) as usize
}

fn mean(costs: impl Iterator<Item = (i64, f64)>) -> Option<(f64, f64)> {
    let (count, days, sum) =
        costs.fold((0, 0.0, 0.0), |(count, days, sum), (day, cost)| (count + 1, days + day as f64, sum + cost));
    (count > 0).then(|| (days / f64::from(count), sum / f64::from(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(costs: impl IntoIterator<Item = f64>) -> Vec<DayCost> {
        let day = |(at, cost): (usize, f64)| DayCost {
            day_micros: at as i64 * DAY_MICROS,
            cost: Micros((cost * 1e6) as i64),
        };
        costs.into_iter().enumerate().map(day).collect()
    }

    #[test]
    fn weekends_and_growth_are_foreseen() {
        // 100 on weekdays, 20 at weekends: eight weeks of it, then one to come.
        let week = [100.0, 100.0, 100.0, 100.0, 100.0, 20.0, 20.0];
        let weeks = days((0..56).map(|day| week[day % 7]));
        let next = forecast(&weeks, 56 * DAY_MICROS, 7).expect("enough days");
        assert!(next.days.iter().zip(week).all(|(day, cost)| (day.0 as f64 / 1e6 - cost).abs() < 1e-3), "{next:?}");
        let grows = forecast(&days((0..28).map(f64::from)), 28 * DAY_MICROS, 2).expect("enough days");
        assert_eq!((grows.expected, grows.method), (Micros(57_000_000), METHOD_TREND));
    }

    #[test]
    fn few_days_are_a_mean_and_fewer_are_nothing() {
        let few = forecast(&days([10.0, 20.0, 30.0]), 3 * DAY_MICROS, 4).expect("three days");
        assert_eq!((few.expected, few.method), (Micros(80_000_000), METHOD_MEAN));
        assert!(few.low < few.expected && few.expected < few.high);
        assert_eq!(forecast(&days([10.0, 20.0]), 2 * DAY_MICROS, 4), None);
    }
}

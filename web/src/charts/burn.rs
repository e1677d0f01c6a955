//! What is left of a budget over its time: what was, what is expected with its band, and the thresholds. Pure.

use super::axis;
use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, label, mark};
use crate::books::BudgetState;
use crate::format::{self, Unit, money};
use crate::instant::DAY;

/// Instant, and what is left then.
type Point = (i64, i64);

/// Lines of the picture; amounts in micros.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Burn {
    pub(crate) known: Vec<Point>,
    pub(crate) expected: Vec<Point>,
    /// Most and least that may be left, at the instants of `expected`.
    pub(crate) band: Vec<(i64, i64)>,
    /// What is left where a part is spent, and its name.
    pub(crate) thresholds: Vec<(i64, String)>,
}

pub(crate) fn burn(budget: &BudgetState, now: i64) -> Burn {
    let amount = budget.amount_micros;
    let end = |day: i64| (day + DAY).min(now.max(day)).min(budget.to_unix_micros);
    let mut known = vec![(budget.from_unix_micros, amount)];
    // Before the first day that cost anything all of it was left.
    let first = budget.burn_down.first().map(|day| day.day_unix_micros).filter(|day| *day > budget.from_unix_micros);
    known.extend(first.map(|day| (day, amount)));
    known.extend(budget.burn_down.iter().map(|day| (end(day.day_unix_micros), day.left_micros)));
    let part = |text: &str| text.parse::<f64>().ok().filter(|part| *part > 0.0 && *part < 1.0);
    let threshold = |text: &str| {
        let part = part(text)?;
        Some((amount - (amount as f64 * part) as i64, format!("{} spent", format::axis(Unit::Ratio, part))))
    };
    let thresholds = budget.thresholds.iter().filter_map(|t| threshold(&t.part)).collect();
    let (expected, band) = forecast(budget, now, &known);
    Burn { known, expected, band, thresholds }
}

/// From now on; the band opens evenly to what the forecast says for the end.
fn forecast(budget: &BudgetState, now: i64, known: &[Point]) -> (Vec<Point>, Vec<(i64, i64)>) {
    let Some(forecast) = budget.forecast.as_ref().filter(|_| now < budget.to_unix_micros) else {
        return Default::default();
    };
    let Some((from, left_now)) = known.last().copied() else { return Default::default() };
    let (from, to) = (from.max(forecast.days_from_unix_micros), budget.to_unix_micros);
    let over = |part: f64, micros: i64| (micros as f64 * part) as i64;
    let (above, below) =
        (forecast.expected_micros - forecast.low_micros, forecast.high_micros - forecast.expected_micros);
    // Backwards from what is left at the end, so that the last point is what the forecast says.
    let mut left = budget.amount_micros - forecast.expected_micros + forecast.days_micros.iter().sum::<i64>();
    let (mut expected, mut band) = (vec![(from, left_now)], vec![(left_now, left_now)]);
    for (at, cost) in forecast.days_micros.iter().enumerate() {
        left -= cost;
        let time = (forecast.days_from_unix_micros + (at as i64 + 1) * DAY).min(to);
        if time > from {
            let open = (time - from) as f64 / (to - from).max(1) as f64;
            expected.push((time, left));
            band.push((left + over(open, above), left - over(open, below)));
        }
    }
    (expected, band)
}

const GUTTER: f64 = 64.0;
const FOOT: f64 = 22.0;
const HEAD: f64 = 10.0;

/// Of the amount, what is drawn below nothing left.
const BELOW_RATIO_MAX: f64 = 0.5;

/// Places of the picture.
struct Scale {
    range: (i64, i64),
    low: f64,
    high: f64,
    width: f64,
    height: f64,
}

impl Scale {
    fn x(&self, time: i64) -> f64 {
        let (from, to) = self.range;
        GUTTER + (time - from) as f64 / (to - from).max(1) as f64 * (self.width - GUTTER - 8.0)
    }

    fn y(&self, micros: i64) -> f64 {
        let room = self.height - HEAD - FOOT;
        HEAD + ((self.high - micros as f64) / (self.high - self.low).max(1.0)).min(1.0) * room
    }

    fn line(&self, points: impl Iterator<Item = Point>) -> String {
        let step = |(at, (time, micros)): (usize, Point)| {
            format!("{}{:.1} {:.1}", if at == 0 { "M" } else { "L" }, self.x(time), self.y(micros))
        };
        points.enumerate().map(step).collect()
    }

    fn level(&self, micros: i64) -> String {
        self.line([(self.range.0, micros), (self.range.1, micros)].into_iter())
    }
}

pub(crate) fn picture(budget: &BudgetState, now: i64, width: f64, height: f64) -> Picture {
    let burn = burn(budget, now);
    let lefts = burn.known.iter().map(|(_, left)| *left).chain(burn.band.iter().map(|(_, low)| *low));
    let high = budget.amount_micros.max(1) as f64;
    // What is far below nothing left lies at the edge, so that the part above it can be read.
    let low = (lefts.fold(0, i64::min) as f64).max(-high * BELOW_RATIO_MAX);
    let range = (budget.from_unix_micros, budget.to_unix_micros);
    let scale = Scale { range, low: low * 1.05, high, width, height };
    let mut marks = Vec::new();
    axes(budget, &scale, &mut marks);
    for (left, name) in &burn.thresholds {
        let line = Shape::Line { path: scale.level(*left), colour: "attention", is_dashed: true };
        marks.push(mark(line).hint(name.clone()));
        marks.push(label(width - 10.0, scale.y(*left) - 4.0, name.clone(), Anchor::End, Look::Muted));
    }
    if burn.expected.len() > 1 {
        let times = || burn.expected.iter().map(|(time, _)| *time);
        let upper = times().zip(burn.band.iter().map(|(most, _)| *most));
        let lower: Vec<Point> = times().zip(burn.band.iter().map(|(_, least)| *least)).collect();
        let path = scale.line(upper) + &scale.line(lower.into_iter().rev()).replacen('M', "L", 1) + "Z";
        let hint = budget.forecast.as_ref().map(|f| f.method.clone()).unwrap_or_default();
        marks.push(mark(Shape::Area { path, fill: Fill::Soft("accent") }).hint(hint));
        let path = scale.line(burn.expected.iter().copied());
        marks.push(mark(Shape::Line { path, colour: "accent", is_dashed: true }).hint("expected"));
    }
    let path = scale.line(burn.known.iter().copied());
    marks.push(mark(Shape::Line { path, colour: "accent", is_dashed: false }).hint("left"));
    Picture { width, height, marks }
}

fn axes(budget: &BudgetState, scale: &Scale, marks: &mut Vec<Mark>) {
    let levels = [budget.amount_micros, budget.amount_micros / 2, 0];
    for level in levels {
        let colour = if level == 0 { "line-strong" } else { "line" };
        marks.push(mark(Shape::Line { path: scale.level(level), colour, is_dashed: false }));
        let text = format::compact(level as f64 / 1e6);
        let hint = money::exact(level, "");
        marks.push(label(GUTTER - 8.0, scale.y(level) + 4.0, text, Anchor::End, Look::Muted).hint(hint));
    }
    let (from, to) = scale.range;
    let (ticks, step) = axis::ticks(from, to, (((scale.width - GUTTER) / 64.0) as i64).clamp(2, 9));
    for tick in ticks {
        let (x, y) = (scale.x(tick), scale.height - 6.0);
        if x < scale.width - 20.0 {
            marks.push(label(x, y, format::tick(tick, step), Anchor::Middle, Look::Muted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::{BudgetForecast, BudgetThreshold, BurnDownDay};

    fn budget() -> BudgetState {
        let day = |at: i64, left_micros| BurnDownDay { day_unix_micros: at * DAY, left_micros };
        let threshold = |part: &str| BudgetThreshold { part: part.to_owned(), ..BudgetThreshold::default() };
        BudgetState {
            to_unix_micros: 5 * DAY,
            amount_micros: 1_000,
            burn_down: vec![day(0, 900), day(1, 800)],
            thresholds: vec![threshold("0.8"), threshold("1"), threshold("x")],
            forecast: Some(BudgetForecast {
                low_micros: 450,
                expected_micros: 500,
                high_micros: 600,
                days_micros: vec![100, 100, 100, 100],
                days_from_unix_micros: DAY,
                method: String::new(),
            }),
            ..BudgetState::default()
        }
    }

    #[test]
    fn the_band_opens_from_now_to_what_the_forecast_says() {
        let found = burn(&budget(), 2 * DAY);
        assert_eq!(found.known, [(0, 1_000), (DAY, 900), (2 * DAY, 800)]);
        assert_eq!((found.expected[0], found.band[0]), ((2 * DAY, 800), (800, 800)));
        assert_eq!(found.expected.last(), Some(&(5 * DAY, 500)));
        assert_eq!(found.band.last(), Some(&(550, 400)), "low and high of the whole time");
        assert_eq!(found.thresholds, [(200, "80 % spent".to_owned())], "all of it is the axis");
        assert!(found.band.iter().zip(&found.expected).all(|((a, b), (_, at))| a >= at && at >= b));
    }

    #[test]
    fn a_budget_that_is_over_or_has_no_forecast_has_no_band() {
        assert!(burn(&budget(), 6 * DAY).expected.is_empty());
        let without = BudgetState { forecast: None, ..budget() };
        assert!(burn(&without, 2 * DAY).band.is_empty());
        let empty = picture(&BudgetState::default(), 0, 300.0, 100.0);
        assert!(empty.marks.iter().all(|m| !format!("{:?}", m.shape).contains("NaN")));
    }
}

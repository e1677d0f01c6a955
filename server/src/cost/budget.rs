//! Budgets: what was spent of them, and what the rest of their time will probably take.
//!
//! **Invariant:** what was spent is a sum of rows; what is expected is an estimate that names its method.

use super::fields::{Document, Fault, Fields};
use super::forecast::{Forecast, forecast};
use super::money::Micros;
use super::pattern::Pattern;
use super::period::{DAY_MICROS, Period};
use rust_decimal::Decimal;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// More budgets than any company watches.
const BUDGETS_MAX: usize = 1_000;
const THRESHOLDS_MAX: usize = 20;
/// Where nobody says at what parts of a budget to call.
const THRESHOLDS: [(i64, u32); 2] = [(8, 1), (1, 0)];

/// An amount for a month or a quarter, and the rows that count against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pub name: Arc<str>,
    pub amount: Micros,
    pub currency: Arc<str>,
    pub every: Every,
    /// Parts of the amount, in order.
    pub thresholds: Vec<Decimal>,
    /// Line of the document, from 1.
    pub line: usize,
    selectors: Vec<Selector>,
}

/// What of a row has to look like one of several patterns.
#[derive(Debug, Clone, PartialEq)]
struct Selector {
    over: &'static str,
    written: Vec<Arc<str>>,
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    Month,
    Quarter,
}

/// What selectors look at, by the names of [`super::DIMENSIONS`].
const SELECTORS: [&str; 10] =
    ["team", "project", "cost_centre", "user", "account", "queue", "cluster", "pool", "gpu_model", "category"];

/// Costs of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCost {
    /// Start of the day in UTC, Unix microseconds.
    pub day_micros: i64,
    pub cost: Micros,
}

/// When a part of a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// On the day that starts at these Unix microseconds.
    Crossed(i64),
    /// Probably on that day.
    Expected(i64),
    /// Not before the budget's time is over, or nobody can say yet.
    NotExpected,
}

/// A budget at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnDown {
    pub from_micros: i64,
    pub to_micros: i64,
    pub spent: Micros,
    /// Below zero where more was spent than there was.
    pub left: Micros,
    /// By day, what is left at its end.
    pub days: Vec<(i64, Micros)>,
    /// Of all of the budget's time; none where there are too few days to say.
    pub forecast: Option<Forecast>,
    /// Each threshold, in order.
    pub crossings: Vec<(Decimal, Crossing)>,
    /// When all of it is spent.
    pub exceeds: Crossing,
}

impl Budget {
    /// Budgets from TOML: `[[budget]]` with `name`, `amount`, `currency`, `period` (`monthly` or `quarterly`), maybe
    /// `thresholds`, and selectors, all of which have to match a row: `team`, `project`, `cost_centre`, `user`,
    /// `account`, `queue`, `cluster`, `pool`, `gpu_model`, `category`, each a text or a list of texts with `*`.
    pub fn parse(text: &str) -> Result<Vec<Self>, Vec<Fault>> {
        let (mut document, mut top) = Document::open(text);
        let tables = document.tables(&mut top, "budget");
        if tables.len() > BUDGETS_MAX {
            document.fault(0, format!("there are more than {BUDGETS_MAX} budgets"));
        }
        let mut budgets: Vec<Self> = Vec::new();
        for table in tables.into_iter().take(BUDGETS_MAX) {
            let at = table.at;
            let budget = budget(&mut document, table);
            if budgets.iter().any(|other| other.name == budget.name) {
                document.fault(at, format!("there are two budgets {:?}", budget.name));
            }
            budgets.push(budget);
        }
        document.finish(top);
        document.close(budgets)
    }

    /// Whether what `named` says of each dimension counts against it.
    pub fn covers<'r>(&self, named: impl Fn(&str) -> Option<&'r str>) -> bool {
        let covers = |selector: &Selector| {
            named(selector.over).is_some_and(|value| selector.patterns.iter().any(|pattern| pattern.matches(value)))
        };
        self.selectors.iter().all(covers)
    }

    /// Names of the dimensions that it looks at, with the texts that stand there.
    pub fn selectors(&self) -> impl Iterator<Item = (&'static str, &[Arc<str>])> {
        self.selectors.iter().map(|selector| (selector.over, selector.written.as_slice()))
    }

    /// The month or quarter of an instant, as Unix microseconds.
    pub fn range_micros(&self, unix_micros: i64) -> Option<(i64, i64)> {
        let period = Period::of(unix_micros)?;
        match self.every {
            Every::Month => Some(period.range_micros()),
            Every::Quarter => {
                let first = period.first_of_quarter();
                Some((first.start_micros(), first.next().next().next().start_micros()))
            }
        }
    }

    /// How it stands in the month or quarter of an instant. `days` are the costs of the days that it covers, in order
    /// and without gaps, from as long before as they are known: the forecast learns from those that are over at
    /// `now_micros`; one that is not counts as spent so far.
    pub fn burn_down(&self, days: &[DayCost], now_micros: i64) -> Option<BurnDown> {
        let (from_micros, to_micros) = self.range_micros(now_micros)?;
        let begun: Vec<DayCost> = days.iter().filter(|day| day.day_micros < now_micros).copied().collect();
        let over = begun.partition_point(|day| day.day_micros + DAY_MICROS <= now_micros);
        let (past, today) = begun.split_at(over);
        let today: Micros = today.iter().map(|day| day.cost).sum();
        let mut spent = Micros::ZERO;
        let mut curve: Vec<(i64, Micros)> = Vec::new();
        for day in begun.iter().filter(|day| day.day_micros >= from_micros) {
            spent = spent + day.cost;
            curve.push((day.day_micros, spent));
        }
        let next = past.last().map_or(from_micros, |day| day.day_micros + DAY_MICROS).max(from_micros);
        let rest = ((to_micros - next).max(0) / DAY_MICROS) as usize;
        let expected = forecast(past, next, rest).map(|forecast| forecast.from(today));
        let before = spent - today;
        let until = |part: Decimal| {
            let amount = Micros::of(self.amount.decimal(), part).unwrap_or(self.amount);
            crossing(amount, &curve, before, next, expected.as_ref().map(|f| f.days.as_slice()))
        };
        Some(BurnDown {
            from_micros,
            to_micros,
            spent,
            left: self.amount - spent,
            days: curve.iter().map(|(day, spent)| (*day, self.amount - *spent)).collect(),
            crossings: self.thresholds.iter().map(|part| (*part, until(*part))).collect(),
            exceeds: until(Decimal::ONE),
            forecast: expected.map(|forecast| forecast.after(before)),
        })
    }
}

/// `before` is what was spent before the day that starts at `next`, of which `days` are the costs from there on.
fn crossing(amount: Micros, curve: &[(i64, Micros)], before: Micros, next: i64, days: Option<&[Micros]>) -> Crossing {
    if let Some((day, _)) = curve.iter().find(|(_, spent)| *spent >= amount) {
        return Crossing::Crossed(*day);
    }
    let mut sum = before;
    for (at, day) in days.unwrap_or_default().iter().enumerate() {
        sum = sum + *day;
        if sum >= amount {
            return Crossing::Expected(next + at as i64 * DAY_MICROS);
        }
    }
    Crossing::NotExpected
}

fn budget<'t>(document: &mut Document<'t>, mut table: Fields<'t>) -> Budget {
    let at = table.at_of("amount").unwrap_or(table.at);
    let name = document.needed_text(&mut table, "name");
    let amount = document.decimal(&mut table, "amount").unwrap_or_default();
    let amount = Micros::of(amount, Decimal::ONE).ok().filter(|amount| *amount > Micros::ZERO);
    if amount.is_none() {
        document.fault(at, "amount is a positive decimal number like 2500.00".to_owned());
    }
    let currency = document.needed_text(&mut table, "currency");
    let words = [("monthly", Every::Month), ("quarterly", Every::Quarter)];
    let every = document.word(&mut table, "period", &words).unwrap_or(Every::Month);
    let thresholds = match table.take_spanned("thresholds") {
        Some(value) => thresholds(document, value),
        None => THRESHOLDS.iter().map(|(number, scale)| Decimal::new(*number, *scale)).collect(),
    };
    let mut selectors = Vec::new();
    for over in SELECTORS {
        let Some(value) = table.take_spanned(over) else { continue };
        let (written, patterns) = document.patterns(over, value).into_iter().unzip();
        selectors.push(Selector { over, written, patterns });
    }
    let line = document.line_of(table.at);
    document.finish(table);
    Budget { name, amount: amount.unwrap_or_default(), currency, every, thresholds, line, selectors }
}

fn thresholds<'t>(document: &mut Document<'t>, value: Spanned<DeValue<'t>>) -> Vec<Decimal> {
    let at = value.span().start;
    let values = document.decimals(value);
    let known = |part: &Decimal| !part.is_sign_negative() && !part.is_zero() && *part <= Decimal::from(10);
    let mut parts = match values {
        Some(parts) if parts.len() <= THRESHOLDS_MAX && parts.iter().all(known) => parts,
        _ => {
            let what =
                format!("thresholds is a list of at most {THRESHOLDS_MAX} parts of the amount like [0.5, 0.8, 1]");
            document.fault(at, what);
            Vec::new()
        }
    };
    parts.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "[[budget]]\nname = \"vision\"\namount = 3000\ncurrency = \"USD\"\nperiod = \"monthly\"\n\
                        team = \"vis*\"\nthresholds = [1, 0.5]\n";

    #[test]
    fn a_budget_burns_down_and_says_when_it_is_spent() {
        let budgets = Budget::parse(TEXT).expect("a good budget");
        let first = Period::parse("2026-11").expect("a month").start_micros();
        // 120 a day since a month before, on the evening of the tenth day.
        let day = |at: i64| DayCost { day_micros: first + at * DAY_MICROS, cost: Micros(120_000_000) };
        let days: Vec<DayCost> = (-30..20).map(day).collect();
        let burn = budgets[0].burn_down(&days, first + 10 * DAY_MICROS).expect("a month");
        assert_eq!((burn.spent, burn.left, burn.days.len()), (Micros(1_200_000_000), Micros(1_800_000_000), 10));
        let forecast = burn.forecast.expect("forty days are enough");
        assert_eq!((forecast.low, forecast.expected, forecast.high), {
            let all = Micros(3_600_000_000);
            (all, all, all)
        });
        let half = first + 12 * DAY_MICROS;
        let whole = first + 24 * DAY_MICROS;
        let parts: Vec<Crossing> = burn.crossings.iter().map(|(_, crossing)| *crossing).collect();
        assert_eq!(parts, [Crossing::Expected(half), Crossing::Expected(whole)]);
        let later = budgets[0].burn_down(&days, first + 20 * DAY_MICROS).expect("a month");
        assert_eq!(later.crossings[0].1, Crossing::Crossed(half));
        let evening = first + 9 * DAY_MICROS + DAY_MICROS * 3 / 4;
        let mut so_far = days[..40].to_vec();
        so_far[39].cost = Micros(90_000_000);
        let burn = budgets[0].burn_down(&so_far, evening).expect("a month");
        assert_eq!(
            (burn.spent, burn.exceeds),
            (Micros(1_170_000_000), Crossing::Expected(whole)),
            "a day that goes on"
        );
        assert_eq!(burn.forecast.expect("a forecast").expected, Micros(3_600_000_000), "is not taken for a cheap one");
        so_far[39].cost = Micros(720_000_000);
        let burn = budgets[0].burn_down(&so_far, evening).expect("a month");
        assert_eq!(burn.forecast.expect("a forecast").expected, Micros(4_200_000_000), "nor for one that ends cheaper");
        assert_eq!(burn.crossings[0].1, Crossing::Crossed(first + 9 * DAY_MICROS));
        let fresh = budgets[0].burn_down(&[], first).expect("a month");
        assert_eq!((fresh.forecast, fresh.crossings[1].1), (None, Crossing::NotExpected));
    }

    #[test]
    fn a_quarter_is_three_months() {
        let text = TEXT.replace("monthly", "quarterly");
        let budget = &Budget::parse(&text).expect("a good budget")[0];
        let month = |text: &str| Period::parse(text).expect("a month").start_micros();
        assert_eq!(budget.range_micros(month("2026-11")), Some((month("2026-10"), month("2027-01"))));
    }

    #[test]
    fn every_fault_of_a_budget_has_its_line() {
        let text = "[[budget]]\nname = \"a\"\namount = 0\nperiod = \"daily\"\nthresholds = [0.5, -1]\nteams = \"x\"\n";
        let faults = Budget::parse(text).expect_err("it is full of faults");
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6]);
    }

    #[test]
    fn selectors_have_all_to_fit() {
        let text = TEXT.replace("team = \"vis*\"", "team = [\"vis*\", \"x\"]\npool = \"a\"");
        let budget = &Budget::parse(&text).expect("a good budget")[0];
        let covers = |team: &'static str, pool: Option<&'static str>| {
            budget.covers(|name| if name == "team" { Some(team) } else { pool })
        };
        assert!(covers("vision", Some("a")) && covers("x", Some("a")));
        assert!(!covers("vision", Some("b")) && !covers("speech", Some("a")) && !covers("vision", None));
        let known: Vec<&str> = crate::cost::DIMENSIONS.iter().map(|d| d.name).collect();
        assert!(SELECTORS.iter().all(|name| known.contains(name)), "each is a dimension of the ledger");
    }

    proptest! {
        #[test]
        fn what_is_spent_and_what_is_left_are_the_amount(
            costs in prop::collection::vec(-1_000_000_000_i64..1_000_000_000_000, 0..130),
            hours in 0..130 * 24_i64,
        ) {
            let budget = &Budget::parse(TEXT).expect("a good budget")[0];
            let first = Period::parse("2026-09").expect("a month").start_micros();
            let day = |(at, cost): (usize, &i64)| DayCost { day_micros: first + at as i64 * DAY_MICROS, cost: Micros(*cost) };
            let days: Vec<DayCost> = costs.iter().enumerate().map(day).collect();
            let now = first + hours * crate::cost::HOUR_MICROS;
            let burn = budget.burn_down(&days, now).expect("a month");
            prop_assert_eq!(burn.spent + burn.left, budget.amount);
            let summed: Micros =
                days.iter().filter(|d| (burn.from_micros..now).contains(&d.day_micros)).map(|d| d.cost).sum();
            prop_assert_eq!(burn.spent, summed);
            prop_assert_eq!(burn.days.last().map_or(budget.amount, |(_, left)| *left), burn.left);
            if let Some(forecast) = &burn.forecast {
                prop_assert!(forecast.low <= forecast.expected && forecast.expected <= forecast.high, "{:?}", forecast);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(cut in 0..TEXT.len(), text in "[-a-zA-Z0-9=\\[\\]{}\"\n,.*]{0,30}|.{0,20}") {
            let (before, after) = TEXT.split_at(cut);
            if let Err(faults) = Budget::parse(&format!("{before}{text}{after}")) {
                prop_assert!(!faults.is_empty());
            }
        }
    }
}

//! What time a document of a slot is about.
//!
//! Days and weeks are those of the schedule's time zone, months and quarters the ledger's, which are UTC.

use crate::cost;
use crate::report::Period;
use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;

/// No clock skips more at midnight; tried in steps that any offset is a multiple of.
const GAP_MINUTES_MAX: i64 = 24 * 60;
const GAP_STEP_MINUTES: i64 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    PreviousDay,
    /// From Monday to Monday.
    PreviousWeek,
    /// The bill of the month, as `--month` has it.
    PreviousMonth,
    PreviousQuarter,
    /// From Monday to the last hour that is known.
    WeekToDate,
    /// Likewise from the month's first hour.
    MonthToDate,
}

impl Span {
    pub const ALL: [Self; 6] = [
        Self::PreviousDay,
        Self::PreviousWeek,
        Self::PreviousMonth,
        Self::PreviousQuarter,
        Self::WeekToDate,
        Self::MonthToDate,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreviousDay => "previous_day",
            Self::PreviousWeek => "previous_week",
            Self::PreviousMonth => "previous_month",
            Self::PreviousQuarter => "previous_quarter",
            Self::WeekToDate => "week_to_date",
            Self::MonthToDate => "month_to_date",
        }
    }

    /// None beyond the calendar.
    pub fn period(self, slot_micros: i64, zone: Tz) -> Option<Period> {
        let today = date(slot_micros, zone)?;
        let range = |from_micros: i64, to_micros: i64| Some(Period::Range { from_micros, to_micros });
        let hour = cost::known_to(slot_micros);
        match self {
            Self::PreviousDay => range(midnight(today.pred_opt()?, zone)?, midnight(today, zone)?),
            Self::PreviousWeek => {
                let monday = monday(today)?;
                range(midnight(monday.checked_sub_days(Days::new(7))?, zone)?, midnight(monday, zone)?)
            }
            Self::PreviousMonth => {
                let last = today.with_day(1)?.pred_opt()?;
                Some(Period::Month { year: last.year(), month: last.month() })
            }
            Self::PreviousQuarter => {
                let this = cost::Period::new(today.year(), today.month())?.first_of_quarter();
                let before = cost::Period::of(this.start_micros() - 1)?.first_of_quarter();
                range(before.start_micros(), this.start_micros())
            }
            // Of its first instant on there is nothing yet: the week or month before is told whole.
            Self::WeekToDate => range(midnight(monday(date(hour - 1, zone)?)?, zone)?, hour),
            Self::MonthToDate => range(cost::Period::of(hour - 1)?.start_micros(), hour),
        }
    }
}

/// Of a period, Unix microseconds; the end does not belong to it.
pub(super) fn bounds(period: Period) -> (i64, i64) {
    match period {
        Period::Range { from_micros, to_micros } => (from_micros, to_micros),
        Period::Month { year, month } => cost::Period::new(year, month).map_or((0, 0), cost::Period::range_micros),
    }
}

fn date(unix_micros: i64, zone: Tz) -> Option<NaiveDate> {
    Some(DateTime::from_timestamp_micros(unix_micros)?.with_timezone(&zone).date_naive())
}

fn monday(date: NaiveDate) -> Option<NaiveDate> {
    let week = date.iso_week();
    NaiveDate::from_isoywd_opt(week.year(), week.week(), Weekday::Mon)
}

/// The first instant of a day.
fn midnight(date: NaiveDate, zone: Tz) -> Option<i64> {
    let start = date.and_time(NaiveTime::MIN);
    (0..=GAP_MINUTES_MAX / GAP_STEP_MINUTES).find_map(|step| {
        let local = start.checked_add_signed(Duration::minutes(step * GAP_STEP_MINUTES))?;
        Some(zone.from_local_datetime(&local).earliest()?.timestamp_micros())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn check(span: Span, zone: &str, slot: &str, from: &str, to: &str) {
        let period = span.period(at(slot), zone.parse().unwrap()).unwrap();
        assert_eq!(bounds(period), (at(from), at(to)), "{span:?} {zone} {slot}");
    }

    #[test]
    fn a_slot_covers_what_its_words_say() {
        let slot = "2026-12-01T06:30:00Z";
        check(Span::PreviousDay, "UTC", slot, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Span::PreviousWeek, "UTC", slot, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        check(Span::PreviousMonth, "UTC", slot, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Span::PreviousQuarter, "UTC", slot, "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z");
        check(Span::WeekToDate, "UTC", slot, "2026-11-30T00:00:00Z", "2026-12-01T06:00:00Z");
        check(Span::MonthToDate, "UTC", slot, "2026-12-01T00:00:00Z", "2026-12-01T06:00:00Z");
        check(Span::MonthToDate, "UTC", "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-30T23:00:00Z");
        check(Span::WeekToDate, "UTC", "2026-11-30T00:10:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        assert_eq!(
            Span::PreviousMonth.period(at("2026-01-15T00:00:00Z"), Tz::UTC),
            Some(Period::Month { year: 2025, month: 12 })
        );
    }

    #[test]
    fn days_are_those_of_the_zone_and_months_the_ledgers() {
        let slot = "2026-11-30T15:30:00Z"; // half past midnight of 1 December in Tokyo
        check(Span::PreviousDay, "Asia/Tokyo", slot, "2026-11-29T15:00:00Z", "2026-11-30T15:00:00Z");
        check(Span::PreviousMonth, "Asia/Tokyo", slot, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Span::MonthToDate, "Asia/Tokyo", slot, "2026-11-01T00:00:00Z", "2026-11-30T15:00:00Z");
        // A day of 23 hours, and one that begins at one o'clock.
        check(
            Span::PreviousDay,
            "Europe/Berlin",
            "2026-03-30T05:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        check(Span::PreviousDay, "Asia/Beirut", "2026-03-30T05:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z");
    }

    proptest! {
        #[test]
        fn every_slot_has_a_period_before_it(
            minutes in 0_i64..200 * 365 * 24 * 60,
            span in proptest::sample::select(Span::ALL.to_vec()),
            zone in proptest::sample::select(vec!["UTC", "Asia/Tokyo", "America/St_Johns", "Asia/Beirut", "Pacific/Apia"]),
        ) {
            let slot = minutes * 60_000_000;
            let (from, to) = bounds(span.period(slot, zone.parse().unwrap()).unwrap());
            prop_assert!(from < to, "{} {} {}", from, to, zone);
            // Only a month of UTC may end after a slot of the zone's own first hours.
            let late = if matches!(span, Span::PreviousMonth | Span::PreviousQuarter) { 15 * cost::HOUR_MICROS } else { 0 };
            prop_assert!(to <= slot + late, "{} {} {}", slot, to, zone);
        }
    }
}

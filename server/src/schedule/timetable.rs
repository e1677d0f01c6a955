//! When: a cron expression in a time zone.
//!
//! A time that the clock skips counts at the first instant after the gap, one that it repeats at the first of the two.
//! An expression that comes round within the hour or every hour follows real time through both.

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::sync::Arc;

/// A line; the longest sensible ones list minutes and hours.
const TEXT_BYTES_MAX: usize = 200;
const FIELDS: usize = 5;
/// Slots that a server missed and tells one by one; it tells of the others together.
pub const MISSED_TOLD_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// As it was written.
    pub text: Arc<str>,
    pub zone: Tz,
    cron: Cron,
}

/// What is to be done with the slots of some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The latest of them, Unix microseconds like the others.
    pub slot_micros: i64,
    /// Those before it, from the oldest on.
    pub missed_micros: Vec<i64>,
    /// Whether there were even older ones.
    pub has_older: bool,
}

impl Timetable {
    /// Five fields as cron has them; says what is wrong.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let wanted = "minute, hour, day of month, month and day of week, like \"30 6 1 * *\"";
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("cron is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let fields = text.split_whitespace().count();
        if fields != FIELDS {
            return Err(format!("cron has {fields} fields, five are wanted: {wanted}"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|why| format!("cron is not like {wanted}: {why}"))?;
        let timetable = Self { text: text.into(), zone, cron };
        match timetable.next_after(0) {
            Some(_) => Ok(timetable),
            None => Err("cron names a day that never comes".to_owned()),
        }
    }

    /// The first slot after an instant.
    pub fn next_after(&self, unix_micros: i64) -> Option<i64> {
        // The search fails where there is none within the calendar.
        self.cron.find_next_occurrence(&self.at(unix_micros)?, false).ok().map(micros)
    }

    /// The last slot at or before an instant.
    pub fn last_until(&self, unix_micros: i64) -> Option<i64> {
        self.cron.find_previous_occurrence(&self.at(unix_micros)?, true).ok().map(micros)
    }

    /// The slots after `after` until `now`, Unix microseconds; none where there are none.
    pub fn due(&self, after_micros: i64, now_micros: i64) -> Option<Due> {
        let within = |slot: &i64| *slot > after_micros;
        let slot_micros = self.last_until(now_micros).filter(within)?;
        let before = |slot: i64| self.last_until(slot - 1_000_000).filter(within);
        let mut missed_micros: Vec<i64> =
            std::iter::successors(before(slot_micros), |slot| before(*slot)).take(MISSED_TOLD_MAX + 1).collect();
        let has_older = missed_micros.len() > MISSED_TOLD_MAX;
        missed_micros.truncate(MISSED_TOLD_MAX);
        missed_micros.reverse();
        Some(Due { slot_micros, missed_micros, has_older })
    }

    /// To the second, as cron counts.
    fn at(&self, unix_micros: i64) -> Option<DateTime<Tz>> {
        let utc = DateTime::<Utc>::from_timestamp(unix_micros.div_euclid(1_000_000), 0)?;
        Some(self.zone.from_utc_datetime(&utc.naive_utc()))
    }
}

fn micros(time: DateTime<Tz>) -> i64 {
    time.timestamp_micros()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    fn table(text: &str, zone: &str) -> Timetable {
        Timetable::parse(text, zone.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn slots(text: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let timetable = table(text, zone);
        let mut slots = Vec::new();
        let mut last = at(from) - 1;
        while let Some(next) = timetable.next_after(last).filter(|next| *next < at(to)) {
            slots.push(DateTime::from_timestamp_micros(next).unwrap().format("%dT%H:%MZ").to_string());
            last = next;
        }
        slots
    }

    #[test]
    fn a_time_that_the_clock_skips_counts_once_at_the_next_instant() {
        // Berlin goes from 02:00 to 03:00 on 29 March 2026, which is 01:00 UTC.
        let days = ("2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z");
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", days.0, days.1), ["28T01:30Z", "29T01:00Z", "30T00:30Z"]);
        assert_eq!(slots("0 3 * * *", "Europe/Berlin", days.0, days.1), ["28T02:00Z", "29T01:00Z", "30T01:00Z"]);
    }

    #[test]
    fn a_time_that_the_clock_repeats_counts_once_at_the_first() {
        // Berlin goes from 03:00 back to 02:00 on 25 October 2026, which is 01:00 UTC.
        let days = ("2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z");
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", days.0, days.1), ["24T00:30Z", "25T00:30Z", "26T01:30Z"]);
        // What comes round each hour goes on in both, an hour apart.
        let night = ("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z");
        assert_eq!(
            slots("0 * * * *", "Europe/Berlin", night.0, night.1),
            ["24T23:00Z", "25T00:00Z", "25T01:00Z", "25T02:00Z"]
        );
    }

    #[test]
    fn a_month_and_a_week_are_those_of_the_zone() {
        let year = ("2026-01-01T00:00:00Z", "2026-03-02T00:00:00Z");
        assert_eq!(slots("30 6 1 * *", "Asia/Tokyo", year.0, year.1), ["31T21:30Z", "28T21:30Z"]);
        assert_eq!(slots("0 7 * * MON", "UTC", "2026-11-23T07:00:00Z", "2026-12-01T00:00:00Z").len(), 2);
        assert_eq!(slots("0 7 * * 7", "UTC", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"), ["29T07:00Z"]);
    }

    #[test]
    fn what_is_no_expression_is_told() {
        for (text, part) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("0 0 6 1 * *", "6 fields"),
            ("@daily", "1 fields"),
            ("61 * * * *", "cron is not like"),
            ("x * * * *", "cron is not like"),
            ("0 0 31 2 *", "never comes"),
        ] {
            let told = Timetable::parse(text, Tz::UTC).unwrap_err();
            assert!(told.contains(part), "{text:?}: {told}");
        }
    }

    #[test]
    fn of_slots_that_were_missed_the_latest_is_due_and_the_others_are_told() {
        let timetable = table("0 6 * * *", "UTC");
        let due = timetable.due(at("2026-11-20T06:00:00Z"), at("2026-11-23T09:00:00Z")).unwrap();
        assert_eq!(due.slot_micros, at("2026-11-23T06:00:00Z"));
        assert_eq!(due.missed_micros, [at("2026-11-21T06:00:00Z"), at("2026-11-22T06:00:00Z")]);
        assert!(!due.has_older);
        assert_eq!(timetable.due(due.slot_micros, at("2026-11-24T05:59:59Z")), None);
        let minutes = table("* * * * *", "UTC").due(at("2026-01-01T00:00:00Z"), at("2026-11-23T09:00:30Z")).unwrap();
        assert_eq!(minutes.slot_micros, at("2026-11-23T09:00:00Z"));
        assert_eq!((minutes.missed_micros.len(), minutes.has_older), (MISSED_TOLD_MAX, true));
    }

    fn expression() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "30 2 * * *",
            "0 3 * * *",
            "*/17 * * * *",
            "0 * * * *",
            "15 1,2,3 * * *",
            "5 0 1 * *",
            "0 4 * * SUN",
            "59 23 L * *",
            "* 2 * * *",
        ])
    }

    fn zone() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kolkata",
            "Asia/Beirut",
            "America/Santiago",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn looks_at_any_times_run_each_slot_once_and_the_latest_always(
            text in expression(),
            zone in zone(),
            start in 0_i64..3 * 365 * 24 * 60,
            steps in proptest::collection::vec(prop_oneof![0_i64..3, 0_i64..90, 0_i64..4000, 0_i64..30_000], 1..30),
        ) {
            let timetable = table(text, zone);
            let begun = at("2025-01-01T00:00:00Z") + start * MINUTE;
            let (mut now, mut after) = (begun, begun);
            let (mut run, mut missed) = (Vec::new(), Vec::new());
            for step in steps {
                now += step * MINUTE + 7_123_456;
                let Some(due) = timetable.due(after, now) else { continue };
                prop_assert!(due.slot_micros <= now && due.slot_micros > after);
                missed.extend(due.missed_micros.iter().copied());
                if due.has_older {
                    // What is not told one by one is not compared below.
                    missed.clear();
                    run.clear();
                }
                run.push(due.slot_micros);
                after = due.slot_micros;
            }
            // The latest slot of all has run.
            prop_assert_eq!(timetable.last_until(now).filter(|slot| *slot > begun), run.last().copied());
            let mut all: Vec<i64> = run.iter().chain(&missed).copied().collect();
            let told = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), told, "a slot came twice");
            // Looking ahead finds the same slots as looking back.
            let first = all.first().copied().unwrap_or(i64::MAX);
            let mut ahead = Vec::new();
            let mut last = first.saturating_sub(1_000_000);
            while let Some(next) = timetable.next_after(last).filter(|next| first != i64::MAX && *next <= now) {
                ahead.push(next);
                last = next;
            }
            prop_assert_eq!(ahead, all);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-*/,0-9LW#A-Z ]{0,24}|.{0,30}") {
            if let Ok(timetable) = Timetable::parse(&text, Tz::UTC) {
                prop_assert!(timetable.next_after(0).is_some());
            }
        }
    }
}

//! Parts of a date, UTC. Pure.

use chrono::{DateTime, Datelike, Months, Timelike, Utc};

pub(in super::super) type DateFunction = fn(DateTime<Utc>) -> u32;

pub(super) fn named(name: &str) -> Option<DateFunction> {
    Some(match name {
        "minute" => |t| t.minute(),
        "hour" => |t| t.hour(),
        "day_of_week" => |t| t.weekday().num_days_from_sunday(),
        "day_of_month" => |t| t.day(),
        "day_of_year" => |t| t.ordinal(),
        "days_in_month" => days_in_month,
        "month" => |t| t.month(),
        "year" => |t| t.year().unsigned_abs(),
        _ => return None,
    })
}

/// The part of a time in seconds since the epoch; none of a time beyond the calendar.
pub(in super::super) fn part(function: DateFunction, seconds: f64) -> Option<f64> {
    DateTime::from_timestamp(seconds as i64, 0).map(|time| f64::from(function(time)))
}

fn days_in_month(time: DateTime<Utc>) -> u32 {
    let next = time.date_naive().with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
    next.and_then(|next| next.pred_opt()).map_or(31, |last| last.day())
}

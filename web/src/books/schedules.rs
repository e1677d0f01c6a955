//! Documents by schedule, as the API document has them, and what is said of their last run. Pure.

answer! {
    /// `GET /api/v1/schedules`.
    pub(crate) struct Schedules {
        pub(crate) schedules: Vec<ScheduleState>,
    }
    pub(crate) struct ScheduleState {
        pub(crate) name: String,
        pub(crate) cron: String,
        pub(crate) time_zone: String,
        pub(crate) report: String,
        pub(crate) by: Vec<String>,
        pub(crate) period: String,
        pub(crate) format: String,
        pub(crate) to: String,
        pub(crate) next_unix_micros: Option<i64>,
        pub(crate) problem: Option<String>,
        pub(crate) runs: Vec<ScheduleRun>,
    }
    pub(crate) struct ScheduleRun {
        pub(crate) slot_unix_micros: i64,
        pub(crate) state: String,
        pub(crate) attempts: i64,
        pub(crate) delivered_unix_micros: Option<i64>,
        pub(crate) next_unix_micros: Option<i64>,
        pub(crate) error: Option<String>,
    }
}

#[cfg(test)]
pub(super) const KNOWN: [(&str, &[&str]); 3] = [Schedules::FIELDS, ScheduleState::FIELDS, ScheduleRun::FIELDS];

pub(crate) const SCHEDULES_PATH: &str = "/api/v1/schedules";

/// `chargeback by cost centre and team, of the previous month, as PDF`.
pub(crate) fn what(schedule: &ScheduleState) -> String {
    let by = schedule.by.join(" and ").replace('_', " ");
    let period = schedule.period.replace('_', " ");
    format!("{} by {by}, of the {period}, as {}", schedule.report, schedule.format.to_uppercase())
}

impl ScheduleRun {
    /// Words and class of its badge.
    pub(crate) fn badge(&self) -> (String, &'static str) {
        let class = match self.state.as_str() {
            "delivered" => "badge done",
            "failed" | "missed" => "badge warned",
            "given_up" => "badge failed",
            _ => "badge open",
        };
        (self.state.replace('_', " "), class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_told_in_words() {
        let schedule = ScheduleState {
            report: "chargeback".to_owned(),
            by: vec!["cost_centre".to_owned(), "team".to_owned()],
            period: "previous_month".to_owned(),
            format: "pdf".to_owned(),
            ..ScheduleState::default()
        };
        assert_eq!(what(&schedule), "chargeback by cost centre and team, of the previous month, as PDF");
        let run = ScheduleRun { state: "given_up".to_owned(), ..ScheduleRun::default() };
        assert_eq!(run.badge(), ("given up".to_owned(), "badge failed"));
    }
}

//! Rows as CSV: exact values, raw units, null empty. Pure.

use crate::books::{DocumentEntry, PolicyComparison, by_change, change};
use crate::charts::share;
use crate::instant::rfc3339;
use crate::roster::NodeRow;
use contract::GpuState;
use contract::answers::{CostMonth, JobRow, Overview};

pub(crate) fn line(fields: &[String]) -> String {
    let quoted = |field: &String| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    fields.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

fn maybe(value: Option<f64>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

pub(crate) fn gpu_hours(overview: &Overview) -> String {
    let total = share::total(&overview.gpu_hours);
    let mut out = line(&["state", "gpu_hours", "share_ratio", "gpu_hours_before"].map(str::to_owned));
    for state in GpuState::ALL {
        let hours = *overview.gpu_hours.get(state);
        let part = (total > 0.0).then(|| hours / total);
        let before = overview.gpu_hours_before.as_ref().map(|b| *b.get(state));
        out += &line(&[state.as_str().to_owned(), hours.to_string(), maybe(part), maybe(before)]);
    }
    out
}

pub(crate) fn nodes(rows: &[NodeRow]) -> String {
    let mut head: Vec<String> = ["cluster", "node", "rack", "gpu_model"].map(str::to_owned).into();
    head.extend(GpuState::ALL.map(|s| format!("gpus_{}", s.as_str())));
    let rest = ["gpu_busy_ratio", "power_watts", "temperature_celsius_max", "memory_used_ratio", "users"];
    head.extend(rest.map(str::to_owned));
    let mut out = line(&head);
    for row in rows {
        let rack = row.rack.clone().unwrap_or_default();
        let mut fields = vec![row.cluster.clone(), row.node.clone(), rack, row.model.clone()];
        fields.extend(GpuState::ALL.map(|s| row.gpus.get(s).to_string()));
        fields.extend([row.busy_ratio, row.power_watts, row.temperature_celsius_max, row.memory_ratio].map(maybe));
        fields.push(row.users.join(" "));
        out += &line(&fields);
    }
    out
}

/// Costs in micros, as they are kept.
pub(crate) fn jobs(rows: &[JobRow]) -> String {
    let head = [
        "cluster",
        "job_id",
        "attempt",
        "phase",
        "state",
        "name",
        "user",
        "account",
        "project",
        "queue",
        "gpus",
        "submitted_at",
        "started_at",
        "ended_at",
        "gpu_seconds",
        "cost_micros",
        "active_ratio",
    ];
    let mut out = line(&head.map(str::to_owned));
    for job in rows {
        let time = |micros: Option<i64>| micros.map(rfc3339).unwrap_or_default();
        let whole = |value: Option<i64>| value.map(|v| v.to_string()).unwrap_or_default();
        let mut fields = vec![job.cluster.clone(), job.job_id.clone(), job.attempt.to_string()];
        fields.push(job.phase.as_str().to_owned());
        let texts = [&job.state, &job.name, &job.user, &job.account, &job.project, &job.queue];
        fields.extend(texts.map(|text| text.clone().unwrap_or_default()));
        fields.push(whole(job.gpus));
        fields.extend([job.submitted_unix_micros, job.started_unix_micros, job.ended_unix_micros].map(time));
        fields.extend([maybe(job.gpu_seconds), whole(job.cost_micros), maybe(job.active_ratio)]);
        out += &line(&fields);
    }
    out
}

pub(crate) fn months(months: &[CostMonth], currency: &str) -> String {
    let head = ["month", "is_closed", "cost_micros", "correction_micros", "unpriced_gpu_hours", "currency"];
    let mut out = line(&head.map(str::to_owned));
    for m in months {
        let hours = m.unpriced_gpu_hours.to_string();
        let (cost, correction) = (m.cost_micros.to_string(), m.correction_micros.to_string());
        out += &line(&[m.period.clone(), m.is_closed.to_string(), cost, correction, hours, currency.to_owned()]);
    }
    out
}

pub(crate) fn compared(found: &PolicyComparison) -> String {
    let head = ["month", "team", "project", "cost_centre", "a_micros", "b_micros", "change_micros", "currency"];
    let mut out = line(&head.map(str::to_owned));
    for owner in by_change(found) {
        let amounts = [owner.a_micros, owner.b_micros, change(owner)].map(|micros| micros.to_string());
        let names = [
            found.period.clone(),
            owner.team.clone(),
            owner.project.clone().unwrap_or_default(),
            owner.cost_centre.clone(),
        ];
        out += &line(&[names.as_slice(), amounts.as_slice(), std::slice::from_ref(&found.currency)].concat());
    }
    out
}

pub(crate) fn documents(entries: &[DocumentEntry]) -> String {
    let mut out = line(&["kind", "name", "version", "author", "stated_at", "bytes"].map(str::to_owned));
    for entry in entries {
        let DocumentEntry { kind, name, version, author, stated_unix_micros, bytes } = entry.clone();
        out += &line(&[kind, name, version, author, rfc3339(stated_unix_micros), bytes.to_string()]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::ComparedOwner;
    use contract::ByState;

    #[test]
    fn months_and_comparisons_are_exact() {
        let month = CostMonth { period: "2026-10".to_owned(), cost_micros: 1, is_closed: true, ..CostMonth::default() };
        assert_eq!(months(&[month], "USD").lines().nth(1), Some("2026-10,true,1,0,0,USD"));
        let owner = ComparedOwner { team: "a,b".to_owned(), a_micros: 5, b_micros: 3, ..ComparedOwner::default() };
        let found =
            PolicyComparison { period: "2026-10".to_owned(), owners: vec![owner], ..PolicyComparison::default() };
        assert_eq!(compared(&found).lines().nth(1), Some("2026-10,\"a,b\",,,5,3,-2,"));
        let entry = DocumentEntry { kind: "prices".to_owned(), ..DocumentEntry::default() };
        assert_eq!(documents(&[entry]).lines().nth(1), Some("prices,,,,1970-01-01T00:00:00Z,0"));
    }

    #[test]
    fn fields_are_quoted_and_null_is_empty() {
        let row = NodeRow {
            at: 0,
            cluster: "c".to_owned(),
            node: "a,\"b\"".to_owned(),
            rack: None,
            model: "H100".to_owned(),
            gpus: ByState { active: 8, ..ByState::default() },
            busy_ratio: Some(0.5),
            power_watts: None,
            temperature_celsius_max: Some(61.25),
            memory_ratio: None,
            users: vec!["ada".to_owned(), "bob".to_owned()],
        };
        let text = nodes(&[row]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "c,\"a,\"\"b\"\"\",,H100,8,0,0,0,0,0,0.5,,61.25,,ada bob");
        assert_eq!(lines[0].split(',').count(), 15);
    }

    #[test]
    fn a_job_keeps_its_micros_and_its_commas() {
        let job = JobRow { name: Some("a,\"b\"".to_owned()), cost_micros: Some(1_500_000), ..JobRow::default() };
        let text = jobs(&[job]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], ",,0,waiting,,\"a,\"\"b\"\"\",,,,,,,,,,1500000,");
        assert_eq!(lines[0].split(',').count(), 17);
    }
}

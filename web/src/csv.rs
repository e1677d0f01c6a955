//! Rows as CSV: exact values, raw units, null empty. Pure.

use crate::charts::share;
use crate::roster::NodeRow;
use contract::GpuState;
use contract::answers::{JobRow, Overview};

fn line(fields: &[String]) -> String {
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
        "queue_seconds",
        "gpu_seconds",
        "cost_micros",
        "active_ratio",
    ];
    let mut out = line(&head.map(str::to_owned));
    for job in rows {
        let time = |micros: Option<i64>| micros.map(crate::instant::rfc3339).unwrap_or_default();
        let whole = |value: Option<i64>| value.map(|v| v.to_string()).unwrap_or_default();
        let mut fields = vec![job.cluster.clone(), job.job_id.clone(), job.attempt.to_string()];
        fields.push(job.phase.as_str().to_owned());
        let texts = [&job.state, &job.name, &job.user, &job.account, &job.project, &job.queue];
        fields.extend(texts.map(|text| text.clone().unwrap_or_default()));
        fields.push(whole(job.gpus));
        fields.extend([job.submitted_unix_micros, job.started_unix_micros, job.ended_unix_micros].map(time));
        fields.extend([job.queue_seconds, job.gpu_seconds].map(maybe));
        fields.extend([whole(job.cost_micros), maybe(job.active_ratio)]);
        out += &line(&fields);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::ByState;

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
        assert_eq!(lines[1], ",,0,waiting,,\"a,\"\"b\"\"\",,,,,,,,,,,1500000,");
        assert_eq!(lines[0].split(',').count(), 18);
    }
}

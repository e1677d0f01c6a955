//! Dashboards: the answers about them, the values of their variables, and what is drawn of rows. Pure.
//!
//! **Invariant:** a value goes to the server as a parameter; only a statement that is shown to be edited has it in it.

pub(crate) mod drawn;

use crate::instant::{SECOND, rfc3339};

answer! {
    /// Of `GET /api/v1/dashboards`.
    pub(crate) struct DashboardEntry {
        pub(crate) name: String,
        pub(crate) title: String,
        pub(crate) description: String,
        pub(crate) origin: String,
        pub(crate) hides_shipped: bool,
        pub(crate) offered: bool,
        pub(crate) missing: Vec<String>,
        pub(crate) faults: Vec<DashboardFault>,
    }
    pub(crate) struct DashboardFault {
        pub(crate) line: u64,
        pub(crate) text: String,
    }
    /// `GET /api/v1/dashboards/{name}`.
    pub(crate) struct DashboardAnswer {
        pub(crate) name: String,
        pub(crate) title: String,
        pub(crate) description: String,
        pub(crate) origin: String,
        pub(crate) hides_shipped: bool,
        pub(crate) faults: Vec<DashboardFault>,
        pub(crate) currency: String,
        pub(crate) buckets_max: i64,
        pub(crate) variables: Vec<DashboardVariable>,
        pub(crate) panels: Vec<DashboardPanel>,
    }
    pub(crate) struct DashboardVariable {
        pub(crate) name: String,
        pub(crate) label: String,
        pub(crate) kind: String,
        pub(crate) choices: Vec<String>,
        pub(crate) sql: Option<String>,
        pub(crate) takes: Vec<i64>,
        pub(crate) default: Option<String>,
        pub(crate) all: Option<String>,
    }
    pub(crate) struct DashboardPanel {
        pub(crate) title: String,
        pub(crate) description: Option<String>,
        pub(crate) row: Option<String>,
        pub(crate) kind: String,
        pub(crate) unit: String,
        pub(crate) width: i64,
        pub(crate) sql: String,
        pub(crate) takes: Vec<i64>,
        pub(crate) promql: Option<String>,
        pub(crate) thresholds: Vec<DashboardThreshold>,
    }
    pub(crate) struct DashboardThreshold {
        pub(crate) at: f64,
        pub(crate) severity: String,
    }
}

/// The variable that the cluster of the bar is the value of.
pub(crate) const CLUSTER: &str = "cluster";

/// Whether a role keeps dashboards; the server decides, the page only does not offer it in vain.
pub(crate) fn edits(role: &str) -> bool {
    role == "admin"
}

/// Unix microseconds.
pub(crate) type Window = (i64, i64);

/// What somebody chose, or else what the variable is by itself; none while its choices are not known.
pub(crate) fn value(
    variable: &DashboardVariable,
    chosen: Option<&str>,
    found: Option<&[String]>,
    (window, buckets_max): (Window, i64),
) -> Option<String> {
    if let Some(chosen) = chosen {
        return Some(chosen.to_owned());
    }
    if let Some(default) = &variable.default {
        return Some(default.clone());
    }
    match variable.kind.as_str() {
        "step" => step(&variable.choices, window, buckets_max),
        _ if variable.all.is_some() => Some(String::new()),
        "choices" => variable.choices.first().cloned(),
        // Where there are none there is nothing to be asked about, which the panels say.
        _ => found.map(|choices| choices.first().cloned().unwrap_or_default()),
    }
}

/// The shortest step that divides the window into no more buckets than a panel has room for.
fn step(choices: &[String], (from, to): Window, buckets_max: i64) -> Option<String> {
    let span = (to - from) / SECOND;
    let fits = |choice: &&String| seconds_of(choice).is_some_and(|step| span <= step.saturating_mul(buckets_max));
    choices.iter().find(fits).or(choices.last()).cloned()
}

/// Of `300 seconds`.
pub(crate) fn seconds_of(choice: &str) -> Option<i64> {
    choice.strip_suffix(" seconds")?.parse().ok()
}

/// What a statement takes of the window and the values of the variables.
pub(crate) fn parameters((from, to): Window, values: &[String], takes: &[i64]) -> Vec<String> {
    let all: Vec<String> = [rfc3339(from), rfc3339(to)].into_iter().chain(values.iter().cloned()).collect();
    takes.iter().filter_map(|at| all.get(usize::try_from(*at).ok()?).cloned()).collect()
}

/// A statement with its parameters written out, for a person to go on with. The pages ask with parameters.
pub(crate) fn written_out(sql: &str, parameters: &[String]) -> String {
    let mut parts = sql.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let known = part[..digits].parse::<usize>().ok().and_then(|n| parameters.get(n.checked_sub(1)?));
        match known {
            Some(value) => out.push_str(&format!("'{}'{}", value.replace('\'', "''"), &part[digits..])),
            None => out.push_str(&format!("${part}")),
        }
    }
    out
}

/// Panels by the rows that they stand in: title, and positions.
pub(crate) fn rows(panels: &[DashboardPanel]) -> Vec<(Option<String>, Vec<usize>)> {
    let mut out: Vec<(Option<String>, Vec<usize>)> = Vec::new();
    for (at, panel) in panels.iter().enumerate() {
        if panel.row.is_some() || out.is_empty() {
            out.push((panel.row.clone(), Vec::new()));
        }
        if let Some((_, row)) = out.last_mut() {
            row.push(at);
        }
    }
    out
}

/// A dashboard to begin with.
pub(crate) const EXAMPLE: &str = r#"title = "My racks"
description = "What this dashboard answers."

[[variable]]
name = "step"
label = "Step"
kind = "step"

[[panel]]
title = "Power by node"
kind = "stacked"
unit = "watts"
width = 12
sql = """
select date_bin(cast($3 as interval), time) as bucket, node, avg(power_watts) as power_watts
from gpu_samples
where time >= $1 and time < $2
group by bucket, node
order by bucket, node
"""
"#;

/// A file's name without what names of dashboards may not have.
pub(crate) fn name_of(title: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = title.chars().map(plain).collect();
    let name = words.split_whitespace().collect::<Vec<_>>().join("-");
    name.chars().take(60).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;
    use crate::instant::HOUR;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [
            DashboardEntry::FIELDS,
            DashboardFault::FIELDS,
            DashboardAnswer::FIELDS,
            DashboardVariable::FIELDS,
            DashboardPanel::FIELDS,
            DashboardThreshold::FIELDS,
        ];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    #[test]
    fn a_variable_has_a_value_as_soon_as_its_choices_are_known() {
        let texts = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let of = |kind: &str, choices: &[&str], all: Option<&str>| DashboardVariable {
            kind: kind.to_owned(),
            choices: texts(choices),
            all: all.map(str::to_owned),
            ..DashboardVariable::default()
        };
        let day = ((0, 24 * HOUR), 300);
        let step = of("step", &["60 seconds", "300 seconds", "3600 seconds"], None);
        assert_eq!(value(&step, None, None, day).as_deref(), Some("300 seconds"));
        assert_eq!(value(&step, None, None, ((0, 9000 * HOUR), 300)).as_deref(), Some("3600 seconds"));
        assert_eq!(value(&step, Some("60 seconds"), None, day).as_deref(), Some("60 seconds"));
        let node = of("sql", &[], None);
        assert_eq!(value(&node, None, None, day), None);
        assert_eq!(value(&node, None, Some(&texts(&["a", "b"])), day).as_deref(), Some("a"));
        assert_eq!(value(&node, None, Some(&[]), day).as_deref(), Some(""));
        assert_eq!(value(&of("sql", &[], Some("All")), None, None, day).as_deref(), Some(""));
        assert_eq!(value(&of("choices", &["x", "y"], None), None, None, day).as_deref(), Some("x"));
        let chosen = DashboardVariable { default: Some("y".to_owned()), ..of("choices", &["x", "y"], None) };
        assert_eq!(value(&chosen, None, None, day).as_deref(), Some("y"));
    }

    #[test]
    fn a_statement_is_written_out_with_its_texts_quoted() {
        let parameters = parameters((0, HOUR), &["b".to_owned(), "it's".to_owned()], &[0, 2, 3]);
        assert_eq!(parameters, ["1970-01-01T00:00:00Z", "b", "it's"]);
        let text = written_out("select $1, $3 from t where a = $12 and b = $ and c = $3", &parameters);
        assert_eq!(text, "select '1970-01-01T00:00:00Z', 'it''s' from t where a = $12 and b = $ and c = 'it''s'");
    }

    #[test]
    fn rows_begin_where_a_panel_names_one() {
        let panel = |row: Option<&str>| DashboardPanel { row: row.map(str::to_owned), ..DashboardPanel::default() };
        let found = rows(&[panel(None), panel(None), panel(Some("R")), panel(None)]);
        assert_eq!(found, [(None, vec![0, 1]), (Some("R".to_owned()), vec![2, 3])]);
        assert!(rows(&[]).is_empty());
        assert_eq!((name_of("My racks, 2026!"), name_of("  ")), ("my-racks-2026".into(), String::new()));
        assert!(edits("admin") && !edits("finance"));
    }
}

//! Statements: where one went wrong, its plan, what was run before, and some to begin with.

/// Statements that the browser remembers, and the longest of them in bytes.
const REMEMBERED_MAX: usize = 50;
const REMEMBERED_BYTES_MAX: usize = 8192;

/// Line and column, from 1, that an error of the parser names.
pub(crate) fn place_of(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.split_once("at Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (line, column) = (line.trim().parse().ok()?, rest[..digits].parse().ok()?);
    (line > 0 && column > 0).then_some((line, column))
}

/// Place in UTF-16 units, as a text field counts, of a line and column from 1.
pub(crate) fn offset_of(sql: &str, (line, column): (usize, usize)) -> u32 {
    let before = sql.split_inclusive('\n').take(line.saturating_sub(1)).map(utf16).sum::<u32>();
    let here = sql.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    before + here.chars().take(column.saturating_sub(1)).map(|c| c.len_utf16() as u32).sum::<u32>()
}

fn utf16(text: &str) -> u32 {
    text.encode_utf16().count() as u32
}

/// Bytes before a place that is counted in UTF-16 units.
pub(crate) fn bytes_before(text: &str, units: u32) -> usize {
    let mut seen = 0;
    text.char_indices()
        .find_map(|(at, c)| {
            let here = (seen >= units).then_some(at);
            seen += c.len_utf16() as u32;
            here
        })
        .unwrap_or(text.len())
}

/// The statement that tells how this one would be run; none where it does so itself, or tells of the tables.
pub(crate) fn explain(sql: &str) -> Option<String> {
    let first = sql.trim_start().split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase();
    let has_plan = !["", "explain", "show", "describe", "desc"].contains(&first.as_str());
    has_plan.then(|| format!("explain {sql}"))
}

/// The newest first, each once.
pub(crate) fn remember(before: &[String], sql: &str) -> Vec<String> {
    let sql = sql.trim();
    let is_kept = !sql.is_empty() && sql.len() <= REMEMBERED_BYTES_MAX;
    let first = is_kept.then(|| sql.to_owned());
    let rest = before.iter().filter(|old| *old != sql).cloned();
    first.into_iter().chain(rest).take(REMEMBERED_MAX).collect()
}

/// Questions that people ask, for a first look around.
pub(crate) const EXAMPLES: [(&str, &str); 6] = [
    (
        "What did each team pay a day?",
        "select date_trunc('day', time) as day, team, sum(cost_micros) / 1e6 as cost\nfrom ledger\nwhere time >= now() - interval '7 days'\ngroup by 1, 2\norder by 1, 2",
    ),
    (
        "How busy was each GPU model, by the hour?",
        "select date_trunc('hour', time) as hour, gpu_model, avg(gpu_busy_ratio) as gpu_busy_ratio\nfrom gpu_samples\nwhere time >= now() - interval '24 hours'\ngroup by 1, 2\norder by 1, 2",
    ),
    (
        "Which jobs waited longest?",
        "select job_id, \"user\", queue, gpus_requested, queue_seconds / 3600 as waited_hours\nfrom jobs\nwhere queue_seconds is not null\norder by queue_seconds desc\nlimit 20",
    ),
    (
        "Who used the most GPU-hours?",
        "select \"user\", sum(gpu_seconds) / 3600 as gpu_hours, count(*) as jobs\nfrom jobs\ngroup by 1\norder by 2 desc\nlimit 20",
    ),
    (
        "How much power did each node draw?",
        "select node, avg(power_watts) as power_watts, max(temperature_celsius) as temperature_celsius\nfrom gpu_samples\nwhere time >= now() - interval '24 hours'\ngroup by 1\norder by 2 desc",
    ),
    (
        "What went wrong lately?",
        "select time, cluster, node, kind, code, severity, message\nfrom device_events\norder by time desc\nlimit 50",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_place() {
        let message = "cannot parse the query: Expected: an SQL statement, found: selct at Line: 2, Column: 14";
        assert_eq!(place_of(message), Some((2, 14)));
        for message in ["no column \"foo\" here", "at Line: x, Column: 1", "at Line: 0, Column: 1", "at Line: 1"] {
            assert_eq!(place_of(message), None, "{message}");
        }
        let sql = "select é😀\nfrom x";
        assert_eq!(offset_of(sql, (1, 9)), 8);
        assert_eq!(offset_of(sql, (2, 1)), 11);
        assert_eq!(offset_of(sql, (9, 9)), 17);
        assert_eq!((bytes_before(sql, 8), bytes_before(sql, 0), bytes_before(sql, 99)), (9, 0, sql.len()));
    }

    #[test]
    fn some_statements_have_no_plan() {
        assert_eq!(explain(" select 1"), Some("explain  select 1".to_owned()));
        assert_eq!(explain("WITH x as (select 1) select * from x").is_some(), true);
        for sql in ["", "  ", "EXPLAIN select 1", "describe jobs", "SHOW tables"] {
            assert_eq!(explain(sql), None, "{sql}");
        }
    }

    #[test]
    fn the_latest_statements_are_remembered_once() {
        let mut known = Vec::new();
        for sql in ["a", "b", " a ", "", &"x".repeat(REMEMBERED_BYTES_MAX + 1)] {
            known = remember(&known, sql);
        }
        assert_eq!(known, ["a", "b"]);
        for i in 0..100 {
            known = remember(&known, &i.to_string());
        }
        assert_eq!((known.len(), known[0].as_str()), (REMEMBERED_MAX, "99"));
    }
}

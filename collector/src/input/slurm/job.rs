//! One attempt of a job as squeue or sacct shows it, and the words that both use. Pure.

use super::hostlist;
use super::tres::Tres;
use crate::source::JobEventRow;
use std::sync::Arc;

/// Of a name or a comment: what a user may write is not for a label to keep whole.
const TEXT_BYTES_MAX: usize = 1024;
/// Tasks of an array that are shown while they wait; the others appear when they start.
const WAITING_TASKS_MAX: usize = 1000;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    /// It has its resources, also while it is suspended.
    Running,
    Ended,
    /// Between two of them: what it is then is seen at the next look.
    Changing,
}

/// One attempt at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub job_id: Arc<str>,
    /// None where the source does not count restarts.
    pub attempt: Option<i64>,
    /// Rises from one record of a job to the next.
    pub record: u64,
    pub phase: Phase,
    pub state: Arc<str>,
    pub submitted: i64,
    pub started: Option<i64>,
    pub ended: Option<i64>,
    /// When it was suspended or resumed last.
    pub changed: Option<i64>,
    /// How long it was suspended in all, where the source says so.
    pub suspended: Option<i64>,
    pub exit_code: Option<i64>,
    pub facts: Facts,
}

/// What may be told with any event of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub name: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    pub queue: Option<Arc<str>>,
    pub tres: Tres,
    pub nodes: Option<Vec<Arc<str>>>,
    pub gpu_uuids: Option<Vec<Arc<str>>>,
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

impl Facts {
    /// A row with everything that does not depend on the event.
    pub(super) fn row(&self) -> JobEventRow {
        JobEventRow {
            name: self.name.clone(),
            user: self.user.clone(),
            account: self.account.clone(),
            queue: self.queue.clone(),
            gpus_requested: self.tres.gpus,
            cpus_requested: self.tres.cpus,
            memory_requested_bytes: self.tres.memory_bytes,
            labels: self.labels.clone(),
            ..JobEventRow::default()
        }
    }

    /// Tells two sets of facts apart, the same in every run of the program.
    pub(super) fn digest(&self) -> u32 {
        crc32fast::hash(format!("{self:?}").as_bytes())
    }
}

/// The base state and its phase of `CANCELLED by 1000`, of `CANCELLED+`, or of `RUNNING` with flags beside it.
pub(super) fn state<'a>(words: impl Iterator<Item = &'a str>) -> (String, Phase) {
    let words: Vec<String> = words.filter_map(first_word).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let base = words.first().cloned().unwrap_or_default();
    if has(&["COMPLETING", "REQUEUED", "STAGE_OUT", "UPDATE_DB"]) && !is_only(&words, "REQUEUED") {
        return (base, Phase::Changing);
    }
    if has(&["REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"]) {
        return ("PENDING".to_owned(), Phase::Waiting);
    }
    let phase = match base.as_str() {
        "PENDING" => Phase::Waiting,
        "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "NODE_FAIL" | "OUT_OF_MEMORY"
        | "PREEMPTED" | "REQUEUED" | "REVOKED" | "TIMEOUT" => Phase::Ended,
        "" => Phase::Changing,
        _ => Phase::Running,
    };
    (base, phase)
}

fn is_only(words: &[String], word: &str) -> bool {
    words.len() == 1 && words[0] == word
}

fn first_word(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?.trim_end_matches('+');
    let good = word.len() <= 32 && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (good && !word.is_empty()).then(|| word.to_ascii_uppercase())
}

/// What wait(2) gave: 128 plus the number when a signal ended the job.
pub(super) fn wait_status(status: i64) -> Option<i64> {
    let status = u32::try_from(status).ok()?; // less than none is unknown
    exit_code(i64::from(status >> 8 & 0xff), i64::from(status & 0x7f))
}

/// The same of a code and a signal that stand apart; either may be "not set".
pub(super) fn exit_code(code: i64, signal: i64) -> Option<i64> {
    const CODE_MAX: i64 = 255;
    const SIGNAL_MAX: i64 = 127;
    match (code, signal) {
        (_, 1..=SIGNAL_MAX) => Some(128 + signal),
        (0..=CODE_MAX, _) => Some(code),
        _ => None,
    }
}

/// A text that is fit for a column: without control characters, and not too long. Nothing is unknown.
pub(super) fn text(text: &str) -> Option<Arc<str>> {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    if plain.is_empty() || plain == "(null)" {
        return None;
    }
    let mut end = plain.len().min(TEXT_BYTES_MAX);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    Some(plain[..end].into())
}

/// The labels that have a value, in the order that they are given in.
pub(super) fn labels<const N: usize>(values: [(&'static str, Option<String>); N]) -> Vec<(Arc<str>, Arc<str>)> {
    let pairs = values.into_iter().filter_map(|(name, value)| Some((name.into(), text(&value?)?)));
    pairs.collect()
}

/// Nodes of a list; none where the scheduler has none yet.
pub(super) fn nodes(list: &str) -> Option<Vec<Arc<str>>> {
    let none = ["", "(null)", "None assigned", "None", "Unknown"].contains(&list);
    let nodes = hostlist::nodes(list).filter(|nodes| !none && !nodes.is_empty())?;
    nodes.iter().map(|node| text(node)).collect()
}

/// Epoch seconds as microseconds; 0 and "not set" are unknown.
pub(super) fn time(seconds: i64) -> Option<i64> {
    // 2^32 - 2 is Slurm's "not set", in the year 2106.
    (1..0xffff_fffe).contains(&seconds).then(|| seconds * 1_000_000)
}

/// `2-03:04:00` of minutes, as sacct prints a limit.
pub(super) fn time_limit(minutes: i64) -> String {
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    if days > 0 { format!("{days}-{hours:02}:{minutes:02}:00") } else { format!("{hours:02}:{minutes:02}:00") }
}

/// The tasks of an array that waits as one: `5_[1-3]` is `5_1`, `5_2`, `5_3`. Any other job is itself.
pub(super) fn each_task(seen: Seen) -> Vec<Seen> {
    let Some((array, list)) = seen.job_id.split_once("_[") else { return vec![seen] };
    let tasks = hostlist::tasks(list.trim_end_matches(']'), WAITING_TASKS_MAX);
    let named = |task: u64| Seen { job_id: format!("{array}_{task}").into(), ..seen.clone() };
    tasks.into_iter().map(named).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn states_have_a_phase() {
        let check = |words: &[&str], expected: (&str, Phase)| {
            let (base, phase) = state(words.iter().copied());
            assert_eq!((base.as_str(), phase), expected, "{words:?}");
        };
        check(&["RUNNING"], ("RUNNING", Phase::Running));
        check(&["SUSPENDED"], ("SUSPENDED", Phase::Running));
        check(&["PENDING"], ("PENDING", Phase::Waiting));
        check(&["PENDING", "REQUEUE_HOLD"], ("PENDING", Phase::Waiting));
        check(&["RUNNING", "COMPLETING"], ("RUNNING", Phase::Changing));
        check(&["COMPLETING"], ("COMPLETING", Phase::Changing));
        check(&["CANCELLED by 1000"], ("CANCELLED", Phase::Ended));
        check(&["CANCELLED+"], ("CANCELLED", Phase::Ended));
        check(&["REQUEUED"], ("REQUEUED", Phase::Ended));
        check(&["NODE_FAIL", "REQUEUED"], ("NODE_FAIL", Phase::Changing));
        check(&["", "!"], ("", Phase::Changing));
    }

    #[test]
    fn exits_times_and_limits() {
        assert_eq!(
            (wait_status(768), wait_status(9), wait_status(0), wait_status(-1)),
            (Some(3), Some(137), Some(0), None)
        );
        assert_eq!((exit_code(3, 0), exit_code(0, 9), exit_code(-2, 0)), (Some(3), Some(137), None));
        assert_eq!((time(0), time(1_796_099_410), time(4_294_967_294)), (None, Some(1_796_099_410_000_000), None));
        assert_eq!(
            (time_limit(30), time_limit(1500), time_limit(60)),
            ("00:30:00".into(), "1-01:00:00".into(), "01:00:00".into())
        );
    }

    #[test]
    fn texts_are_cut_and_plain() {
        assert_eq!(text(" new\nline\u{1f} "), Some("new line".into()));
        assert_eq!(text(&"ä".repeat(2000)).unwrap().len(), 1024);
        assert_eq!((text(""), text("(null)")), (None, None));
    }
}

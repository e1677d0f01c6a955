//! What `sacct` prints: which fields this version has, and the records of attempts. Pure.
//!
//! **Invariants:** a name or comment may hold any character, also the end of a line: a record is whole when its last
//! fields repeat its first ones, which no user chooses; a record that cannot be read is counted and takes no other with it.

use super::job::{self, Facts, Phase, Seen};
use super::tres;
use std::io::BufRead;

/// What separates fields: no name that is typed holds it.
pub(super) const DELIMITER: char = '\x1f';
/// A record with the longest name and comment is far below; one without an end must not take memory.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// All fields that are asked for, where this version has them. Users choose what stands last.
const FIELDS: [&str; 22] = [
    "JobID",
    "State",
    "ExitCode",
    "Suspended",
    "Restarts",
    "User",
    "UID",
    "Account",
    "Cluster",
    "Partition",
    "QOS",
    "NodeList",
    "AllocCPUS",
    "ReqTRES",
    "AllocTRES",
    "TimelimitRaw",
    "Timelimit",
    "Reservation",
    "SLUID",
    "WCKey",
    "JobName",
    "Comment",
];
/// Without these there is nothing to tell. They begin a record, and end it in this order.
const FRAME: [&str; 4] = ["DBIndex", "Submit", "Start", "End"];

/// The states of attempts that are over, as every version knows them.
pub(super) const ENDED_STATES: &str = "BF,CA,CD,DL,F,NF,OOM,PR,RQ,TO";

/// The fields to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields(Vec<&'static str>);

impl Fields {
    /// Of what `sacct --helpformat` prints.
    pub(super) fn known(help: &str) -> Result<Self, String> {
        let has = |name: &&str| help.split_whitespace().any(|word| word.eq_ignore_ascii_case(name));
        let missing: Vec<&str> = FRAME.into_iter().chain(["JobID", "State"]).filter(|name| !has(name)).collect();
        if !missing.is_empty() {
            return Err(format!("this sacct has no {}", missing.join(", ")));
        }
        let within = FIELDS.into_iter().filter(has);
        Ok(Self(FRAME.into_iter().chain(within).chain(FRAME).collect()))
    }

    /// For `--format`.
    pub(super) fn list(&self) -> String {
        self.0.join(",")
    }

    /// Whether a record says how often its job was started before.
    pub(super) fn count_restarts(&self) -> bool {
        self.0.contains(&"Restarts")
    }
}

/// The records of an answer.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub seen: Vec<Seen>,
    pub unreadable: u64,
}

/// Reads all records.
pub(super) fn read(mut input: impl BufRead, fields: &Fields) -> std::io::Result<Records> {
    let mut records = Records::default();
    let (mut text, mut line) = (String::new(), Vec::new());
    loop {
        line.clear();
        let room = (RECORD_BYTES_MAX + 1) as u64;
        if std::io::Read::take(&mut input, room).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&line));
        let record = text.trim_end_matches('\n');
        if is_whole(record) {
            match parse(record, fields) {
                Some(seen) => records.seen.extend(seen),
                None => records.unreadable += 1,
            }
            text.clear();
        } else if text.len() > RECORD_BYTES_MAX || !begins(record) {
            records.unreadable += 1;
            text.clear();
        }
    }
    records.unreadable += u64::from(!text.is_empty());
    Ok(records)
}

fn begins(record: &str) -> bool {
    let first = record.split(DELIMITER).next().unwrap_or_default();
    !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_whole(record: &str) -> bool {
    let front = record.split(DELIMITER).take(FRAME.len());
    let mut back: Vec<&str> = record.rsplit(DELIMITER).take(FRAME.len()).collect();
    back.reverse();
    begins(record) && record.split(DELIMITER).nth(2 * FRAME.len() - 1).is_some() && front.eq(back)
}

/// `None` where it cannot be read; nothing for a step.
fn parse(record: &str, fields: &Fields) -> Option<Vec<Seen>> {
    let mut values: Vec<&str> = record.split(DELIMITER).collect();
    if values.len() > fields.0.len() {
        // A name holds the delimiter: what stands behind it is not known to be what it seems.
        let name = fields.0.iter().position(|field| *field == "JobName")?;
        values.truncate(name + 1);
    } else if values.len() < fields.0.len() {
        return None;
    }
    let value = |name: &str| {
        let at = fields.0.iter().position(|field| *field == name)?;
        values.get(at).copied().filter(|value| !value.is_empty())
    };
    let id = value("JobID")?;
    if id.contains('.') {
        return Some(Vec::new());
    }
    let (state, phase) = job::state(std::iter::once(value("State")?));
    let time = |name: &str| value(name)?.parse().ok().and_then(job::time); // Unknown and None are no time
    let (started, ended) = (time("Start"), time("End"));
    let nodes = value("NodeList").and_then(job::nodes);
    let given = nodes.is_some() || value("AllocTRES").is_some();
    // A start of an attempt that has nothing yet is when it is expected; one that never had anything did not start.
    let started = started.filter(|_| given && phase != Phase::Waiting);
    let (code, signal) = value("ExitCode").and_then(|text| text.split_once(':')).unwrap_or(("", ""));
    let exit_code = code.parse().ok().zip(signal.parse().ok()); // not numbers are unknown
    let seen = Seen {
        job_id: job::text(id)?,
        attempt: value("Restarts").and_then(|text| text.parse().ok()).filter(|n| *n >= 0),
        record: value("DBIndex")?.parse().ok()?,
        phase: if phase == Phase::Ended && ended.is_none() { Phase::Changing } else { phase },
        state: state.into(),
        submitted: time("Submit").or(started).or(ended)?,
        started,
        ended: ended.filter(|_| phase == Phase::Ended).map(|ended| ended.max(started.unwrap_or(ended))),
        changed: None,
        suspended: value("Suspended").and_then(seconds).map(|seconds| seconds * 1_000_000),
        exit_code: exit_code.and_then(|(c, s)| job::exit_code(c, s)).filter(|_| phase == Phase::Ended),
        facts: facts(&value, nodes),
    };
    Some(job::each_task(seen))
}

fn facts<'v>(value: &impl Fn(&str) -> Option<&'v str>, nodes: Option<Vec<std::sync::Arc<str>>>) -> Facts {
    let asked = tres::parse(value("ReqTRES").unwrap_or_default());
    let given = tres::parse(value("AllocTRES").unwrap_or_default());
    let cpus = value("AllocCPUS").and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let limit = match (value("TimelimitRaw").and_then(|text| text.parse().ok()), value("Timelimit")) {
        (Some(minutes), _) => Some(job::time_limit(minutes)),
        (None, text) => text.filter(|text| *text != "Partition_Limit").map(str::to_owned),
    };
    let array = value("JobID").and_then(|id| id.split_once('_')).map(|(array, _)| array.to_owned());
    let suspended = value("Suspended").and_then(seconds).filter(|seconds| *seconds > 0);
    let plain = |name: &str| value(name).map(str::to_owned);
    Facts {
        // What slurmdbd writes for a job that ended before its start was recorded.
        name: value("JobName").filter(|name| *name != "allocation").and_then(job::text),
        user: value("User").or(value("UID")).and_then(job::text),
        account: value("Account").and_then(job::text),
        queue: value("Partition").and_then(job::text),
        tres: given.or(asked).or(tres::Tres { cpus, ..tres::Tres::default() }),
        nodes,
        gpu_uuids: None,
        labels: job::labels([
            ("array_job_id", array),
            ("comment", plain("Comment")),
            ("qos", plain("QOS")),
            ("reservation", plain("Reservation")),
            ("slurm_cluster", plain("Cluster")),
            ("sluid", plain("SLUID")),
            ("suspended_seconds", suspended.map(|seconds| seconds.to_string())),
            ("time_limit", limit),
            ("wckey", plain("WCKey")),
        ]),
    }
}

/// `1-02:03:04`, `02:03:04`.
fn seconds(text: &str) -> Option<i64> {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let mut sum = days.parse::<u32>().ok().map(i64::from)? * 24;
    let mut parts = clock.split(':');
    for (at, scale) in [(0, 1), (1, 60), (2, 60)] {
        let number: u32 = parts.next()?.split('.').next()?.parse().ok()?; // not a time is unknown
        sum = if at == 0 { sum + i64::from(number) } else { sum * scale + i64::from(number) };
    }
    parts.next().is_none().then_some(sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELP: &str = "Account AdminComment AllocCPUS\nAllocTRES Comment DBIndex End ExitCode JobID JobName NodeList \
                        Partition QOS ReqTRES Reservation Start State Submit Suspended Timelimit TimelimitRaw UID User";

    fn fields() -> Fields {
        Fields::known(HELP).unwrap()
    }

    /// A record as sacct prints it, of values by name.
    fn record(of: &[(&str, &str)]) -> String {
        let value = |name: &&str| of.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v);
        fields().0.iter().map(value).collect::<Vec<_>>().join("\x1f") + "\n"
    }

    fn ended<'a>(index: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
        let values = "JobID=4_2 State=CANCELLED|by|1000 ExitCode=0:9 Submit=1796099410 Start=1796099416 End=1796099418 \
                      Suspended=00:01:05 User=ada Account=lab Partition=main QOS=normal NodeList=gpu[01-02] AllocCPUS=4 \
                      ReqTRES=cpu=4,gres/gpu=4,mem=8G AllocTRES=cpu=4,gres/gpu=4,gres/gpu:test=4 TimelimitRaw=90";
        let pairs = values.split_whitespace().filter_map(|pair| pair.split_once('='));
        let words = pairs.map(|(n, v)| if n == "State" { (n, "CANCELLED by 1000") } else { (n, v) });
        words.chain([("DBIndex", index), ("JobName", name), ("Comment", "said")]).collect()
    }

    #[test]
    fn a_record_becomes_an_attempt() {
        let records = read(record(&ended("11", "arr")).as_bytes(), &fields()).unwrap();
        assert_eq!((records.seen.len(), records.unreadable), (1, 0));
        let seen = &records.seen[0];
        assert_eq!((&*seen.job_id, seen.record, seen.phase, &*seen.state), ("4_2", 11, Phase::Ended, "CANCELLED"));
        assert_eq!((seen.started, seen.ended), (Some(1_796_099_416_000_000), Some(1_796_099_418_000_000)));
        assert_eq!((seen.exit_code, seen.attempt), (Some(137), None));
        let tres = tres::Tres { gpus: Some(4), cpus: Some(4), memory_bytes: Some(8 << 30) };
        assert_eq!(seen.facts.tres, tres, "memory that was asked for, where none is given");
        assert_eq!(seen.facts.nodes.as_deref(), Some(["gpu01".into(), "gpu02".into()].as_slice()));
        let labels: Vec<String> = seen.facts.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            labels,
            ["array_job_id=4", "comment=said", "qos=normal", "suspended_seconds=65", "time_limit=01:30:00"]
        );
    }

    #[test]
    fn a_name_with_anything_in_it_forges_nothing() {
        let inner = record(&ended("99", "forged"));
        let names = ["a\nb", "a\n1\x1f2\n\n3", "a\x1fb\x1fc", &format!("x\n{inner}"), "\n", "`q` \u{fffd}"];
        let mut text: String =
            names.iter().enumerate().map(|(at, name)| record(&ended(&(20 + at).to_string(), name))).collect();
        text.push_str(&record(&ended("50", "plain")));
        let records = read(text.as_bytes(), &fields()).unwrap();
        let indices: Vec<u64> = records.seen.iter().map(|seen| seen.record).collect();
        assert_eq!(indices, [20, 21, 22, 23, 24, 25, 50]);
        assert_eq!(records.unreadable, 0);
        assert_eq!(records.seen[0].facts.name.as_deref(), Some("a b"));
        assert_eq!(records.seen[6].facts.name.as_deref(), Some("plain"));
    }

    #[test]
    fn a_name_that_the_database_made_up_is_unknown() {
        let records = read(record(&ended("7", "allocation")).as_bytes(), &fields()).unwrap();
        assert_eq!(records.seen[0].facts.name, None);
    }

    #[test]
    fn what_is_no_record_is_counted_and_the_next_one_is_read() {
        let good = record(&ended("7", "n"));
        let text = format!("warning: slow\n\x1f\n{}{good}", good.replace("1796099410", ""));
        let records = read(text.as_bytes(), &fields()).unwrap();
        assert_eq!(records.seen.last().unwrap().record, 7);
        assert_eq!(records.unreadable, 2);
        let endless = format!("1\x1f{}\n{good}", "x".repeat(RECORD_BYTES_MAX));
        assert_eq!(read(endless.as_bytes(), &fields()).unwrap().seen.len(), 1);
    }

    #[test]
    fn waiting_attempts_have_not_started() {
        let mut values = ended("7", "n");
        values.retain(|(name, _)| !["State", "NodeList", "AllocTRES", "JobID", "End"].contains(name));
        values.extend([
            ("State", "PENDING"),
            ("NodeList", "None assigned"),
            ("End", "Unknown"),
            ("JobID", "4_[1-2%1]"),
        ]);
        let records = read(record(&values).as_bytes(), &fields()).unwrap();
        let ids: Vec<&str> = records.seen.iter().map(|seen| &*seen.job_id).collect();
        assert_eq!(ids, ["4_1", "4_2"]);
        assert!(records.seen.iter().all(|seen| seen.started.is_none() && seen.phase == Phase::Waiting));
    }

    #[test]
    fn a_version_without_what_is_needed_says_so() {
        assert!(Fields::known("JobID State Submit Start End").unwrap_err().contains("DBIndex"));
        assert!(!fields().count_restarts());
        assert!(Fields::known(&format!("{HELP} restarts")).unwrap().count_restarts());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(0x1f), Just(b'7'), any::<u8>()], 0..400)) {
            read(&bytes[..], &fields()).unwrap();
        }

        /// Values of any kind in a record that is whole: no panic, and times are in order.
        #[test]
        fn no_value_panics(values in prop::collection::vec("[0-9:-]{0,22}|[A-Z_]{0,12}|[a-z\\[\\]0-9,_+.]{0,20}", 24), name in "\\PC{0,20}") {
            let names: Vec<&str> = fields().0.iter().take(24).copied().collect();
            let pairs: Vec<(&str, &str)> = names.iter().zip(&values).map(|(n, v)| (*n, v.as_str())).collect();
            let pairs: Vec<(&str, &str)> = [("DBIndex", "1"), ("JobName", name.as_str())].into_iter().chain(pairs).collect();
            for seen in read(record(&pairs).as_bytes(), &fields()).unwrap().seen {
                prop_assert!(seen.ended.is_none_or(|ended| seen.started.is_none_or(|started| started <= ended)));
            }
        }
    }
}

//! Why an attempt ended early, of what was seen in its last minutes. Pure.

use crate::answers::{TrainingCause, TrainingEvidence};

/// What is known of the end of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ending {
    pub(super) state: Option<String>,
    pub(super) exit_code: Option<i64>,
    /// Another attempt followed.
    pub(super) was_repeated: bool,
    /// Xid and node of each error of a device, the latest first.
    pub(super) xids: Vec<(i64, String)>,
    /// The last exception of a span, with its rank.
    pub(super) exception: Option<(Option<i64>, String)>,
    pub(super) evidence: Vec<TrainingEvidence>,
}

/// Xids that say that a program did something wrong, or that another error was cleaned up.
const OF_PROGRAMS: [i64; 5] = [13, 31, 43, 45, 68];
/// Signals beyond which an exit status means one.
const SIGNALS_FROM: i64 = 128;
const KILLED: i64 = 137;
const TERMINATED: i64 = 143;

fn state_says(state: &str) -> Option<(&'static str, &'static str)> {
    let words = [
        ("OUT_OF_ME", "out_of_memory", "The scheduler ended it because it used more host memory than it had asked for"),
        ("OOM", "out_of_memory", "The system ended it because it used more host memory than its limit"),
        ("TIMEOUT", "time_limit", "It ran into the time limit that it was submitted with"),
        ("DEADLINE", "time_limit", "It ran into its deadline"),
        ("NODE_FAIL", "node", "The scheduler lost one of its nodes"),
        ("BOOT_FAIL", "node", "One of its nodes did not start"),
        ("EVICTED", "preempted", "It was evicted from its node"),
        ("PREEMPTED", "preempted", "Another job with more priority took its place"),
        ("CANCEL", "cancelled", "It was cancelled"),
    ];
    let state = state.to_uppercase();
    words.into_iter().find(|(word, _, _)| state.contains(word)).map(|(_, kind, text)| (kind, text))
}

fn failed(state: &str) -> bool {
    let state = state.to_uppercase();
    ["FAIL", "ERROR", "LOST"].iter().any(|word| state.contains(word))
}

/// None for one that ended well.
pub(super) fn cause(ending: &Ending) -> Option<TrainingCause> {
    let state = ending.state.as_deref().unwrap_or_default();
    let exit = ending.exit_code.filter(|code| *code != 0);
    let said = state_says(state);
    if said.is_none() && exit.is_none() && !failed(state) && !ending.was_repeated {
        return None;
    }
    let device = ending.xids.iter().find(|(xid, _)| !OF_PROGRAMS.contains(xid));
    let (kind, text) = match (device, said, &ending.exception, exit) {
        (Some((xid, node)), ..) => ("gpu", format!("A GPU of {node} had an error (Xid {xid}) just before it ended")),
        (None, Some((kind, text)), ..) => (kind, text.to_owned()),
        (None, None, Some((rank, message)), _) => {
            let who = rank.map_or("A rank".to_owned(), |rank| format!("Rank {rank}"));
            let memory = message.to_lowercase().contains("out of memory");
            (if memory { "out_of_memory" } else { "exception" }, format!("{who} failed with {message}"))
        }
        (None, None, None, Some(code)) => ("exit_code", exit_says(code)),
        (None, None, None, None) => ("unknown", "It ended without saying why".to_owned()),
    };
    Some(TrainingCause { kind: kind.to_owned(), text, evidence: ending.evidence.clone() })
}

fn exit_says(code: i64) -> String {
    match code {
        KILLED => "It was killed (exit status 137): most often for its memory, or by hand".to_owned(),
        TERMINATED => "It was asked to end (exit status 143)".to_owned(),
        code if code > SIGNALS_FROM => format!("It ended by signal {} (exit status {code})", code - SIGNALS_FROM),
        code => format!("Its program ended with status {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(ending: Ending) -> Option<String> {
        cause(&ending).map(|cause| cause.kind)
    }

    #[test]
    fn the_surest_sign_counts() {
        let failed = Ending { state: Some("FAILED".to_owned()), exit_code: Some(1), ..Ending::default() };
        assert_eq!(kind(failed.clone()).as_deref(), Some("exit_code"));
        let raised = Ending { exception: Some((Some(3), "ValueError: x".to_owned())), ..failed.clone() };
        assert_eq!(cause(&raised).map(|c| c.text).as_deref(), Some("Rank 3 failed with ValueError: x"));
        let memory = Ending { exception: Some((None, "CUDA out of memory".to_owned())), ..failed.clone() };
        assert_eq!(kind(memory).as_deref(), Some("out_of_memory"));
        let device = Ending { xids: vec![(45, "n1".to_owned()), (79, "n2".to_owned())], ..raised.clone() };
        assert_eq!(kind(device).as_deref(), Some("gpu"), "45 is what another error leaves");
        let program = Ending { xids: vec![(31, "n1".to_owned())], ..raised };
        assert_eq!(kind(program).as_deref(), Some("exception"));
        for (state, expected) in [
            ("OUT_OF_MEMORY", "out_of_memory"),
            ("OOMKilled", "out_of_memory"),
            ("TIMEOUT", "time_limit"),
            ("NODE_FAIL", "node"),
            ("PREEMPTED", "preempted"),
            ("CANCELLED by 1000", "cancelled"),
        ] {
            let ending = Ending { state: Some(state.to_owned()), ..Ending::default() };
            assert_eq!(kind(ending).as_deref(), Some(expected), "{state}");
        }
    }

    #[test]
    fn one_that_ended_well_has_no_cause() {
        let well = Ending { state: Some("COMPLETED".to_owned()), exit_code: Some(0), ..Ending::default() };
        assert_eq!(kind(well.clone()), None);
        let noise = Ending { xids: vec![(79, "n".to_owned())], ..well.clone() };
        assert_eq!(kind(noise), None, "what happened beside it is no cause of an end that was none");
        assert_eq!(kind(Ending { was_repeated: true, ..well }).as_deref(), Some("unknown"));
        assert!(exit_says(139).contains("signal 11") && exit_says(137).contains("memory"));
    }
}

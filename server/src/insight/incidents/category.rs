//! Why an attempt ended, as far as its scheduler and its exit status say.

use super::super::facts::Job;
use crate::query::EventClass;
use contract::answers::Severity;

/// What a failure is put down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Hardware,
    Link,
    Driver,
    OutOfMemory,
    Timeout,
    Preempted,
    UserCode,
    /// Taken out of service on purpose.
    Planned,
    Unknown,
}

impl Category {
    pub const ALL: [Self; 9] = [
        Self::Hardware,
        Self::Link,
        Self::Driver,
        Self::OutOfMemory,
        Self::Timeout,
        Self::Preempted,
        Self::UserCode,
        Self::Planned,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Link => "link",
            Self::Driver => "driver",
            Self::OutOfMemory => "out_of_memory",
            Self::Timeout => "timeout",
            Self::Preempted => "preempted",
            Self::UserCode => "user_code",
            Self::Planned => "planned",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == text)
    }

    /// Whether nodes and what is in them are at fault.
    pub(super) fn is_of_nodes(self) -> bool {
        matches!(self, Self::Hardware | Self::Link | Self::Driver)
    }

    pub(super) fn of_class(class: EventClass) -> Self {
        match class {
            EventClass::App => Self::UserCode,
            EventClass::Memory | EventClass::Hardware | EventClass::Power => Self::Hardware,
            EventClass::Link => Self::Link,
            EventClass::Driver => Self::Driver,
            EventClass::Repair | EventClass::Collector => Self::Unknown,
        }
    }
}

/// How an attempt ended, without a look at its devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Ended {
    pub(in super::super) category: Category,
    pub(super) severity: Severity,
    pub(super) confidence: f64,
    pub(super) why: &'static str,
    pub(super) action: &'static str,
}

const HARDWARE: Ended = Ended {
    category: Category::Hardware,
    severity: Severity::Critical,
    confidence: 0.7,
    why: "the scheduler says that a node failed; no device said why",
    action: "Look at the node's kernel log and at its power before it takes jobs again.",
};
const OUT_OF_MEMORY: Ended = Ended {
    category: Category::OutOfMemory,
    severity: Severity::Warning,
    confidence: 0.95,
    why: "the scheduler says so",
    action: "Ask for more memory, or let the program hold less at once.",
};
const TIMEOUT: Ended = Ended {
    category: Category::Timeout,
    severity: Severity::Warning,
    confidence: 0.95,
    why: "the scheduler says so; what the program had finished by then is not known",
    action: "Ask for more time, or write checkpoints so that the next attempt goes on from there.",
};
const PREEMPTED: Ended = Ended {
    category: Category::Preempted,
    severity: Severity::Notice,
    confidence: 0.95,
    why: "the scheduler says so",
    action: "Write checkpoints more often, so that less is done again.",
};
const USER_CODE: Ended = Ended {
    category: Category::UserCode,
    severity: Severity::Notice,
    confidence: 0.7,
    why: "the program ended with an error, and no device had one",
    action: "Look at the end of the job's log.",
};
const UNKNOWN: Ended = Ended {
    category: Category::Unknown,
    severity: Severity::Notice,
    confidence: 0.3,
    why: "it failed, and neither an exit status nor a device says why",
    action: "Look at the end of the job's log and at its nodes.",
};

/// Signals that a program is ended by when it breaks its own memory or arithmetic: 128 + 4, 6, 7, 8, 11.
const SIGNALS_OF_PROGRAMS: [i64; 5] = [132, 134, 135, 136, 139];
/// 128 + SIGKILL: nobody but the kernel or an administrator sends it.
const KILLED: i64 = 137;
/// 128 + SIGTERM.
const TERMINATED: i64 = 143;

/// None where it did not fail, or has not ended.
pub(in super::super) fn category_of_job(job: &Job) -> Option<Ended> {
    job.ended?;
    let state = job.state.as_deref().unwrap_or_default().to_ascii_uppercase();
    // Slurm adds by whom.
    let word = state.split_whitespace().next().unwrap_or_default();
    match word {
        "NODE_FAIL" | "BOOT_FAIL" | "NODEFAIL" => Some(HARDWARE),
        "OUT_OF_MEMORY" | "OOMKILLED" | "OOM" => Some(OUT_OF_MEMORY),
        "TIMEOUT" | "DEADLINE" | "DEADLINEEXCEEDED" => Some(TIMEOUT),
        "PREEMPTED" | "EVICTED" | "REVOKED" => Some(PREEMPTED),
        "FAILED" | "ERROR" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => Some(of_exit(job.exit_code)),
        _ => None,
    }
}

fn of_exit(exit_code: Option<i64>) -> Ended {
    match exit_code {
        Some(KILLED) => Ended {
            confidence: 0.5,
            why: "it was killed at once, which the kernel does when memory runs out",
            ..OUT_OF_MEMORY
        },
        Some(code) if SIGNALS_OF_PROGRAMS.contains(&code) => {
            Ended { confidence: 0.9, why: "a signal ended it that programs cause themselves", ..USER_CODE }
        }
        Some(TERMINATED) => Ended { why: "somebody or something ended it by a signal", ..UNKNOWN },
        Some(code) if code != 0 => USER_CODE,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: &str, exit_code: Option<i64>) -> Option<Category> {
        let job = Job { state: Some(state.into()), exit_code, ended: Some(1), ..Job::default() };
        category_of_job(&job).map(|ended| ended.category)
    }

    #[test]
    fn failures_are_told_apart() {
        for (state, exit_code, category) in [
            ("NODE_FAIL", Some(137), Some(Category::Hardware)),
            ("OUT_OF_MEMORY", Some(137), Some(Category::OutOfMemory)),
            ("OOMKilled", None, Some(Category::OutOfMemory)),
            ("TIMEOUT", Some(143), Some(Category::Timeout)),
            ("PREEMPTED", None, Some(Category::Preempted)),
            ("FAILED", Some(1), Some(Category::UserCode)),
            ("FAILED", Some(139), Some(Category::UserCode)),
            ("FAILED", Some(137), Some(Category::OutOfMemory)),
            ("FAILED", Some(143), Some(Category::Unknown)),
            ("FAILED", None, Some(Category::Unknown)),
            ("Failed", Some(2), Some(Category::UserCode)),
            ("COMPLETED", Some(0), None),
            ("CANCELLED by 1000", Some(130), None),
            ("RUNNING", None, None),
        ] {
            assert_eq!(ended(state, exit_code), category, "{state} {exit_code:?}");
        }
        let running = Job { state: Some("FAILED".into()), ..Job::default() };
        assert_eq!(category_of_job(&running), None, "what has not ended has not failed");
        assert!(Category::ALL.into_iter().all(|category| Category::parse(category.as_str()) == Some(category)));
    }
}

//! What becomes of a slot: the states of a run, and how one follows another.
//!
//! **Invariants:** a run that was delivered, missed or given up stays so; one that a server works at is taken by
//! another only when its time is over, and by the same one only after a restart.

use std::sync::Arc;

/// After so long nobody works at a run any more whose server said it did: far longer than [`TRY_WITHIN_MICROS`], so that
/// clocks may be minutes apart.
const TAKEN_FOR_MICROS: i64 = 30 * MINUTE;
/// What a try may take until it delivers: a document is made within the minutes that queries have.
const TRY_WITHIN_MICROS: i64 = 20 * MINUTE;
/// The first wait after a failure; each further one is three times as long.
const WAIT_MICROS_MIN: i64 = 10_000_000;
/// A receiver that was down is noticed soon after it is back.
const WAIT_MICROS_MAX: i64 = 30 * MINUTE;
/// A receiver that is down over night is waited for.
const GIVE_UP_AFTER_MICROS: i64 = 24 * 60 * MINUTE;
/// More tries than the waits leave room for: a try that ends the server each time ends with them.
const ATTEMPTS_MAX: i64 = 60;
const MINUTE: i64 = 60_000_000;
const ERROR_CHARS_MAX: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Its time has come; it waits for the hours that it is about, or for a server.
    Due,
    Running,
    Delivered,
    /// It is tried again.
    Failed,
    GivenUp,
    /// No server ran when it was due, and a later slot took its place.
    Missed,
}

impl RunState {
    pub const ALL: [Self; 6] = [Self::Due, Self::Running, Self::Delivered, Self::Failed, Self::GivenUp, Self::Missed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Running => "running",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Missed => "missed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether something is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Due | Self::Running | Self::Failed)
    }
}

/// A slot of a schedule and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub schedule: Arc<str>,
    /// All times are Unix microseconds.
    pub slot_micros: i64,
    pub state: RunState,
    /// Name of the token that asked for it, where it was not due by itself.
    pub asked_by: Option<String>,
    /// Those that were begun.
    pub attempts: i64,
    /// The server that works at it, or did.
    pub server: String,
    /// When it may be tried; of a running one when its server's time is over.
    pub next_micros: Option<i64>,
    /// Of the first attempt.
    pub started_micros: Option<i64>,
    pub delivered_micros: Option<i64>,
    pub period_micros: Option<(i64, i64)>,
    pub report: String,
    pub format: String,
    /// Where it goes, without what only its receiver should know.
    pub to: String,
    pub file: Option<String>,
    pub bytes: Option<i64>,
    /// Why it is not delivered, or was not at once.
    pub error: Option<String>,
}

/// Who wants to take a run, and when.
#[derive(Debug, Clone, Copy)]
pub struct Taking<'a> {
    pub server: &'a str,
    /// Whether this very process works at it already.
    pub is_in_hand: bool,
    pub now_micros: i64,
}

impl Run {
    /// What tells it from all others.
    pub fn key(&self) -> (Arc<str>, i64) {
        (Arc::clone(&self.schedule), self.slot_micros)
    }

    /// Whether this server may work at it now.
    pub fn may_be_taken(&self, by: Taking<'_>) -> bool {
        let is_time = self.next_micros.is_none_or(|next| next <= by.now_micros);
        match self.state {
            RunState::Due | RunState::Failed => is_time && !by.is_in_hand,
            // What this server had in hand when it was ended is nobody's any more.
            RunState::Running => !by.is_in_hand && (self.server == by.server || is_time),
            RunState::Delivered | RunState::GivenUp | RunState::Missed => false,
        }
    }

    /// In the hand of a server, which may take it; given up where it has been so often enough.
    pub fn taken(&self, by: Taking<'_>) -> Self {
        if self.attempts >= ATTEMPTS_MAX {
            let error = Some(format!("it was tried {ATTEMPTS_MAX} times, and no try came to an end"));
            return Self { state: RunState::GivenUp, next_micros: None, error, ..self.clone() };
        }
        Self {
            state: RunState::Running,
            attempts: self.attempts + 1,
            server: by.server.to_owned(),
            next_micros: Some(by.now_micros + TAKEN_FOR_MICROS),
            started_micros: self.started_micros.or(Some(by.now_micros)),
            ..self.clone()
        }
    }

    /// Until when what was taken at an instant may be delivered.
    pub fn deliver_until(taken_micros: i64) -> i64 {
        taken_micros + TRY_WITHIN_MICROS
    }

    /// Whether both are the same try.
    pub fn is_same_try(&self, other: &Self) -> bool {
        self.state == other.state && self.attempts == other.attempts && self.server == other.server
    }

    pub fn delivered(&self, now_micros: i64, bytes: u64) -> Self {
        Self {
            state: RunState::Delivered,
            next_micros: None,
            delivered_micros: Some(now_micros),
            bytes: i64::try_from(bytes).ok(),
            ..self.clone()
        }
    }

    /// To be tried again, unless that was long enough.
    pub fn failed(&self, now_micros: i64, why: &str) -> Self {
        let next = now_micros + wait_micros(self.attempts);
        let begun = self.started_micros.unwrap_or(now_micros);
        if next > begun + GIVE_UP_AFTER_MICROS {
            let hours = GIVE_UP_AFTER_MICROS / (60 * MINUTE);
            return self.given_up(&format!("{why} (given up after {hours} hours)"));
        }
        Self { state: RunState::Failed, next_micros: Some(next), error: Some(short(why)), ..self.clone() }
    }

    pub fn given_up(&self, why: &str) -> Self {
        Self { state: RunState::GivenUp, next_micros: None, error: Some(short(why)), ..self.clone() }
    }
}

/// After so many attempts.
fn wait_micros(attempts: i64) -> i64 {
    let times = u32::try_from(attempts.max(1) - 1).unwrap_or(u32::MAX);
    WAIT_MICROS_MIN.saturating_mul(3_i64.saturating_pow(times)).min(WAIT_MICROS_MAX)
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due() -> Run {
        Run {
            schedule: "s".into(),
            slot_micros: 0,
            state: RunState::Due,
            asked_by: None,
            attempts: 0,
            server: String::new(),
            next_micros: Some(10),
            started_micros: None,
            delivered_micros: None,
            period_micros: None,
            report: "chargeback".into(),
            format: "csv".into(),
            to: "file:a".into(),
            file: None,
            bytes: None,
            error: None,
        }
    }

    fn by(server: &str, now_micros: i64) -> Taking<'_> {
        Taking { server, is_in_hand: false, now_micros }
    }

    #[test]
    fn a_run_is_taken_by_one_server_until_its_time_is_over() {
        assert!(!due().may_be_taken(by("a", 9)) && due().may_be_taken(by("a", 10)));
        let running = due().taken(by("a", 10));
        assert_eq!((running.state, running.attempts, running.started_micros), (RunState::Running, 1, Some(10)));
        assert!(!running.may_be_taken(by("b", 10 + TAKEN_FOR_MICROS - 1)), "another server waits");
        assert!(running.may_be_taken(by("b", 10 + TAKEN_FOR_MICROS)));
        assert!(running.may_be_taken(by("a", 11)), "the same one has been ended and started again");
        assert!(!running.may_be_taken(Taking { is_in_hand: true, ..by("a", 10 + TAKEN_FOR_MICROS) }));
        assert!(Run::deliver_until(10) + 5 * MINUTE < running.next_micros.unwrap(), "clocks may be minutes apart");
    }

    #[test]
    fn a_failure_is_tried_again_and_given_up_in_the_end() {
        let (mut run, mut now, mut waits) = (due(), 10, Vec::new());
        let run = loop {
            run = run.taken(by("a", now)).failed(now, "no\nanswer");
            if run.state == RunState::GivenUp {
                break run;
            }
            assert_eq!((run.state, run.error.as_deref()), (RunState::Failed, Some("no answer")));
            let next = run.next_micros.unwrap();
            assert!(!run.may_be_taken(by("b", next - 1)) && run.may_be_taken(by("b", next)));
            waits.push((next - now) / 1_000_000);
            now = next;
        };
        assert_eq!(waits[..7], [10, 30, 90, 270, 810, 1800, 1800]);
        assert!(now < 10 + GIVE_UP_AFTER_MICROS && waits.len() < ATTEMPTS_MAX as usize);
        assert_eq!(run.error.as_deref(), Some("no answer (given up after 24 hours)"));
        assert!(!run.may_be_taken(by("a", i64::MAX)) && !run.state.is_open());
        // A try that ends the server comes to no end of its own.
        let (mut crashing, mut now) = (due(), 10);
        while crashing.state != RunState::GivenUp {
            crashing = crashing.taken(by("a", now));
            now += 1;
        }
        assert_eq!(crashing.attempts, ATTEMPTS_MAX);
    }

    proptest! {
        /// Two servers look at any times and any of their tries may end with an answer, a failure or the server.
        #[test]
        fn nobody_delivers_what_was_delivered(
            looks in proptest::collection::vec((0_usize..2, 0_i64..40, 0_u8..4), 1..60),
        ) {
            let names = ["a", "b"];
            let (mut run, mut now, mut delivered) = (due(), 0, 0);
            let mut in_hand: [Option<Run>; 2] = [None, None];
            for (who, minutes, what) in looks {
                now += minutes * MINUTE;
                if let Some(mine) = in_hand[who].take() {
                    let in_time = now < Run::deliver_until(mine.next_micros.unwrap() - TAKEN_FOR_MICROS);
                    match what {
                        0 if in_time => {
                            delivered += 1;
                            prop_assert!(run.is_same_try(&mine), "it was delivered beside another");
                            run = run.delivered(now, 1);
                        }
                        // The server is killed, and what it had in hand with it.
                        1 => {}
                        _ if run.is_same_try(&mine) => run = run.failed(now, "no"),
                        _ => {}
                    }
                    continue;
                }
                if run.may_be_taken(by(names[who], now)) {
                    run = run.taken(by(names[who], now));
                    in_hand[who] = (run.state == RunState::Running).then(|| run.clone());
                }
            }
            prop_assert!(delivered <= 1);
            prop_assert_eq!(delivered == 1, run.state == RunState::Delivered);
        }
    }
}

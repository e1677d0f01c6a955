//! What stays unsaid for a while: silences, acknowledgements, and windows of maintenance.

use super::labels::Labels;
use super::matcher::{Matcher, all_match};
use crate::schedule::Timetable;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceKind {
    Silence,
    /// Somebody works at it: nothing is repeated until it is over.
    Acknowledgement,
}

impl SilenceKind {
    pub const ALL: [Self; 2] = [Self::Silence, Self::Acknowledgement];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Acknowledgement => "acknowledgement",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Times are Unix microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub id: Arc<str>,
    pub kind: SilenceKind,
    pub matchers: Vec<Matcher>,
    pub starts_micros: i64,
    pub ends_micros: i64,
    /// Name of the token that made it.
    pub author: String,
    pub comment: String,
    pub stated_micros: i64,
}

impl Silence {
    /// Whether it keeps an alert unsaid now.
    pub fn mutes(&self, labels: &Labels, now_micros: i64) -> bool {
        (self.starts_micros..self.ends_micros).contains(&now_micros) && all_match(&self.matchers, labels)
    }
}

/// A time that comes again and again in which nobody wants to hear of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Maintenance {
    pub name: Arc<str>,
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub timetable: Timetable,
    pub lasts_micros: i64,
}

impl Maintenance {
    /// Whether it keeps an alert unsaid now.
    pub fn mutes(&self, labels: &Labels, now_micros: i64) -> bool {
        let begun = self.timetable.last_until(now_micros);
        begun.is_some_and(|begun| now_micros - begun < self.lasts_micros) && all_match(&self.matchers, labels)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_silence_holds_from_its_start_until_its_end() {
        let silence = Silence {
            id: "a".into(),
            kind: SilenceKind::Silence,
            matchers: vec![Matcher::parse("node=\"n1\"").unwrap()],
            starts_micros: 10,
            ends_micros: 20,
            author: "ann".to_owned(),
            comment: "new fans".to_owned(),
            stated_micros: 5,
        };
        let (ours, others) = (Labels::from([("node".into(), "n1".into())]), Labels::new());
        let muted = [9, 10, 19, 20].map(|now| silence.mutes(&ours, now));
        assert_eq!(muted, [false, true, true, false]);
        assert!(!silence.mutes(&others, 15));
    }

    #[test]
    fn maintenance_comes_again() {
        const HOUR: i64 = 3_600_000_000;
        let window = Maintenance {
            name: "patch night".into(),
            matchers: Vec::new(),
            timetable: Timetable::parse("0 2 * * *", chrono_tz::Tz::UTC).unwrap(),
            lasts_micros: 2 * HOUR,
        };
        let day = 24 * HOUR;
        let muted = |hour: i64| window.mutes(&Labels::new(), 20_000 * day + hour * HOUR + 1);
        assert_eq!([1, 2, 3, 4, 26, 28].map(muted), [false, true, true, false, true, false]);
        assert!(window.mutes(&Labels::new(), 20_000 * day + 2 * HOUR), "from its first instant");
        assert!(!window.mutes(&Labels::new(), 20_000 * day + 4 * HOUR));
    }
}

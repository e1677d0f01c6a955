//! What device events mean and what to do about them: the file `xid.toml`, read once and shown as `xid_meanings`.
//!
//! **Invariant:** the file says everything once; whoever judges an event asks here.

use contract::answers::Severity;
use serde::Deserialize;
use std::collections::BTreeMap;

const TEXT: &str = include_str!("xid.toml");

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventClass {
    /// The program on the GPU.
    App,
    Memory,
    Hardware,
    Power,
    Link,
    Driver,
    /// Something was repaired, by itself or by a restart.
    Repair,
    Collector,
}

impl EventClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Memory => "memory",
            Self::Hardware => "hardware",
            Self::Power => "power",
            Self::Link => "link",
            Self::Driver => "driver",
            Self::Repair => "repair",
            Self::Collector => "collector",
        }
    }
}

/// What one number, or one kind of event, means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// NVIDIA's name of the number, where it is known.
    #[serde(default)]
    pub mnemonic: String,
    pub class: EventClass,
    pub severity: Severity,
    /// A sentence.
    pub meaning: String,
    /// Likewise: the one next thing to do.
    pub action: String,
    #[serde(default)]
    number: Option<i64>,
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    xid: Vec<Meaning>,
    kind: Vec<Meaning>,
}

/// All meanings, by number and by kind.
#[derive(Debug)]
pub struct Meanings {
    xids: BTreeMap<i64, Meaning>,
    kinds: BTreeMap<String, Meaning>,
}

impl Meanings {
    pub fn read() -> Self {
        let written: Written = toml::from_str(TEXT).expect("a test reads the same text");
        let xids = written.xid.into_iter().filter_map(|meaning| Some((meaning.number?, meaning)));
        let kinds = written.kind.into_iter().map(|meaning| (meaning.kind.clone(), meaning));
        Self { xids: xids.collect(), kinds: kinds.collect() }
    }

    /// Of an event of some kind; an Xid that nobody knows means what any Xid means.
    pub fn of(&self, kind: &str, code: Option<i64>) -> Option<&Meaning> {
        let known = code.filter(|_| kind == "xid").and_then(|code| self.xids.get(&code));
        known.or_else(|| self.kinds.get(kind))
    }

    /// Kind, number and what they mean; the numbers first.
    pub fn all(&self) -> impl Iterator<Item = (&str, Option<i64>, &Meaning)> {
        let xids = self.xids.iter().map(|(number, meaning)| ("xid", Some(*number), meaning));
        xids.chain(self.kinds.iter().map(|(kind, meaning)| (kind.as_str(), None, meaning)))
    }
}

/// As the API spells it.
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_said_once_and_whole() {
        let written: Written = toml::from_str(TEXT).expect("the shipped text is right");
        let meanings = Meanings::read();
        assert_eq!((meanings.xids.len(), meanings.kinds.len()), (written.xid.len(), written.kind.len()));
        for meaning in written.xid.iter().chain(&written.kind) {
            let what = format!("{:?} {}", meaning.number, meaning.kind);
            assert!(meaning.meaning.ends_with('.') && meaning.action.ends_with('.'), "{what}");
            assert!(meaning.number.is_some() != !meaning.kind.is_empty(), "{what} is a number or a kind");
        }
        let kind =
            contract::table("device_events").and_then(|table| table.column("kind")).expect("the contract has it");
        for kind in kind.doc.trim_start_matches("One of ").split(", ") {
            assert!(meanings.kinds.contains_key(kind), "nobody says what {kind:?} means");
        }
        assert_eq!(meanings.all().count(), written.xid.len() + written.kind.len());
    }

    #[test]
    fn what_needs_a_reset_is_critical_and_what_programs_do_is_not() {
        let meanings = Meanings::read();
        let severity = |code| meanings.of("xid", Some(code)).map(|meaning| meaning.severity);
        for code in [46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158] {
            assert_eq!(severity(code), Some(Severity::Critical), "{code}");
        }
        for code in [13, 31, 43, 45, 63, 69] {
            assert_eq!(severity(code), Some(Severity::Notice), "{code}");
        }
        assert_eq!((severity(94), severity(9_999)), (Some(Severity::Warning), Some(Severity::Warning)));
        assert_eq!(meanings.of("xid", Some(79)).map(|m| m.class), Some(EventClass::Hardware));
        assert_eq!(meanings.of("nonsense", None), None);
    }
}

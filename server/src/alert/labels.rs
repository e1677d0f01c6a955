//! Labels of an alert, and the number that tells one set of them from all others.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Name of the rule.
pub const ALERTNAME: &str = "alertname";
pub const SEVERITY: &str = "severity";

/// By name, sorted.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// As Alertmanager computes and prints it: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Fingerprint {
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// No UTF-8 text has it.
const BETWEEN: u8 = 0xff;

/// FNV-1a over names and values in order, as the Prometheus family has it.
pub fn fingerprint(labels: &Labels) -> Fingerprint {
    let mut sum = FNV_OFFSET;
    let mut add = |byte: u8| sum = (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    for (name, value) in labels {
        name.bytes().for_each(&mut add);
        add(BETWEEN);
        value.bytes().for_each(&mut add);
        add(BETWEEN);
    }
    Fingerprint(sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_alertmanagers() {
        // Seen in the payload of a real Alertmanager for these labels.
        let labels = Labels::from([(ALERTNAME.into(), "GpuIdle".into()), ("gpu".into(), "0".into())]);
        let found = fingerprint(&labels);
        assert_eq!(found.to_string(), "f7d6688eaac0ba34");
        assert_eq!(Fingerprint::parse("f7d6688eaac0ba34"), Some(found));
        assert_eq!((Fingerprint::parse("f7"), Fingerprint::parse("g7d6688eaac0ba34")), (None, None));
        assert_ne!(
            fingerprint(&Labels::from([("a".into(), "bc".into())])),
            fingerprint(&Labels::from([("ab".into(), "c".into())]))
        );
    }
}

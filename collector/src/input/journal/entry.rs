//! One entry of the journal as a row. Pure.

use crate::input::logs::level;
use crate::input::logs::rows::LogRow;
use serde_json::{Map, Value};

/// Longer messages are cut, and say by how much.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub row: LogRow,
    pub cursor: String,
    /// The device and the code of a GPU's error that the kernel tells of.
    pub xid: Option<(String, u64)>,
}

impl Entry {
    /// What is no entry, or has no message, is none.
    pub(super) fn parse(line: &str, now_unix_micros: i64) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_str(line).ok()?; // a torn line is read again
        let cursor = text(fields.get("__CURSOR")?)?;
        let mut body = text(fields.get("MESSAGE")?)?;
        let mut row = LogRow { observed_unix_micros: now_unix_micros, ..LogRow::default() };
        if body.len() > MESSAGE_BYTES_MAX {
            let kept = level::until(&body, MESSAGE_BYTES_MAX).to_owned();
            row.attributes.push(("log.cut_bytes".to_owned(), (body.len() - kept.len()).to_string()));
            body = kept;
        }
        let field = |name: &str| fields.get(name).and_then(text);
        let number = |name: &str| field(name).and_then(|text| text.parse::<i64>().ok()); // no number, not said
        row.time_unix_micros = number("__REALTIME_TIMESTAMP").filter(|at| *at > 0).unwrap_or(now_unix_micros);
        let priority = number("PRIORITY").and_then(|priority| u8::try_from(priority).ok()); // not one of eight
        (row.severity_number, row.severity) =
            priority.and_then(level::of_priority).map(|(number, word)| (number, word.to_owned())).unzip();
        row.service = field("SYSLOG_IDENTIFIER").or_else(|| field("_COMM"));
        for (name, key) in
            [("_SYSTEMD_UNIT", "systemd.unit"), ("_PID", "process.pid"), ("_TRANSPORT", "journal.transport")]
        {
            row.attributes.extend(field(name).map(|value| (key.to_owned(), value)));
        }
        let of_kernel = field("_TRANSPORT").as_deref() == Some("kernel");
        let xid = if of_kernel { xid_of(&body) } else { None };
        row.body = body;
        Some(Self { row, cursor, xid })
    }
}

/// A text, or bytes that are none, as journalctl prints them; of a field that is there several times the first.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.first().is_some_and(Value::is_number) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok()); // no byte, no text
            let bytes = values.iter().map(byte).collect::<Option<Vec<u8>>>()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(values) => text(values.first()?),
        _ => None,
    }
}

/// `NVRM: Xid (PCI:0000:3b:00): 79, pid=7, …`.
fn xid_of(message: &str) -> Option<(String, u64)> {
    let rest = message.strip_prefix("NVRM: Xid (PCI:").or_else(|| message.strip_prefix("NVRM: Xid ("))?;
    let (pci, rest) = rest.split_once("):")?;
    let rest = rest.trim_start();
    let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
    Some((pci.to_owned(), digits.parse().ok()?)) // without a number it is no Xid
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_becomes_a_row() {
        let line = r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1767323045000001","PRIORITY":"3","SYSLOG_IDENTIFIER":"kernel","_TRANSPORT":"kernel","MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79, pid=7, GPU has fallen off the bus."}"#;
        let entry = Entry::parse(line, 5).unwrap();
        assert_eq!((entry.cursor.as_str(), entry.row.time_unix_micros), ("s=1;i=2", 1_767_323_045_000_001));
        assert_eq!((entry.row.severity_number, entry.row.severity.as_deref()), (Some(17), Some("err")));
        assert_eq!(entry.xid, Some(("0000:3b:00".to_owned(), 79)));
        let bytes = Entry::parse(r#"{"__CURSOR":"c","MESSAGE":[104,105,255]}"#, 5).unwrap();
        assert_eq!((bytes.row.body.as_str(), bytes.row.time_unix_micros, bytes.xid), ("hi\u{fffd}", 5, None));
        for bad in ["", "{", "[]", r#"{"__CURSOR":"c"}"#, r#"{"MESSAGE":"x"}"#, r#"{"__CURSOR":"c","MESSAGE":null}"#] {
            assert_eq!(Entry::parse(bad, 5), None, "{bad}");
        }
    }

    #[test]
    fn only_the_kernel_tells_of_xids() {
        let line = r#"{"__CURSOR":"c","_TRANSPORT":"stdout","MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79, x"}"#;
        assert_eq!(Entry::parse(line, 5).unwrap().xid, None);
        assert_eq!(xid_of("NVRM: Xid (0000:3b:00): 13, x"), Some(("0000:3b:00".to_owned(), 13)));
        for bad in ["NVRM: Xid (PCI:0000:3b:00", "NVRM: Xid (PCI:0): x", "Xid (PCI:0): 1"] {
            assert_eq!(xid_of(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,60}|\\{\"__CURSOR\":\"c\",\"MESSAGE\":(\"[a-zé]{0,9}\"|\\[[0-9,]{0,9}\\]|3),\"PRIORITY\":\"?[0-9-]{1,4}\"?\\}") {
            Entry::parse(&line, 5);
        }
    }
}

//! How bad a line says that it is. Pure.

/// Beyond this a word is part of the message: prefixes of loggers are shorter.
const PREFIX_BYTES: usize = 160;

/// A severity as its source spells it, and its number in OTLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    pub number: i64,
    pub text: String,
}

impl Level {
    pub(super) fn new(number: i64, text: &str) -> Self {
        Self { number, text: text.to_owned() }
    }
}

/// The number of a word that loggers use.
pub(super) fn number_of(word: &str) -> Option<i64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" | "verbose" => 1,
        "debug" | "dbg" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" | "wrn" => 13,
        "error" | "err" | "severe" => 17,
        "crit" | "critical" => 18,
        "alert" => 19,
        "fatal" | "emerg" | "emergency" | "panic" | "dpanic" => 21,
        _ => return None,
    })
}

/// What structured loggers give: a word, a number of pino (10 to 60) or of Python (10 to 50), both in tens.
pub(super) fn of_number(number: f64) -> Option<i64> {
    if !(1.0..=60.0).contains(&number) {
        return None;
    }
    Some(match number as i64 {
        ..20 => 5,
        20..30 => 9,
        30..40 => 13,
        40..50 => 17,
        _ => 21,
    })
}

/// Of journald and syslog, 0 (emergency) to 7 (debug).
pub(in crate::input) fn of_priority(priority: u8) -> Option<(i64, &'static str)> {
    let all = [
        (21, "emerg"),
        (19, "alert"),
        (18, "crit"),
        (17, "err"),
        (13, "warning"),
        (10, "notice"),
        (9, "info"),
        (5, "debug"),
    ];
    all.get(usize::from(priority)).copied()
}

/// The level of a line of text: `E0102 …`, `level=warn`, `[error]`, `ERROR`, `error:`.
pub(super) fn of_text(line: &str) -> Option<Level> {
    let prefix = until(line, PREFIX_BYTES);
    of_letter(prefix).or_else(|| of_field(prefix)).or_else(|| of_word(prefix))
}

/// At most so many bytes, whole characters.
pub(in crate::input) fn until(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// klog and glog: a letter and the month and day, or the year too, and a time.
fn of_letter(line: &str) -> Option<Level> {
    let letter = line.chars().next()?;
    let number = match letter {
        'D' => 5,
        'I' => 9,
        'W' => 13,
        'E' => 17,
        'F' => 21,
        _ => return None,
    };
    let rest = &line[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let is_time = rest.as_bytes().get(digits) == Some(&b' ') && rest.as_bytes().get(digits + 3) == Some(&b':');
    ((digits == 4 || digits == 8) && is_time).then(|| Level::new(number, until(line, 1)))
}

/// logfmt: `level=error`, `lvl=warn`, `severity="INFO"`.
fn of_field(prefix: &str) -> Option<Level> {
    ["level=", "lvl=", "severity="].iter().find_map(|key| {
        let (at, _) = prefix.match_indices(key).find(|(at, _)| *at == 0 || !is_word(prefix.as_bytes()[*at - 1]))?;
        let value = prefix[at + key.len()..].trim_start_matches('"');
        let word = &value[..value.bytes().take_while(u8::is_ascii_alphabetic).count()];
        Some(Level::new(number_of(word)?, word))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A word that stands alone: in capitals anywhere in the prefix, else in brackets or with a colon behind it.
fn of_word(prefix: &str) -> Option<Level> {
    let bytes = prefix.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        // Only ASCII is a word here, so both ends are ends of characters.
        let (word, end) = (&prefix[at..at + length], at + length);
        if let Some(number) = number_of(word) {
            let before = at.checked_sub(1).map(|at| bytes[at]);
            let in_capitals = length > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
            let in_brackets = matches!(
                (before, bytes.get(end)),
                (Some(b'['), Some(b']' | b' ')) | (Some(b'<'), Some(b'>')) | (Some(b'|'), Some(b'|'))
            );
            let is_label = bytes.get(end) == Some(&b':') && before.is_none_or(|byte| byte == b' ');
            if in_capitals || in_brackets || is_label {
                return Some(Level::new(number, word));
            }
        }
        at = end;
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_of_many_loggers_are_known() {
        for (line, number, text) in [
            ("E0102 15:04:05.678901    1234 server.go:42] boom", 17, "E"),
            ("W20260102 15:04:05.678901 12 a.cc:1] hot", 13, "W"),
            ("2026-01-02 03:04:05,678 - trainer - WARNING - slow", 13, "WARNING"),
            ("ERROR:root:it failed", 17, "ERROR"),
            ("time=2026-01-02T03:04:05Z level=error msg=\"x\"", 17, "error"),
            ("ts=1 lvl=warn x", 13, "warn"),
            ("2026/01/02 03:04:05 [error] 7#7: upstream", 17, "error"),
            ("[rank0]: [W102 03:04:05.1 ProcessGroupNCCL.cpp:1] Warning: x", 13, "Warning"),
            ("[2026-01-02 03:04:05,1][INFO] epoch 1", 9, "INFO"),
            ("slurmstepd: error: *** JOB 7 CANCELLED", 17, "error"),
            ("CRITICAL out of memory", 18, "CRITICAL"),
            ("node7 <debug> x", 5, "debug"),
        ] {
            let level = of_text(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((level.number, level.text.as_str()), (number, text), "{line}");
        }
        for line in ["no errors found", "an error occurred", "Everything is fine", "E01 x", "", "INFOrmation", "E0102"]
        {
            assert_eq!(of_text(line), None, "{line}");
        }
        let far = format!("{} ERROR", "x".repeat(PREFIX_BYTES));
        assert_eq!(of_text(&far), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,200}|[EWIDF\\[\\]<>:=a-zé0-9 ]{0,200}") {
            if let Some(level) = of_text(&line) {
                prop_assert!((1..=24).contains(&level.number) && line.contains(&level.text));
            }
        }
    }
}

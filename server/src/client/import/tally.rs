//! What became of the rows of one import, and how it is told.

use super::convert::Reject;
use std::collections::BTreeMap;

/// Lines that are shown for each reason; the counts are of all.
const LINES_SHOWN: usize = 3;
/// Reasons that are told apart; a file that is nothing like its format has few real ones.
const REASONS_MAX: usize = 50;
/// Longer cells are cut.
const DETAIL_CHARS_MAX: usize = 60;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) added: u64,
    pub(super) duplicates: u64,
    pub(super) skipped: u64,
    /// What the user should know beside the counts.
    pub(super) notes: Vec<String>,
    /// The file of the same command that has the same rows.
    same_as: Option<String>,
    rejected: u64,
    reasons: BTreeMap<String, Reason>,
}

#[derive(Debug, Default)]
struct Reason {
    count: u64,
    examples: Vec<String>,
}

impl Tally {
    /// Of a file that is left out.
    pub(super) fn same_as(first: &str) -> Self {
        Self { same_as: Some(first.to_owned()), ..Self::default() }
    }

    /// Rows of which the server said only how many they are.
    pub(super) fn reject_unlisted(&mut self, rows: u64) {
        if rows > 0 {
            self.rejected += rows;
            self.reasons.entry("not listed by the server".to_owned()).or_default().count += rows;
        }
    }

    /// `line` is 0 for a row that has no line of its own.
    pub(super) fn reject(&mut self, line: u64, reject: Reject) {
        self.rejected += 1;
        let known = self.reasons.contains_key(&reject.reason) || self.reasons.len() < REASONS_MAX;
        let key = if known { reject.reason } else { "other reasons".to_owned() };
        let reason = self.reasons.entry(key).or_default();
        reason.count += 1;
        if reason.examples.len() < LINES_SHOWN {
            let detail: String = reject.detail.chars().take(DETAIL_CHARS_MAX).collect();
            reason.examples.push(match (line, detail.is_empty()) {
                (0, _) => detail,
                (line, true) => format!("line {line}"),
                (line, false) => format!("line {line}: {detail:?}"),
            });
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.added + self.duplicates == 0 && self.same_as.is_none()
    }

    /// One line for the outcome, one for each reason of rejection, and the notes.
    pub(super) fn lines(&self, name: &str, table: &str) -> Vec<String> {
        if let Some(first) = &self.same_as {
            return vec![format!("{name}: left out, it is the same as {first}")];
        }
        let outcome = match (self.added, self.duplicates) {
            (0, duplicates) => format!("already imported, nothing added to {table} ({duplicates} duplicates)"),
            (added, 0) => format!("{added} rows added to {table}"),
            (added, duplicates) => {
                format!("{added} rows added to {table}, {duplicates} were there from an import that did not end")
            }
        };
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped as not jobs of their own"),
        };
        let rejected = match self.rejected {
            0 => String::new(),
            rejected => format!(", {rejected} rejected"),
        };
        let mut lines = vec![format!("{name}: {outcome}{skipped}{rejected}")];
        lines.extend(self.reason_texts().map(|text| format!("{name}: rejected {text}")));
        lines.extend(self.notes.iter().map(|note| format!("{name}: note: {note}")));
        lines
    }

    /// Why there is nothing at all, in one line.
    pub(super) fn why_nothing(&self) -> String {
        match (self.rejected, self.skipped) {
            (0, 0) => "it has no rows".to_owned(),
            (0, skipped) => format!("all {skipped} rows were skipped as not jobs of their own"),
            (rejected, _) => {
                format!("all {rejected} rows were rejected: {}", self.reason_texts().collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Most frequent first.
    fn reason_texts(&self) -> impl Iterator<Item = String> {
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.count));
        reasons.into_iter().map(|(name, reason)| {
            let examples = reason.examples.iter().filter(|e| !e.is_empty()).map(String::as_str).collect::<Vec<_>>();
            let shown = if examples.is_empty() { String::new() } else { format!(" ({})", examples.join(", ")) };
            format!("{} × {name}{shown}", reason.count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_the_first_lines_shown() {
        let mut tally = Tally { added: 7, ..Tally::default() };
        for line in 2..9 {
            tally.reject(line, Reject::new("power_watts: negative", "-5"));
        }
        tally.reject(9, Reject::new("not UTF-8", ""));
        let lines = tally.lines("a.csv", "gpu_samples");
        assert_eq!(lines[0], "a.csv: 7 rows added to gpu_samples, 8 rejected");
        assert_eq!(
            lines[1],
            "a.csv: rejected 7 × power_watts: negative (line 2: \"-5\", line 3: \"-5\", line 4: \"-5\")"
        );
        assert_eq!(lines[2], "a.csv: rejected 1 × not UTF-8 (line 9)");
    }

    #[test]
    fn a_second_import_says_so() {
        let tally = Tally { duplicates: 5, ..Tally::default() };
        assert_eq!(tally.lines("a.csv", "t"), ["a.csv: already imported, nothing added to t (5 duplicates)"]);
    }

    #[test]
    fn a_file_of_endless_reasons_does_not_fill_memory() {
        let mut tally = Tally::default();
        for line in 0..10_000 {
            tally.reject(line, Reject::new(format!("reason {line}"), ""));
        }
        assert!(tally.reasons.len() <= REASONS_MAX + 1);
        assert!(tally.why_nothing().starts_with("all 10000 rows were rejected: 9950 × other reasons"));
    }
}

//! A query string whose names are partly fixed and partly dimensions of the ledger.

use super::error::Refusal;
use super::range::parse_range;
use crate::ledger::Slice;

/// More than there are names.
const PAIRS_MAX: usize = 100;

/// Values by the names that a question knows, each given once at most; all others are filters.
pub(super) struct Pairs {
    known: Vec<(String, String)>,
    pub(super) filters: Vec<(String, String)>,
}

impl Pairs {
    pub(super) fn read(pairs: Vec<(String, String)>, names: &[&str]) -> Result<Self, Refusal> {
        if pairs.len() > PAIRS_MAX {
            return Err(Refusal::invalid(format!("the query string has more than {PAIRS_MAX} names")));
        }
        let (known, filters): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(name, _)| names.contains(&name.as_str()));
        if let Some((name, _)) = known
            .iter()
            .enumerate()
            .find_map(|(at, pair)| known[..at].iter().any(|(other, _)| *other == pair.0).then_some(pair))
        {
            return Err(Refusal::invalid(format!("{name} is given twice, give it once")));
        }
        Ok(Self { known, filters })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.known.iter().position(|(known, _)| known == name)?;
        Some(self.known.swap_remove(at).1)
    }

    pub(super) fn number(&mut self, name: &str, what: &str) -> Result<Option<usize>, Refusal> {
        let read = |text: String| {
            text.parse().map_err(|_| Refusal::invalid(format!("{name} {text:?} is not a number of {what}")))
        };
        self.take(name).map(read).transpose()
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid(format!("{name} {other:?} is neither true nor false"))),
        }
    }

    /// `from` and `to` with the filters; an empty cluster means all.
    pub(super) fn slice(&mut self, now_micros: i64) -> Result<Slice, Refusal> {
        let (from, to) = (self.take("from"), self.take("to"));
        let range = parse_range(from.as_deref(), to.as_deref(), now_micros).map_err(Refusal::invalid)?;
        let mut filters = std::mem::take(&mut self.filters);
        filters.retain(|(name, value)| name != "cluster" || !value.is_empty());
        Ok(Slice { range, filters })
    }
}

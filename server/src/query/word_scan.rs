//! Which rows of a file a filter on its texts can meet, by the index of words in the file.
//!
//! **Invariant:** rows that are left out do not pass the filter. What a filter says of words is taken from conditions
//! that all must hold: `matches(body, 'words')`, and whole words within the pattern of a `LIKE`.

use super::matching::{self, Terms, text_of};
use crate::store::words::{hash, lower, words};
use crate::store::{DataFile, WordIndex, read_word_index};
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use object_store::{ObjectStore, path::Path};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Of a hundred gigabytes of logs there are about four of filters; those of the days that are looked at stay.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Indexes that were read; a file never changes.
#[derive(Default)]
pub(super) struct WordIndexes {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_path: HashMap<Path, (Option<Arc<WordIndex>>, u64)>,
    bytes: usize,
    /// Rises with each use.
    uses: u64,
}

fn size(index: Option<&Arc<WordIndex>>) -> usize {
    256 + index.map_or(0, |index| index.size())
}

impl WordIndexes {
    /// The index of a file; none where it has none.
    pub(super) async fn of(&self, store: &dyn ObjectStore, file: &DataFile) -> Option<Arc<WordIndex>> {
        let known = self.kept.lock().find(&file.path);
        if let Some(known) = known {
            return known;
        }
        match read_word_index(store, &file.path, file.size_bytes, file.rows).await {
            Ok(index) => {
                self.kept.lock().keep(file.path.clone(), index.clone());
                index
            }
            Err(error) => {
                // Whoever reads the rows says what is wrong with the file.
                tracing::debug!(%error, "an index of words was not read");
                None
            }
        }
    }
}

impl Kept {
    fn find(&mut self, path: &Path) -> Option<Option<Arc<WordIndex>>> {
        self.uses += 1;
        let (index, used) = self.by_path.get_mut(path)?;
        *used = self.uses;
        Some(index.clone())
    }

    /// What was not used for longest goes for it.
    fn keep(&mut self, path: Path, index: Option<Arc<WordIndex>>) {
        self.bytes += size(index.as_ref());
        if let Some((before, _)) = self.by_path.insert(path, (index, self.uses)) {
            self.bytes -= size(before.as_ref());
        }
        while self.bytes > KEPT_BYTES_MAX && self.by_path.len() > 1 {
            let oldest = self.by_path.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            if let Some((index, _)) = oldest.and_then(|path| self.by_path.remove(&path)) {
                self.bytes -= size(index.as_ref());
            }
        }
    }
}

/// The numbers of the words that a row must have in a column to pass all filters.
pub(super) fn needed(column: &str, filters: &[Expr]) -> Vec<u64> {
    let mut found: Vec<String> = Vec::new();
    for filter in filters {
        of_expression(column, filter, &mut found);
    }
    let mut hashes: Vec<u64> = found.iter().map(|word| hash(word)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The words that a search needs.
pub(super) fn needed_by(terms: &Terms) -> Vec<u64> {
    terms.needed().map(hash).collect()
}

fn of_expression(column: &str, filter: &Expr, found: &mut Vec<String>) {
    match filter {
        Expr::BinaryExpr(both) if both.op == datafusion::logical_expr::Operator::And => {
            of_expression(column, &both.left, found);
            of_expression(column, &both.right, found);
        }
        Expr::ScalarFunction(call) if call.func.name() == matching::NAME => {
            let [text, asked] = &call.args[..] else { return };
            let asked = literal(asked).filter(|_| is_column(text, column));
            // What cannot be read is told when the function runs.
            if let Some(Ok(terms)) = asked.map(Terms::parse) {
                found.extend(terms.needed().map(str::to_owned));
            }
        }
        Expr::Like(like) if !like.negated && like.escape_char.is_none() && is_column(&like.expr, column) => {
            let Some(pattern) = literal(&like.pattern).filter(|pattern| !pattern.contains('\\')) else { return };
            let whole = of_pattern(pattern);
            // Beside ASCII letters, case is folded in other ways than words are.
            found.extend(whole.into_iter().filter(|word| !like.case_insensitive || word.is_ascii()));
        }
        _ => {}
    }
}

fn is_column(expression: &Expr, name: &str) -> bool {
    match expression {
        Expr::Column(column) => column.name == name,
        Expr::Cast(cast) => is_column(&cast.expr, name),
        Expr::Alias(alias) => is_column(&alias.expr, name),
        _ => false,
    }
}

fn literal(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => text_of(value),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

/// The words of a pattern that have their bounds within it: `%connection reset by%` has `reset`.
fn of_pattern(pattern: &str) -> Vec<String> {
    let mut lowered = String::new();
    lower(pattern, &mut lowered);
    let wild = |c: char| c == '%' || c == '_';
    let pieces: Vec<&str> = lowered.split(wild).collect();
    let last = pieces.len() - 1;
    let mut found = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        let cut_before = at > 0 && piece.starts_with(char::is_alphanumeric);
        let cut_behind = at < last && piece.ends_with(char::is_alphanumeric);
        let all: Vec<&str> = words(piece).collect();
        let first = usize::from(cut_before);
        let end = all.len().saturating_sub(usize::from(cut_behind));
        found.extend(all.get(first..end).unwrap_or_default().iter().map(|word| (*word).to_owned()));
    }
    found
}

/// Which rows to read of a file; none where no row can have the words.
pub(super) fn selection(index: &WordIndex, hashes: &[u64]) -> Option<ParquetRowSelection> {
    let mut selectors: Vec<RowSelector> = Vec::new();
    for block in index.blocks() {
        let of = if index.may_hold(block, hashes) { RowSelector::select } else { RowSelector::skip };
        selectors.push(of(block.rows));
    }
    selectors.iter().any(|selector| !selector.skip).then(|| ParquetRowSelection::new(RowSelection::from(selectors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_pattern_are_those_with_both_of_their_bounds() {
        let of = |pattern: &str| of_pattern(pattern);
        assert_eq!(of("%connection Reset by%"), ["reset"]);
        assert_eq!(of("connection%by peer"), ["peer"]);
        assert_eq!(of("error"), ["error"]);
        assert_eq!(of("% oom %"), ["oom"]);
        for none in ["%", "%oom%", "a_b", "oom%", "%oom", ""] {
            assert!(of(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn what_was_not_used_for_longest_is_forgotten() {
        let mut kept = Kept::default();
        let most = KEPT_BYTES_MAX / 256;
        for at in 0..most + 10 {
            kept.keep(Path::from(format!("{at}")), None);
            assert!(kept.find(&Path::from("0")).is_some());
        }
        assert!(kept.bytes <= KEPT_BYTES_MAX && kept.by_path.len() <= most);
        assert!(kept.find(&Path::from("1")).is_none());
    }
}

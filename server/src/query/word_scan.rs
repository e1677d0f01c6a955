//! Which rows of a file a filter on its texts can meet, by the index of words in the file.
//!
//! **Invariant:** rows that are left out do not pass the filter. What a filter says of words is taken from conditions
//! that all must hold: `matches(body, 'words')`, and the words and parts of words in the pattern of a `LIKE`.

use super::matching::{self, Terms, text_of};
use crate::store::words::{lower, words};
use crate::store::{DataFile, Needed, WordIndex, read_word_index};
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

/// What the text of a row must have in a column to pass all filters.
pub(super) fn needed(column: &str, filters: &[Expr]) -> Needed {
    let mut needed = Needed::default();
    for filter in filters {
        of_expression(column, filter, &mut needed);
    }
    needed
}

/// Adds what a search needs.
pub(super) fn add_terms(terms: &Terms, needed: &mut Needed) {
    terms.needed().for_each(|word| needed.add_word(word));
    terms.parts().for_each(|part| needed.add_part(part));
}

fn of_expression(column: &str, filter: &Expr, needed: &mut Needed) {
    match filter {
        Expr::BinaryExpr(both) if both.op == datafusion::logical_expr::Operator::And => {
            of_expression(column, &both.left, needed);
            of_expression(column, &both.right, needed);
        }
        Expr::ScalarFunction(call) if call.func.name() == matching::NAME => {
            let [text, asked] = &call.args[..] else { return };
            let asked = literal(asked).filter(|_| is_column(text, column));
            // What cannot be read is told when the function runs.
            if let Some(Ok(terms)) = asked.map(Terms::parse) {
                add_terms(&terms, needed);
            }
        }
        Expr::Like(like) if !like.negated && like.escape_char.is_none() && is_column(&like.expr, column) => {
            let Some(pattern) = literal(&like.pattern).filter(|pattern| !pattern.contains('\\')) else { return };
            let mut lowered = String::new();
            lower(pattern, &mut lowered);
            // Beside ASCII letters, case is folded in other ways than words are.
            let is_sure = |text: &&str| !like.case_insensitive || text.is_ascii();
            whole_words(&lowered).filter(is_sure).for_each(|word| needed.add_word(word));
            lowered.split(WILD).filter(is_sure).for_each(|part| needed.add_part(part));
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

/// What stands for any text in a pattern of `LIKE`.
const WILD: [char; 2] = ['%', '_'];

/// The words of a pattern in lower case that have their bounds within it: `%connection reset by%` has `reset`.
fn whole_words(pattern: &str) -> impl Iterator<Item = &str> {
    let last = pattern.split(WILD).count() - 1;
    pattern.split(WILD).enumerate().flat_map(move |(at, piece)| {
        let cut_before = at > 0 && piece.starts_with(char::is_alphanumeric);
        let cut_behind = at < last && piece.ends_with(char::is_alphanumeric);
        let all: Vec<&str> = words(piece).collect();
        let first = usize::from(cut_before);
        let end = all.len().saturating_sub(usize::from(cut_behind)).max(first);
        all.into_iter().take(end).skip(first)
    })
}

/// Which rows to read of a file; none where no row can have the words.
pub(super) fn selection(index: &WordIndex, needed: &Needed) -> Option<ParquetRowSelection> {
    let mut selectors: Vec<RowSelector> = Vec::new();
    for block in index.blocks() {
        let of = if index.may_hold(block, needed) { RowSelector::select } else { RowSelector::skip };
        selectors.push(of(block.rows));
    }
    selectors.iter().any(|selector| !selector.skip).then(|| ParquetRowSelection::new(RowSelection::from(selectors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_pattern_are_those_with_both_of_their_bounds() {
        let of = |pattern: &'static str| whole_words(pattern).collect::<Vec<_>>();
        assert_eq!(of("%connection reset by%"), ["reset"]);
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

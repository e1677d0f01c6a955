//! Rows that name the same columns, could be about the same GPU, and hold at the same time: which of them counts
//! nobody could say.

use super::super::document::{Faults, quoted};
use super::super::hours;
use super::super::pattern::{Pattern, has_star};
use super::index::columns;
use super::row::PriceRow;
use super::{ROWS_MAX, SELECTORS};
use std::collections::BTreeMap;

/// Comparisons of names with patterns; more take seconds.
const COMPARISONS_MAX: usize = 100 * ROWS_MAX;

/// Rows with the same selectors, in order of their beginnings.
struct Class<'a> {
    node: Option<&'a str>,
    gpu_model: Option<&'a str>,
    rows: Vec<&'a PriceRow>,
}

/// Finds fault with each row that overlaps an earlier one, by names that are equal or by a pattern that fits a name.
/// Two patterns that differ may never meet in a GPU, so where they do is told of that GPU.
pub(super) fn find_overlaps(rows: &[PriceRow], faults: &mut Faults) {
    let mut groups: BTreeMap<_, BTreeMap<_, Vec<&PriceRow>>> = BTreeMap::new();
    for row in rows {
        let exact = (columns(row), row.pool(), row.region(), row.provider(), row.cluster());
        groups.entry(exact).or_default().entry((row.node(), row.gpu_model())).or_default().push(row);
    }
    let mut comparisons = 0;
    for group in groups.into_values() {
        let mut classes = Vec::new();
        for ((node, gpu_model), mut rows) in group {
            rows.sort_by_key(|row| (row.from(), row.to(), place(row)));
            let class = Class { node: node.map(|n| &**n), gpu_model: gpu_model.map(|m| &**m), rows };
            within(&class, faults);
            classes.push(class);
        }
        let starred: Vec<usize> = (0..classes.len()).filter(|at| classes[*at].has_star()).collect();
        comparisons += starred.len() * classes.len();
        if comparisons > COMPARISONS_MAX {
            let row = classes[0].rows[0];
            let text =
                "there are too many rows with * beside it; write the names out, or divide them by region or cluster";
            faults.add(&row.document, row.line(), text.to_owned());
            return;
        }
        for at in starred {
            for (other, class) in classes.iter().enumerate() {
                // Of two with stars each is compared with the other once.
                let once = !class.has_star() || other > at;
                if other != at && once && classes[at].may_meet(class) {
                    between(&classes[at], class, faults);
                }
            }
        }
    }
}

fn place(row: &PriceRow) -> (&str, i64) {
    (&row.document, row.by.line)
}

/// Rows of one class: each is compared with the one before it that holds longest.
fn within(class: &Class<'_>, faults: &mut Faults) {
    let mut longest: Option<&PriceRow> = None;
    for row in &class.rows {
        if let Some(before) = longest.filter(|before| row.from() < before.to()) {
            report(before, row, faults);
        }
        if longest.is_none_or(|before| before.to() < row.to()) {
            longest = Some(row);
        }
    }
}

/// Rows of two classes, each of which has its rows one after another.
fn between(class: &Class<'_>, other: &Class<'_>, faults: &mut Faults) {
    let (mut at, mut at_other) = (0, 0);
    while let (Some(row), Some(row_other)) = (class.rows.get(at), other.rows.get(at_other)) {
        if row.from() < row_other.to() && row_other.from() < row.to() {
            report(row, row_other, faults);
        }
        if row.to() <= row_other.to() {
            at += 1;
        } else {
            at_other += 1;
        }
    }
}

impl Class<'_> {
    fn has_star(&self) -> bool {
        self.node.is_some_and(has_star) || self.gpu_model.is_some_and(has_star)
    }

    fn may_meet(&self, other: &Self) -> bool {
        names_may_meet(self.node, other.node) && names_may_meet(self.gpu_model, other.gpu_model)
    }
}

fn names_may_meet(name: Option<&str>, other: Option<&str>) -> bool {
    let (Some(name), Some(other)) = (name, other) else { return true };
    match (has_star(name), has_star(other)) {
        (true, false) => Pattern::with_stars(name).matches(other),
        (false, true) => Pattern::with_stars(other).matches(name),
        _ => name == other,
    }
}

/// At the later of the two, whichever of them was met first.
fn report(row: &PriceRow, other: &PriceRow, faults: &mut Faults) {
    let (first, second) = if place(row) <= place(other) { (row, other) } else { (other, row) };
    let named: Vec<String> = SELECTORS
        .iter()
        .zip(&second.selectors)
        .filter_map(|(key, name)| name.as_ref().map(|name| format!("{key} {}", quoted(name))))
        .collect();
    let named = if named.is_empty() { "any GPU".to_owned() } else { named.join(", ") };
    let document = match first.document == second.document {
        true => String::new(),
        false => format!(" of {}", first.document),
    };
    let both = |a: Option<i64>, b: Option<i64>, pick: fn(i64, i64) -> i64| match (a, b) {
        (Some(a), Some(b)) => Some(pick(a, b)),
        (a, b) => a.or(b),
    };
    let from = both(first.valid_from_micros, second.valid_from_micros, i64::max);
    let to = both(first.valid_to_micros, second.valid_to_micros, i64::min);
    let when = hours::format_range(from, to);
    let text = format!(
        "prices {named} {when}, which line {}{document} does, too; end one of them with valid_to, or name a further \
         column in one",
        first.line()
    );
    faults.add(&second.document, second.line(), text);
}

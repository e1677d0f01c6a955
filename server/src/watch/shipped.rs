//! The rules that come with the product, as their files in `alerts/` have them.

use crate::alert::{Stated, TEXT_BYTES_MAX};
use crate::shelf::{Kind, Shelf};
use std::path::Path;

const SHIPPED: &[(&str, &str)] = &[
    ("hardware", include_str!("../../../alerts/hardware.toml")),
    ("collection", include_str!("../../../alerts/collection.toml")),
    ("jobs", include_str!("../../../alerts/jobs.toml")),
    ("money", include_str!("../../../alerts/money.toml")),
];

/// All texts of rules, receivers and routes: those of the product, and the user's files in `alerts/` of the data directory.
pub fn shelf(data_dir: &Path) -> Shelf<Stated> {
    let kind = Kind {
        noun: "text of alerts",
        folder: "alerts",
        shipped: SHIPPED,
        bytes_max: TEXT_BYTES_MAX,
        parse: Stated::parse,
    };
    Shelf::new(data_dir, kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::alert::Book;

    #[test]
    fn shipped_texts_are_right_and_go_together() {
        let dir = tempfile::tempdir().unwrap();
        let all = shelf(dir.path()).all().unwrap();
        for shelved in &all {
            assert!(shelved.faults.is_empty(), "{}: {:?}", shelved.name, shelved.faults);
        }
        let book = Book::of(all.iter().filter_map(|s| Some((s.name.as_str(), s.read.as_deref()?))));
        assert_eq!(book.problems, Vec::<String>::new());
        assert!(
            book.rules.values().all(|(_, rule)| rule.annotations.contains_key("description")),
            "each says what to do"
        );
    }
}

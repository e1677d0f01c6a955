//! Which paths an archive may hold.

/// Longer ones do not fit a header; the store's own have under 130 bytes.
const PATH_BYTES_MAX: usize = 200;
const PARTS_MAX: usize = 8;

/// Whether `path` is one that the store writes: relative, plain, and within what belongs to a backup.
pub(super) fn is_safe(path: &str) -> bool {
    let plain = |part: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'=');
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(known)
    };
    let parts = path.split('/').count();
    path.len() <= PATH_BYTES_MAX
        && parts <= PARTS_MAX
        && path.split('/').all(plain)
        && (path == "meta.sqlite" || (parts > 2 && path.starts_with("tables/")) || is_own_text(path, parts))
}

/// Dashboards and rules of the user's own are texts in a folder each.
fn is_own_text(path: &str, parts: usize) -> bool {
    parts == 2 && ["dashboards/", "alerts/"].iter().any(|folder| path.starts_with(folder)) && path.ends_with(".toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn paths_of_a_store_are_safe_and_others_are_not() {
        for good in [
            "meta.sqlite",
            "tables/jobs/_delta_log/00000000000000000000.json",
            "tables/a/day=2026-01-01/x.parquet",
            "dashboards/mine.toml",
            "alerts/mine.toml",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "/meta.sqlite",
            "../meta.sqlite",
            "tables/../../x",
            "tables/a/../x",
            "tables//x",
            "tables/a/./x",
            "tables/x",
            "wal/x/y",
            "admin.token",
            "tables/a/b\\c",
            "tables/a/b\0c",
            "tables/a/",
            "lock",
            "tables/a/é",
            "dashboards/x.json",
            "dashboards/a/x.toml",
            "dashboards/../x.toml",
        ] {
            assert!(!is_safe(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_path_stays_below(path in "(tables|dashboards|alerts|[.a/]{1,3})(/[a-z./=\\\\-]{0,9}){0,9}") {
            if is_safe(&path) {
                prop_assert!(Path::new(&path).components().all(|c| matches!(c, Component::Normal(_))), "{}", path);
            }
        }
    }
}

//! Removes data files that no version of a table names: a flush that failed or was killed has left them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Removes the store's own files of the table in `table_dir` that are not in `named`, which are paths within it.
///
/// Runs before the first flush, so that nobody is about to name one. What cannot be listed or removed stays: it
/// costs space only, and the next start tries again.
pub(super) fn remove<'a>(table_dir: &Path, named: impl Iterator<Item = &'a String>) {
    let named: HashSet<&str> = named.map(|path| path.rsplit('/').next().unwrap_or_default()).collect();
    let inside = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let days = inside(table_dir).into_iter().filter(|dir| name(dir).starts_with("day="));
    for path in days.flat_map(|day| inside(&day)) {
        let file = name(&path);
        if is_ours(&file) && !named.contains(file.as_str()) && fs::remove_file(&path).is_ok() {
            tracing::info!(?path, "removed a file that no version of the table names");
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `<position, 20 digits>-<uuid>.parquet`
fn is_ours(name: &str) -> bool {
    name.ends_with(".parquet")
        && name.as_bytes().get(20) == Some(&b'-')
        && name.bytes().take(20).all(|b| b.is_ascii_digit())
}

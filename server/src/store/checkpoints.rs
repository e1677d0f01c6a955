//! What a power cut may leave of the summaries of a table's log: they are named before they are synced.
//!
//! A checkpoint only sums up versions that are all there themselves, so one that cannot be read is removed.

use super::error::StoreError;
use super::read_file::read_parquet;
use std::fs;
use std::path::{Path, PathBuf};

/// Removes the newest checkpoint of the table in `table_dir` if it is not whole, and a note that names none.
pub(super) fn remove_torn(table_dir: &Path) -> Result<(), StoreError> {
    let log = table_dir.join("_delta_log");
    let Ok(entries) = fs::read_dir(&log) else { return Ok(()) };
    let is_checkpoint = |path: &PathBuf| name(path).contains(".checkpoint.") && name(path).ends_with(".parquet");
    let mut checkpoints: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_checkpoint).collect();
    checkpoints.sort();
    while let Some(path) = checkpoints.pop_if(|path| !is_whole(path)) {
        tracing::warn!(?path, "removed a checkpoint that is not whole; the versions that it sums up are there");
        fs::remove_file(&path).map_err(StoreError::io("remove a torn checkpoint"))?;
    }
    let note = log.join("_last_checkpoint");
    if note.exists() && !names_one_of(&note, &checkpoints) {
        fs::remove_file(&note).map_err(StoreError::io("remove a torn note of the last checkpoint"))?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_whole(path: &Path) -> bool {
    read_parquet(path).is_ok_and(|mut file| file.all(|batch| batch.is_ok()))
}

fn names_one_of(note: &Path, checkpoints: &[PathBuf]) -> bool {
    let text = fs::read_to_string(note).unwrap_or_default();
    let parsed: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let version = parsed.and_then(|note| note["version"].as_u64());
    version.is_some_and(|version| checkpoints.iter().any(|path| name(path).starts_with(&format!("{version:020}."))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::store::ParquetParts;

    #[test]
    fn what_is_whole_stays_and_what_is_torn_goes() {
        let dir = tempfile::tempdir().unwrap();
        remove_torn(dir.path()).unwrap();
        let log = dir.path().join("_delta_log");
        fs::create_dir(&log).unwrap();
        let path = |version: u64| log.join(format!("{version:020}.checkpoint.parquet"));
        let whole = ParquetParts::new(&contract::schema(&contract::TABLES[0])).unwrap().end().unwrap();
        let note = log.join("_last_checkpoint");
        for torn in [Vec::new(), whole[..whole.len() - 3].to_vec(), vec![0; whole.len()]] {
            fs::write(path(99), &whole).unwrap();
            fs::write(path(199), torn).unwrap();
            fs::write(&note, "{\"version\":199,\"size\":3}").unwrap();
            remove_torn(dir.path()).unwrap();
            assert!(path(99).exists() && !path(199).exists() && !note.exists());
        }
        fs::write(&note, "{\"version\":99,\"size\":3}").unwrap();
        remove_torn(dir.path()).unwrap();
        assert!(path(99).exists() && note.exists());
        fs::write(&note, "").unwrap();
        remove_torn(dir.path()).unwrap();
        assert!(path(99).exists() && !note.exists());
    }
}

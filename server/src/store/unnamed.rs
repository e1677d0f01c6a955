//! Removes data files that no version of a table names: a flush that failed or was killed has left them.

use super::error::StoreError;
use super::place::{Place, Shared};
use super::replaced::Replaced;
use chrono::{DateTime, TimeDelta, Utc};
use contract::Table;
use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Another server commits a file of a bucket within minutes after it has written it, or never. By the bucket's own
/// clock: so much older than the newest file of the table.
const ABANDONED_AFTER: TimeDelta = TimeDelta::hours(24);

/// What the log of a table says of its files, by their names.
pub(super) struct Known {
    table: &'static str,
    named: HashSet<String>,
    /// An earlier version names them.
    replaced: HashSet<String>,
}

impl Known {
    /// Paths within the table.
    pub(super) fn new(table: &Table, named: Vec<String>, replaced: Vec<String>) -> Self {
        let names = |paths: Vec<String>| {
            paths.into_iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
        };
        Self { table: table.name, named: names(named), replaced: names(replaced) }
    }
}

/// Removes the store's own files that no version names, and lets those wait that an earlier one does.
///
/// Runs before the first flush, so that nobody on this machine is about to name one; in a bucket it goes on beside
/// flushes and spares what is young. What cannot be listed or removed stays: it costs space only, and the next
/// start tries again.
pub(super) async fn remove(place: &Place, known: Vec<Known>, replaced: &Arc<Replaced>) {
    match place {
        Place::Folder(dir) => known.iter().for_each(|known| remove_from_folder(dir, known, replaced)),
        Place::Shared(shared) => {
            let (shared, replaced) = (Arc::clone(shared), Arc::clone(replaced));
            tokio::spawn(async move {
                for known in known {
                    if let Err(error) = remove_from_bucket(&shared, &known, &replaced).await {
                        tracing::warn!(table = known.table, %error, "files that no version names may be left");
                    }
                }
            });
        }
    }
}

fn remove_from_folder(dir: &Path, known: &Known, replaced: &Replaced) {
    let inside = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let days = inside(&dir.join(known.table)).into_iter().filter(|dir| name(dir).starts_with("day="));
    for path in days.flat_map(|day| inside(&day)) {
        let file = name(&path);
        if known.replaced.contains(&file) {
            let within = path.strip_prefix(dir).ok().and_then(|path| path.to_str()).map(ObjectPath::from);
            replaced.add(within.into_iter(), Instant::now());
        } else if is_ours(&file) && !known.named.contains(&file) && fs::remove_file(&path).is_ok() {
            tracing::info!(?path, "removed a file that no version of the table names");
        }
    }
}

pub(super) async fn remove_from_bucket(shared: &Shared, known: &Known, replaced: &Replaced) -> Result<(), StoreError> {
    let mut newest = DateTime::<Utc>::MIN_UTC;
    let mut unnamed = Vec::new();
    let mut objects = shared.bucket.list_days(known.table);
    while let Some(object) = objects.try_next().await? {
        newest = newest.max(object.last_modified);
        let file = object.location.filename().unwrap_or_default();
        if known.replaced.contains(file) {
            replaced.add(std::iter::once(object.location), Instant::now());
        } else if is_ours(file) && !known.named.contains(file) {
            unnamed.push(object);
        }
    }
    for object in unnamed.into_iter().filter(|object| is_abandoned(object, newest)) {
        shared.bucket.remove(object.location.as_ref()).await?;
        tracing::info!(path = %object.location, "removed a file that no version of the table names");
    }
    Ok(())
}

pub(super) fn is_abandoned(object: &ObjectMeta, newest: DateTime<Utc>) -> bool {
    newest - object.last_modified > ABANDONED_AFTER
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

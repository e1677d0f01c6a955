//! What was told of pods, in a file beside the spool.
//!
//! **Invariant:** the file is replaced as a whole; it is written after the events that it tells of are in the spool,
//! so that a crash in between tells an event twice, the same one, and never not at all.

use super::{Jobs, Told};
use crate::source::NodeIdentity;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "kubernetes.json";
/// A thousand pods with sixteen GPUs each are a tenth of it.
const BYTES_MAX: u64 = 8 << 20;

fn path(spool: &Path) -> PathBuf {
    spool.join(NAME)
}

/// What was told before this start. Without a file that can be read, everything that is there is told again.
pub(in super::super) fn load(spool: &Path, node: NodeIdentity) -> Jobs {
    let path = path(spool);
    let told: BTreeMap<Arc<str>, Told> = match read(&path) {
        Ok(told) => told,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            tracing::warn!(%error, ?path, "what was told of pods before cannot be read; it is told again");
            BTreeMap::new()
        }
    };
    Jobs::new(node, told)
}

fn read(path: &Path) -> io::Result<BTreeMap<Arc<str>, Told>> {
    let length = fs::metadata(path)?.len();
    if length > BYTES_MAX {
        return Err(io::Error::other(format!("it has {length} bytes, at most {BYTES_MAX} are read")));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Replaces the file.
pub(in super::super) fn save(spool: &Path, jobs: &Jobs) -> io::Result<()> {
    let (path, beside) = (path(spool), path(spool).with_extension("next"));
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(&jobs.told)?)?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}

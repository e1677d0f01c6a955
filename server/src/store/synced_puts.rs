//! A local folder as an object store whose objects are on disk before they get their names.
//!
//! `object_store` names what it has written without a sync, so that a power cut can leave a version of a table
//! under its name and without its bytes. **Invariant:** an object that is seen under its name is whole on disk, and
//! the names themselves come to disk in the order in which they were given.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// Ends the names of objects that are being written; the local store lists none that end in `#` and a number.
const STAGED: &str = "#0";

/// Its paths are those of the machine.
#[derive(Debug, Default)]
pub(super) struct SyncedPuts {
    inner: LocalFileSystem,
}

impl SyncedPuts {
    fn put_synced(&self, location: &Path, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
        let path = self.inner.path_to_filesystem(location).map_err(io::Error::other)?;
        let Some(folder) = path.parent() else { return Err(io::Error::other("an object without a folder")) };
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            // Its parents are the store's own, which syncs them.
            sync(folder.parent().unwrap_or(folder))?;
        }
        let staged = PathBuf::from(format!("{}{STAGED}", path.display()));
        let put = || -> io::Result<()> {
            let mut file = File::create(&staged)?;
            payload.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()?;
            match mode {
                PutMode::Create => fs::hard_link(&staged, &path),
                _ => fs::rename(&staged, &path),
            }?;
            sync(folder)
        };
        let put = put();
        // After a rename there is none; one that stays is written over by the next try.
        drop(fs::remove_file(&staged));
        put
    }
}

fn sync(folder: &std::path::Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl fmt::Display for SyncedPuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncedPuts")
    }
}

#[async_trait]
impl ObjectStore for SyncedPuts {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !matches!(opts.mode, PutMode::Create | PutMode::Overwrite) || !opts.attributes.is_empty() {
            return self.inner.put_opts(location, payload, opts).await;
        }
        // Blocks for a sync; only the flush's own runtime, which has a thread for that, puts anything here.
        self.put_synced(location, &payload, &opts.mode).map_err(|source| {
            let path = location.to_string();
            match source.kind() {
                io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
                _ => Error::Generic { store: "SyncedPuts", source: source.into() },
            }
        })?;
        let meta = self.inner.get_opts(location, GetOptions { head: true, ..Default::default() }).await?.meta;
        Ok(PutResult { e_tag: meta.e_tag, version: meta.version })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn an_object_is_made_once_written_over_when_asked_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = SyncedPuts::default();
        let path = Path::from_absolute_path(dir.path().join("t/_delta_log/0.json")).unwrap();
        let create = || PutOptions { mode: PutMode::Create, ..Default::default() };
        store.put_opts(&path, PutPayload::from_static(b"one"), create()).await.unwrap();
        let second = store.put_opts(&path, PutPayload::from_static(b"two"), create()).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&path, PutPayload::from_static(b"three")).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        assert_eq!(fs::read_dir(dir.path().join("t/_delta_log")).unwrap().count(), 1);
    }
}

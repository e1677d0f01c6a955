//! `POST /api/v1/backup`: everything as one archive; `POST /api/v1/verify`: every file read and judged.
//!
//! **Invariant:** an archive that could not be made whole breaks off, and so does a list of files.

use super::error::Refusal;
use super::serve::State;
use crate::archive::ArchiveWriter;
use crate::store::{Backup, Checked};
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use futures::{Stream, stream};
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Parts of an archive that wait for the network, of at most a mebibyte each.
const PARTS_WAITING_MAX: usize = 4;
/// The bytes of all files, without what the archive adds.
const BACKUP_SIZE_HEADER: &str = "coulomb-backup-bytes";
/// The bytes of all data files.
const VERIFY_SIZE_HEADER: &str = "coulomb-verify-bytes";

type Part = Result<Bytes, io::Error>;

pub(super) async fn backup(state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    let mut own = super::texts::own_files(&state.dashboards).await?;
    own.extend(super::texts::own_files(&state.alerts).await?);
    own.extend(super::texts::own_files(&state.peaks).await?);
    let backup = state.store.backup().await?;
    let bytes = backup
        .files
        .iter()
        .map(|file| file.size_bytes)
        .chain(own.iter().map(|(_, text)| text.len() as u64))
        .sum::<u64>();
    let (send, parts) = channel(PARTS_WAITING_MAX);
    let now = (state.clock)();
    // Beside the workers: digests take time.
    tokio::task::spawn_blocking(move || {
        let written = tokio::runtime::Handle::current().block_on(write(&backup, &own, now, &send));
        if let Err(error) = written {
            tracing::error!(%error, "a backup broke off");
            // The asker sees that the answer is not complete, if there is one still.
            drop(send.blocking_send(Err(error)));
        }
    });
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-tar").insert_header((BACKUP_SIZE_HEADER, bytes.to_string()));
    Ok(response.insert_header(header::ContentEncoding::Identity).streaming(received(parts)))
}

fn received<T>(receiver: Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|part| (part, receiver)) })
}

/// The asker has gone.
fn gone<T>(_: T) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes it any more")
}

/// The tables and the database, then the dashboards and rules that are the user's own.
async fn write(backup: &Backup, own: &[(String, Arc<str>)], now: i64, send: &Sender<Part>) -> io::Result<()> {
    let mut archive = ArchiveWriter::new(now);
    for file in &backup.files {
        let head = archive.begin(&file.path, file.size_bytes, file.rows).map_err(io::Error::other)?;
        send.send(Ok(head.into())).await.map_err(gone)?;
        let mut at = 0;
        while at < file.size_bytes {
            let part = backup.part(file, at).await.map_err(io::Error::other)?;
            if part.is_empty() {
                return Err(io::Error::other(format!("{} is shorter than it was", file.path)));
            }
            at += part.len() as u64;
            archive.sum(&part).map_err(io::Error::other)?;
            send.send(Ok(part)).await.map_err(gone)?;
        }
        end(&mut archive, send).await?;
    }
    for (path, text) in own {
        let head = archive.begin(path, text.len() as u64, None).map_err(io::Error::other)?;
        send.send(Ok(head.into())).await.map_err(gone)?;
        archive.sum(text.as_bytes()).map_err(io::Error::other)?;
        send.send(Ok(Bytes::copy_from_slice(text.as_bytes()))).await.map_err(gone)?;
        end(&mut archive, send).await?;
    }
    let end = archive.finish(env!("CARGO_PKG_VERSION")).map_err(io::Error::other)?;
    send.send(Ok(end.into())).await.map_err(gone)
}

/// What follows the bytes of a file.
async fn end(archive: &mut ArchiveWriter, send: &Sender<Part>) -> io::Result<()> {
    let tail = archive.end().map_err(io::Error::other)?;
    if !tail.is_empty() {
        send.send(Ok(tail.into())).await.map_err(gone)?;
    }
    Ok(())
}

/// A line of JSON for each file, and one that says that it was the last.
pub(super) async fn verify(state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    let checked = state.store.verify()?;
    let files = contract::TABLES.iter().map(|table| state.store.snapshot(table).files);
    let bytes: u64 = files.map(|files| files.iter().map(|file| file.size_bytes).sum::<u64>()).sum();
    let lines = stream::unfold(Some(checked), |checked| async move {
        let mut checked = checked?;
        match checked.recv().await {
            Some(file) => Some((Ok::<_, io::Error>(line(&file)), Some(checked))),
            None => Some((Ok(Bytes::from_static(b"{\"complete\":true}\n")), None)),
        }
    });
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-ndjson").insert_header((VERIFY_SIZE_HEADER, bytes.to_string()));
    Ok(response.insert_header(header::ContentEncoding::Identity).streaming(lines))
}

fn line(file: &Checked) -> Bytes {
    let Checked { path, bytes, rows, problem } = file;
    format!("{}\n", serde_json::json!({ "path": path, "bytes": bytes, "rows": rows, "problem": problem })).into()
}

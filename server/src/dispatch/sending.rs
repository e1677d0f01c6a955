//! A document on its way: below the folder, into a bucket, to a webhook, by mail.

use super::mailing::mail;
use super::{DispatchError, DispatchSettings, Made};
use crate::deliver::{Folder, Outgoing, Posted, Secrets, look_up, parse_address, sign};
use crate::schedule::{Destination, Mailing, Run, Schedule};
use crate::store::{BucketSettings, BucketVariables};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek};
use std::sync::Arc;
use std::time::Duration;

/// Of a document in the body of a request; receivers take some megabytes.
const WEBHOOK_BYTES_MAX: u64 = 16 << 20;
/// Of a document in mail, where it takes a third more: most servers take 25 MB.
const MAIL_BYTES_MAX: u64 = 16 << 20;
/// A run is its server's for half an hour, of which the making may take two thirds.
const SEND_WITHIN: Duration = Duration::from_secs(8 * 60);

pub(super) struct Sending {
    folder: Folder,
    secrets: Secrets,
    outgoing: Outgoing,
    variables: BucketVariables,
    tables: Option<BucketSettings>,
}

impl Sending {
    pub(super) fn new(settings: DispatchSettings) -> Self {
        Self {
            folder: Folder::of(settings.reports_dir),
            secrets: Secrets::of(settings.secrets_dir),
            outgoing: Outgoing::new(settings.networks, look_up),
            variables: settings.variables,
            tables: settings.tables,
        }
    }

    /// Whether documents of a schedule can be sent, as far as it is known without trying.
    pub(super) fn check(&self, schedule: &Schedule) -> Result<(), DispatchError> {
        match &schedule.to {
            Destination::Folder(_) => self.folder.root().map(drop)?,
            Destination::Bucket(url) => self.bucket(url).map(drop)?,
            Destination::Webhook(_) => {
                schedule.secret.as_deref().map(|name| self.secrets.key(name)).transpose().map(drop)?;
            }
            Destination::Mail { by, .. } => self.password(by).map(drop)?,
        }
        Ok(())
    }

    fn password(&self, by: &Mailing) -> Result<Option<String>, DispatchError> {
        Ok(by.login.as_ref().map(|(_, secret)| self.secrets.text(secret)).transpose()?)
    }

    fn bucket(&self, url: &str) -> Result<BucketSettings, DispatchError> {
        let bucket = BucketSettings::parse(url, self.variables.0.clone());
        let bucket = bucket.map_err(|why| DispatchError::Final(format!("{url:?} is no bucket: {why}")))?;
        match &self.tables {
            Some(tables) if tables.overlaps(&bucket) => {
                Err(DispatchError::Final(format!("{bucket} is where the server's tables are; choose another prefix")))
            }
            _ => Ok(bucket),
        }
    }

    /// Returns the size when the receiver has it.
    pub(super) async fn send(
        &self,
        schedule: &Schedule,
        run: &Run,
        period_micros: (i64, i64),
        made: Made,
        now_micros: i64,
    ) -> Result<u64, DispatchError> {
        let bytes = made.bytes;
        let name = schedule.file(run.slot_micros);
        let sent = async {
            match &schedule.to {
                Destination::Folder(within) => self.put(within.to_string(), name, made).await,
                Destination::Bucket(url) => Ok(self.bucket(url)?.put(&name, made.file.path()).await?),
                Destination::Webhook(url) => self.post(url, schedule, run, period_micros, made, now_micros).await,
                Destination::Mail { by, to } => self.mail((by, to), schedule, run, made, now_micros).await,
            }
        };
        let late = |_| DispatchError::Late(format!("it was not delivered within {} s", SEND_WITHIN.as_secs()));
        tokio::time::timeout(SEND_WITHIN, sent).await.map_err(late)?.map(|()| bytes)
    }

    async fn put(&self, within: String, name: String, mut made: Made) -> Result<(), DispatchError> {
        let folder = self.folder.clone();
        blocking(move || {
            made.file.rewind().map_err(unreadable)?;
            Ok(folder.put(&within, &name, made.file.as_file_mut()).map(drop)?)
        })
        .await
    }

    async fn post(
        &self,
        url: &str,
        schedule: &Schedule,
        run: &Run,
        period_micros: (i64, i64),
        mut made: Made,
        now_micros: i64,
    ) -> Result<(), DispatchError> {
        bounded(&made, "a webhook", WEBHOOK_BYTES_MAX)?;
        let url = parse_address(url).map_err(|why| DispatchError::Final(why.to_owned()))?;
        let key = schedule.secret.as_deref().map(|name| self.secrets.key(name)).transpose()?;
        let (outgoing, schedule, run) = (self.outgoing.clone(), schedule.clone(), run.clone());
        blocking(move || {
            let bytes = read(&mut made)?;
            let body = message(&schedule, &run, period_micros, &made, bytes, now_micros);
            let signed = sign(key.as_ref(), &message_id(&run), now_micros.div_euclid(1_000_000), body.as_bytes());
            let posted = Posted {
                url: &url,
                content_type: "application/json",
                headers: signed.headers(),
                body: body.as_bytes(),
            };
            Ok(outgoing.post(&posted).map(drop)?)
        })
        .await
    }

    async fn mail(
        &self,
        (by, to): (&Mailing, &[Arc<str>]),
        schedule: &Schedule,
        run: &Run,
        mut made: Made,
        now_micros: i64,
    ) -> Result<(), DispatchError> {
        bounded(&made, "mail", MAIL_BYTES_MAX)?;
        let password = self.password(by)?;
        let (outgoing, schedule, run) = (self.outgoing.clone(), schedule.clone(), run.clone());
        let (by, to) = (by.clone(), to.to_vec());
        blocking(move || {
            let bytes = read(&mut made)?;
            let mailed = outgoing.mail(&mail(
                &schedule,
                &run,
                (&by, password, &to),
                &made,
                (message_id(&run), bytes),
                now_micros,
            ))?;
            for refused in mailed.refused {
                tracing::warn!(schedule = &*schedule.name, refused, "a recipient of a document was not taken");
            }
            Ok(())
        })
        .await
    }
}

fn bounded(made: &Made, way: &'static str, bound: u64) -> Result<(), DispatchError> {
    match made.bytes {
        bytes if bytes > bound => Err(DispatchError::TooLarge { bytes, way, bound }),
        _ => Ok(()),
    }
}

fn read(made: &mut Made) -> Result<Vec<u8>, DispatchError> {
    let mut bytes = Vec::new();
    made.file.rewind().and_then(|()| made.file.read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

async fn blocking(work: impl FnOnce() -> Result<(), DispatchError> + Send + 'static) -> Result<(), DispatchError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DispatchError::Internal(format!("the sending stopped: {error}")))?
}

fn unreadable(error: std::io::Error) -> DispatchError {
    DispatchError::Internal(format!("the document cannot be read: {error}"))
}

/// The same for each try of a run.
fn message_id(run: &Run) -> String {
    let mut digest = Sha256::new();
    digest.update(run.slot_micros.to_le_bytes());
    digest.update(run.schedule.as_bytes());
    let hex: String = digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("run_{hex}")
}

/// A document as the body of a request.
fn message(
    schedule: &Schedule,
    run: &Run,
    (from, to): (i64, i64),
    made: &Made,
    bytes: Vec<u8>,
    now_micros: i64,
) -> String {
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let (encoding, content) = match String::from_utf8(bytes) {
        Ok(text) if made.is_text => ("utf-8", text),
        Ok(text) => ("base64", STANDARD.encode(text)),
        Err(error) => ("base64", STANDARD.encode(error.as_bytes())),
    };
    json!({
        "type": "report.made",
        "timestamp": instant(now_micros),
        "data": {
            "schedule": *schedule.name,
            "slot": instant(run.slot_micros),
            "report": schedule.report.as_str(),
            "format": schedule.form.as_str(),
            "period_from": instant(from),
            "period_to": instant(to),
            "file": schedule.file(run.slot_micros),
            "media_type": made.media_type,
            "bytes": made.bytes,
            "sha256": sha256,
            "encoding": encoding,
            "content": content,
        },
    })
    .to_string()
}

fn instant(unix_micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(unix_micros).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

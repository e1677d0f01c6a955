//! A bucket that holds the tables: how it is reached, and how whole files go there and come back.
//!
//! Must not know what the files are. **Invariants:** a file is in the bucket for good when its upload returns; a
//! bucket that ignores the condition of a conditional write is refused; no secret is printed.

use super::DataFile;
use super::error::StoreError;
use super::place::OnDisk;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
    WriteMultipart,
};
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A larger file goes and comes in parts of this size: one part takes 30 s at 2.2 Mbit/s.
const PART_BYTES: usize = 8 << 20;
/// Parts of one file that are under way at once.
const PARTS_AT_ONCE: usize = 2;
/// Files that are under way at once: a history of a month is thirty small files a table. With their parts, and one
/// more of each being read, they take at most 96 MiB.
const FILES_AT_ONCE: usize = 4;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of one request, its body included.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// A request that failed is tried again so often, and not after so long: who asks has a minute.
const TRIES_AGAIN_MAX: usize = 4;
const TRY_AGAIN_WITHIN: Duration = Duration::from_secs(15);
/// An object that shows whether the bucket keeps what is there from being written again.
const CONDITION_OBJECT: &str = "_coulomb/conditional";
/// Longer answers of a bucket are pages for people with browsers.
const REASON_CHARS_MAX: usize = 600;

/// The environment's words on how buckets are reached; the values may be secrets.
#[derive(Clone, Default)]
pub struct BucketVariables(pub Vec<(String, String)>);

impl fmt::Debug for BucketVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketVariables(…)")
    }
}

/// Where in which bucket the tables are, and the environment's words on how it is reached.
#[derive(Clone)]
pub struct BucketSettings {
    url: Url,
    /// Names in lower case, as in `aws_region`; the values may be secrets.
    variables: Vec<(String, String)>,
}

impl BucketSettings {
    /// `text` is like `s3://bucket/prefix`, also `gs` and `az`; says what is wrong with it.
    pub fn parse(text: &str, variables: Vec<(String, String)>) -> Result<Self, &'static str> {
        let url = Url::parse(&format!("{}/", text.trim_end_matches('/'))).map_err(|_| "it is no URL")?;
        if !["s3", "gs", "az"].contains(&url.scheme()) {
            return Err("it must start with s3://, gs:// or az://");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no bucket");
        }
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err(
                "before the prefix it holds more than the bucket's name; credentials come from the environment",
            );
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._=/-".contains(c);
        if url.query().is_some() || url.fragment().is_some() || !url.path().chars().all(plain) {
            return Err("the prefix may hold letters, digits, '.', '_', '=', '-' and '/' only");
        }
        if url.path().contains("//") || text.split('/').any(|part| part == "." || part == "..") {
            return Err("the prefix has an empty or a dotted part");
        }
        Ok(Self { url, variables })
    }

    /// Whether one lies within the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.url.as_str(), other.url.as_str());
        a.starts_with(b) || b.starts_with(a)
    }

    /// Puts a file there under a name, whole or not at all; one of that name is replaced.
    pub async fn put(&self, name: &str, from: &Path) -> Result<(), StoreError> {
        let failed =
            |error| StoreError::Bucket { what: format!("write {self}/{name}"), why: with_advice(reason(&error)) };
        let bucket = Bucket::of(self.url.as_str(), client(self).map_err(failed)?)?;
        bucket.upload_one(&ObjectPath::from(name), from).await.map_err(failed)
    }
}

/// Without a slash at the end and without anything from the environment.
impl fmt::Display for BucketSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for BucketSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketSettings({self})")
    }
}

/// An open bucket.
pub(super) struct Bucket {
    /// Ends with a slash.
    pub url: Url,
    /// The whole bucket.
    pub root: Arc<dyn ObjectStore>,
    /// The part of it that holds the tables.
    pub tables: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// Finds out whether the tables can be listed and written, and whether two writers would be kept apart.
    pub(super) async fn open(settings: &BucketSettings) -> Result<Self, StoreError> {
        let unusable = |error| {
            let why = with_advice(reason(&error));
            StoreError::Bucket { what: format!("use the tables at {settings}"), why }
        };
        let bucket = Self::of(settings.url.as_str(), client(settings).map_err(unusable)?)?;
        bucket.tables.list_with_delimiter(None).await.map_err(unusable)?;
        if bucket.creates_twice().await.map_err(unusable)? {
            let why = "it overwrites what a conditional write (If-None-Match: *) must leave alone, so versions of \
                       tables would be lost";
            return Err(StoreError::Bucket { what: format!("use the tables at {settings}"), why: why.to_owned() });
        }
        Ok(bucket)
    }

    /// `url` ends with a slash.
    pub(super) fn of(url: &str, root: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        let url = Url::parse(url).map_err(StoreError::internal)?;
        let prefix = ObjectPath::from_url_path(url.path()).map_err(StoreError::internal)?;
        let tables = Arc::new(PrefixStore::new(Arc::clone(&root), prefix));
        Ok(Self { url, root, tables })
    }

    /// Whether an object that is there can be created once more; no bucket may allow that.
    async fn creates_twice(&self) -> Result<bool, object_store::Error> {
        let path = ObjectPath::from(CONDITION_OBJECT);
        for _ in 0..2 {
            let payload =
                PutPayload::from_static(b"Coulomb creates this object to see that it can be created once only.\n");
            match self.tables.put_opts(&path, payload, PutMode::Create.into()).await {
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(true)
    }

    /// Returns when all are in the bucket; after an error some may be.
    pub(super) async fn upload(&self, files: &[(String, OnDisk)]) -> Result<(), StoreError> {
        let uploads = files.iter().map(|(path, from)| async move {
            let failed = |error| StoreError::Bucket { what: format!("upload {path}"), why: reason(&error) };
            self.upload_one(&ObjectPath::from(path.as_str()), from.path()).await.map_err(failed)
        });
        futures::stream::iter(uploads).buffer_unordered(FILES_AT_ONCE).try_collect().await
    }

    pub(super) async fn upload_one(&self, to: &ObjectPath, from: &Path) -> Result<(), object_store::Error> {
        let here = |source| object_store::Error::Generic { store: "local disk", source: Box::new(source) };
        let mut file = File::open(from).map_err(here)?;
        let mut part = read_part(&mut file).map_err(here)?;
        if part.len() < PART_BYTES {
            return self.tables.put(to, part.into()).await.map(drop);
        }
        let mut parts = WriteMultipart::new_with_chunk_size(self.tables.put_multipart(to).await?, PART_BYTES);
        while !part.is_empty() {
            if let Err(error) = parts.wait_for_capacity(PARTS_AT_ONCE).await {
                // Parts of what is never completed are removed by the bucket's own rules, if not now.
                drop(parts.abort().await);
                return Err(error);
            }
            parts.put(part.into());
            part = read_part(&mut file).map_err(here)?;
        }
        parts.finish().await.map(drop)
    }

    /// Copies a file to `to`.
    pub(super) async fn download(&self, file: &DataFile, to: &Path) -> Result<(), StoreError> {
        let mut copy = File::create(to).map_err(StoreError::io("create a copy of a data file"))?;
        let mut at = 0;
        while at < file.size_bytes {
            let end = file.size_bytes.min(at + PART_BYTES as u64);
            let failed = |e| StoreError::Bucket { what: format!("download {}", file.path), why: reason(&e) };
            let bytes = self.tables.get_range(&file.path, at..end).await.map_err(failed)?;
            copy.write_all(&bytes).map_err(StoreError::io("write a copy of a data file"))?;
            at = end;
        }
        Ok(())
    }

    /// What was not there is removed as well.
    pub(super) async fn remove(&self, path: &str) -> Result<(), StoreError> {
        match self.tables.delete(&ObjectPath::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::Bucket { what: format!("remove {path}"), why: reason(&error) }),
        }
    }

    /// The objects in the day folders of a table.
    pub(super) fn list_days(&self, table: &str) -> BoxStream<'_, Result<ObjectMeta, StoreError>> {
        let failed = |e: object_store::Error| StoreError::Bucket { what: "list files".into(), why: reason(&e) };
        // Names begin after this one; those of `_delta_log/`, which may be many more, come before it.
        let after = ObjectPath::from(format!("{table}/day"));
        self.tables.list_with_offset(Some(&ObjectPath::from(table)), &after).map_err(failed).boxed()
    }
}

/// At most one part, less at the end of the file only.
fn read_part(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}

fn client(settings: &BucketSettings) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let options = || ClientOptions::new().with_connect_timeout(CONNECT_WITHIN).with_timeout(REQUEST_WITHIN);
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(3), base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: TRIES_AGAIN_MAX, retry_timeout: TRY_AGAIN_WITHIN };
    let (url, variables) = (settings.url.as_str(), settings.variables.iter());
    // Names that a client does not know are not for it.
    match settings.url.scheme() {
        "s3" => {
            let builder = AmazonS3Builder::new().with_url(url).with_client_options(options()).with_retry(retry);
            let set = |builder: AmazonS3Builder, (name, value): &(String, String)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            };
            Ok(Arc::new(variables.fold(builder, set).build()?))
        }
        "gs" => {
            let builder =
                GoogleCloudStorageBuilder::new().with_url(url).with_client_options(options()).with_retry(retry);
            let set = |builder: GoogleCloudStorageBuilder, (name, value): &(String, String)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            };
            Ok(Arc::new(variables.fold(builder, set).build()?))
        }
        _ => {
            let builder = MicrosoftAzureBuilder::new().with_url(url).with_client_options(options()).with_retry(retry);
            let set = |builder: MicrosoftAzureBuilder, (name, value): &(String, String)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            };
            Ok(Arc::new(variables.fold(builder, set).build()?))
        }
    }
}

/// An error of a bucket in one short line: what it was asked, what it answered, and the cause below that.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = without_markup(&error.to_string());
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let cause = without_markup(&cause.to_string());
    if !text.contains(&cause) {
        text = format!("{text}: {cause}");
    }
    match text.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn with_advice(why: String) -> String {
    let advice = [
        (
            "169.254.169.254",
            "no credentials are in the environment (AWS_ACCESS_KEY_ID and such), so the machine was asked",
        ),
        ("URL scheme is not allowed", "an endpoint without TLS needs AWS_ALLOW_HTTP=true"),
        ("Account must be specified", "set AZURE_STORAGE_ACCOUNT_NAME"),
    ];
    match advice.into_iter().find(|(part, _)| why.contains(part)) {
        Some((_, advice)) => format!("{why}; {advice}"),
        None => why,
    }
}

/// Of a page of XML its code and message.
fn without_markup(text: &str) -> String {
    let Some(page) = text.find('<') else { return one_line(text) };
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(one_line(rest.split_once('<')?.0))
    };
    let said: Vec<String> = ["Code", "Message"].into_iter().filter_map(between).collect();
    let before = one_line(&text[..page]);
    format!("{} {}", before.trim_end_matches(':'), said.join(": ")).trim().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_a_bucket_and_a_plain_prefix() {
        for (text, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("gs://bucket/a/b_1=x/", "gs://bucket/a/b_1=x"),
            ("az://container/coulomb", "az://container/coulomb"),
        ] {
            assert_eq!(BucketSettings::parse(text, Vec::new()).unwrap().to_string(), shown);
        }
        let bad = ["", "bucket", "http://bucket/a", "s3://", "s3:///a", "s3://key:secret@bucket/a", "s3://b/a?x=1"];
        for text in bad.into_iter().chain(["s3://b/a b", "s3://b/a%20b", "s3://b//a", "s3://b/a/../c", "file:///a"]) {
            assert!(BucketSettings::parse(text, Vec::new()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_place_lies_within_another_by_whole_names() {
        let parse = |text: &str| BucketSettings::parse(text, Vec::new()).unwrap();
        for (a, b, overlap) in [
            ("s3://b/fleet", "s3://b/fleet/reports", true),
            ("s3://b", "s3://b/x", true),
            ("s3://b/fleet", "s3://b/fleet2", false),
            ("s3://b", "gs://b", false),
            ("s3://b", "s3://bb", false),
        ] {
            assert_eq!((parse(a).overlaps(&parse(b)), parse(b).overlaps(&parse(a))), (overlap, overlap), "{a} {b}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let variables = vec![("aws_secret_access_key".to_owned(), "hush".to_owned())];
        let settings = BucketSettings::parse("s3://bucket/a", variables).unwrap();
        assert_eq!(format!("{settings:?} {settings}"), "BucketSettings(s3://bucket/a) s3://bucket/a");
    }

    #[test]
    fn an_answer_in_xml_becomes_a_line() {
        let text = "Error performing GET http://h/b in 1ms - Server returned non-2xx status code: 404 Not Found: \
                    <?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code>\n<Message>The specified bucket\n does \
                    not exist</Message><HostId>x</HostId></Error>";
        let line = "Error performing GET http://h/b in 1ms - Server returned non-2xx status code: 404 Not Found \
                    NoSuchBucket: The specified bucket does not exist";
        assert_eq!(reason(&std::io::Error::other(text)), line);
    }

    proptest! {
        #[test]
        fn any_answer_becomes_a_short_line(text in "[<>/CodeMsag é\n]{0,900}|<Code>.{0,40}|.{0,900}") {
            let line = reason(&std::io::Error::other(text));
            prop_assert!(line.chars().count() <= REASON_CHARS_MAX + 1 && !line.contains('\n'));
        }

        #[test]
        fn any_address_is_taken_or_refused(text in "(s3|gs|az)://[a-zA-Z0-9:@/?#%.= é-]{0,40}|.{0,60}") {
            if let Ok(settings) = BucketSettings::parse(&text, Vec::new()) {
                let again = BucketSettings::parse(&settings.to_string(), Vec::new()).unwrap();
                prop_assert_eq!(again.to_string(), settings.to_string());
            }
        }
    }
}

//! Flags, environment and `coulomb.toml`: the only place that reads them.
//!
//! Owns every default and every knob of the server and its command line. A flag beats the environment, which
//! beats the file, which beats the default. **Invariant:** settings are checked once, here; rooms get small
//! structs of checked values. **Not here:** secrets, other than the text of `COULOMB_TOKEN` on its way to a client
//! and a bucket's credentials on their way to the store.

mod command;
mod listen;

use crate::dispatch::DispatchSettings;
use crate::query::QuerySettings;
use crate::store::{self, BucketSettings, BucketVariables, StoreSettings};
use crate::watch::WatchSettings;
use clap::Args;
pub use command::{Command, CommandLine};
pub use listen::{Asked, OtlpListen};
use listen::{OFF, flight_address, http_address, otlp_address};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DATA_DIR: &str = "./coulomb-data";
/// What all queries together may hold in memory: a small machine can give it, and beyond it a query spills.
const QUERY_MEMORY_BYTES: u64 = 1 << 30;
/// A page answers in a second; a minute is for SQL that somebody waits for.
const QUERY_TIMEOUT_SECONDS: u64 = 60;
/// Rows of one answer. A spreadsheet ends at a million; whoever takes tables away in bulk reads their Parquet.
const QUERY_ROWS_MAX: u64 = 10_000_000;
/// What the server holds beside hot rows and what queries say that they hold: caches, bodies, what the engine does
/// not count.
const RESIDENT_BYTES_BESIDE: u64 = 2 << 30;
/// What sorts and joins may put on disk; a fraction of what a month of samples of 1,000 GPUs takes.
const SPILL_BYTES_MAX: u64 = 16 << 30;
/// Libraries tell of each file that they open; what the server does itself is worth a line. Of each commit that
/// another server came before, as is usual in a bucket, one of them would make two.
const LOG: &str = "warn,coulomb=info,deltalake_core::kernel::transaction=off";
/// Variables of the environment that say how an object store is reached begin with these.
const BUCKET_VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// Five minutes of rows make files worth writing; until then they are in the log and in memory.
const FLUSH_AFTER_SECONDS: u64 = 300;
/// A flush sorts and writes beside them copies of so many bytes; the more there are, the more memory it takes.
const FLUSH_BYTES: u64 = 64 << 20;
/// Hot rows take no more memory than this: ten minutes of 10,000 GPUs at a row each five seconds.
const HOT_BYTES_MAX: u64 = 512 << 20;
/// Far longer than any query may take; other readers of the tables get as long.
const KEEP_REPLACED_SECONDS: u64 = 3600;
/// The longest sensible values; a longer one is a slip of the unit.
const SECONDS_MAX: u64 = 24 * 3600;
/// Under this DataFusion cannot sort one batch of our widest table.
const QUERY_MEMORY_BYTES_MIN: u64 = 16 << 20;

#[derive(Debug, Args)]
pub struct ServeFlags {
    /// File of settings; its keys are the names of these flags with `_` for `-`.
    #[arg(long, env = "COULOMB_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of everything that is kept (default ./coulomb-data).
    #[arg(long, env = "COULOMB_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Bucket that holds the tables, as in `s3://bucket/prefix` (also gs:// and az://); the log stays in the data
    /// directory. Credentials and endpoint come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
    /// AWS_ENDPOINT_URL and the like (default: `tables` in the data directory).
    #[arg(long, env = "COULOMB_TABLES", value_name = "URL")]
    tables: Option<String>,
    /// Address and port of HTTP (default 127.0.0.1:6240; port 0 takes a free one).
    #[arg(long, env = "COULOMB_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Address and port of Flight SQL, for ADBC and JDBC (default 127.0.0.1:6241; port 0 takes a free one; `off`).
    #[arg(long, env = "COULOMB_FLIGHT_LISTEN", value_name = "ADDRESS:PORT")]
    flight_listen: Option<String>,
    /// Address and port of OTLP over gRPC (default 127.0.0.1:4317, unless another program has it; port 0 takes a free
    /// one; `off`). OTLP over HTTP is where HTTP is.
    #[arg(long, env = "COULOMB_OTLP_LISTEN", value_name = "ADDRESS:PORT")]
    otlp_listen: Option<String>,
    /// Memory of all running queries together (default 1073741824 = 1 GiB); beyond it they spill to disk.
    #[arg(long, env = "COULOMB_QUERY_MEMORY_BYTES", value_name = "BYTES")]
    query_memory_bytes: Option<u64>,
    /// Memory of the whole server, as the system counts it, beyond which no further query begins and the latest are
    /// stopped (default: twice the queries' memory and 2.5 GiB).
    #[arg(long, env = "COULOMB_RESIDENT_BYTES_MAX", value_name = "BYTES")]
    resident_bytes_max: Option<u64>,
    /// Longest time that a query may take (default 60).
    #[arg(long, env = "COULOMB_QUERY_TIMEOUT_SECONDS", value_name = "SECONDS")]
    query_timeout_seconds: Option<u64>,
    /// Age at which rows in memory are written to Parquet (default 300).
    #[arg(long, env = "COULOMB_FLUSH_AFTER_SECONDS", value_name = "SECONDS")]
    flush_after_seconds: Option<u64>,
    /// Whole days that rows of a table are kept by their own time, as in `gpu_samples=400`; repeated or divided by
    /// commas (default: for ever).
    #[arg(long, env = "COULOMB_RETAIN_DAYS", value_name = "TABLE=DAYS", value_delimiter = ',')]
    retain_days: Vec<String>,
    /// How long files that a merge or `--retain-days` took out of a table stay for those who still read them
    /// (default 3600); longer than any query.
    #[arg(long, env = "COULOMB_KEEP_REPLACED_SECONDS", value_name = "SECONDS")]
    keep_replaced_seconds: Option<u64>,
    /// Folder below which documents by schedule may be written (default: none are).
    #[arg(long, env = "COULOMB_REPORTS_DIR", value_name = "DIR")]
    reports_dir: Option<PathBuf>,
    /// Networks beside the public internet that webhooks and mail may be sent to, as in 10.20.0.0/16,10.7.1.5 (default: none).
    #[arg(long, env = "COULOMB_OUTGOING_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    outgoing_allow: Vec<String>,
    /// Where people find this server; messages about alerts lead there (default: http:// and the address of --listen).
    #[arg(long, env = "COULOMB_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// What is logged to standard error, as in `info` or `coulomb=debug,warn` (default: what goes
    /// wrong, and what the server does itself).
    #[arg(long, env = "COULOMB_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Send the server's own spans and numbers there, as OTLP over HTTP: http://127.0.0.1:4318 (default: nowhere).
    /// OTEL_EXPORTER_OTLP_HEADERS has the headers, such as a token.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    telemetry_endpoint: Option<String>,
}

/// `coulomb.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    data: Option<PathBuf>,
    tables: Option<String>,
    listen: Option<String>,
    flight_listen: Option<String>,
    otlp_listen: Option<String>,
    query_memory_bytes: Option<u64>,
    resident_bytes_max: Option<u64>,
    query_timeout_seconds: Option<u64>,
    flush_after_seconds: Option<u64>,
    #[serde(default)]
    retain_days: Vec<String>,
    keep_replaced_seconds: Option<u64>,
    reports_dir: Option<PathBuf>,
    outgoing_allow: Option<Vec<String>>,
    public_url: Option<String>,
    log: Option<String>,
    telemetry_endpoint: Option<String>,
}

/// Where the server is and which token it gets: the flags of every client command.
#[derive(Debug, Clone, Args)]
pub struct ClientFlags {
    /// Address of the server.
    #[arg(long, env = "COULOMB_SERVER", default_value = "http://127.0.0.1:6240", value_name = "URL")]
    pub server: String,
    /// File that holds the token (default: COULOMB_TOKEN if that is set, else admin.token in the data directory).
    #[arg(long, env = "COULOMB_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Data directory of a server on this machine, for its admin.token.
    #[arg(long, env = "COULOMB_DATA", default_value = DATA_DIR, value_name = "DIR")]
    pub data: PathBuf,
    /// The token itself, from the environment only: a flag would show it to everyone on the machine.
    #[arg(skip = TokenText::from_environment())]
    pub token: TokenText,
}

/// The text of `COULOMB_TOKEN`; printing it for debugging shows nothing of it.
#[derive(Clone, Default)]
pub struct TokenText(Option<String>);

impl TokenText {
    #[allow(clippy::disallowed_methods)] // config.rs is the one place that reads the environment
    fn from_environment() -> Self {
        Self(std::env::var("COULOMB_TOKEN").ok().filter(|t| !t.trim().is_empty()))
    }

    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "TokenText(…)" } else { "TokenText(none)" })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read settings from {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot understand settings in {path:?}: {why}")]
    Parse { path: PathBuf, why: String },
    #[error("{name} {text:?} is not an address and port, give one like {like}")]
    Listen { name: &'static str, text: String, like: SocketAddr },
    #[error("retain_days {text:?} is not like gpu_samples=400 with one of the tables {}", table_names())]
    Retain { text: String },
    #[error("tables {text:?} is not the address of a bucket like s3://bucket/prefix: {why}")]
    Tables { text: String, why: &'static str },
    #[error("outgoing_allow: {0}")]
    Networks(#[from] crate::deliver::NetworksError),
    #[error("{name} is {value}, it must be between {min} and {max}")]
    OutOfRange { name: &'static str, value: u64, min: u64, max: u64 },
}

/// Checked settings of `coulomb serve`.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    pub listen: SocketAddr,
    /// Where Flight SQL is answered, if it is.
    pub flight_listen: Option<SocketAddr>,
    pub otlp_listen: Option<OtlpListen>,
    pub data_dir: PathBuf,
    pub store: StoreSettings,
    pub query: QuerySettings,
    /// Tables whose rows are not kept for ever, and for how many days they are.
    pub retain_days: Vec<(String, u32)>,
    pub dispatch: DispatchSettings,
    pub watch: WatchSettings,
    pub log: String,
    /// Where the server's own spans and numbers go.
    pub telemetry_endpoint: Option<String>,
}

impl ServeSettings {
    /// Reads the settings file, if one is named, and checks everything.
    pub fn load(flags: ServeFlags) -> Result<Self, ConfigError> {
        let file = flags.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let (query_memory_bytes, resident_bytes_max) = memory(&flags, &file)?;
        let listen = http_address(flags.listen.or(file.listen))?;
        let flight_listen = flight_address(flags.flight_listen.or(file.flight_listen))?;
        let otlp_listen = otlp_address(flags.otlp_listen.or(file.otlp_listen))?;
        let data_dir = flags.data.or(file.data).unwrap_or_else(|| DATA_DIR.into());
        let tables = flags.tables.or(file.tables).as_deref().map(parse_tables).transpose()?;
        let seconds = |name, told: Option<u64>, otherwise: u64| within(name, told.unwrap_or(otherwise), 1, SECONDS_MAX);
        let told = flags.query_timeout_seconds.or(file.query_timeout_seconds);
        let query_timeout_seconds = seconds("query_timeout_seconds", told, QUERY_TIMEOUT_SECONDS)?;
        let told = flags.flush_after_seconds.or(file.flush_after_seconds);
        let flush_after_seconds = seconds("flush_after_seconds", told, FLUSH_AFTER_SECONDS)?;
        let told = flags.keep_replaced_seconds.or(file.keep_replaced_seconds);
        let keep_replaced_seconds = seconds("keep_replaced_seconds", told, KEEP_REPLACED_SECONDS)?;
        let store = StoreSettings {
            data_dir: data_dir.clone(),
            tables,
            flush_after: Duration::from_secs(flush_after_seconds),
            flush_bytes: FLUSH_BYTES,
            hot_bytes_max: HOT_BYTES_MAX,
            remove_after: Duration::from_secs(keep_replaced_seconds),
        };
        let query = QuerySettings {
            timeout: Duration::from_secs(query_timeout_seconds),
            rows_max: QUERY_ROWS_MAX,
            memory_bytes_max: usize::try_from(query_memory_bytes).unwrap_or(usize::MAX),
            resident_bytes_max,
            spill_dir: data_dir.join("spill"),
            spill_bytes_max: SPILL_BYTES_MAX,
        };
        let allowed = file.outgoing_allow.filter(|_| flags.outgoing_allow.is_empty()).unwrap_or(flags.outgoing_allow);
        let networks = crate::deliver::Networks::parse(allowed.iter().map(String::as_str))?;
        let public_url = flags.public_url.or(file.public_url).unwrap_or_else(|| format!("http://{listen}"));
        let watch = WatchSettings {
            networks: networks.clone(),
            secrets_dir: data_dir.join("secrets"),
            external_url: public_url.trim_end_matches('/').to_owned(),
        };
        let dispatch = DispatchSettings {
            reports_dir: flags.reports_dir.or(file.reports_dir),
            networks,
            secrets_dir: data_dir.join("secrets"),
            variables: BucketVariables(bucket_variables()),
            tables: store.tables.clone(),
        };
        let log = flags.log.or(file.log).unwrap_or_else(|| LOG.to_owned());
        let retain = if flags.retain_days.is_empty() { file.retain_days } else { flags.retain_days };
        let retain_days = retain.iter().map(|text| parse_retain(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            listen,
            flight_listen,
            otlp_listen,
            data_dir,
            store,
            query,
            retain_days,
            dispatch,
            watch,
            log,
            telemetry_endpoint: flags.telemetry_endpoint.or(file.telemetry_endpoint),
        })
    }
}

/// What all queries together may hold, and what the whole server may.
fn memory(flags: &ServeFlags, file: &SettingsFile) -> Result<(u64, u64), ConfigError> {
    let queries = flags.query_memory_bytes.or(file.query_memory_bytes).unwrap_or(QUERY_MEMORY_BYTES);
    let queries = within("query_memory_bytes", queries, QUERY_MEMORY_BYTES_MIN, u64::MAX)?;
    let otherwise = queries.saturating_mul(2).saturating_add(HOT_BYTES_MAX + RESIDENT_BYTES_BESIDE);
    let resident = flags.resident_bytes_max.or(file.resident_bytes_max).unwrap_or(otherwise);
    Ok((queries, within("resident_bytes_max", resident, queries, u64::MAX)?))
}

fn parse_tables(text: &str) -> Result<BucketSettings, ConfigError> {
    // Credentials do not belong into an address, nor into the complaint about one.
    let shown = || text.rsplit('@').next().unwrap_or_default().to_owned();
    BucketSettings::parse(text, bucket_variables()).map_err(|why| ConfigError::Tables { text: shown(), why })
}

#[allow(clippy::disallowed_methods)] // config.rs is the one place that reads the environment
fn bucket_variables() -> Vec<(String, String)> {
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let of_buckets = all.filter(|(name, _)| BUCKET_VARIABLES.iter().any(|start| name.starts_with(start)));
    of_buckets.map(|(name, value)| (name.to_lowercase(), value)).collect()
}

fn table_names() -> String {
    let sent = contract::TABLES.iter().map(|table| table.name);
    sent.chain(store::DERIVED).collect::<Vec<_>>().join(", ")
}

fn parse_retain(text: &str) -> Result<(String, u32), ConfigError> {
    let parsed = text.split_once('=').and_then(|(table, days)| {
        let days = days.trim().parse().ok().filter(|days| *days > 0)?;
        let table = table.trim();
        let is_known = contract::table(table).is_some() || store::DERIVED.contains(&table);
        is_known.then(|| (table.to_owned(), days))
    });
    parsed.ok_or_else(|| ConfigError::Retain { text: text.to_owned() })
}

/// One line, without secrets: of a bucket only the address.
impl fmt::Display for ServeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data={:?} tables={} listen={} flight_listen={} otlp_listen={} query_memory_bytes={} resident_bytes_max={} query_timeout_seconds={} flush_after_seconds={} retain_days={:?} keep_replaced_seconds={} reports_dir={:?} outgoing_allow={} public_url={} log={:?} telemetry_endpoint={}",
            self.data_dir,
            self.store.tables.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string),
            self.listen,
            self.flight_listen.map_or_else(|| OFF.to_owned(), |address| address.to_string()),
            self.otlp_listen.map_or_else(|| OFF.to_owned(), |listen| listen.address.to_string()),
            self.query.memory_bytes_max,
            self.query.resident_bytes_max,
            self.query.timeout.as_secs(),
            self.store.flush_after.as_secs(),
            self.retain_days.iter().map(|(table, days)| format!("{table}={days}")).collect::<Vec<_>>(),
            self.store.remove_after.as_secs(),
            self.dispatch.reports_dir,
            self.dispatch.networks,
            self.watch.external_url,
            self.log,
            self.telemetry_endpoint.as_deref().map_or(OFF, without_user)
        )
    }
}

/// An address may hold a password.
fn without_user(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

fn read_file(path: &Path) -> Result<SettingsFile, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    // The parser's text shows the line and lists the keys that are known.
    toml::from_str(&text)
        .map_err(|e| ConfigError::Parse { path: path.into(), why: e.to_string().trim_end().to_owned() })
}

fn within(name: &'static str, value: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
    let good = (min..=max).contains(&value);
    good.then_some(value).ok_or(ConfigError::OutOfRange { name, value, min, max })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    fn serve(arguments: &[&str]) -> Result<ServeSettings, ConfigError> {
        let line = CommandLine::try_parse_from(["coulomb", "serve"].iter().chain(arguments)).unwrap();
        match line.command {
            Command::Serve(flags) => ServeSettings::load(flags),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn defaults_need_no_flag() {
        let settings = serve(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:6240");
        assert_eq!(settings.flight_listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:6241"));
        assert_eq!(settings.data_dir, Path::new("./coulomb-data"));
        assert_eq!(settings.query.timeout.as_secs(), 60);
    }

    #[test]
    fn days_are_kept_by_table() {
        let settings = serve(&["--retain-days", "gpu_samples=400,logs=14"]).unwrap();
        let kept: Vec<_> = settings.retain_days.iter().map(|(table, days)| (table.as_str(), *days)).collect();
        assert_eq!(kept, [("gpu_samples", 400), ("logs", 14)]);
        for bad in ["gpu_samples", "nope=3", "logs=0", "logs=-1", "logs=1d", "="] {
            let refused = serve(&["--retain-days", bad]).unwrap_err().to_string();
            assert!(refused.contains(bad) && refused.contains("gpu_samples"), "{refused}");
        }
    }

    #[test]
    fn flight_sql_may_be_off() {
        assert_eq!(serve(&["--flight-listen", "off"]).unwrap().flight_listen, None);
        let settings = serve(&["--flight-listen", "localhost:0"]).unwrap();
        assert_eq!(settings.flight_listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:0"));
    }

    #[test]
    fn otlp_has_its_known_port_unless_another_is_asked_for() {
        let listen = |arguments: &[&str]| serve(arguments).unwrap().otlp_listen;
        let at = |text: &str, asked| Some(OtlpListen { address: text.parse().unwrap(), asked });
        assert_eq!(listen(&[]), at("127.0.0.1:4317", Asked::No));
        assert_eq!(listen(&["--otlp-listen", "127.0.0.1:4317"]), at("127.0.0.1:4317", Asked::Yes));
        assert_eq!(listen(&["--otlp-listen", "localhost:0"]), at("127.0.0.1:0", Asked::Yes));
        assert_eq!(listen(&["--otlp-listen", "off"]), None);
    }

    #[test]
    fn tables_are_here_or_in_a_bucket() {
        assert!(serve(&[]).unwrap().store.tables.is_none());
        let settings = serve(&["--tables", "s3://bucket/prefix/"]).unwrap();
        assert!(settings.to_string().contains(" tables=s3://bucket/prefix "), "{settings}");
        for bad in ["/var/tables", "s3://", "ftp://host/a", "s3://key:hush@bucket/a"] {
            let refused = serve(&["--tables", bad]).unwrap_err().to_string();
            assert!(refused.contains("s3://bucket/prefix") && !refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn a_flag_beats_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coulomb.toml");
        std::fs::write(&path, "listen = \"localhost:7000\"\nquery_timeout_seconds = 5\n").unwrap();
        let config = path.to_str().unwrap();
        let settings = serve(&["--config", config]).unwrap();
        assert_eq!((settings.listen.port(), settings.query.timeout.as_secs()), (7000, 5));
        let settings = serve(&["--config", config, "--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!((settings.listen.port(), settings.query.timeout.as_secs()), (0, 5));
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coulomb.toml");
        std::fs::write(&path, "lisen = \"127.0.0.1:1\"\n").unwrap();
        for (arguments, part) in [
            (vec!["--config", path.to_str().unwrap()], "`listen`"),
            (vec!["--config", "/does/not/exist"], "/does/not/exist"),
            (vec!["--listen", "6240"], "127.0.0.1:6240"),
            (vec!["--flight-listen", "6241"], "flight_listen \"6241\""),
            (vec!["--otlp-listen", "4317"], "otlp_listen \"4317\""),
            (vec!["--query-timeout-seconds", "0"], "query_timeout_seconds is 0"),
            (vec!["--query-memory-bytes", "1"], "query_memory_bytes is 1"),
            (vec!["--outgoing-allow", "10.0.0.0/8,10.1.2.3/8"], "outgoing_allow: \"10.1.2.3/8\""),
        ] {
            let text = serve(&arguments).unwrap_err().to_string();
            assert!(text.contains(part), "{arguments:?} answered {text}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }
}

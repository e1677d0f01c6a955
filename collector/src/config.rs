//! The only place that reads flags and the environment. Every default is visible here.

mod inputs;

pub(crate) use inputs::InputOptions;

use crate::input::kubernetes;
use crate::send::{ClientSettings, TokenSource};
use crate::spool::SpoolSettings;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(name = "coulomb-collector", version, about = "Measures GPUs and their node, and sends the rows to Coulomb.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure this node and send the rows to a server.
    Run(RunOptions),
    /// Measure this node and write the rows as Parquet files, without a server.
    Record(RecordOptions),
    /// Send a recording to a server, as if it happened now.
    Replay(ReplayOptions),
    /// Make up a fleet and send its rows to a server.
    Simulate(SimulateOptions),
    /// Say what this node can report and whether the server takes it.
    Check(CheckOptions),
}

impl Command {
    /// The node that is measured.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Self::Run(options) => Some(&options.source.node),
            _ => None,
        }
    }

    /// Where the collector's own spans and numbers go.
    pub(crate) fn telemetry_endpoint(&self) -> Option<&str> {
        match self {
            Self::Run(options) => options.telemetry_endpoint.as_deref(),
            _ => None,
        }
    }
}

/// Where rows go, and with which token.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    /// Address of the server.
    #[arg(long, default_value = "http://127.0.0.1:6240", env = "COULOMB_SERVER", value_parser = parse_server)]
    pub server: String,
    /// File with the token that the server takes (or set COULOMB_TOKEN).
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[arg(long = "token-from-environment", env = "COULOMB_TOKEN", hide = true, hide_env_values = true)]
    token: Option<String>,
}

impl ServerOptions {
    pub(crate) fn client_settings(&self) -> ClientSettings {
        let token = match (&self.token_file, &self.token) {
            (Some(file), _) => Some(TokenSource::File(file.clone())),
            (None, Some(token)) => Some(TokenSource::Text(token.clone())),
            (None, None) => None,
        };
        ClientSettings { server: self.server.clone(), token }
    }
}

/// How rows reach a server.
#[derive(Debug, Clone, Args)]
pub(crate) struct UplinkOptions {
    #[command(flatten)]
    pub server: ServerOptions,
    /// Directory in which unsent rows wait.
    #[arg(long, value_name = "DIR", default_value = "./coulomb-spool")]
    pub spool: PathBuf,
    /// Bound of the spool: 1048576, 512MiB, 2GiB. At the bound the oldest rows are dropped and counted.
    #[arg(long, value_name = "BYTES", default_value = "512MiB", value_parser = parse_bytes)]
    pub spool_bytes_max: u64,
    /// Show the collector's own metrics at http://ADDRESS/metrics; loopback addresses only.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_loopback)]
    pub metrics_listen: Option<SocketAddr>,
}

impl UplinkOptions {
    pub(crate) fn client_settings(&self) -> ClientSettings {
        self.server.client_settings()
    }

    pub(crate) fn spool_settings(&self) -> SpoolSettings {
        SpoolSettings { dir: self.spool.clone(), bytes_max: self.spool_bytes_max }
    }
}

/// What is measured, and under which name.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceOptions {
    /// Name of the cluster that the node belongs to.
    #[arg(long, default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    pub cluster: String,
    /// Name of the node (default: its host name).
    #[arg(long, default_value_t = host_name(), hide_default_value = true, value_parser = NonEmptyStringValueParser::new())]
    pub node: String,
    /// Time from one row to the next: 1s, 10s, 500ms.
    #[arg(long, default_value = "1s", value_parser = parse_interval)]
    pub interval: Duration,
    /// The NVML library (default: libnvidia-ml.so.1 as the system finds it).
    #[arg(long, value_name = "PATH")]
    pub nvml_library: Option<PathBuf>,
    /// Directory in which a prolog notes the jobs of each GPU as dcgm-exporter reads them: files <gpu> and
    /// <gpu>.<gpu instance>, a job a line. /run/gpustat is read in any case.
    #[arg(long, value_name = "DIR")]
    pub gpu_jobs_dir: Option<PathBuf>,
}

/// Whose pods are on the GPUs.
#[derive(Debug, Clone, Args)]
pub(crate) struct KubernetesOptions {
    /// Follow the pods of this node, which must be called as in Kubernetes (--node): by its kubelet, and by the API
    /// server that the service account of a pod or KUBECONFIG names.
    #[arg(long)]
    pub kubernetes: bool,
    /// Socket at which the kubelet says which devices it gave to whom.
    #[arg(long, value_name = "PATH", default_value = "/var/lib/kubelet/pod-resources/kubelet.sock")]
    pub pod_resources_socket: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub source: SourceOptions,
    #[command(flatten)]
    pub inputs: InputOptions,
    #[command(flatten)]
    pub uplink: UplinkOptions,
    /// Watch the jobs of the Slurm cluster by squeue and sacct: on one node of it, a controller or login node.
    #[arg(long)]
    pub slurm: bool,
    /// Time from one look at Slurm to the next: 10s, 1m.
    #[arg(long, default_value = "30s", requires = "slurm", value_parser = parse_slurm_interval)]
    pub slurm_interval: Duration,
    #[command(flatten)]
    pub kubernetes: KubernetesOptions,
    /// Send the collector's own spans and numbers there, as OTLP over HTTP: http://127.0.0.1:4318 (default: nowhere).
    /// OTEL_EXPORTER_OTLP_HEADERS has the headers, such as a token.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    telemetry_endpoint: Option<String>,
}

impl RunOptions {
    pub(crate) fn slurm_settings(&self) -> Option<SlurmSettings> {
        self.slurm.then(|| SlurmSettings { interval: self.slurm_interval, memory: self.uplink.spool.clone() })
    }

    pub(crate) fn kubernetes_settings(&self) -> kubernetes::Settings {
        kubernetes::Settings {
            socket: self.kubernetes.pod_resources_socket.clone(),
            interval: self.source.interval,
            dir: self.uplink.spool.clone(),
        }
    }
}

/// How Slurm is watched.
#[derive(Debug, Clone)]
pub(crate) struct SlurmSettings {
    pub interval: Duration,
    /// Directory for what was told.
    pub memory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RecordOptions {
    #[command(flatten)]
    pub source: SourceOptions,
    /// Directory for the files <table>-<n>.parquet.
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// Stop after this time: 60s, 10m, 2h (default: at a signal).
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    #[command(flatten)]
    pub uplink: UplinkOptions,
    /// Directory of the recording.
    #[arg(value_name = "DIR")]
    pub recording: PathBuf,
    /// Keep the recorded times and send as fast as the server takes them, instead of starting now.
    #[arg(long)]
    pub from_original_time: bool,
    /// How much faster than it was recorded; 0 is as fast as the server takes it.
    #[arg(long, default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    /// Put the rows under this cluster instead of the recorded one.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub cluster: Option<String>,
    /// Put the rows under this node instead of the recorded one.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub node: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    #[command(flatten)]
    pub server: ServerOptions,
    /// Name of the cluster that the fleet is.
    #[arg(long, default_value = "demo", value_parser = NonEmptyStringValueParser::new())]
    pub cluster: String,
    /// Physical GPUs of the fleet.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub gpus: u32,
    /// The same seed gives the same fleet.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Length of the history: 30d, 12h; 0s for none.
    #[arg(long, default_value = "30d", value_parser = parse_duration)]
    pub backfill: Duration,
    /// Time from one row of the history to the next, in whole seconds.
    #[arg(long, default_value = "5m", value_parser = parse_whole_seconds)]
    pub history_interval: Duration,
    /// Time from one live row to the next, in whole seconds.
    #[arg(long, default_value = "10s", value_parser = parse_whole_seconds)]
    pub live_interval: Duration,
    /// End of the history: now, or a time such as 2026-09-01T00:00:00Z, after which nothing is sent.
    #[arg(long, default_value = "now", value_parser = parse_until)]
    pub until: Until,
    /// Send the history only.
    #[arg(long)]
    pub no_live: bool,
}

/// The end of a made-up history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Now,
    UnixSeconds(i64),
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub source: SourceOptions,
    #[command(flatten)]
    pub uplink: UplinkOptions,
    /// Look at this node only, not at the server.
    #[arg(long)]
    pub local: bool,
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

fn parse_server(text: &str) -> Result<String, String> {
    let address = text.trim_end_matches('/');
    if address.starts_with("http://") || address.starts_with("https://") {
        Ok(address.to_owned())
    } else {
        Err("the address must start with http:// or https://".to_owned())
    }
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}; expected such as 127.0.0.1:9464"))?;
    if address.ip().is_loopback() { Ok(address) } else { Err("only loopback addresses are allowed".to_owned()) }
}

/// `500ms`, `1s`, `10m`, `2h`, `3d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("expected a number and one of ms, s, m, h, d".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())
}

/// Faster than ten times a second costs more than it shows; slower than an hour is no telemetry.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&interval) {
        Ok(interval)
    } else {
        Err("the interval must be 100ms to 1h".to_owned())
    }
}

/// Each look asks the controller and the database for all of their jobs.
fn parse_slurm_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&interval) {
        Ok(interval)
    } else {
        Err("the interval must be 1s to 1h".to_owned())
    }
}

fn parse_whole_seconds(text: &str) -> Result<Duration, String> {
    let interval = parse_interval(text)?;
    if interval.subsec_nanos() == 0 { Ok(interval) } else { Err("expected whole seconds".to_owned()) }
}

fn parse_until(text: &str) -> Result<Until, String> {
    if text == "now" {
        return Ok(Until::Now);
    }
    match arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(text) {
        Ok(nanos) if nanos >= 0 => Ok(Until::UnixSeconds(nanos / 1_000_000_000)),
        _ => Err("expected now, or a time such as 2026-09-01T00:00:00Z".to_owned()),
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed >= 0.0 => Ok(speed),
        _ => Err("expected a number from 0".to_owned()),
    }
}

/// `4096`, `64KiB`, `512MiB`, `2GiB`; at least 1 MiB, below which a spool holds no useful time.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err("expected a number of bytes, KiB, MiB, GiB or TiB".to_owned()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)); // the message below says it all
    match bytes {
        Some(bytes) if bytes >= 1 << 20 => Ok(bytes),
        Some(_) => Err("the spool needs at least 1MiB".to_owned()),
        None => Err(format!("{text:?} is not a size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rows_without_a_cluster_or_node_are_refused_at_the_start() {
        for bad in ["--cluster=", "--node="] {
            assert!(Cli::try_parse_from(["coulomb-collector", "run", bad]).is_err(), "{bad}");
            assert!(Cli::try_parse_from(["coulomb-collector", "replay", "x", bad]).is_err(), "{bad}");
        }
        assert!(Cli::try_parse_from(["coulomb-collector", "simulate", "--cluster="]).is_err());
    }

    #[test]
    fn pods_are_followed_on_request() {
        let run = |arguments: &[&str]| match Cli::try_parse_from([&["coulomb-collector", "run"], arguments].concat()) {
            Ok(Cli { command: Command::Run(options) }) => options,
            other => panic!("{other:?}"),
        };
        assert!(!run(&[]).kubernetes.kubernetes);
        let options = run(&["--kubernetes", "--spool", "s", "--interval", "5s"]);
        let settings = options.kubernetes_settings();
        assert_eq!(settings.socket, PathBuf::from("/var/lib/kubelet/pod-resources/kubelet.sock"));
        assert_eq!((settings.dir, settings.interval), (PathBuf::from("s"), Duration::from_secs(5)));
    }

    #[test]
    fn sizes_and_times_are_parsed() {
        assert_eq!(parse_bytes("2MiB"), Ok(2 << 20));
        assert_eq!(parse_bytes("1048576"), Ok(1 << 20));
        for bad in ["", "5", "5MB", "99999999999999999999", "-1MiB", "99999999999TiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "1", "1x", "1e400s", "-1s", "99999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        assert!(parse_interval("50ms").is_err());
        assert!(parse_whole_seconds("1500ms").is_err());
        assert_eq!(parse_until("now"), Ok(Until::Now));
        assert_eq!(parse_until("2026-09-01T00:00:00Z"), Ok(Until::UnixSeconds(1_788_220_800)));
        for bad in ["", "yesterday", "1969-01-01T00:00:00Z"] {
            assert!(parse_until(bad).is_err(), "{bad:?}");
        }
        assert!(parse_loopback("0.0.0.0:1").is_err());
        assert_eq!(parse_server("http://h:1/"), Ok("http://h:1".to_owned()));
        assert!(parse_server("h:1").is_err());
    }
}

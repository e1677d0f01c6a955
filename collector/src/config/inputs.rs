//! Flags of what arrives or is watched beside the looks at devices.

use super::parse_interval;
use crate::input::logs::Pattern;
use crate::input::otlp;
use crate::input::scrape::{Scrape, Target};
use anyhow::Context as _;
use clap::Args;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Each is a thread; a node has a handful of exporters.
const TARGETS_MAX: usize = 64;
/// Exporters renew their values about once a second.
const SCRAPE_INTERVAL_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Args)]
pub(crate) struct InputOptions {
    /// Scrape a Prometheus target, such as dcgm=http://127.0.0.1:9400/metrics; may be repeated.
    #[arg(long, value_name = "NAME=URL", value_parser = Target::parse)]
    scrape: Vec<Target>,
    /// Time from one scrape to the next (default: that of the rows, at least 1s).
    #[arg(long, value_name = "TIME", value_parser = parse_scrape_interval)]
    scrape_interval: Option<Duration>,
    /// File with the bearer token of a target, read for each scrape; may be repeated.
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_named_file)]
    scrape_token_file: Vec<(String, PathBuf)>,
    /// Take OTLP over HTTP on this address, such as 127.0.0.1:4318.
    #[arg(long, value_name = "ADDRESS")]
    otlp_listen: Option<SocketAddr>,
    /// Take OTLP over gRPC on this address, such as 127.0.0.1:4317.
    #[arg(long, value_name = "ADDRESS")]
    otlp_grpc_listen: Option<SocketAddr>,
    /// File with the token that senders of OTLP need, read for each request.
    #[arg(long, value_name = "FILE")]
    otlp_token_file: Option<PathBuf>,
    /// Read lines of these files as they grow, such as /var/log/slurm/{job}.out or /var/log/pods/*/*/*.log; repeatable.
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    pub logs: Vec<Pattern>,
    /// Read the journal of systemd, through this program (default: journalctl).
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, default_missing_value = "journalctl", require_equals = true)]
    pub journal: Option<String>,
}

impl InputOptions {
    /// What is scraped, each how often; `interval` is that of the rows.
    pub(crate) fn scrapes(&self, interval: Duration) -> anyhow::Result<Vec<Scrape>> {
        anyhow::ensure!(self.scrape.len() <= TARGETS_MAX, "more than {TARGETS_MAX} targets of --scrape");
        let names: BTreeSet<&str> = self.scrape.iter().map(|target| target.name.as_str()).collect();
        anyhow::ensure!(names.len() == self.scrape.len(), "two targets of --scrape have one name");
        for (name, _) in &self.scrape_token_file {
            anyhow::ensure!(
                names.contains(name.as_str()),
                "--scrape-token-file names {name:?}, which no --scrape does"
            );
        }
        let interval = self.scrape_interval.unwrap_or(interval).max(SCRAPE_INTERVAL_MIN);
        let token_file = |name: &str| self.scrape_token_file.iter().find(|(n, _)| n == name).map(|(_, file)| file);
        let scrapes = self.scrape.iter().map(|target| Scrape {
            target: target.clone(),
            interval,
            token_file: token_file(&target.name).cloned(),
        });
        Ok(scrapes.collect())
    }

    /// Where OTLP is taken, if anywhere.
    pub(crate) fn otlp(&self) -> anyhow::Result<Option<otlp::Settings>> {
        let addresses = [self.otlp_listen, self.otlp_grpc_listen];
        for address in addresses.into_iter().flatten() {
            let is_safe = address.ip().is_loopback() || self.otlp_token_file.is_some();
            anyhow::ensure!(is_safe, "{address} is no loopback address: name a token with --otlp-token-file");
        }
        if let Some(file) = &self.otlp_token_file {
            otlp::read_token(file).with_context(|| format!("--otlp-token-file {file:?}"))?;
        }
        let [http, grpc] = addresses;
        let is_asked = http.is_some() || grpc.is_some();
        Ok(is_asked.then(|| otlp::Settings { http, grpc, token_file: self.otlp_token_file.clone() }))
    }
}

fn parse_scrape_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_interval(text)?;
    if interval >= SCRAPE_INTERVAL_MIN { Ok(interval) } else { Err("the interval must be 1s to 1h".to_owned()) }
}

fn parse_named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use crate::config::{Cli, Command};
    use clap::Parser as _;
    use std::time::Duration;

    fn run(flags: &[&str]) -> Option<crate::config::RunOptions> {
        let all = ["coulomb-collector", "run"].iter().chain(flags);
        match Cli::try_parse_from(all).ok()?.command {
            Command::Run(options) => Some(options),
            _ => None,
        }
    }

    #[test]
    fn targets_have_names_of_their_own_and_an_interval() {
        let options =
            run(&["--scrape", "a=http://h:1/metrics", "--scrape", "b=https://h", "--scrape-token-file", "b=f"]);
        let options = options.unwrap();
        let scrapes = options.inputs.scrapes(Duration::from_millis(500)).unwrap();
        assert_eq!(scrapes.len(), 2);
        assert_eq!((scrapes[0].interval, scrapes[0].token_file.is_some()), (Duration::from_secs(1), false));
        assert!(scrapes[1].token_file.is_some());
        let twice = run(&["--scrape", "a=http://h", "--scrape", "a=http://i"]).unwrap();
        assert!(twice.inputs.scrapes(Duration::from_secs(1)).is_err());
        let unknown = run(&["--scrape", "a=http://h", "--scrape-token-file", "b=f"]).unwrap();
        assert!(unknown.inputs.scrapes(Duration::from_secs(1)).is_err());
        assert!(run(&["--scrape", "http://h"]).is_none() && run(&["--scrape-interval", "100ms"]).is_none());
    }

    #[test]
    fn otlp_beyond_this_machine_needs_a_token() {
        let asked = |flags: &[&str]| run(flags).unwrap().inputs.otlp();
        assert!(asked(&[]).unwrap().is_none());
        assert!(asked(&["--otlp-listen", "127.0.0.1:4318"]).unwrap().is_some());
        assert!(asked(&["--otlp-grpc-listen", "0.0.0.0:4317"]).is_err());
        assert!(asked(&["--otlp-listen", "127.0.0.1:4318", "--otlp-token-file", "no such file"]).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert!(asked(&["--otlp-grpc-listen", "0.0.0.0:4317", "--otlp-token-file", path]).is_err(), "an empty token");
        std::fs::write(file.path(), "secret\n").unwrap();
        assert!(asked(&["--otlp-grpc-listen", "0.0.0.0:4317", "--otlp-token-file", path]).unwrap().is_some());
    }
}

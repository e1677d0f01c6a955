//! What the collector counts about itself, and the optional loopback port that shows it as Prometheus text.
//!
//! Owns the counters and their names. Must not know what the counted things mean.

use coulomb_telemetry::{Family, Line};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A scrape that takes longer is cut, so that a stuck client cannot hold the port.
const SCRAPE_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A request line and headers longer than this are no scrape.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Own counters. Relaxed ordering: each stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub rows_collected: AtomicU64,
    pub rows_sent: AtomicU64,
    pub rows_refused: AtomicU64,
    pub rows_rejected: AtomicU64,
    pub rows_dropped: AtomicU64,
    pub bytes_sent: AtomicU64,
    pub frames_sent: AtomicU64,
    pub frames_duplicate: AtomicU64,
    pub retries: AtomicU64,
    pub spool_bytes: AtomicU64,
    pub spool_rows: AtomicU64,
    pub host_errors: AtomicU64,
    pub scrapes: AtomicU64,
    pub scrapes_failed: AtomicU64,
    pub scrape_series_rejected: AtomicU64,
    pub otlp_requests: AtomicU64,
    pub otlp_refused: AtomicU64,
    pub otlp_records_rejected: AtomicU64,
    pub log_bytes_cut: AtomicU64,
    pub log_records_replaced: AtomicU64,
    pub slurm_unreadable: AtomicU64,
    nvml_errors: Mutex<BTreeMap<&'static str, u64>>,
    slurm_errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn set(gauge: &AtomicU64, to: u64) {
        gauge.store(to, Ordering::Relaxed);
    }

    pub(crate) fn nvml_error(&self, call: &'static str) {
        *self.nvml_errors.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_default() += 1;
    }

    /// A command of Slurm that failed or did not answer in time.
    pub(crate) fn slurm_error(&self, command: &'static str) {
        *self.slurm_errors.lock().unwrap_or_else(PoisonError::into_inner).entry(command).or_default() += 1;
    }

    /// All of them, with their names.
    pub(crate) fn families(&self) -> Vec<Family> {
        let counter = |name, help, value| Family::counter(name, help, one(value));
        let gauge = |name, help, value| Family::gauge(name, help, one(value));
        let by = |name, label, help, counts: &Mutex<BTreeMap<&'static str, u64>>| {
            let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let line = |(of, count): (&&'static str, &u64)| (vec![(label, (*of).to_owned())], *count as f64);
            Family::counter(name, help, counts.iter().map(line).collect())
        };
        vec![
            counter("coulomb_collector_rows_collected_total", "Rows that the sources gave", &self.rows_collected),
            counter("coulomb_collector_rows_sent_total", "Rows that the server acknowledged", &self.rows_sent),
            counter(
                "coulomb_collector_rows_refused_total",
                "Rows that the server refused for good",
                &self.rows_refused,
            ),
            counter(
                "coulomb_collector_rows_rejected_total",
                "Rows of taken requests that the server rejected",
                &self.rows_rejected,
            ),
            counter(
                "coulomb_collector_rows_dropped_total",
                "Rows that the spool lost, full or damaged",
                &self.rows_dropped,
            ),
            counter("coulomb_collector_sent_bytes_total", "Bytes of acknowledged bodies", &self.bytes_sent),
            counter("coulomb_collector_frames_sent_total", "Acknowledged requests", &self.frames_sent),
            counter(
                "coulomb_collector_frames_duplicate_total",
                "Requests that the server already had",
                &self.frames_duplicate,
            ),
            counter("coulomb_collector_retries_total", "Requests that must be sent again", &self.retries),
            gauge("coulomb_collector_spool_bytes", "Bytes in the spool", &self.spool_bytes),
            gauge("coulomb_collector_spool_rows", "Rows in the spool that are not acknowledged", &self.spool_rows),
            counter("coulomb_collector_host_errors_total", "Reads of the host's files that failed", &self.host_errors),
            counter("coulomb_collector_scrapes_total", "Scrapes of targets", &self.scrapes),
            counter("coulomb_collector_scrapes_failed_total", "Scrapes that gave nothing", &self.scrapes_failed),
            counter(
                "coulomb_collector_scrape_series_rejected_total",
                "Scraped series that are no rows",
                &self.scrape_series_rejected,
            ),
            counter("coulomb_collector_otlp_requests_total", "Requests of OTLP that were kept", &self.otlp_requests),
            counter("coulomb_collector_otlp_refused_total", "Requests of OTLP that were refused", &self.otlp_refused),
            counter(
                "coulomb_collector_otlp_records_rejected_total",
                "Records of kept requests that are no rows",
                &self.otlp_records_rejected,
            ),
            counter(
                "coulomb_collector_log_cut_bytes_total",
                "Bytes cut off long lines of log files",
                &self.log_bytes_cut,
            ),
            counter(
                "coulomb_collector_log_records_replaced_total",
                "Records of log files with bytes that are no UTF-8",
                &self.log_records_replaced,
            ),
            counter(
                "coulomb_collector_slurm_unreadable_total",
                "Jobs of Slurm that could not be read",
                &self.slurm_unreadable,
            ),
            by("coulomb_collector_nvml_errors_total", "call", "NVML calls that failed", &self.nvml_errors),
            by("coulomb_collector_slurm_errors_total", "command", "Commands of Slurm that failed", &self.slurm_errors),
        ]
    }
}

/// A family of one number without labels.
fn one(value: &AtomicU64) -> Vec<Line> {
    vec![(Vec::new(), value.load(Ordering::Relaxed) as f64)]
}

/// Serves the counters at `http://<listen>/metrics` from a thread of its own; returns the bound address.
pub(crate) fn serve(listen: SocketAddr, counters: Arc<Counters>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("metrics".to_owned()).stack_size(128 * 1024).spawn(move || {
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(|stream| answer(stream, &counters, Instant::now() + SCRAPE_SECONDS_MAX))
            {
                tracing::debug!(%error, "a scrape of the own metrics failed");
            }
        }
    })?;
    Ok(address)
}

fn answer(mut stream: TcpStream, counters: &Counters, deadline: Instant) -> io::Result<()> {
    let request = read_request(&mut stream, deadline)?;
    let (status, body) = match request.split(' ').nth(1) {
        Some("/metrics") => ("200 OK", coulomb_telemetry::text(&counters.families())),
        _ => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.set_write_timeout(Some(SCRAPE_SECONDS_MAX))?;
    stream.write_all(answer.as_bytes())
}

/// The request line and headers; a client that sends them byte by byte has no longer than any other.
fn read_request(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => break,
            length => request.extend_from_slice(&part[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_never_ends_its_request_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
        let (stream, _) = listener.accept().unwrap();
        let error = answer(stream, &Counters::default(), Instant::now()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

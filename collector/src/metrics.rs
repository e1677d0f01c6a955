//! What the collector counts about itself, and the optional loopback port that shows it as Prometheus text.
//!
//! Owns the counters and their names. Must not know what the counted things mean.

use std::collections::BTreeMap;
use std::fmt::Write as _;
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

    /// The counters in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::with_capacity(2048);
        let rows: [(&str, &str, &str, &AtomicU64); 21] = [
            ("rows_collected_total", "counter", "Rows that the sources gave", &self.rows_collected),
            ("rows_sent_total", "counter", "Rows that the server acknowledged", &self.rows_sent),
            ("rows_refused_total", "counter", "Rows that the server refused for good", &self.rows_refused),
            ("rows_rejected_total", "counter", "Rows of taken requests that the server rejected", &self.rows_rejected),
            ("rows_dropped_total", "counter", "Rows that the spool lost, full or damaged", &self.rows_dropped),
            ("sent_bytes_total", "counter", "Bytes of acknowledged bodies", &self.bytes_sent),
            ("frames_sent_total", "counter", "Acknowledged requests", &self.frames_sent),
            ("frames_duplicate_total", "counter", "Requests that the server already had", &self.frames_duplicate),
            ("retries_total", "counter", "Requests that must be sent again", &self.retries),
            ("spool_bytes", "gauge", "Bytes in the spool", &self.spool_bytes),
            ("spool_rows", "gauge", "Rows in the spool that are not acknowledged", &self.spool_rows),
            ("host_errors_total", "counter", "Reads of the host's files that failed", &self.host_errors),
            ("scrapes_total", "counter", "Scrapes of targets", &self.scrapes),
            ("scrapes_failed_total", "counter", "Scrapes that gave nothing", &self.scrapes_failed),
            (
                "scrape_series_rejected_total",
                "counter",
                "Scraped series that are no rows",
                &self.scrape_series_rejected,
            ),
            ("otlp_requests_total", "counter", "Requests of OTLP that were kept", &self.otlp_requests),
            ("otlp_refused_total", "counter", "Requests of OTLP that were refused", &self.otlp_refused),
            (
                "otlp_records_rejected_total",
                "counter",
                "Records of kept requests that are no rows",
                &self.otlp_records_rejected,
            ),
            ("log_cut_bytes_total", "counter", "Bytes cut off long lines of log files", &self.log_bytes_cut),
            (
                "log_records_replaced_total",
                "counter",
                "Records of log files with bytes that are no UTF-8",
                &self.log_records_replaced,
            ),
            ("slurm_unreadable_total", "counter", "Jobs of Slurm that could not be read", &self.slurm_unreadable),
        ];
        for (name, kind, help, value) in rows {
            let value = value.load(Ordering::Relaxed);
            write!(
                out,
                "# HELP coulomb_collector_{name} {help}\n# TYPE coulomb_collector_{name} {kind}\ncoulomb_collector_{name} {value}\n"
            )
            .expect("writing to a string cannot fail");
        }
        let kinds = [
            ("nvml_errors_total", "call", "NVML calls that failed", &self.nvml_errors),
            ("slurm_errors_total", "command", "Commands of Slurm that failed", &self.slurm_errors),
        ];
        for (name, label, help, counts) in kinds {
            write!(out, "# HELP coulomb_collector_{name} {help}\n# TYPE coulomb_collector_{name} counter\n")
                .expect("writing to a string cannot fail");
            for (of, count) in counts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                writeln!(out, "coulomb_collector_{name}{{{label}=\"{of}\"}} {count}")
                    .expect("writing to a string cannot fail");
            }
        }
        out
    }
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
        Some("/metrics") => ("200 OK", counters.text()),
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

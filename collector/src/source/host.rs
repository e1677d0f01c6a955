//! The node itself, from /proc and /sys.
//!
//! Owns the parsing of the kernel's text files. Must not know GPUs. **Invariants:** no byte of these files can
//! panic; a file that is absent or strange makes its columns unknown or the row absent, never zero.

mod parse;

use super::{HostRow, Interval, NodeIdentity};
use parse::CpuTimes;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// No file read here is larger on a machine of a thousand cores; a larger one is not what it should be.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names of interfaces come and go with containers; beyond so many, and four times those that are there, all are
/// asked for again.
const PHYSICAL_NAMES_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    #[error("{path:?} could not be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0:?} does not say what it should")]
    Parse(PathBuf),
}

/// Reads the node; keeps what differences need.
#[derive(Debug)]
pub(crate) struct Host {
    root: PathBuf,
    node: NodeIdentity,
    cpu: Option<CpuTimes>,
    rapl: BTreeMap<PathBuf, u64>,
    /// Whether a block device or network interface stands on hardware; asked once for each name.
    physical: BTreeMap<PathBuf, bool>,
    text: String,
}

impl Host {
    /// `root` is `/`, or a directory that looks like it.
    pub(crate) fn new(root: &Path, node: NodeIdentity) -> Self {
        Self {
            root: root.to_owned(),
            node,
            cpu: None,
            rapl: BTreeMap::new(),
            physical: BTreeMap::new(),
            text: String::new(),
        }
    }

    /// One row; `None` on the first look, which has nothing to compare with.
    pub(crate) fn look(&mut self, interval: Interval) -> Result<Option<HostRow>, HostError> {
        let cpu = self.parsed("proc/stat", parse::cpu_times)?;
        let busy = self.cpu.replace(cpu).and_then(|before| before.busy_ratio_until(cpu));
        let power_watts = self.rapl_watts(interval.seconds);
        let Some(cpu_busy_ratio) = busy else { return Ok(None) };
        let load_1m = self.parsed("proc/loadavg", parse::load_1m)?;
        let memory = self.parsed("proc/meminfo", parse::memory)?;
        let disks = self.parsed("proc/diskstats", |text| Some(parse::diskstats(text)))?;
        let (disk_read, disk_write) = self.sum_physical("sys/block", disks, parse::is_whole_disk_name);
        let links = self.parsed("proc/net/dev", |text| Some(parse::net_dev(text)))?;
        let (received, transmitted) = self.sum_physical("sys/class/net", links, |name| name != "lo");
        let rdma = self.rdma();
        Ok(Some(HostRow {
            interval,
            node: self.node.clone(),
            cpu_busy_ratio,
            load_1m,
            memory_used_bytes: memory.used_bytes,
            memory_total_bytes: memory.total_bytes,
            disk_read_bytes_total: disk_read,
            disk_write_bytes_total: disk_write,
            network_receive_bytes_total: received,
            network_transmit_bytes_total: transmitted,
            rdma_receive_bytes_total: rdma.map(|(receive, _)| receive),
            rdma_transmit_bytes_total: rdma.map(|(_, transmit)| transmit),
            power_watts,
        }))
    }

    fn parsed<T>(&mut self, path: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, HostError> {
        let path = self.root.join(path);
        match read_into(&path, &mut self.text) {
            Ok(()) => parse(&self.text).ok_or(HostError::Parse(path)),
            Err(source) => Err(HostError::Read { path, source }),
        }
    }

    /// Sums over the devices that stand on hardware; where none does (a container), over those with a fitting name.
    fn sum_physical(
        &mut self,
        class: &str,
        devices: Vec<(String, i64, i64)>,
        fits: impl Fn(&str) -> bool,
    ) -> (i64, i64) {
        let class = self.root.join(class);
        let mut on_hardware = (0_i64, 0_i64);
        let mut by_name = (0_i64, 0_i64);
        let mut any = false;
        if self.physical.len() > PHYSICAL_NAMES_MAX.max(devices.len() * 4) {
            self.physical.clear();
        }
        for (name, read, write) in devices {
            let path = class.join(&name).join("device");
            let physical = *self.physical.entry(path).or_insert_with_key(|path| path.exists());
            if physical && fits(&name) {
                any = true;
                on_hardware = (on_hardware.0.saturating_add(read), on_hardware.1.saturating_add(write));
            }
            if fits(&name) {
                by_name = (by_name.0.saturating_add(read), by_name.1.saturating_add(write));
            }
        }
        if any { on_hardware } else { by_name }
    }

    /// Bytes received and sent on all InfiniBand ports; `None` where there is none.
    fn rdma(&mut self) -> Option<(i64, i64)> {
        let class = self.root.join("sys/class/infiniband");
        let mut sum: Option<(i64, i64)> = None;
        for device in entries(&class) {
            // A port counts what its virtual functions carry; where the function alone was passed in, it counts.
            if device.join("device/physfn/infiniband").exists() {
                continue;
            }
            for port in entries(&device.join("ports")) {
                let counters = port.join("counters");
                let (receive, transmit) = ("port_rcv_data", "port_xmit_data");
                // A device without these counters takes nothing from those that have them.
                let counted = self.number(&counters.join(receive)).zip(self.number(&counters.join(transmit)));
                let Some((receive, transmit)) = counted else { continue };
                // The InfiniBand specification counts in units of four octets.
                let bytes = |units: u64| i64::try_from(units.saturating_mul(4)).unwrap_or(i64::MAX);
                let (r, t) = sum.unwrap_or_default();
                sum = Some((r.saturating_add(bytes(receive)), t.saturating_add(bytes(transmit))));
            }
        }
        sum
    }

    /// Power of the CPU packages and their memory; `None` without a counter that this user may read.
    fn rapl_watts(&mut self, seconds: f64) -> Option<f64> {
        let mut joules: Option<f64> = None;
        for domain in entries(&self.root.join("sys/class/powercap")) {
            let name = domain.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            let depth = name.matches(':').count();
            // A package, or the memory beside it; cores lie within their package and would count twice.
            let counts = name.starts_with("intel-rapl:")
                && match depth {
                    1 => self.word(&domain.join("name")).is_some_and(|n| n.starts_with("package")),
                    2 => self.word(&domain.join("name")).is_some_and(|n| n == "dram"),
                    _ => false,
                };
            if !counts {
                continue;
            }
            let now = self.number(&domain.join("energy_uj"))?;
            let Some(before) = self.rapl.insert(domain.clone(), now) else { continue };
            let range = self.number(&domain.join("max_energy_range_uj")).unwrap_or(u64::MAX);
            let micros = if now >= before { now - before } else { range.saturating_sub(before).saturating_add(now) };
            joules = Some(joules.unwrap_or(0.0) + micros as f64 / 1e6);
        }
        joules.filter(|_| seconds > 0.0).map(|joules| joules / seconds)
    }

    fn word(&mut self, path: &Path) -> Option<String> {
        // A file that is absent or not for this user is a metric that this node does not report.
        read_into(path, &mut self.text).ok().map(|()| self.text.trim().to_owned())
    }

    fn number(&mut self, path: &Path) -> Option<u64> {
        self.word(path)?.parse().ok() // likewise: not a number is not reported
    }
}

fn read_into(path: &Path, text: &mut String) -> io::Result<()> {
    text.clear();
    fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(text)?;
    Ok(())
}

/// The entries of a directory in order; none when it does not exist.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}

#[cfg(test)]
mod tests;

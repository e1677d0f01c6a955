//! The kernel's text formats. Pure functions of text; a line that makes no sense is passed over.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTimes {
    idle: u64,
    total: u64,
}

impl CpuTimes {
    /// Share of time that was not idle between two looks; `None` when no time passed.
    pub(super) fn busy_ratio_until(self, later: Self) -> Option<f64> {
        let total = later.total.checked_sub(self.total).filter(|t| *t > 0)?;
        // The kernel's iowait may run backwards a little.
        let idle = later.idle.saturating_sub(self.idle).min(total);
        Some(1.0 - idle as f64 / total as f64)
    }
}

/// The first line of /proc/stat.
pub(super) fn cpu_times(text: &str) -> Option<CpuTimes> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest time lies within user time already.
    let times: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let idle = times.get(3)?.saturating_add(times.get(4).copied().unwrap_or(0));
    Some(CpuTimes { idle, total: times.iter().fold(0, |sum, t| sum.saturating_add(*t)) })
}

/// The first number of /proc/loadavg.
pub(super) fn load_1m(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub used_bytes: i64,
    pub total_bytes: i64,
}

/// Total memory and what is not available, of /proc/meminfo.
pub(super) fn memory(text: &str) -> Option<Memory> {
    let kib = |name: &str| -> Option<i64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse::<i64>().ok()?.checked_mul(1024).filter(|bytes| *bytes >= 0)
    };
    let total_bytes = kib("MemTotal")?;
    // Kernels before 3.14 do not estimate what is available.
    let available = match kib("MemAvailable") {
        Some(bytes) => bytes,
        None => kib("MemFree")?.saturating_add(kib("Buffers")?).saturating_add(kib("Cached")?),
    };
    Some(Memory { used_bytes: total_bytes.saturating_sub(available).max(0), total_bytes })
}

/// Name, bytes read and bytes written of each line of /proc/diskstats.
pub(super) fn diskstats(text: &str) -> Vec<(String, i64, i64)> {
    /// The unit of /proc/diskstats, whatever the disk's own sectors are.
    const SECTOR_BYTES: i64 = 512;
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(2);
            let name = words.next()?;
            let read: i64 = words.nth(2)?.parse().ok()?;
            let written: i64 = words.nth(3)?.parse().ok()?;
            let bytes = |sectors: i64| sectors.checked_mul(SECTOR_BYTES).filter(|b| *b >= 0);
            Some((name.to_owned(), bytes(read)?, bytes(written)?))
        })
        .collect()
}

/// Whether a block device of that name is a disk and not a part, layer or picture of one.
pub(super) fn is_whole_disk_name(name: &str) -> bool {
    let layered = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd"];
    if layered.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    let tail = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if name.starts_with("nvme") || name.starts_with("mmcblk") {
        // nvme0n1p2 and mmcblk0p1 are partitions.
        return tail.len() == name.len() || !tail.ends_with('p');
    }
    tail.len() == name.len()
        || !(name.starts_with("sd") || name.starts_with("vd") || name.starts_with("xvd") || name.starts_with("hd"))
}

/// Name, bytes received and bytes sent of each interface of /proc/net/dev.
pub(super) fn net_dev(text: &str) -> Vec<(String, i64, i64)> {
    text.lines()
        .filter_map(|line| {
            let (name, counters) = line.rsplit_once(':')?;
            let mut words = counters.split_ascii_whitespace();
            let received: i64 = words.next()?.parse().ok()?;
            let sent: i64 = words.nth(7)?.parse().ok()?;
            (received >= 0 && sent >= 0).then(|| (name.trim().to_owned(), received, sent))
        })
        .collect()
}

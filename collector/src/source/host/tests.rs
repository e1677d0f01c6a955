#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const STAT: &str = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\nintr 1 2 3\n";
const STAT_LATER: &str = "cpu  150 0 100 850 0 0 0 0 0 0\n";
const NET: &str = "Inter-|   Receive |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n    lo: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n  eth0: 1000 5 0 0 0 0 0 0 2000 6 0 0 0 0 0 0\nbond0:9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n";
const DISKS: &str = "   8       0 sda 10 0 100 5 20 0 200 5 0 0 0\n   8       1 sda1 10 0 100 5 20 0 200 5 0 0 0\n 259 0 nvme0n1 1 0 8 0 1 0 16 0 0 0 0\n 7 0 loop0 1 0 8 0 1 0 16 0 0 0 0\nodd\n";

fn interval() -> Interval {
    Interval { time_unix_micros: 5, seconds: 2.0 }
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/stat", STAT);
    put(root.path(), "proc/loadavg", "1.50 1.00 0.50 2/300 999\n");
    put(root.path(), "proc/meminfo", "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:    600 kB\n");
    put(root.path(), "proc/diskstats", DISKS);
    put(root.path(), "proc/net/dev", NET);
    root
}

fn host(root: &Path) -> Host {
    Host::new(root, NodeIdentity { cluster: "c".into(), node: "n".into() })
}

#[test]
fn a_row_needs_two_looks() {
    let root = root();
    let mut host = host(root.path());
    assert_eq!(host.look(interval()).unwrap(), None);
    put(root.path(), "proc/stat", STAT_LATER);
    let row = host.look(interval()).unwrap().unwrap();
    assert_eq!(row.cpu_busy_ratio, 0.5);
    assert_eq!(row.load_1m, 1.5);
    assert_eq!((row.memory_used_bytes, row.memory_total_bytes), (400 * 1024, 1000 * 1024));
    assert_eq!((row.disk_read_bytes_total, row.disk_write_bytes_total), (108 * 512, 216 * 512));
    assert_eq!((row.network_receive_bytes_total, row.network_transmit_bytes_total), (1009, 2009));
    assert_eq!(row.rdma_receive_bytes_total, None);
    assert_eq!(row.power_watts, None);
}

#[test]
fn hardware_counts_once_where_the_kernel_says_what_it_is() {
    let root = root();
    fs::create_dir_all(root.path().join("sys/class/net/eth0/device")).unwrap();
    fs::create_dir_all(root.path().join("sys/block/nvme0n1/device")).unwrap();
    let mut host = host(root.path());
    host.look(interval()).unwrap();
    put(root.path(), "proc/stat", STAT_LATER);
    let row = host.look(interval()).unwrap().unwrap();
    assert_eq!(row.network_receive_bytes_total, 1000, "the bond is made of eth0");
    assert_eq!(row.disk_read_bytes_total, 8 * 512);
}

#[test]
fn rdma_and_power_are_read_where_they_are() {
    let root = root();
    let port = "sys/class/infiniband/mlx5_0/ports/1/counters";
    put(root.path(), &format!("{port}/port_rcv_data"), "100\n");
    put(root.path(), &format!("{port}/port_xmit_data"), "200\n");
    let domains = [
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "psys"),
    ];
    for (domain, name) in domains {
        put(root.path(), &format!("sys/class/powercap/{domain}/name"), name);
        put(root.path(), &format!("sys/class/powercap/{domain}/energy_uj"), "9000000\n");
        put(root.path(), &format!("sys/class/powercap/{domain}/max_energy_range_uj"), "10000000\n");
    }
    let mut host = host(root.path());
    host.look(interval()).unwrap();
    put(root.path(), "proc/stat", STAT_LATER);
    put(root.path(), "sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    put(root.path(), "sys/class/powercap/intel-rapl:0:1/energy_uj", "9500000\n");
    let row = host.look(interval()).unwrap().unwrap();
    assert_eq!((row.rdma_receive_bytes_total, row.rdma_transmit_bytes_total), (Some(400), Some(800)));
    assert_eq!(row.power_watts, Some(1.25), "2 J over the wrap and 0.5 J of memory in 2 s");
}

#[test]
fn rdma_devices_without_counters_and_virtual_functions_do_not_disturb_the_others() {
    let root = root();
    for (device, counts) in [("mlx5_0", 100), ("mlx5_1", 100), ("mlx5_2", 7)] {
        let port = format!("sys/class/infiniband/{device}/ports/1/counters");
        put(root.path(), &format!("{port}/port_rcv_data"), &counts.to_string());
        put(root.path(), &format!("{port}/port_xmit_data"), &counts.to_string());
    }
    // The second is a function of the first; the first entry of all counts nothing.
    fs::create_dir_all(root.path().join("sys/class/infiniband/mlx5_1/device/physfn/infiniband/mlx5_0")).unwrap();
    fs::create_dir_all(root.path().join("sys/class/infiniband/bnxt_re0/ports/1/counters")).unwrap();
    let mut host = host(root.path());
    host.look(interval()).unwrap();
    put(root.path(), "proc/stat", STAT_LATER);
    let row = host.look(interval()).unwrap().unwrap();
    assert_eq!((row.rdma_receive_bytes_total, row.rdma_transmit_bytes_total), (Some(428), Some(428)));
}

#[test]
fn names_that_are_gone_are_forgotten() {
    let root = root();
    let mut host = host(root.path());
    for n in 0..5000 {
        put(root.path(), "proc/net/dev", &format!("h\nh\nveth{n}: 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n"));
        put(root.path(), "proc/stat", &format!("cpu  {n} 0 100 800 0 0 0 0 0 0\n"));
        host.look(interval()).unwrap();
    }
    assert!(host.physical.len() <= PHYSICAL_NAMES_MAX + 10, "{}", host.physical.len());
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    let error = host(root.path()).look(interval()).unwrap_err().to_string();
    assert!(error.contains("proc/stat"), "{error}");
}

#[test]
fn names_of_whole_disks() {
    for whole in ["sda", "nvme0n1", "vda", "mmcblk0", "sdaa"] {
        assert!(parse::is_whole_disk_name(whole), "{whole}");
    }
    for part in ["sda1", "nvme0n1p2", "dm-0", "md127", "loop3", "zram0", "mmcblk0p1"] {
        assert!(!parse::is_whole_disk_name(part), "{part}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_panics(text in "(cpu |MemTotal:|MemAvailable:|[a-z0-9:]{0,6}|[0-9]{1,25}|[ \n:-]|\\PC){0,60}") {
        if let (Some(a), Some(b)) = (parse::cpu_times(&text), parse::cpu_times(STAT)) {
            for ratio in [a.busy_ratio_until(b), b.busy_ratio_until(a)].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
        }
        if let Some(memory) = parse::memory(&text) {
            prop_assert!(memory.used_bytes >= 0);
        }
        prop_assert!(parse::load_1m(&text).is_none_or(|l| l >= 0.0));
        prop_assert!(parse::diskstats(&text).iter().all(|(_, r, w)| *r >= 0 && *w >= 0));
        prop_assert!(parse::net_dev(&text).iter().all(|(_, r, s)| *r >= 0 && *s >= 0));
    }
}

//! The order and the names in which series are shown.

use crate::order;
use contract::answers::Series;

/// Names that people use, in the order in which they ask. What is not here follows.
const NAMES: [(&str, &str); 34] = [
    ("gpu_busy_ratio", "GPU busy"),
    ("sm_active_ratio", "SM active"),
    ("tensor_active_ratio", "Tensor active"),
    ("power_watts", "Power"),
    ("gpu_power_watts", "Power of all GPUs"),
    ("memory_used_bytes", "Memory used"),
    ("temperature_celsius", "Temperature"),
    ("memory_temperature_celsius", "Memory temperature"),
    ("sm_clock_hertz", "SM clock"),
    ("dram_active_ratio", "DRAM active"),
    ("memory_busy_ratio", "Memory busy"),
    ("sm_occupancy_ratio", "SM occupancy"),
    ("cpu_busy_ratio", "CPU busy"),
    ("load_1m", "Load, 1 min"),
    ("nvlink_receive_bytes_per_second", "NVLink received"),
    ("nvlink_transmit_bytes_per_second", "NVLink sent"),
    ("pcie_receive_bytes_per_second", "PCIe received"),
    ("pcie_transmit_bytes_per_second", "PCIe sent"),
    ("network_receive_bytes_per_second", "Network received"),
    ("network_transmit_bytes_per_second", "Network sent"),
    ("rdma_receive_bytes_per_second", "RDMA received"),
    ("rdma_transmit_bytes_per_second", "RDMA sent"),
    ("disk_read_bytes_per_second", "Disk read"),
    ("disk_write_bytes_per_second", "Disk written"),
    ("memory_clock_hertz", "Memory clock"),
    ("process_count", "Processes"),
    ("ecc_corrected_per_second", "ECC corrected, per s"),
    ("ecc_uncorrected_per_second", "ECC uncorrected, per s"),
    ("remapped_rows_per_second", "Rows remapped, per s"),
    ("power_limit_watts", "Power limit"),
    ("memory_total_bytes", "Memory, total"),
    ("energy_joules_per_second", "Power, from the energy counter"),
    ("throttle_reasons", "Throttle reasons"),
    ("interval_seconds", "Interval"),
];

/// Series that are no picture: constants, bit masks, and power a second time.
const NOT_DRAWN: [&str; 5] =
    ["power_limit_watts", "memory_total_bytes", "energy_joules_per_second", "throttle_reasons", "interval_seconds"];

pub(crate) struct Known<'a> {
    pub(crate) shown: Vec<&'a Series>,
    /// Never reported in the window.
    pub(crate) missing: Vec<&'a Series>,
}

/// In order of interest, those without a value apart.
pub(crate) fn arrange(series: &[Series]) -> Known<'_> {
    let rank = |s: &&Series| NAMES.iter().position(|(name, _)| *name == s.name).unwrap_or(NAMES.len());
    let mut drawn: Vec<&Series> = series.iter().filter(|s| !NOT_DRAWN.contains(&s.name.as_str())).collect();
    order::sort_by_key(&mut drawn, rank);
    let (shown, missing) = drawn.into_iter().partition(|s| s.values.iter().any(Option::is_some));
    Known { shown, missing }
}

pub(crate) fn label(name: &str) -> String {
    let known = NAMES.iter().find(|(n, _)| *n == name);
    known.map_or_else(|| name.replace('_', " "), |(_, label)| (*label).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, value: Option<f64>) -> Series {
        Series { name: name.to_owned(), unit: String::new(), values: vec![None, value] }
    }

    #[test]
    fn what_matters_comes_first_and_nulls_are_named_apart() {
        let all = [
            series("new_thing", Some(1.0)),
            series("power_watts", Some(1.0)),
            series("sm_active_ratio", None),
            series("power_limit_watts", Some(700.0)),
            series("gpu_busy_ratio", Some(0.0)),
        ];
        let names = |list: Vec<&Series>| list.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let found = arrange(&all);
        assert_eq!(names(found.shown), ["gpu_busy_ratio", "power_watts", "new_thing"]);
        assert_eq!(names(found.missing), ["sm_active_ratio"]);
        assert_eq!(label("sm_active_ratio"), "SM active");
        assert_eq!(label("new_thing"), "new thing");
    }
}

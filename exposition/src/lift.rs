//! Which metrics of GPU exporters are which column of a GPU's row, and in which unit they come.
//!
//! The importer's preset says the same for files; a test compares the two.

use std::collections::BTreeMap;

/// What a value is multiplied with, to be in the base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    One,
    Percent,
    /// Millijoules.
    Milli,
    /// MHz.
    Mega,
    /// MiB.
    Mebi,
}

impl Scale {
    /// Division where the factor is no float, so that 97 % is the float nearest to 0.97.
    fn base(self, value: f64) -> f64 {
        match self {
            Self::One => value,
            Self::Percent => value / 100.0,
            Self::Milli => value / 1e3,
            Self::Mega => value * 1e6,
            Self::Mebi => value * 1_048_576.0,
        }
    }
}

/// Where a column may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lift {
    /// The first of these that is there.
    First(&'static [&'static str], Scale),
    /// All of these, or nothing.
    Sum(&'static [&'static str], Scale),
}

/// A column and its sources; the first that gives a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifted {
    pub column: &'static str,
    pub from: &'static [Lift],
}

use Lift::{First, Sum};

const fn plain(column: &'static str, from: &'static [Lift]) -> Lifted {
    Lifted { column, from }
}

/// Names before and after DCGM 4.6, and those of nvidia_gpu_exporter. Rates (DCGM_FI_PROF_PCIE_TX_BYTES and such) are
/// not counters and stay metrics.
const LIFTED: &[Lifted] = &[
    plain("sm_active_ratio", &[First(&["DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_PROF_SM_UTIL_RATIO"], Scale::One)]),
    plain(
        "sm_occupancy_ratio",
        &[First(&["DCGM_FI_PROF_SM_OCCUPANCY", "DCGM_FI_PROF_SM_OCCUPANCY_RATIO"], Scale::One)],
    ),
    plain(
        "tensor_active_ratio",
        &[First(&["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_TENSOR_UTIL_RATIO"], Scale::One)],
    ),
    plain("dram_active_ratio", &[First(&["DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_PROF_DRAM_UTIL_RATIO"], Scale::One)]),
    plain(
        "power_watts",
        &[First(
            &["DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_BOARD_POWER_WATTS", "nvidia_smi_power_draw_watts"],
            Scale::One,
        )],
    ),
    plain("temperature_celsius", &[First(&["DCGM_FI_DEV_GPU_TEMP", "nvidia_smi_temperature_gpu"], Scale::One)]),
    plain(
        "memory_temperature_celsius",
        &[First(&["DCGM_FI_DEV_MEMORY_TEMP", "nvidia_smi_temperature_memory"], Scale::One)],
    ),
    plain(
        "throttle_reasons",
        &[First(
            &[
                "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
                "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS",
                "nvidia_smi_clocks_event_reasons_active",
                "nvidia_smi_clocks_throttle_reasons_active",
            ],
            Scale::One,
        )],
    ),
    plain("energy_joules_total", &[First(&["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"], Scale::Milli)]),
    plain(
        "ecc_corrected_total",
        &[First(&["DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "nvidia_smi_ecc_errors_corrected_volatile_total"], Scale::One)],
    ),
    plain(
        "ecc_uncorrected_total",
        &[First(&["DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "nvidia_smi_ecc_errors_uncorrected_volatile_total"], Scale::One)],
    ),
    plain(
        "power_limit_watts",
        &[First(
            &[
                "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
                "DCGM_FI_DEV_POWER_MGMT_LIMIT",
                "nvidia_smi_enforced_power_limit_watts",
            ],
            Scale::One,
        )],
    ),
    plain(
        "gpu_busy_ratio",
        &[
            First(&["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_UTIL_RATIO:percent"], Scale::Percent),
            First(&["DCGM_FI_DEV_GPU_UTIL_RATIO", "nvidia_smi_utilization_gpu_ratio"], Scale::One),
        ],
    ),
    plain(
        "memory_busy_ratio",
        &[
            First(&["DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL_RATIO:percent"], Scale::Percent),
            First(&["DCGM_FI_DEV_MEM_COPY_UTIL_RATIO", "nvidia_smi_utilization_memory_ratio"], Scale::One),
        ],
    ),
    plain(
        "memory_used_bytes",
        &[First(&["DCGM_FI_DEV_FB_USED"], Scale::Mebi), First(&["nvidia_smi_memory_used_bytes"], Scale::One)],
    ),
    plain(
        "memory_total_bytes",
        &[
            First(&["DCGM_FI_DEV_FB_TOTAL"], Scale::Mebi),
            Sum(&["DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"], Scale::Mebi),
            First(&["nvidia_smi_memory_total_bytes"], Scale::One),
        ],
    ),
    plain(
        "sm_clock_hertz",
        &[First(&["DCGM_FI_DEV_SM_CLOCK"], Scale::Mega), First(&["nvidia_smi_clocks_current_sm_clock_hz"], Scale::One)],
    ),
    plain(
        "memory_clock_hertz",
        &[
            First(&["DCGM_FI_DEV_MEM_CLOCK"], Scale::Mega),
            First(&["nvidia_smi_clocks_current_memory_clock_hz"], Scale::One),
        ],
    ),
    plain(
        "remapped_rows_total",
        &[
            Sum(&["DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"], Scale::One),
            Sum(&["nvidia_smi_remapped_rows_correctable", "nvidia_smi_remapped_rows_uncorrectable"], Scale::One),
        ],
    ),
];

/// All columns that are lifted.
pub fn lifted() -> &'static [Lifted] {
    LIFTED
}

/// Whether a metric is one of a GPU exporter that this crate knows.
pub fn is_gpu_metric(name: &str) -> bool {
    name.starts_with("DCGM_") || name.starts_with("nvidia_smi_")
}

/// Whether a metric becomes a column of a GPU's row.
pub fn is_lifted(name: &str) -> bool {
    let names = |lift: &Lift| match lift {
        First(names, _) | Sum(names, _) => *names,
    };
    let all = LIFTED.iter().flat_map(|lifted| lifted.from).flat_map(|lift| names(lift).iter());
    all.into_iter().any(|known| known.split(':').next() == Some(name))
}

/// What a row of [`crate::Gpus`] says for a column, in the base unit.
pub fn value(lifted: &Lifted, row: &BTreeMap<String, String>) -> Option<f64> {
    let number = |name: &&str| row.get(*name)?.parse::<f64>().ok().filter(|value| value.is_finite());
    lifted.from.iter().find_map(|from| match from {
        First(names, scale) => names.iter().find_map(number).map(|value| scale.base(value)),
        Sum(names, scale) => names.iter().map(number).sum::<Option<f64>>().map(|sum| scale.base(sum)),
    })
}

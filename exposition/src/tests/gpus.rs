//! Rows of GPUs, as both common exporters name them.

use crate::*;

const NOW: i64 = 1_700_000_000_000_000;

fn rows(page: &str) -> GpuRows {
    let mut gpus = Gpus::default();
    for (_, line) in lines(page) {
        match line {
            Line::Sample(sample) => gpus.add(&sample, NOW),
            line => gpus.said(&line),
        }
    }
    gpus.finish()
}

fn column(rows: &GpuRows, device: &str, name: &str) -> Option<f64> {
    let (_, row) = rows.iter().find(|(key, _)| key.device_uuid() == device).unwrap();
    value(lifted().iter().find(|lifted| lifted.column == name).unwrap(), row)
}

#[test]
fn quantities_are_in_base_units_and_blanks_are_none() {
    let rows = rows(
        r#"# HELP DCGM_FI_DEV_GPU_UTIL_RATIO GPU utilization (in %).
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-a",Hostname="n1",hpc_job="7"} 1980
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",Hostname="n1",hpc_job="7"} 97
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",Hostname="n1"} 1234567
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a"} 1024
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a"} 2048
DCGM_FI_DEV_FB_RESERVED{gpu="0",UUID="GPU-a"} 1
DCGM_FI_DEV_MEMORY_TEMP{gpu="0",UUID="GPU-a"} 9223372036854775794
DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS{gpu="0",UUID="GPU-a"} 2
DCGM_FI_PROF_SM_ACTIVE{gpu="0",UUID="GPU-a"} 140737488355330
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a"} 2147483632
DCGM_FI_DEV_GPU_UTIL_RATIO{gpu="1",uuid="GPU-b",GPU_I_ID="3",GPU_I_PROFILE="1g.10gb"} 1
"#,
    );
    assert_eq!(rows.len(), 2);
    assert_eq!(column(&rows, "GPU-a", "sm_clock_hertz"), Some(1.98e9));
    assert_eq!(column(&rows, "GPU-a", "gpu_busy_ratio"), Some(0.97));
    assert_eq!(column(&rows, "GPU-a", "energy_joules_total"), Some(1234.567));
    assert_eq!(column(&rows, "GPU-a", "memory_total_bytes"), Some((3073_u64 << 20) as f64));
    for none in ["memory_temperature_celsius", "sm_active_ratio", "power_watts", "remapped_rows_total"] {
        assert_eq!(column(&rows, "GPU-a", none), None, "{none}");
    }
    assert_eq!(column(&rows, "GPU-b/gi3", "gpu_busy_ratio"), Some(0.01));
    let (key, row) = rows.last_key_value().unwrap();
    assert_eq!((key.parent_uuid(), row["label:GPU_I_PROFILE"].as_str()), (Some("GPU-b"), "1g.10gb"));
}

#[test]
fn blanks_are_those_of_dcgm() {
    for blank in
        ["2147483632", "2147483635", "140737488355328", "140737488355331", "9223372036854775792", "NaN", "+Inf"]
    {
        assert!(is_blank(sample(&format!("m {blank}")).unwrap().value), "{blank}");
    }
    for number in ["0", "-1", "2147483631", "2147483636", "140737488355332", "1e15", "9223372036854774784"] {
        assert!(!is_blank(sample(&format!("m {number}")).unwrap().value), "{number}");
    }
}

#[test]
fn each_lifted_name_is_known_and_others_are_not() {
    assert!(is_lifted("DCGM_FI_DEV_GPU_UTIL_RATIO") && is_lifted("nvidia_smi_power_draw_watts"));
    assert!(!is_lifted("DCGM_FI_DEV_PCIE_REPLAY_COUNTER") && !is_lifted("DCGM_FI_PROF_PCIE_TX_BYTES"));
    assert!(is_gpu_metric("DCGM_EXP_XID_ERRORS_COUNT") && !is_gpu_metric("node_load1"));
}

#[test]
fn a_label_on_which_series_disagree_is_none() {
    let rows = rows(
        "DCGM_FI_DEV_GPU_UTIL{UUID=\"GPU-a\",hpc_job=\"1\"} 5\nDCGM_FI_DEV_GPU_TEMP{UUID=\"GPU-a\",hpc_job=\"2\"} 5\n",
    );
    assert!(!rows.values().next().unwrap().contains_key("label:hpc_job"));
}

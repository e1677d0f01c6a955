#![allow(clippy::unwrap_used)]

use super::super::convert::Converter;
use super::super::map::Value;
use super::super::presets;
use super::*;

const GIVEN_TIME: i64 = 1_700_000_000_000_000;

/// The page's rows by the preset, as column names and values.
fn rows(page: &str) -> Vec<BTreeMap<&'static str, Value>> {
    let map = presets::preset(presets::PROMETHEUS, contract::table("gpu_samples").unwrap()).unwrap();
    let mut pages = Pages::read(page.as_bytes(), GIVEN_TIME).unwrap();
    let header = pages.header().clone();
    let converter = Converter::new(&map, &map.rules, &header).unwrap();
    let mut record = StringRecord::new();
    let mut rows = Vec::new();
    loop {
        match pages.next(&mut record) {
            Next::Record(_) => {
                let values = converter.row(&record).unwrap().unwrap();
                rows.push(map.table.columns.iter().zip(values).filter_map(|(c, v)| Some((c.name, v?))).collect());
            }
            Next::Rejected(line, reject) => panic!("line {line}: {reject:?}"),
            Next::End => return rows,
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn a_dcgm_page_has_a_row_a_device() {
    let page = r#"
# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA H100",Hostname="n1",hpc_job="7"} 1980
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA H100",Hostname="n1",hpc_job="7"} 97
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",Hostname="n1"} 1234567
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",Hostname="n1"} 1024
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a",Hostname="n1"} 2048
DCGM_FI_DEV_FB_RESERVED{gpu="0",UUID="GPU-a",Hostname="n1"} 1
DCGM_FI_DEV_MEMORY_TEMP{gpu="0",UUID="GPU-a",Hostname="n1"} 9223372036854775794
DCGM_FI_PROF_SM_ACTIVE{gpu="0",UUID="GPU-a",Hostname="n1"} 140737488355328
DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{gpu="0",UUID="GPU-a",Hostname="n1"} 0.25
DCGM_FI_DEV_GPU_TEMP{gpu="1",uuid="GPU-b",hostname="n1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="3",modelName="NVIDIA H100"} 41
"#;
    let rows = rows(page);
    assert_eq!(rows.len(), 2);
    let whole = &rows[0];
    assert_eq!(whole["gpu_uuid"], text("GPU-a"));
    assert_eq!(whole["node"], text("n1"));
    assert_eq!(whole["job_id"], text("7"));
    assert_eq!(whole["gpu_busy_ratio"], Value::Float(0.97));
    assert_eq!(whole["sm_clock_hertz"], Value::Int(1_980_000_000));
    assert_eq!(whole["energy_joules_total"], Value::Float(1234.567));
    assert_eq!(whole["memory_total_bytes"], Value::Int(3073 << 20));
    assert_eq!(whole["tensor_active_ratio"], Value::Float(0.25));
    assert_eq!(whole["time"], Value::Time(GIVEN_TIME));
    assert!(!whole.contains_key("memory_temperature_celsius") && !whole.contains_key("sm_active_ratio"));
    let slice = &rows[1];
    assert_eq!(slice["gpu_uuid"], text("GPU-b/gi3"));
    assert_eq!(slice["parent_gpu_uuid"], text("GPU-b"));
    assert_eq!(slice["mig_profile"], text("1g.10gb"));
    assert_eq!(slice["temperature_celsius"], Value::Float(41.0));
}

#[test]
fn names_of_both_dcgm_generations_are_known() {
    let rows = rows(
        "# HELP DCGM_FI_DEV_GPU_UTIL_RATIO GPU utilization (in %).\n\
              DCGM_FI_DEV_GPU_UTIL_RATIO{UUID=\"GPU-a\"} 50\nDCGM_FI_DEV_BOARD_POWER_WATTS{UUID=\"GPU-a\"} 300.5\n",
    );
    assert_eq!(rows[0]["gpu_busy_ratio"], Value::Float(0.5));
    assert_eq!(rows[0]["power_watts"], Value::Float(300.5));
}

#[test]
fn what_is_called_a_ratio_is_one_unless_help_or_value_say_percent() {
    let busy = |head: &str, a: &str, b: &str| {
        let line = |gpu: &str, value: &str| format!("DCGM_FI_DEV_GPU_UTIL_RATIO{{UUID=\"{gpu}\"}} {value}\n");
        let rows = rows(&(head.to_owned() + &line("GPU-a", a) + &line("GPU-b", b)));
        rows.into_iter().map(|r| r["gpu_busy_ratio"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(busy("", "0.5", "1"), [0.5, 1.0].map(Value::Float));
    assert_eq!(busy("", "1", "97"), [0.01, 0.97].map(Value::Float));
    let help = "# HELP DCGM_FI_DEV_GPU_UTIL_RATIO GPU utilization (in percent).\n";
    assert_eq!(busy(help, "1", "0"), [0.01, 0.0].map(Value::Float));
}

#[test]
fn nvidia_gpu_exporter_pages_carry_the_name_in_an_info_metric() {
    let uuid = "12345678-0000-0000-0000-00000000abcd";
    let page = format!(
        "nvidia_smi_gpu_info{{index=\"2\",name=\"NVIDIA L40S\",uuid=\"{uuid}\"}} 1\n\
         nvidia_smi_utilization_gpu_ratio{{uuid=\"{uuid}\"}} 0.09\n\
         nvidia_smi_memory_total_bytes{{uuid=\"{uuid}\"}} 1.50754820096e+11\n\
         nvidia_smi_remapped_rows_correctable{{uuid=\"{uuid}\"}} 1\n\
         nvidia_smi_remapped_rows_uncorrectable{{uuid=\"{uuid}\"}} 2\n\
         nvidia_smi_failed_scrapes_total 0\n"
    );
    let rows = rows(&page);
    assert_eq!(rows[0]["gpu_uuid"], text(&format!("GPU-{uuid}")));
    assert_eq!(rows[0]["gpu_index"], Value::Int(2));
    assert_eq!(rows[0]["gpu_model"], text("NVIDIA L40S"));
    assert_eq!(rows[0]["gpu_busy_ratio"], Value::Float(0.09));
    assert_eq!(rows[0]["memory_total_bytes"], Value::Int(150_754_820_096));
    assert_eq!(rows[0]["remapped_rows_total"], Value::Int(3));
}

#[test]
fn samples_with_times_make_rows_of_their_own() {
    let line = |time: &str| format!("nvidia_smi_power_draw_watts{{uuid=\"GPU-a\"}} 10 {time}\n");
    let rows = rows(&(line("1700000000000") + &line("1700000015") + &line("1700000030.5")));
    let times: Vec<_> = rows.iter().map(|r| r["time"].clone()).collect();
    let after = |micros: i64| Value::Time(GIVEN_TIME + micros);
    assert_eq!(times, [after(0), after(15_000_000), after(30_500_000)]);
}

#[test]
fn a_gpu_that_two_jobs_share_names_none() {
    let line = |job: &str| format!("DCGM_FI_DEV_GPU_UTIL{{UUID=\"GPU-a\",hpc_job=\"{job}\"}} 50\n");
    assert!(!rows(&(line("1") + &line("2")))[0].contains_key("job_id"));
}

proptest::proptest! {
    #[test]
    fn no_page_panics(text in "(.|\n){0,200}", pagelike in "([a-z]{1,3}(\\{(UUID|a)=\"[a-z\\\\\"]{0,3}\"?,?\\}?)? ?[0-9.eE+-]{0,5} ?[0-9]{0,20}\n){0,6}") {
        for text in [&text, &pagelike] {
            std::hint::black_box(Pages::read(text.as_bytes(), 0).is_ok());
        }
    }
}

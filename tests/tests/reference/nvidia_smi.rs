//! nvidia-smi logs: energy by left rectangles, and the units of their headers.

use crate::{Case, compare, data_dir, import_twice};
use coulomb_tests::Server;

const CASES: &[Case] = &[
    (
        "per_file",
        "",
        "WITH s AS (SELECT *, lead(power_watts) OVER (PARTITION BY node ORDER BY time) next FROM gpu_samples)
         SELECT node, count(*), to_char(min(time), '%Y-%m-%d %H:%M:%S%.6f'), to_char(max(time), '%Y-%m-%d %H:%M:%S%.6f'),
            CAST(max(time) - min(time) AS BIGINT) / 1e6, avg(gpu_busy_ratio) * 100, avg(power_watts), max(power_watts),
            min(power_watts), sum(power_watts * interval_seconds), sum((power_watts + next) / 2 * interval_seconds),
            sum(power_watts * interval_seconds) / 3.6e6, sum(power_watts * interval_seconds) / sum(interval_seconds),
            max(temperature_celsius) FROM s GROUP BY 1 ORDER BY 1",
    ),
    (
        "order_and_steps",
        "f equal_ts p50_step_ms max_step_ms null_power",
        // The last row of a file has no next one and so no step.
        "WITH s AS (SELECT *, row_number() OVER (PARTITION BY node ORDER BY time DESC) back FROM gpu_samples)
         SELECT node, count(*) FILTER (WHERE interval_seconds = 0 AND back > 1),
            percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN back > 1 THEN interval_seconds * 1000 END),
            max(interval_seconds) * 1000, count(*) FILTER (WHERE power_watts IS NULL) FROM s GROUP BY 1 ORDER BY 1",
    ),
];

#[test]
fn nvidia_smi_logs_give_the_reference_energy() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let files = ["5050_A100", "pwr_update_freq_3090", "pwr_update_freq_A100", "transient_A100"];
    let files = files.map(|f| data.join(format!("telemetry_nvidia_smi/{f}.csv")));
    let arguments = ["gpu-samples", "--preset", "nvidia-smi-csv", "--cluster", "lab"];
    import_twice(&server, "gpu_samples", &arguments, &files);
    compare(&server, &data, "telemetry_nvidia_smi", CASES);
    let clocks = "SELECT count(*) FROM gpu_samples WHERE sm_clock_hertz < 100000000 OR gpu_busy_ratio > 1";
    assert_eq!(server.query_count(clocks), 0);
    let uuids = server.query("SELECT DISTINCT gpu_uuid, node FROM gpu_samples ORDER BY 1");
    assert_eq!(uuids.len(), 4);
    for row in uuids {
        assert!(row[0].starts_with(&format!("file:{}/", row[1])), "{row:?}");
    }
}

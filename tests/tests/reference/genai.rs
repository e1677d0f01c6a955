//! Alibaba GenAI pods: two files, a metric each, joined to one row a pod and time.

use crate::{Case, compare, data_dir, import_twice};
use coulomb_tests::Server;

const CASES: &[Case] = &[
    (
        "totals",
        "",
        "SELECT count(gpu_busy_ratio), count(DISTINCT CASE WHEN gpu_busy_ratio IS NOT NULL THEN gpu_uuid END),
            count(memory_used_bytes), count(DISTINCT CASE WHEN memory_used_bytes IS NOT NULL THEN gpu_uuid END),
            extract(epoch FROM min(time) FILTER (WHERE gpu_busy_ratio IS NOT NULL)),
            extract(epoch FROM max(time) FILTER (WHERE gpu_busy_ratio IS NOT NULL)),
            extract(epoch FROM max(time) FILTER (WHERE gpu_busy_ratio IS NOT NULL)
                - min(time) FILTER (WHERE gpu_busy_ratio IS NOT NULL)) / 3600,
            count(DISTINCT CASE WHEN gpu_busy_ratio IS NOT NULL THEN time END) FROM gpu_samples",
    ),
    (
        "mean_util",
        "",
        "SELECT avg(u) * 100, sum(u * interval_seconds) / sum(interval_seconds) * 100,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY u) * 100, percentile_cont(0.9) WITHIN GROUP (ORDER BY u) * 100,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY u) * 100, max(u) * 100,
            count(*) FILTER (WHERE u = 0) / count(*)::double, count(*) FILTER (WHERE u < 0.05) / count(*)::double
         FROM (SELECT gpu_busy_ratio u, interval_seconds FROM gpu_samples WHERE gpu_busy_ratio IS NOT NULL)",
    ),
    (
        "pod_hours",
        "",
        "SELECT sum(interval_seconds) / 3600, sum(interval_seconds) / 3600 * 2,
            sum(interval_seconds * (1 - gpu_busy_ratio)) / 3600,
            sum(interval_seconds) FILTER (WHERE gpu_busy_ratio = 0) / 3600
         FROM gpu_samples WHERE gpu_busy_ratio IS NOT NULL",
    ),
    (
        "idle_but_holding_memory",
        "",
        "SELECT count(*), count(*) FILTER (WHERE gpu_busy_ratio = 0 AND memory_used_bytes > 1073741824),
            count(*) FILTER (WHERE gpu_busy_ratio = 0 AND memory_used_bytes > 1073741824) / count(*)::double
         FROM gpu_samples WHERE gpu_busy_ratio IS NOT NULL AND memory_used_bytes IS NOT NULL",
    ),
    (
        "top10_pods_by_mean_util",
        "",
        "SELECT node, count(*), avg(gpu_busy_ratio) * 100 m, max(gpu_busy_ratio) * 100 FROM gpu_samples
         WHERE gpu_busy_ratio IS NOT NULL GROUP BY 1 ORDER BY m DESC, 1 LIMIT 10",
    ),
    (
        "bottom10_pods_by_mean_util",
        "",
        "SELECT job_id, count(*), avg(gpu_busy_ratio) * 100 m FROM gpu_samples
         WHERE gpu_busy_ratio IS NOT NULL GROUP BY 1 ORDER BY m, 1 LIMIT 10",
    ),
    (
        "memory_bytes",
        "",
        "SELECT avg(m), percentile_cont(0.5) WITHIN GROUP (ORDER BY m), percentile_cont(0.99) WITHIN GROUP (ORDER BY m),
            max(m), count(*) FILTER (WHERE m = 0)
         FROM (SELECT memory_used_bytes::double m FROM gpu_samples WHERE memory_used_bytes IS NOT NULL)",
    ),
    (
        "hourly_fleet",
        "",
        "SELECT floor((extract(epoch FROM time) - 1662858720) / 3600) h, count(DISTINCT gpu_uuid),
            avg(gpu_busy_ratio) * 100 FROM gpu_samples WHERE gpu_busy_ratio IS NOT NULL GROUP BY 1 ORDER BY 1",
    ),
    (
        "gaps",
        "",
        "SELECT d, count(*) n FROM (SELECT extract(epoch FROM time) - lag(extract(epoch FROM time))
                OVER (PARTITION BY gpu_uuid ORDER BY time) d FROM gpu_samples WHERE gpu_busy_ratio IS NOT NULL)
         WHERE d IS NOT NULL GROUP BY 1 ORDER BY n DESC, d",
    ),
];

#[test]
fn genai_pods_give_the_reference_utilization() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let folder = data.join("telemetry_alibaba_genai2026");
    let files = ["pod_gpu_duty_cycle_anon.parquet", "pod_gpu_memory_used_bytes_anon.parquet"].map(|f| folder.join(f));
    let arguments = ["gpu-samples", "--preset", "alibaba-genai", "--cluster", "genai"];
    import_twice(&server, "gpu_samples", &arguments, &files);
    compare(&server, &data, "telemetry_alibaba_genai2026", CASES);
}

//! MIT Supercloud: Slurm's own numbers, sentinels and rounded ids.

use crate::{Case, compare, data_dir, import_twice};
use coulomb_tests::Server;

const CASES: &[Case] = &[
    (
        "totals",
        "",
        "SELECT count(*), count(*) FILTER (WHERE gpus_requested > 0), count(DISTINCT \"user\"),
            count(DISTINCT CASE WHEN gpus_requested > 0 THEN \"user\" END), min(extract(epoch FROM submitted_at)),
            max(extract(epoch FROM submitted_at)), min(extract(epoch FROM started_at)),
            max(extract(epoch FROM ended_at)), sum(gpu_seconds) / 3600, sum(gpu_seconds) / 3600 * 2,
            sum(cpus_requested * extract(epoch FROM ended_at - started_at)) / 3600, count(DISTINCT job_id) FROM jobs",
    ),
    (
        "gpu_hours_by_user_top10",
        "",
        "SELECT \"user\", count(*), sum(gpu_seconds) / 3600 h, sum(gpu_seconds) / 3600 * 2 FROM jobs
         WHERE gpus_requested > 0 GROUP BY 1 ORDER BY h DESC, 1 LIMIT 10",
    ),
    (
        "gpu_hours_by_state",
        "",
        "SELECT state, count(*), sum(gpu_seconds) / 3600 h, sum(gpu_seconds) / (SELECT sum(gpu_seconds) FROM jobs),
            sum(gpu_seconds) / 3600 * 2 FROM jobs WHERE gpus_requested > 0 GROUP BY 1 ORDER BY h DESC",
    ),
    ("jobs_by_state", "", "SELECT state, count(*) n FROM jobs GROUP BY 1 ORDER BY n DESC"),
    (
        "wasted_share",
        "",
        "SELECT sum(gpu_seconds) FILTER (WHERE state IN ('FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY')) / sum(gpu_seconds),
            sum(gpu_seconds) FILTER (WHERE state = 'CANCELLED') / sum(gpu_seconds),
            sum(gpu_seconds) FILTER (WHERE state = 'TIMEOUT') / sum(gpu_seconds),
            sum(gpu_seconds) FILTER (WHERE state <> 'COMPLETED') / sum(gpu_seconds) FROM jobs",
    ),
    (
        "queue_wait_seconds",
        "",
        "WITH w AS (SELECT 'gpu jobs' AS which, queue_seconds s FROM jobs WHERE gpus_requested > 0
                    UNION ALL SELECT 'all jobs', queue_seconds FROM jobs)
         SELECT which, avg(s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s),
            percentile_cont(0.9) WITHIN GROUP (ORDER BY s), percentile_cont(0.95) WITHIN GROUP (ORDER BY s),
            percentile_cont(0.99) WITHIN GROUP (ORDER BY s), max(s) FROM w GROUP BY 1 ORDER BY 1 DESC",
    ),
    (
        "runtime_seconds_gpu_jobs",
        "",
        "SELECT avg(s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.9) WITHIN GROUP (ORDER BY s),
            percentile_cont(0.99) WITHIN GROUP (ORDER BY s), max(s)
         FROM (SELECT extract(epoch FROM ended_at - started_at) s FROM jobs WHERE gpus_requested > 0)",
    ),
    (
        "gpus_per_job_histogram",
        "",
        "SELECT gpus_requested, count(*), sum(gpu_seconds) / 3600 FROM jobs GROUP BY 1 ORDER BY 1",
    ),
    (
        "peak_concurrent_gpus",
        "",
        "WITH g AS (SELECT * FROM jobs WHERE gpus_requested > 0),
            e AS (SELECT started_at t, gpus_requested d FROM g UNION ALL SELECT ended_at, -gpus_requested FROM g),
            s AS (SELECT t, sum(d) d FROM e GROUP BY 1), r AS (SELECT t, sum(d) OVER (ORDER BY t) g FROM s)
         SELECT g, extract(epoch FROM t), to_char(t, '%Y-%m-%d %H:%M:%S') FROM r ORDER BY g DESC, t LIMIT 1",
    ),
    (
        "gpu_hours_by_utc_day",
        "",
        "WITH d AS (SELECT unnest(range(date_trunc('day', started_at), ended_at, INTERVAL '1 day')) AS d, started_at,
                        ended_at, gpus_requested FROM jobs WHERE gpus_requested > 0)
         SELECT to_char(d, '%Y-%m-%d') AS day, sum(gpus_requested * extract(epoch FROM
            least(ended_at, d + INTERVAL '1 day') - greatest(started_at, d))) / 3600 FROM d GROUP BY 1 ORDER BY 1",
    ),
    (
        "gpu_hours_by_partition",
        "",
        "SELECT queue, count(*), sum(gpu_seconds) / 3600 h FROM jobs WHERE gpus_requested > 0 GROUP BY 1 ORDER BY h DESC",
    ),
    (
        "sentinels",
        "timelimit_unlimited",
        "SELECT count(*) FILTER (WHERE cardinality(map_extract(labels, 'time_limit_minutes')) = 0
            OR map_extract(labels, 'time_limit_minutes')[1] IS NULL) FROM jobs",
    ),
];

#[test]
fn supercloud_jobs_give_the_reference_answers() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let arguments = ["jobs", "--preset", "mit-supercloud", "--cluster", "supercloud"];
    let file = data.join("jobs_mit_supercloud/slurm-log-queueing-clean.csv");
    import_twice(&server, "job_events", &arguments, &[file]);
    compare(&server, &data, "jobs_mit_supercloud", CASES);
    // The 46 repeats of a rounded id are jobs of their own.
    assert_eq!(server.query_count("SELECT count(*) FROM jobs WHERE attempt > 0"), 46);
    assert_eq!(server.query_count("SELECT count(*) FROM jobs WHERE memory_requested_bytes > 1000000000000000"), 0);
}

#[test]
fn supercloud_parquet_and_csv_are_the_same_jobs() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    for (cluster, extension) in [("csv", "csv"), ("parquet", "parquet")] {
        let arguments = ["jobs", "--preset", "mit-supercloud", "--cluster", cluster];
        let file = data.join(format!("jobs_mit_supercloud/slurm-log-queueing-clean.{extension}"));
        import_twice(&server, "job_events", &arguments, &[file]);
    }
    let rows = |cluster: &str| {
        format!(
            "SELECT job_id, attempt, \"user\", queue, state, gpus_requested, cpus_requested, memory_requested_bytes,
                submitted_at, started_at, ended_at, exit_code, array_to_string(nodes, ' ') FROM jobs
             WHERE cluster = '{cluster}'"
        )
    };
    let differing = |a: &str, b: &str| format!("SELECT count(*) FROM ({} EXCEPT {})", rows(a), rows(b));
    assert_eq!(server.query_count(&differing("csv", "parquet")), 0);
    assert_eq!(server.query_count(&differing("parquet", "csv")), 0);
}

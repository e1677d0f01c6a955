//! Microsoft Philly: GPU-hours, peaks and durations from a start and a length.

use crate::{Case, compare, data_dir, import_twice};
use coulomb_tests::Server;

const CASES: &[Case] = &[
    (
        "totals",
        "",
        "SELECT count(*), count(DISTINCT queue), to_char(min(started_at), '%Y-%m-%d %H:%M:%S'),
            to_char(max(started_at), '%Y-%m-%d %H:%M:%S'), to_char(max(ended_at), '%Y-%m-%d %H:%M:%S'),
            sum(gpu_seconds) / 3600, sum(gpu_seconds) / 3600 * 2, min(extract(epoch FROM ended_at - started_at)),
            max(extract(epoch FROM ended_at - started_at)) FROM jobs",
    ),
    (
        "gpu_hours_by_vc",
        "",
        "SELECT queue, count(*), sum(gpu_seconds) / 3600 h, sum(gpu_seconds) / 3600 * 2 FROM jobs GROUP BY 1 ORDER BY h DESC",
    ),
    (
        "gpus_per_job",
        "",
        "SELECT gpus_requested, count(*), sum(gpu_seconds) / 3600 FROM jobs GROUP BY 1 ORDER BY 1",
    ),
    (
        "duration_seconds",
        "",
        "SELECT avg(d), percentile_cont(0.5) WITHIN GROUP (ORDER BY d), percentile_cont(0.9) WITHIN GROUP (ORDER BY d),
            percentile_cont(0.99) WITHIN GROUP (ORDER BY d), max(d)
         FROM (SELECT extract(epoch FROM ended_at - started_at) d FROM jobs)",
    ),
    (
        "peak_concurrent_gpus_if_timestamp_is_start",
        "",
        "WITH e AS (SELECT started_at t, gpus_requested d FROM jobs UNION ALL SELECT ended_at, -gpus_requested FROM jobs),
            s AS (SELECT t, sum(d) d FROM e GROUP BY 1), r AS (SELECT t, sum(d) OVER (ORDER BY t) g FROM s)
         SELECT g, to_char(t, '%Y-%m-%d %H:%M:%S') FROM r ORDER BY g DESC, t LIMIT 1",
    ),
    (
        "jobs_and_gpu_hours_by_week_of_submit",
        "",
        "SELECT to_char(date_trunc('week', started_at), '%Y-%m-%d') w, count(*), sum(gpu_seconds) / 3600
         FROM jobs GROUP BY 1 ORDER BY 1",
    ),
    (
        "longest_10",
        "",
        "SELECT to_char(started_at, '%Y-%m-%d %H:%M:%S'), queue, gpus_requested,
            extract(epoch FROM ended_at - started_at), gpu_seconds / 3600
         FROM jobs ORDER BY gpu_seconds DESC, started_at LIMIT 10",
    ),
    (
        "duplicate_rows",
        "",
        "SELECT (SELECT count(*) FROM jobs)
            - (SELECT count(*) FROM (SELECT DISTINCT started_at, ended_at, gpus_requested, queue FROM jobs))",
    ),
];

#[test]
fn philly_jobs_give_the_reference_answers() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let arguments = ["jobs", "--preset", "philly", "--cluster", "philly"];
    import_twice(&server, "job_events", &arguments, &[data.join("jobs_philly/philly.csv")]);
    compare(&server, &data, "jobs_philly", CASES);
    let rest = "SELECT count(*) FROM jobs WHERE submitted_at IS NOT NULL OR state IS NOT NULL OR \"user\" IS NOT NULL
        OR queue_seconds IS NOT NULL";
    assert_eq!(server.query_count(rest), 0, "what the file does not say is null");
}

#[test]
fn philly_parquet_and_csv_are_the_same_jobs() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    for (cluster, file) in [("csv", "philly.csv"), ("parquet", "philly.parquet")] {
        let arguments = ["jobs", "--preset", "philly", "--cluster", cluster];
        import_twice(&server, "job_events", &arguments, &[data.join("jobs_philly").join(file)]);
    }
    let rows = |cluster: &str| {
        format!(
            "SELECT job_id, attempt, queue, gpus_requested, started_at, ended_at FROM jobs WHERE cluster = '{cluster}'"
        )
    };
    let differing = |a: &str, b: &str| format!("SELECT count(*) FROM ({} EXCEPT {})", rows(a), rows(b));
    assert_eq!(server.query_count(&differing("csv", "parquet")), 0);
    assert_eq!(server.query_count(&differing("parquet", "csv")), 0);
}

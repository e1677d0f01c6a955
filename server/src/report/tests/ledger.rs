//! Made ledgers: a small one whose sums are plain, and one as a company of twenty teams has it.

use super::Ledger;

const COLUMNS: &str = "time, period, node, gpu_uuid, job_id, \"user\", queue, team, state, category, quantity, unit, \
                       cost_micros, corrects, energy_joules";

/// A kilowatt-hour of the one grid emits 500 g.
const FACTORS: &str = "grid_factors as (select 'eu' as region, cast(null as timestamp) as valid_from, \
                       cast(null as timestamp) as valid_to, 500.0 / 3600000.0 as grams_co2e_per_joule, \
                       'grid of 2025' as source)";

/// The missing columns of a ledger, around rows that have [`COLUMNS`].
fn whole(rows: &str) -> String {
    format!(
        "ledger as (select cast(time as timestamp) as time, period, 'alpha' as cluster, node, gpu_uuid, \
         'H100' as gpu_model, 'main' as pool, case when node = 'n9' then null else 'eu' end as region, job_id, 1 as attempt, cast(null as varchar) as job_name, \"user\", \
         cast(null as varchar) as account, cast(null as varchar) as project, queue, team, concat('CC-', team) as \
         cost_centre, state, category, cast(quantity as double) as quantity, unit, 2.0e6 as rate_micros, \
         case when cost_micros is not null then 'on_demand' end as price_kind, \
         case when cost_micros is not null then 'prices-2026-q4.csv@3f9a' end as price_version, \
         7 as price_line, 'even-split-2' as policy_version, cast(cost_micros as bigint) as cost_micros, \
         'USD' as currency, cast(energy_joules as double) as energy_joules, corrects from ({rows}) r), {FACTORS}"
    )
}

/// Rows in the order of [`COLUMNS`].
pub(super) fn small(rows: &[&str]) -> Ledger {
    Ledger::of(whole(&format!("select * from (values {}) v({COLUMNS})", rows.join(", "))))
}

/// The same with hours of use: `(time, gpu_uuid, job_id, active, held_idle, unallocated, busy ratio)`.
pub(super) fn small_with_use(rows: &[&str], hours: &[&str]) -> Ledger {
    let ledger = whole(&format!("select * from (values {}) v({COLUMNS})", rows.join(", ")));
    Ledger::of(format!(
        "{ledger}, usage_hourly as (select cast(time as timestamp) as time, 'alpha' as cluster, 'n1' as node, gpu_uuid, \
         'H100' as gpu_model, job_id, cast(active as double) as active_seconds, \
         cast(held_idle as double) as held_idle_seconds, 0.0 as held_empty_seconds, \
         cast(unallocated as double) as unallocated_seconds, 0.0 as down_seconds, 0.0 as unknown_seconds, \
         cast(busy as double) as gpu_busy_ratio_mean, cast(null as double) as sm_active_ratio_mean, \
         cast(null as double) as tensor_active_ratio_mean \
         from (values {}) v(time, gpu_uuid, job_id, active, held_idle, unallocated, busy))",
        hours.join(", ")
    ))
}

/// Hours of use, `(time, cluster, node, gpu_uuid, job_id, seconds in each state)`, and jobs, `(cluster, job_id, queue,
/// GPUs, submitted, started)`, with a ledger that says whose the hours are.
pub(super) fn small_fleet(hours: &[&str], jobs: &[&str]) -> Ledger {
    let named = |order: [&str; 6]| order.map(|state| format!("cast({state} as double) as {state}_seconds")).join(", ");
    let states_of = named(["active", "held_idle", "held_empty", "unallocated", "down", "unknown"]);
    Ledger::of(format!(
        "usage_hourly as (select cast(time as timestamp) as time, cluster, node, gpu_uuid, 'H100' as gpu_model, job_id, \
         {states_of} from (values {}) v(time, cluster, node, gpu_uuid, job_id, active, held_idle, held_empty, \
         unallocated, down, unknown)), \
         jobs as (select cluster, job_id, 1 as attempt, queue, cast(gpus as bigint) as gpus_requested, \
         cast(submitted as timestamp) as submitted_at, cast(started as timestamp) as started_at, \
         cast(null as timestamp) as ended_at, \
         (cast(cast(cast(started as timestamp) as bigint) - cast(cast(submitted as timestamp) as bigint) as double)) / 1e9 \
         as queue_seconds from (values {}) w(cluster, job_id, queue, gpus, submitted, started)), \
         ledger as (select u.time, u.cluster, u.gpu_uuid, u.job_id, 'gpu' as category, 'main' as pool, j.queue, \
         null as \"user\", null as account, null as project, null as team, null as cost_centre from usage_hourly u \
         join jobs j on j.job_id = u.job_id)",
        hours.join(", "),
        jobs.join(", ")
    ))
}

/// Names that try to be formulas, markup, SQL and layout.
pub(super) const HOSTILE: [&str; 6] = [
    "=cmd|'/c calc'!A1",
    "<script>alert('x')</script>",
    "#import \"x\" *bold* $x$",
    "o'hara; drop table ledger --",
    "Łódź / 深圳 / Ünïcode",
    "a-team-whose-name-somebody-made-much-too-long-because-nothing-stopped-them-from-doing-so-at-all",
];

/// Three months of twenty teams, with idle time, time without an owner or a price, CPU beside GPU, and a credit.
pub(super) fn company() -> Ledger {
    let plain = [
        "foundation-models",
        "search-ranking",
        "speech",
        "vision",
        "recsys",
        "robotics",
        "bio",
        "infra",
        "safety",
        "evals",
        "translation",
        "fraud",
        "ads",
        "growth",
    ];
    let teams: Vec<String> = plain
        .iter()
        .chain(&HOSTILE)
        .enumerate()
        .map(|(at, team)| format!("({at}, '{}')", team.replace('\'', "''")))
        .collect();
    let day = "to_timestamp_seconds(1788220800 + d.value * 86400)";
    let wave = "(1.0 + 0.35 * sin(d.value / 9.0 + t.at) - case when d.value % 7 in (4, 5) then 0.3 else 0.0 end)";
    let size = "(420.0 / (t.at + 1.5))";
    let quantity = format!("round({size} * {wave}, 3)");
    let base = "from generate_series(0, 90) d(value)";
    let team_rows = format!("{base} cross join (values {}) t(at, team)", teams.join(", "));
    let head = format!("select {day} as time, to_char({day}, '%Y-%m') as period");
    let gpu = format!(
        "{head}, concat('node-', t.at % 6) as node, concat('GPU-', t.at % 12) as gpu_uuid, \
         concat('j', d.value * 20 + t.at) as job_id, concat('user', t.at) as \"user\", \
         case when t.at % 3 = 0 then 'prod' else 'research' end as queue, t.team as team, \
         case when t.at % 5 = 1 then 'held_idle' else 'active' end as state, 'gpu' as category, \
         {quantity} as quantity, 'GPU-Hours' as unit, \
         case when t.at = 11 and d.value > 80 then null else cast({quantity} * 1.85e6 as bigint) end as cost_micros, \
         cast(null as varchar) as corrects, {quantity} * 1.9e6 as energy_joules {team_rows}"
    );
    let cpu = format!(
        "{head}, null, null, null, null, 'research', t.team, null, 'cpu', {quantity} * 12, 'CPU-Hours', \
         cast({quantity} * 0.15e6 as bigint), null, null {team_rows}"
    );
    let idle = format!(
        "{head}, 'node-5', 'GPU-11', null, null, null, 'unowned', 'unallocated', 'idle', \
         180.0 + 60.0 * cos(d.value / 6.0), 'GPU-Hours', \
         cast((180.0 + 60.0 * cos(d.value / 6.0)) * 2.0e6 as bigint), null, 1.0e8 {base}"
    );
    let unowned = format!(
        "{head}, 'node-4', 'GPU-10', concat('x', d.value), 'visitor', 'research', 'unowned', 'active', 'gpu', \
         17.25, 'GPU-Hours', 34500000, null, 3.0e7 {base}"
    );
    let credit = "select timestamp '2026-08-30T00:00:00Z', '2026-11', 'node-1', 'GPU-1', 'j1', 'user1', 'prod', \
                  'search-ranking', 'active', 'gpu', 0.0, 'GPU-Hours', -1250000000, '2026-08', null";
    Ledger::of(whole(&[gpu, cpu, idle, unowned, credit.to_owned()].join(" union all ")))
}

//! What people ask, in Coulomb, DuckDB and chDB on the same files.

use crate::history::{self, History};
use crate::{GPUS, line};
use coulomb_tests::fleet;
use coulomb_tests::{Server, run, target_dir, workspace_root};
use std::path::Path;
use std::process::Command;

/// A question: its name, our SQL on samples, our SQL on derived tables, DuckDB's and chDB's.
struct Question {
    name: &'static str,
    ours: &'static str,
    derived: Option<&'static str>,
    duckdb: &'static str,
    chdb: &'static str,
}

const QUESTIONS: [Question; 6] = [
    Question {
        name: "utilization of the fleet by hour",
        ours: "select date_trunc('hour', time) h, avg(gpu_busy_ratio) from gpu_samples group by 1 order by 1",
        derived: Some(
            "select time, sum(gpu_busy_ratio_sum) / sum(gpu_busy_ratio_count) from gpu_samples_1h group by 1 order by 1",
        ),
        duckdb: "select date_trunc('hour', time) h, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
        chdb: "select toStartOfHour(time) h, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
    },
    Question {
        name: "utilization by node",
        ours: "select node, avg(gpu_busy_ratio) from gpu_samples group by 1 order by 1",
        derived: Some(
            "select node, sum(gpu_busy_ratio_sum) / sum(gpu_busy_ratio_count) from gpu_samples_1h group by 1 order by 1",
        ),
        duckdb: "select node, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
        chdb: "select node, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
    },
    Question {
        name: "energy by job",
        ours: "select job_id, sum(power_watts * interval_seconds) from gpu_samples group by 1 order by 2 desc limit 20",
        derived: Some(
            "select job_id, sum(power_watts_integral) from gpu_samples_1h group by 1 order by 2 desc limit 20",
        ),
        duckdb: "select job_id, sum(power_watts * interval_seconds) from FILES group by 1 order by 2 desc limit 20",
        chdb: "select job_id, sum(power_watts * interval_seconds) from FILES group by 1 order by 2 desc limit 20",
    },
    Question {
        name: "last value of every GPU",
        ours: "select gpu_uuid, last_value(power_watts order by time) from gpu_samples group by 1 order by 1",
        derived: None,
        duckdb: "select gpu_uuid, arg_max(power_watts, time) from FILES group by 1 order by 1",
        chdb: "select gpu_uuid, argMax(power_watts, time) from FILES group by 1 order by 1",
    },
    Question {
        name: "one GPU raw for a day",
        ours: "select time, power_watts, gpu_busy_ratio from gpu_samples where gpu_uuid = 'UUID' and time >= 'FROM' and time < 'TO' order by time",
        derived: None,
        duckdb: "select time, power_watts, gpu_busy_ratio from FILES where gpu_uuid = 'UUID' and time >= 'FROM' and time < 'TO' order by time",
        chdb: "select time, power_watts, gpu_busy_ratio from FILES where gpu_uuid = 'UUID' and time >= parseDateTimeBestEffort('FROM') and time < parseDateTimeBestEffort('TO') order by time",
    },
    Question {
        name: "top 10 idle GPUs",
        ours: "select gpu_uuid, sum(interval_seconds) from gpu_samples where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
        derived: Some(
            "select gpu_uuid, sum(held_idle_seconds) from usage_hourly group by 1 order by 2 desc, 1 limit 10",
        ),
        duckdb: "select gpu_uuid, sum(interval_seconds) from FILES where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
        chdb: "select gpu_uuid, sum(interval_seconds) from FILES where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
    },
];

pub(crate) fn questions(days: i64) {
    let mut history = History::new(GPUS);
    history.grow_to(days);
    ask(&history);
}

/// Tries of each question, with what was read before still in the system's cache; the least counts.
const TRIES: usize = 5;

/// Each question on one core, in seconds of that core: other programs may use it as well.
pub(crate) fn ask(history: &History) {
    let data = history.data();
    history.check(&Server::start_in(data, &[]));
    let to_peers = |q: &Question| ToPeers { name: q.name, duckdb: filled(q.duckdb), chdb: filled(q.chdb) };
    let Some(peers) = peers(&history::samples(data), &QUESTIONS.each_ref().map(to_peers)) else { return };
    let server = Server::start_on_one_core(data);
    let least = |sql: &str| {
        let tries = (0..TRIES).filter_map(|_| {
            let before = cpu_of_threads(server.program.pid());
            let rows = server.query(sql).len();
            assert!(rows > 0, "{sql} answered nothing");
            let took = cpu_of_threads(server.program.pid()) - before;
            // A thread that has ended meanwhile took its time with it.
            (took > 0.0).then_some(took)
        });
        tries.fold(f64::INFINITY, f64::min)
    };
    for (question, peer) in QUESTIONS.iter().zip(peers) {
        line(question.name, least(&filled(question.ours)), peer, "<= 1");
        if let Some(derived) = question.derived {
            line(&format!("{}, from hours", question.name), least(derived), peer, "<= 0.05");
        }
    }
}

/// Seconds that the threads of a process have run; finer than [`coulomb_tests::cpu_seconds`].
pub(crate) fn cpu_of_threads(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a live process has threads");
    let ran = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    ran.sum::<f64>() / 1e9
}

/// For one GPU on the first day.
fn filled(sql: &str) -> String {
    let first_day = ("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z");
    sql.replace("UUID", &fleet::uuid(7)).replace("FROM", first_day.0).replace("TO", first_day.1)
}

/// A question to the peers: its name, DuckDB's SQL and chDB's, on `FILES`.
pub(crate) struct ToPeers<'a> {
    pub(crate) name: &'a str,
    pub(crate) duckdb: String,
    pub(crate) chdb: String,
}

/// Seconds of the quicker of DuckDB and chDB for each question, one thread each, on the files of a table.
pub(crate) fn peers(table: &Path, questions: &[ToPeers<'_>]) -> Option<Vec<f64>> {
    let python = target_dir().join("python/bin/python");
    let asked: Vec<_> = questions.iter().map(|q| serde_json::json!({"duckdb": q.duckdb, "chdb": q.chdb})).collect();
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(python).arg(workspace_root().join("tests/python/peers.py"));
    let output = run(command.arg(table).arg(serde_json::Value::from(asked).to_string()));
    if !output.status.success() {
        println!("DuckDB and chDB did not run: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let mut quickest = Vec::new();
    for (question, took) in questions.iter().zip(answer.as_array().expect("one answer a question")) {
        let of = |peer: &str| took[peer].as_f64().unwrap_or(f64::INFINITY);
        println!("{}: DuckDB {:.3} s, chDB {:.3} s", question.name, of("duckdb"), of("chdb"));
        quickest.push(of("duckdb").min(of("chdb")));
    }
    Some(quickest)
}

//! The collector beside a real Slurm: what the test sees of each job is what `jobs` and `allocations` say.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use coulomb_tests::slurm::Slurm;
use coulomb_tests::{Program, Server, binary, run, send};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const STOP_AT_MOST: Duration = Duration::from_secs(20);
/// Two looks at Slurm and a batch, on a machine that is busy with other tests.
const TOLD_AT_MOST: Duration = Duration::from_secs(60);
/// What Slurm's times and the job's own may be apart.
const SECONDS_APART_MAX: i64 = 2;

struct Watched {
    slurm: Slurm,
    server: Server,
    spool: tempfile::TempDir,
}

impl Watched {
    fn collector(&self) -> Program {
        let mut command = Command::new(binary("coulomb-collector"));
        let (name, value) = self.slurm.settings();
        command.args(["run", "--slurm", "--slurm-interval", "1s", "--cluster", "lab", "--node", "controller"]);
        command.args(["--metrics-listen", "127.0.0.1:0", "--server", &self.server.url, "--token-file"]);
        command.arg(self.server.data.join("admin.token")).arg("--spool").arg(self.spool.path()).env(name, value);
        Program::start(&mut command)
    }

    /// Waits until a query answers this one number.
    fn wait_for(&self, sql: &str, count: u64) {
        let until = Instant::now() + TOLD_AT_MOST;
        while self.server.query_count(sql) != count {
            let jobs = self.server.query("select job_id, attempt, kind, state from jobs order by 1, 2");
            assert!(Instant::now() < until, "{sql} is not {count}: {jobs:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn wait_for_end(&self, job: &str, attempt: i64) {
        self.wait_for(
            &format!("select count(*) from jobs where job_id = '{job}' and attempt = {attempt} and kind = 'ended'"),
            1,
        );
    }

    /// A column of an attempt, as text.
    fn column(&self, job: &str, attempt: i64, column: &str) -> String {
        let rows = self.server.query(&format!(
            "select {column} from jobs where cluster = 'lab' and job_id = '{job}' and attempt = {attempt}"
        ));
        assert_eq!(rows.len(), 1, "job {job}, attempt {attempt}: {rows:?}");
        rows[0][0].clone()
    }

    fn seconds(&self, job: &str, attempt: i64, column: &str) -> i64 {
        self.column(job, attempt, &format!("to_unixtime({column})")).parse().unwrap()
    }

    /// A time of the job is that which it wrote into a file itself.
    fn check_time(&self, job: &str, attempt: i64, column: &str, file: &str) {
        let seen: i64 = fs::read_to_string(self.slurm.file(file)).unwrap().trim().parse().unwrap();
        let told = self.seconds(job, attempt, column);
        assert!((told - seen).abs() <= SECONDS_APART_MAX, "{column} of {job}: {told}, the job saw {seen}");
    }

    /// A script that writes down when it starts and ends.
    fn script(&self, name: &str, work: &str) -> String {
        let file = self.slurm.file(name).display().to_string();
        format!("date +%s > {file}.start; {work}; date +%s > {file}.end")
    }
}

fn start() -> Option<Watched> {
    let slurm = Slurm::start()?;
    Some(Watched { slurm, server: Server::start(), spool: tempfile::tempdir().unwrap() })
}

/// Jobs that end well, badly, by a signal, before they start, and in arrays.
fn simple_jobs(watched: &Watched) {
    let slurm = &watched.slurm;
    let train =
        slurm.submit(&["--gres=gpu:test:2", "-J", "train", "--comment", "a|b"], &watched.script("train", "sleep 4"));
    let fails = slurm.submit(&["-J", "new\nline|x\u{1f}y"], "sleep 1; exit 3");
    let killed = slurm.submit(&[], "kill -9 $$");
    let held = slurm.submit(&["-H"], "sleep 300");
    watched.wait_for(&format!("select count(*) from jobs where job_id = '{held}' and state = 'PENDING'"), 1);
    slurm.says("scancel", &[&held]);
    for job in [&train, &fails, &killed, &held] {
        watched.wait_for_end(job, 0);
    }
    let says = |job: &str, column: &str| watched.column(job, 0, column);
    assert_eq!((says(&train, "state"), says(&train, "exit_code")), ("COMPLETED".into(), "0".into()));
    assert_eq!((says(&fails, "state"), says(&fails, "exit_code")), ("FAILED".into(), "3".into()));
    assert_eq!(says(&fails, "name"), "new line|x y");
    assert_eq!((says(&killed, "state"), says(&killed, "exit_code")), ("FAILED".into(), "137".into()));
    assert_eq!((says(&held, "state"), says(&held, "started_at is null")), ("CANCELLED".into(), "true".into()));
    assert_eq!((says(&train, "gpus_requested"), says(&fails, "gpus_requested")), ("2".into(), "0".into()));
    assert_eq!(says(&train, "labels['comment']"), "a|b");
    watched.check_time(&train, 0, "started_at", "train.start");
    watched.check_time(&train, 0, "ended_at", "train.end");
    let rows = watched.server.query(&format!(
        "select a.node, a.gpu_index, a.started_at = j.started_at, a.ended_at = j.ended_at from allocations a \
         join jobs j on a.job_id = j.job_id and a.attempt = j.attempt where a.job_id = '{train}' order by 2"
    ));
    assert_eq!(rows, [[&slurm.node, "0", "true", "true"], [&slurm.node, "1", "true", "true"]]);

    let array = slurm.submit(&["--array=1-3%2", "--gres=gpu:1"], "sleep 1");
    for task in 1..=3 {
        watched.wait_for_end(&format!("{array}_{task}"), 0);
        assert_eq!(says(&format!("{array}_{task}"), "labels['array_job_id']"), array);
    }
    assert_eq!(watched.server.query_count(&format!("select count(*) from jobs where job_id = '{array}'")), 0);
}

/// A job that starts twice.
fn requeued_job(watched: &Watched) -> String {
    let slurm = &watched.slurm;
    let job = slurm.submit(&["--requeue", "--gres=gpu:1"], &watched.script("twice", "sleep 300"));
    let runs = |attempt: i64| {
        format!("select count(*) from jobs where job_id = '{job}' and attempt = {attempt} and state = 'RUNNING'")
    };
    watched.wait_for(&runs(0), 1);
    watched.check_time(&job, 0, "started_at", "twice.start");
    std::thread::sleep(Duration::from_secs(1));
    slurm.says("scontrol", &["requeue", &job]);
    slurm.wait_for_state(&job, &["PENDING"]);
    // Its first run revokes the job's credentials by the second, so that a second run of the same one would be
    // refused; Slurm itself waits two minutes.
    std::thread::sleep(Duration::from_secs(3));
    slurm.says("scontrol", &["update", &format!("JobId={job}"), "StartTime=now"]);
    watched.wait_for(&runs(1), 1);
    watched.check_time(&job, 1, "started_at", "twice.start");
    watched.wait_for_end(&job, 0);
    assert_eq!(watched.column(&job, 0, "state"), "REQUEUED");
    slurm.says("scancel", &[&job]);
    watched.wait_for_end(&job, 1);
    assert_eq!(watched.column(&job, 1, "state"), "CANCELLED");
    let sql = format!("select attempt from allocations where job_id = '{job}' and ended_at is not null order by 1");
    assert_eq!(watched.server.query(&sql), [["0"], ["1"]]);
    job
}

/// While a job is suspended it holds nothing.
fn suspended_job(watched: &Watched) {
    let slurm = &watched.slurm;
    let job = slurm.submit(&["--gres=gpu:1"], "sleep 4; sleep 3");
    let is = |state: &str| format!("select count(*) from jobs where job_id = '{job}' and state = '{state}'");
    watched.wait_for(&is("RUNNING"), 1);
    slurm.says("scontrol", &["suspend", &job]);
    watched.wait_for(&is("SUSPENDED"), 1);
    std::thread::sleep(Duration::from_secs(3));
    slurm.says("scontrol", &["resume", &job]);
    watched.wait_for_end(&job, 0);
    let sql = format!(
        "select count(*), sum(to_unixtime(ended_at) - to_unixtime(started_at)) from allocations where job_id = '{job}'"
    );
    let rows = watched.server.query(&sql);
    assert_eq!(rows[0][0], "2", "a gap makes two of it");
    let held: i64 = rows[0][1].parse().unwrap();
    let lasted = watched.seconds(&job, 0, "ended_at") - watched.seconds(&job, 0, "started_at");
    assert!(lasted - held >= 3, "it held its GPU for {held} s of {lasted} s");
}

/// No change is told twice, whoever looked how often, and each attempt has one end.
fn nothing_twice(watched: &Watched) {
    // What the importer tells of the same jobs is of another cluster.
    let sql = "select job_id, attempt, kind, state, time, count(*) from job_events where cluster = 'lab' \
               group by 1, 2, 3, 4, 5 having count(*) > 1";
    assert_eq!(watched.server.query(sql), Vec::<Vec<String>>::new());
    let sql = "select job_id, attempt, count(distinct time) from job_events where cluster = 'lab' and kind = 'ended' \
               group by 1, 2 having count(distinct time) > 1";
    assert_eq!(watched.server.query(sql), Vec::<Vec<String>>::new());
}

/// What the importer makes of sacct's records is what the collector has told.
fn same_as_imported(watched: &Watched) {
    let fields = "JobID,JobName,User,Account,Partition,State,ExitCode,Submit,Start,End,NodeList,AllocCPUS,ReqTRES,AllocTRES,ReqMem";
    let states = "BF,CA,CD,DL,F,NF,OOM,PR,RQ,TO";
    let records = watched
        .slurm
        .says("sacct", &["-P", "-X", "-D", "-a", "-S", "now-1hour", "-E", "now", "-s", states, "-o", fields]);
    let records = match records.split_once("new\nline") {
        // A preset reads lines; this one is a name of two.
        Some((before, after)) => format!("{before}new line{}", after.replacen("|x\u{1f}y", "", 1)),
        None => records,
    };
    let file = watched.spool.path().join("sacct.txt");
    fs::write(&file, records).unwrap();
    let path = file.to_str().unwrap();
    let output =
        run(&mut watched.server.command(&["import", "jobs", "--preset", "slurm-sacct", "--cluster", "imported", path]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Of a job that is cancelled sacct says the exit code 0:0 where the controller knows the signal, and of one that
    // never ran a start at its end.
    let columns = "job_id, attempt, state, \"user\", account, queue, gpus_requested, cpus_requested, \
                   memory_requested_bytes, array_to_string(nodes, '+'), \
                   case when state <> 'CANCELLED' then exit_code end, submitted_at, \
                   case when nodes is not null then started_at end, ended_at";
    let of = |cluster: &str| {
        watched.server.query(&format!("select {columns} from jobs where cluster = '{cluster}' order by 1, 2"))
    };
    let (told, imported) = (of("lab"), of("imported"));
    assert!(imported.len() >= 10, "{imported:?}");
    assert_eq!(told, imported);
}

/// Jobs that begin or end while the collector is away are told by its next start, once.
fn away(watched: &Watched, mut collector: Program) -> Program {
    let ends = watched.slurm.submit(&["--gres=gpu:1"], &watched.script("ends", "sleep 5"));
    watched.wait_for(&format!("select count(*) from jobs where job_id = '{ends}' and state = 'RUNNING'"), 1);
    assert!(collector.stop(STOP_AT_MOST), "{}", collector.log());
    let whole = watched.slurm.submit(&["--gres=gpu:1"], &watched.script("whole", "sleep 1"));
    for job in [&ends, &whole] {
        watched.slurm.wait_for_state(job, &["COMPLETED"]);
    }
    let collector = watched.collector();
    for (job, name) in [(&ends, "ends"), (&whole, "whole")] {
        watched.wait_for_end(job, 0);
        watched.check_time(job, 0, "started_at", &format!("{name}.start"));
        watched.check_time(job, 0, "ended_at", &format!("{name}.end"));
    }
    collector
}

fn metrics(collector: &mut Program) -> String {
    let log = collector.log();
    let url =
        log.lines().find_map(|line| line.split_once("own metrics at ")).expect("it says where").1.trim().to_owned();
    send("GET", &url, &[], b"").unwrap().text()
}

/// Without its database Slurm goes on, and so does what is told of it.
fn without_a_database(watched: &mut Watched, collector: &mut Program) {
    watched.slurm.stop_database();
    let job = watched.slurm.submit(&[], &watched.script("without", "sleep 1"));
    watched.wait_for_end(&job, 0);
    watched.check_time(&job, 0, "ended_at", "without.end");
    let until = Instant::now() + TOLD_AT_MOST;
    let failed = "coulomb_collector_slurm_errors_total{command=\"sacct\"}";
    while !metrics(collector).contains(failed) {
        assert!(Instant::now() < until, "{}", metrics(collector));
        std::thread::sleep(Duration::from_millis(300));
    }
    watched.slurm.start_database();
    let log = collector.log();
    assert_eq!(log.lines().filter(|line| line.contains("sacct failed")).count(), 1, "it is said once: {log}");
}

#[test]
fn the_jobs_of_a_real_slurm_are_told_as_they_were() {
    let Some(mut watched) = start() else { return };
    let collector = watched.collector();
    simple_jobs(&watched);
    requeued_job(&watched);
    suspended_job(&watched);
    let mut collector = away(&watched, collector);
    nothing_twice(&watched);
    same_as_imported(&watched);
    without_a_database(&mut watched, &mut collector);
    nothing_twice(&watched);
    assert!(collector.stop(STOP_AT_MOST), "{}", collector.log());
    let spooled = fs::read_to_string(Path::new(watched.spool.path()).join("slurm.told")).unwrap();
    assert!(spooled.starts_with("coulomb-slurm-2\tlab\t"), "{spooled}");
}

//! A data directory of an earlier version: every later one must open it, with every row, and go on.
//!
//! `tests/golden/data-v1.tar.gz` was made by version 0.1.0, by the ignored test below. It is never made again: a
//! version that writes something else gets a `data-v2` beside it.

use coulomb_tests::writers::{Writer, check, check_duplicates, events, load};
use coulomb_tests::{Server, run, workspace_root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What is in it: flushed in several versions, merged, and in the log only.
const WRITERS: u64 = 2;
const BATCHES: u64 = 24;
const JOBS: &str = "job_id,user,state,gpus_requested,submitted_at,started_at,ended_at\n\
                    1,ada,COMPLETED,8,2026-01-05T08:00:00Z,2026-01-05T08:05:00Z,2026-01-05T12:05:00Z\n\
                    2,bob,FAILED,4,2026-01-05T09:00:00Z,2026-01-05T09:00:30Z,2026-01-05T10:00:30Z\n";

fn archive(version: &str) -> PathBuf {
    workspace_root().join("tests/golden").join(format!("data-{version}.tar.gz"))
}

/// Writers as they stood when the directory was made.
fn writers() -> Vec<Writer> {
    let size = |sequence: u64| 1 + ((sequence - 1) as i64 * 7) % 40;
    let standing = |index| Writer { sequence: BATCHES, next_row: (1..=BATCHES).map(size).sum(), ..Writer::new(index) };
    (0..WRITERS).map(standing).collect()
}

fn counts(server: &Server) -> [Vec<Vec<String>>; 3] {
    [
        "select count(*), sum(code), min(time), max(time), sum(length(node || message)) from device_events",
        "select job_id, \"user\", state, gpu_seconds from jobs order by job_id",
        "select count(*) from device_events where time >= '2023-11-20' and code % 3 = 0",
    ]
    .map(|sql| server.query(sql))
}

/// Of version 1.
fn expected() -> [Vec<Vec<String>>; 3] {
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    [
        vec![row(&["952", "226100", "2023-11-14T22:13:20.000000Z", "2023-11-20T10:10:00.000000Z", "30464"])],
        vec![row(&["1", "ada", "COMPLETED", "115200.0"]), row(&["2", "bob", "FAILED", "14400.0"])],
        vec![row(&["24"])],
    ]
}

#[test]
fn a_data_directory_of_version_1_opens_and_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let unpacked = run(Command::new("tar").arg("-xzf").arg(archive("v1")).arg("-C").arg(dir.path()));
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let data = dir.path().join("data");
    let mut writers = writers();
    let server = Server::start_in(&data, &["--flush-after-seconds", "1"]);
    assert_eq!(counts(&server), expected());
    check(&server, &writers);
    check_duplicates(&server, &writers);
    let verified = run(&mut server.command(&["verify"]));
    assert!(verified.status.success(), "{verified:?}");
    load(&server, &mut writers, 1_500, || ());
    check(&server, &writers);
    let server = server.stop_and_restart();
    check(&server, &writers);
    assert_eq!(counts(&server)[1], expected()[1]);
}

fn json_files(table: &Path) -> usize {
    std::fs::read_dir(table.join("_delta_log")).map_or(0, |entries| entries.count())
}

/// Makes the archive. Run once for a version of the format, with `--run-ignored only`.
#[test]
#[ignore = "makes the golden data directory, which is fixed once it is there"]
fn make_data_v1() {
    assert!(!archive("v1").exists(), "it is there, and stays as it is");
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let data = dir.path().join("data");
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut send = |server: &Server, until: u64| {
        for writer in &mut writers {
            while writer.sequence < until {
                let size = 1 + (writer.sequence as i64 * 7) % 40;
                let (sequence, rows) = (writer.sequence + 1, writer.next_row..writer.next_row + size);
                let stream = events(&writer.name, rows.clone());
                let name = format!("{}/boot", writer.name);
                server.ingest("device_events", &name, sequence, &stream).expect_status(200);
                (writer.sequence, writer.next_row) = (sequence, rows.end);
            }
        }
    };
    let jobs = dir.path().join("jobs.csv");
    std::fs::write(&jobs, JOBS).expect("a file can be written");
    let mut server = Server::start_in(&data, &[]);
    let path = jobs.to_string_lossy().into_owned();
    let import = run(&mut server.command(&["import", "jobs", "--preset", "csv", "--cluster", "golden", &path]));
    assert!(import.status.success(), "{import:?}");
    for until in [6, 12, 18] {
        send(&server, until);
        // A clean stop writes everything to files.
        server = server.stop_and_restart();
    }
    // A version each for making the table and the three flushes; the others are merges.
    let (table, end) = (data.join("tables/device_events"), Instant::now() + Duration::from_secs(60));
    while json_files(&table) < 6 {
        assert!(Instant::now() < end, "nothing was merged");
        std::thread::sleep(Duration::from_millis(100));
    }
    send(&server, BATCHES);
    println!("{:?}", counts(&server));
    server.program.kill();
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-czf"]).arg(archive("v1"));
    tar.args(["--exclude=lock", "--exclude=spill", "--exclude=admin.token", "--exclude=meta.sqlite-shm"]);
    let packed = run(tar.arg("-C").arg(dir.path()).arg("data"));
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
}

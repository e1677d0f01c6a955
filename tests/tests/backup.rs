//! `coulomb backup`, `restore` and `verify` as a user runs them, and what they say of damage.

use coulomb_tests::writers::{Writer, check, events_at, load};
use coulomb_tests::{Server, binary, run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DAY: i64 = 86_400_000_000;

fn coulomb(arguments: &[&str]) -> Output {
    run(Command::new(binary("coulomb")).args(arguments))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line of a command that was refused.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = text(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("coulomb: "), "{line}");
    line
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// What the writer's first batches hold, in rows, by sequence.
fn rows_until(sequence: u64) -> i64 {
    (0..sequence as i64).map(|before| 1 + before * 7 % 40).sum()
}

/// Each writer's rows in the server, and the last sequence that is kept with them.
fn kept(server: &Server) -> BTreeMap<String, (i64, u64)> {
    let rows = server.query("select node, count(*), max(code), count(distinct code) from device_events group by node");
    let number = |cell: &String| cell.parse::<i64>().expect("a count is a number");
    let of = |row: Vec<String>| {
        let [count, max, distinct] = [&row[1], &row[2], &row[3]].map(number);
        assert_eq!((count, count), (max + 1, distinct), "{row:?}");
        let sequence = (0..).find(|s| rows_until(*s) >= count).expect("some sequence ends there");
        assert_eq!(rows_until(sequence), count, "a batch of {} is there in part", row[0]);
        (row[0].clone(), (count, sequence))
    };
    rows.into_iter().map(of).collect()
}

#[test]
fn a_backup_under_load_is_one_moment_and_its_restore_goes_on_from_there() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (archive, data) = (dir.path().join("backup.tar"), dir.path().join("restored/data"));
    let server = Server::start_with(&["--flush-after-seconds", "1", "--keep-replaced-seconds", "1"]);
    let mut writers: Vec<Writer> = (0..3).map(Writer::new).collect();
    load(&server, &mut writers, 2_500, || ());
    let before: BTreeMap<String, i64> = writers.iter().map(|w| (w.name.clone(), w.next_row)).collect();
    load(&server, &mut writers, 300, || {
        let told = done(&run(&mut server.command(&["backup", path_text(&archive)])));
        assert!(told.starts_with("backed up ") && told.contains(" rows, "), "{told}");
    });
    let again = refusal(&run(&mut server.command(&["backup", path_text(&archive)])));
    assert!(again.contains("there already"), "{again}");
    // Others read it, too.
    let listed = done(&run(Command::new("tar").arg("-tf").arg(&archive)));
    assert!(listed.starts_with("meta.sqlite\n") && listed.ends_with("manifest.json\nmanifest.sha256\n"), "{listed}");
    let python = "import sys, tarfile, json, hashlib\n\
                  t = tarfile.open(sys.argv[1]); m = json.load(t.extractfile('manifest.json'))\n\
                  assert all(hashlib.sha256(t.extractfile(f['path']).read()).hexdigest() == f['sha256'] for f in m['files'])\n\
                  print(len(m['files']))";
    let counted = done(&run(Command::new("python3").args(["-c", python]).arg(&archive)));
    assert_eq!(counted.trim().parse(), Ok(listed.lines().count() - 2));
    let well = done(&coulomb(&["verify", path_text(&archive)]));
    assert!(well.contains("all is well"), "{well}");

    let told = done(&coulomb(&["restore", path_text(&archive), "--data", path_text(&data)]));
    assert!(told.contains("coulomb serve --data"), "{told}");
    let occupied = refusal(&coulomb(&["restore", path_text(&archive), "--data", path_text(&data)]));
    assert!(occupied.contains("not empty"), "{occupied}");
    let restored = Server::start_in(&data, &["--flush-after-seconds", "1"]);
    for (name, (rows, sequence)) in kept(&restored) {
        let writer = writers.iter().find(|w| w.name == name).expect("a writer of ours");
        assert!((before[&name]..=writer.next_row).contains(&rows), "{name}: {rows} of {}", writer.next_row);
        // What is in the backup is a duplicate, and what came later is not.
        let bearer = format!("Bearer {}", restored.token);
        let post = |sequence, rows| writer.post((&restored.url, &bearer), sequence, rows).expect("it answers").json();
        assert_eq!(post(sequence, 0..1)["duplicate"], true);
        let next = rows..rows_until(sequence + 1);
        assert_eq!(post(sequence + 1, next.clone())["accepted"], next.end - next.start);
    }
    assert_eq!(kept(&restored).len(), writers.len());
    let verified = done(&run(&mut restored.command(&["verify"])));
    assert!(verified.contains("all is well"), "{verified}");
    // The tokens of before work, the file's own is a new one.
    assert_ne!(restored.token, server.token);
    check(&server, &writers);
}

#[test]
fn a_damaged_archive_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let server = Server::start();
    server.ingest("device_events", "n/b", 1, &events_at("n", 0..300, |row| row * DAY / 100)).expect_status(200);
    let stream = run(&mut server.command(&["backup", "-"]));
    assert!(text(&stream.stderr).starts_with("backed up "), "{stream:?}");
    let good = stream.stdout;
    let archive = dir.path().join("bad.tar");
    let try_with = |bytes: &[u8]| {
        fs::write(&archive, bytes).expect("a file can be written");
        let refused =
            refusal(&coulomb(&["restore", path_text(&archive), "--data", path_text(&dir.path().join("data"))]));
        let left: Vec<PathBuf> =
            fs::read_dir(dir.path()).expect("it is there").map(|e| e.expect("it is").path()).collect();
        assert_eq!(left, std::slice::from_ref(&archive), "something was left behind");
        assert_eq!(refusal(&coulomb(&["verify", path_text(&archive)])), refused);
        refused
    };
    for part in 0..12 {
        let at = good.len() * part / 12 + part * 37;
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let refused = try_with(&bad);
        assert!(refused.contains("damaged"), "byte {at}: {refused}");
        let refused = try_with(&good[..at]);
        assert!(refused.contains("before it is complete"), "cut at {at}: {refused}");
    }
    assert!(try_with(b"not an archive at all").contains("complete"));
    assert!(try_with(&[b'x'; 2000]).contains("not written by `coulomb backup`"));
}

/// Data files of the table, by path.
fn data_files(server: &Server) -> Vec<PathBuf> {
    let table = server.data.join("tables/device_events");
    let days = fs::read_dir(table).into_iter().flatten().flatten().map(|e| e.path());
    let files = days.flat_map(|day| fs::read_dir(day).into_iter().flatten().flatten().map(|e| e.path()));
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "parquet")).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("the file is there");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("a file can be written");
}

#[test]
fn verify_finds_what_is_damaged_and_only_queries_that_read_it_fail() {
    // One file a day for six days, and frames in the log.
    let server = Server::start();
    server.ingest("device_events", "n/b", 1, &events_at("n", 0..600, |row| row % 6 * DAY + row)).expect_status(200);
    let server = server.stop_and_restart();
    server.ingest("device_events", "n/b", 2, &events_at("n", 600..700, |row| 9 * DAY + row)).expect_status(200);
    let verify = |server: &Server| run(&mut server.command(&["verify"]));
    let well = done(&verify(&server));
    assert!(well.contains(", 600 rows, ") && well.contains("all is well"), "{well}");
    let files = data_files(&server);
    assert_eq!(files.len(), 6);
    let size = fs::read(&files[0]).expect("it is there").len();
    let name = |path: &Path| path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    // Wherever the byte is.
    for at in [0, 4, size / 3, size / 2, size - 200, size - 5, size - 1] {
        flip(&files[0], at);
        let found = verify(&server);
        let (lines, verdict) = (text(&found.stdout), text(&found.stderr));
        assert_eq!(found.status.code(), Some(1), "byte {at}: {lines}");
        assert!(
            lines.starts_with("DAMAGED ") && lines.contains(&name(&files[0])) && verdict.contains("1 of "),
            "{lines}{verdict}"
        );
        flip(&files[0], at);
    }
    fs::remove_file(&files[1]).expect("it is there");
    flip(&files[2], size / 2);
    let segment = fs::read_dir(server.data.join("wal")).expect("it is there").map(|e| e.expect("it is").path());
    let segment = segment.filter(|p| p.extension().is_some_and(|e| e == "wal")).max().expect("there is a segment");
    flip(&segment, 200);
    let lines = text(&verify(&server).stdout);
    for (path, why) in [(&files[1], "missing"), (&files[2], "checksum"), (&segment, "do not match their checksum")] {
        let line = lines.lines().find(|line| line.contains(&name(path))).unwrap_or_else(|| panic!("{path:?}: {lines}"));
        assert!(line.contains(why), "{line}");
    }
    let json = run(&mut server.command(&["verify", "--format", "json"]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!(json["damaged"].as_array().map(Vec::len), Some(3), "{json}");
    flip(&segment, 200);

    // A day that is whole is answered, a damaged one is not, and rows are kept, also after a start.
    flip(&files[2], size / 2);
    let zeros = vec![0; size - 300];
    let mut bytes = fs::read(&files[2]).expect("it is there");
    bytes[4..4 + zeros.len()].copy_from_slice(&zeros);
    fs::write(&files[2], bytes).expect("a file can be written");
    let mut server = server.kill_and_restart();
    for sequence in [3, 4] {
        let whole = "select count(message) from device_events where time < '1970-01-02'";
        assert_eq!(server.query_count(whole), 100);
        for (day, file) in [("1970-01-02", &files[1]), ("1970-01-03", &files[2])] {
            let sql = format!(
                "select count(message || node) from device_events where time between '{day}' and '{day}T23:00:00Z'"
            );
            let body = serde_json::json!({ "sql": sql }).to_string();
            let answer =
                server.request("POST", "/api/v1/query", &[("Content-Type", "application/json")], body.as_bytes());
            assert!(answer.status >= 500, "{}", answer.text());
            let named = answer.text().contains(&name(file)) && answer.text().contains("corrupt");
            assert!(named, "the file is not named: {}", answer.text());
        }
        let rows = 700 + sequence as i64..701 + sequence as i64;
        server.ingest("device_events", "n/b", sequence, &events_at("n", rows, |row| 9 * DAY + row)).expect_status(200);
        server = server.stop_and_restart();
    }
}

#![allow(clippy::unwrap_used)]

use super::super::chunks::CHUNK_ROWS;
use super::super::{parse, presets};
use super::*;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use contract::answers::{IngestAnswer, Rejection};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Keeps what it is sent, each sequence of a writer once, as the server does.
#[derive(Default)]
struct Kept {
    sequences: HashMap<String, u64>,
    batches: Vec<RecordBatch>,
    /// The chunk at which it stops answering.
    fails_at: Option<u64>,
    /// Rows of each chunk that it does not take.
    rejects: u64,
    outcomes: Vec<(String, Result<Tally, ImportError>)>,
}

impl Keep for Kept {
    type Error = ImportError;

    fn keep(&mut self, writer: &str, sequence: u64, body: &[u8]) -> Result<IngestAnswer, ImportError> {
        if self.fails_at == Some(sequence) {
            let cause = std::io::Error::other("gone");
            return Err(ImportError::Read { path: PathBuf::new(), cause });
        }
        let last = self.sequences.entry(writer.to_owned()).or_default();
        if sequence <= *last {
            return Ok(IngestAnswer { duplicate: true, ..IngestAnswer::default() });
        }
        *last = sequence;
        let batches = StreamReader::try_new(body, None)?.collect::<Result<Vec<_>, _>>()?;
        let rows: u64 = batches.iter().map(|b| b.num_rows() as u64).sum();
        self.batches.extend(batches);
        // As the server, it lists some only.
        let reason = |row: u64| format!("{row}.5 is not a ratio between 0 and 1");
        let rejection = |row| Rejection { row, column: "c".to_owned(), reason: reason(row) };
        let rejected = (0..self.rejects.min(2)).map(rejection).collect();
        Ok(IngestAnswer { accepted: rows - self.rejects, rejected, ..IngestAnswer::default() })
    }
}

impl Sink for Kept {
    fn begin(&mut self, _name: &str, _bytes: u64) {}

    fn progress(&mut self, _name: &str, _bytes_read: u64, _rows: u64) {}

    fn done(&mut self, name: &str, outcome: Result<Tally, ImportError>) -> Result<(), ImportError> {
        self.outcomes.push((name.to_owned(), outcome));
        Ok(())
    }
}

impl Kept {
    fn texts(&self, column: &str) -> Vec<String> {
        let texts = self.batches.iter().flat_map(|b| b.column_by_name(column).unwrap().as_string::<i32>().iter());
        texts.map(|t| t.unwrap_or("null").to_owned()).collect()
    }

    fn floats(&self, column: &str) -> Vec<Option<f64>> {
        let column = |b: &RecordBatch| b.column_by_name(column).unwrap().as_primitive::<Float64Type>().clone();
        self.batches.iter().flat_map(|b| column(b).iter().collect::<Vec<_>>()).collect()
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

/// What became of the last file that was done.
fn run(preset: &str, table: &str, files: &[PathBuf], kept: &mut Kept) -> Result<Tally, ImportError> {
    run_with(preset, table, &Defaults::default(), files, kept)?;
    kept.outcomes.pop().unwrap().1
}

fn run_with(
    preset: &str,
    table: &str,
    defaults: &Defaults,
    files: &[PathBuf],
    kept: &mut Kept,
) -> Result<(), ImportError> {
    let map = presets::preset(preset, contract::table(table).unwrap()).unwrap();
    let defaults = Defaults { cluster: Some("c".to_owned()), ..defaults.clone() };
    let options = format!("{preset} {defaults:?}");
    let (time_micros, now_micros) = (Some(0), NOW_MICROS);
    let settings = Settings { map: &map, preset, defaults: &defaults, time_micros, now_micros, options: &options };
    let inputs = files.iter().map(|f| Input::open(f, 0)).collect::<Result<Vec<_>, _>>()?;
    import(&settings, inputs, kept)
}

/// 2026-01-01.
const NOW_MICROS: i64 = 1_767_225_600_000_000;

const PHILLY: &str = "timestamp,duration,num_gpus,gpu_time,cluster\n\
                      2017-10-09 07:01:55,66.0,1,66.0,11cb48\n\
                      2017-10-09 06:13:03,x,1,2951.0,6214e9\n\
                      2017-10-09 06:13:03,2951.0,1\n\
                      2017-09-29 07:58:32,860662.0,2,860662.0,6c71a0\n";

#[test]
fn a_file_is_imported_once_and_its_rejects_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "philly.csv", PHILLY.as_bytes());
    let mut kept = Kept::default();
    let tally = run("philly", "job_events", std::slice::from_ref(&file), &mut kept).unwrap();
    let lines = tally.lines("philly.csv", "job_events");
    assert_eq!(lines[0], "philly.csv: 2 rows added to job_events, 2 rejected");
    assert!(lines.iter().any(|l| l.contains("ended_at: not a number (line 3: \"x\")")), "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("line 4: \"3 fields, the header has 5\"")), "{lines:?}");
    let ids = kept.texts("job_id");
    let mark = ids[0].strip_prefix("row-").and_then(|id| id.strip_suffix("-2")).unwrap();
    assert_eq!(ids[1], format!("row-{mark}-5"));
    assert_eq!(kept.texts("queue"), ["11cb48", "6c71a0"]);
    let tally = run("philly", "job_events", &[file], &mut kept).unwrap();
    assert_eq!((tally.added, tally.duplicates), (0, 2));
    assert_eq!(kept.texts("job_id").len(), 2);
}

#[test]
fn an_import_that_was_cut_off_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = "timestamp,duration,num_gpus,gpu_time,cluster\n".to_owned();
    for row in 0..CHUNK_ROWS * 2 + 10 {
        text += &format!("2017-10-09 07:01:55,{row},1,66.0,q\n");
    }
    let file = write(dir.path(), "philly.csv", text.as_bytes());
    let mut kept = Kept { fails_at: Some(2), ..Kept::default() };
    assert!(run("philly", "job_events", std::slice::from_ref(&file), &mut kept).is_err());
    kept.fails_at = None;
    let tally = run("philly", "job_events", &[file], &mut kept).unwrap();
    assert_eq!((tally.added, tally.duplicates), (CHUNK_ROWS as u64 + 10, CHUNK_ROWS as u64));
    assert_eq!(kept.texts("job_id").len(), CHUNK_ROWS * 2 + 10);
}

#[test]
fn gzip_is_read_and_garbage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(PHILLY.as_bytes()).unwrap();
    let file = write(dir.path(), "philly.csv.gz", &packed.finish().unwrap());
    let mut kept = Kept::default();
    run("philly", "job_events", &[file], &mut kept).unwrap();
    assert_eq!(kept.texts("job_id").len(), 2);
    for (name, bytes) in [
        ("a.csv.gz", b"not gzip at all".to_vec()),
        ("a.parquet", b"PAR1 but not really PAR1".to_vec()),
        ("a.csv", vec![0; 100_000]),
        ("b.csv", vec![0xff; 100]),
        ("c.csv", Vec::new()),
        ("d.csv", b"JobID,State\n1,FAILED\n".to_vec()),
    ] {
        let file = write(dir.path(), name, &bytes);
        let error = run("philly", "job_events", &[file], &mut kept).unwrap_err();
        assert!(matches!(error, ImportError::Format { .. } | ImportError::Read { .. }), "{name}: {error}");
        assert!(!error.to_string().contains('\n'), "{name}: {error}");
    }
}

#[test]
fn a_quote_that_is_left_open_does_not_fill_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = PHILLY.as_bytes().to_vec();
    text.extend_from_slice(b"\"");
    text.resize(RECORD_BYTES + (4 << 20), b'x');
    let file = write(dir.path(), "philly.csv", &text);
    let error = run("philly", "job_events", &[file], &mut Kept::default()).unwrap_err().to_string();
    assert!(error.contains("one record has more than"), "{error}");
}

const RECORD_BYTES: usize = 16 << 20;

#[test]
fn metrics_of_one_time_are_joined_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let busy = "value,timestamp_anon,container_ip\n50.0,100.0,a\n0.0,100.0,b\n10.0,157.0,a\n";
    let memory = "timestamp_anon,value,container_ip\n100.0,1073741825.0,b\n157.0,5.0,c\n";
    let busy = write(dir.path(), "pod_gpu_duty_cycle_anon.csv", busy.as_bytes());
    let memory = write(dir.path(), "pod_gpu_memory_used_bytes_anon.csv", memory.as_bytes());
    let mut kept = Kept::default();
    run("alibaba-genai", "gpu_samples", &[busy, memory], &mut kept).unwrap();
    let mut rows: Vec<_> = kept.texts("gpu_uuid").into_iter().zip(kept.floats("gpu_busy_ratio")).collect();
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let expected = [("a", Some(0.1)), ("a", Some(0.5)), ("b", Some(0.0)), ("c", None)];
    assert_eq!(rows, expected.map(|(pod, busy)| (pod.to_owned(), busy)));
    assert_eq!(kept.texts("node"), kept.texts("job_id"));
    assert_eq!(kept.floats("interval_seconds"), [Some(57.0); 4]);
    let other = write(dir.path(), "qps.csv", b"value,timestamp_anon,container_ip\n1,1,a\n");
    let error = run("alibaba-genai", "gpu_samples", &[other], &mut kept).unwrap_err().to_string();
    assert!(error.contains("duty_cycle, memory_used_bytes"), "{error}");
}

#[test]
fn left_rectangles_give_the_energy_of_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = "timestamp, power.draw [W], pstate\n\
               2023/07/14 10:12:46.000, 100.00, P0\n\
               2023/07/14 10:12:47.500, 200.00, P0\n\
               2023/07/14 10:12:47.500, 300.00, P0\n\
               2023/07/14 10:12:48.000, 50.00 W, P0\n";
    let file = write(dir.path(), "gpu.csv", log.as_bytes());
    let mut kept = Kept::default();
    run("nvidia-smi-csv", "gpu_samples", &[file], &mut kept).unwrap();
    let energy: f64 = kept
        .floats("power_watts")
        .iter()
        .zip(kept.floats("interval_seconds"))
        .map(|(p, s)| p.unwrap() * s.unwrap())
        .sum();
    assert_eq!(energy, 300.0);
    let uuids = kept.texts("gpu_uuid");
    assert!(uuids[0].starts_with("file:gpu/") && uuids.iter().all(|u| *u == uuids[0]), "{uuids:?}");
}

const LOG: &str = "timestamp, power.draw [W]\n";

fn log(dir: &Path, name: &str, rows: &[(&str, u32)]) -> PathBuf {
    let rows: String = rows.iter().map(|(time, watts)| format!("2023/07/14 10:{time}, {watts}\n")).collect();
    std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    write(dir, name, format!("{LOG}{rows}").as_bytes())
}

#[test]
fn a_log_of_several_gpus_that_names_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = log(dir.path(), "n1.csv", &[("00:00.000", 1), ("00:00.000", 2), ("00:01.000", 1)]);
    let mut kept = Kept::default();
    let error = run("nvidia-smi-csv", "gpu_samples", std::slice::from_ref(&file), &mut kept).unwrap_err();
    assert!(error.to_string().contains("rows of 2") && kept.batches.is_empty(), "{error}");
    let one = Defaults { gpu_uuid: Some("GPU-a".to_owned()), ..Defaults::default() };
    run_with("nvidia-smi-csv", "gpu_samples", &one, &[file], &mut kept).unwrap();
    assert_eq!(kept.texts("gpu_uuid"), ["GPU-a"; 3]);
    let text = "timestamp, pci.bus_id, power.draw\n2023/07/14 10:00:00, 00000000:3B:00.0, 1\n\
                2023/07/14 10:00:00, 00000000:5E:00.0, 1\n";
    let named = write(dir.path(), "n2.csv", text.as_bytes());
    let mut kept = Kept::default();
    run("nvidia-smi-csv", "gpu_samples", &[named], &mut kept).unwrap();
    assert_ne!(kept.texts("gpu_uuid")[0], kept.texts("gpu_uuid")[1]);
}

#[test]
fn files_of_one_name_are_not_one_gpu() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["a/gpu.csv", "b/gpu.csv"];
    let files = [("00:00.000", 1), ("00:00.015", 1)].iter().zip(files).map(|(row, f)| log(dir.path(), f, &[*row]));
    let files: Vec<PathBuf> = files.collect();
    let mut kept = Kept::default();
    run("nvidia-smi-csv", "gpu_samples", &files, &mut kept).unwrap();
    assert_ne!(kept.texts("gpu_uuid")[0], kept.texts("gpu_uuid")[1]);
}

#[test]
fn a_rotated_log_goes_on_in_its_next_file_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let old = log(dir.path(), "gpu.csv.1", &[("00:00.000", 100), ("00:10.000", 200)]);
    let new = log(dir.path(), "gpu.csv", &[("00:20.000", 300), ("00:25.000", 1)]);
    let one = Defaults { gpu_uuid: Some("GPU-a".to_owned()), ..Defaults::default() };
    let mut kept = Kept::default();
    let mut import = |files: &[PathBuf]| {
        run_with("nvidia-smi-csv", "gpu_samples", &one, files, &mut kept).unwrap();
        (kept.floats("interval_seconds"), kept.texts("gpu_uuid").len())
    };
    let (seconds, _) = import(&[new.clone(), old.clone()]);
    assert_eq!(seconds, [10.0, 10.0, 5.0, 0.0].map(Some));
    assert_eq!(import(&[old, new]).1, 4, "the same files are the same import");
}

#[test]
fn scrapes_in_files_of_their_own_have_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let page =
        |second: u32| format!("DCGM_FI_DEV_POWER_USAGE{{UUID=\"GPU-a\",Hostname=\"n\"}} 10 17000000{second}000\n");
    let files: Vec<PathBuf> =
        [10, 25, 40].map(|s| write(dir.path(), &format!("{s}.prom"), page(s).as_bytes())).to_vec();
    let mut kept = Kept::default();
    let tally = run("prometheus-text", "gpu_samples", &files, &mut kept).unwrap();
    assert_eq!(kept.floats("interval_seconds"), [15.0, 15.0, 0.0].map(Some));
    assert!(tally.lines("40.prom", "t").iter().any(|l| l.contains("--interval-seconds")), "{tally:?}");
}

#[test]
fn rows_without_a_name_are_told_apart_by_file_and_keep_their_name_when_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,duration,num_gpus,gpu_time,cluster\n";
    let ids = |name: &str, rows: &str| {
        let file = write(dir.path(), name, format!("{header}{rows}").as_bytes());
        let mut kept = Kept::default();
        run("philly", "job_events", &[file], &mut kept).unwrap();
        kept.texts("job_id")
    };
    let (a, b) = ("2017-10-09 07:01:55,66.0,1,66.0,q\n", "2017-10-09 07:01:56,66.0,1,66.0,q\n");
    let first = ids("a.csv", a);
    assert_ne!(first, ids("b.csv", b));
    assert_eq!(first[0], ids("a.csv", &format!("{a}{b}"))[0]);
}

#[test]
fn a_fault_of_one_file_stops_no_other_and_equal_files_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let header = PHILLY.lines().next().unwrap();
    let files = [("a.csv", PHILLY), ("b.csv", header), ("c.csv", "x,y\n1,2\n"), ("d.csv", PHILLY)];
    let files = files.map(|(name, text)| write(dir.path(), name, text.as_bytes()));
    let mut kept = Kept::default();
    run_with("philly", "job_events", &Defaults::default(), &files, &mut kept).unwrap();
    let told: HashMap<String, String> = kept
        .outcomes
        .iter()
        .map(|(name, outcome)| {
            let name = Path::new(name).file_name().unwrap().to_string_lossy().into_owned();
            (
                name,
                match outcome {
                    Ok(tally) if tally.is_nothing() => tally.why_nothing(),
                    Ok(tally) => tally.lines("", "t").remove(0),
                    Err(error) => error.to_string(),
                },
            )
        })
        .collect();
    assert!(told["a.csv"].contains("2 rows added"), "{told:?}");
    assert!(told["b.csv"].contains("it has no rows"), "{told:?}");
    assert!(told["c.csv"].contains("not of the format"), "{told:?}");
    assert!(told["d.csv"].contains("the same as") && told["d.csv"].contains("a.csv"), "{told:?}");
    assert_eq!(kept.texts("job_id").len(), 2);
}

#[test]
fn a_row_of_the_future_is_told_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{PHILLY}2025-12-31 23:50:00,900,1,900.0,q\n2026-01-01 01:00:00,60,1,60.0,q\n");
    let file = write(dir.path(), "philly.csv", text.as_bytes());
    let mut kept = Kept::default();
    let error = run("philly", "job_events", &[file], &mut kept).unwrap_err().to_string();
    assert!(error.contains("line 7") && error.contains("3660 s ahead") && kept.batches.is_empty(), "{error}");
}

#[test]
fn all_rejects_of_the_server_count_and_are_told_once_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..10).map(|row| format!("2017-10-09 07:01:55,{row},1,66.0,q\n")).collect();
    let header = PHILLY.lines().next().unwrap();
    let file = write(dir.path(), "philly.csv", format!("{header}\n{rows}").as_bytes());
    let mut kept = Kept { rejects: 5, ..Kept::default() };
    let lines = run("philly", "job_events", &[file], &mut kept).unwrap().lines("f", "t");
    assert_eq!(lines[0], "f: 5 rows added to t, 5 rejected");
    assert_eq!(lines[1], "f: rejected 3 × not listed by the server");
    let expected =
        "f: rejected 2 × c: … is not a ratio between 0 and 1 (by the server) (line 2: \"0.5\", line 3: \"1.5\")";
    assert_eq!(lines[2], expected);
}

#[test]
fn pages_may_be_packed_and_files_may_lack_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"DCGM_FI_DEV_GPU_UTIL{UUID=\"GPU-a\"} 50\n").unwrap();
    let page = write(dir.path(), "n1.prom.gz", &packed.finish().unwrap());
    let mut kept = Kept::default();
    run("prometheus-text", "gpu_samples", &[page], &mut kept).unwrap();
    assert_eq!(kept.floats("gpu_busy_ratio"), [Some(0.5)]);
    assert_eq!(kept.texts("node"), ["n1"]);

    let text = "header = [\"id\", \"end\"]\n[columns]\njob_id = { source = \"id\" }\nended_at = { source = \"end\" }";
    let map = parse::parse("m", text, contract::table("job_events").unwrap(), None).unwrap();
    let defaults = Defaults { cluster: Some("c".to_owned()), ..Defaults::default() };
    let now_micros = NOW_MICROS;
    let settings =
        Settings { map: &map, preset: "csv", defaults: &defaults, time_micros: None, now_micros, options: "" };
    let file = write(dir.path(), "jobs.csv", b"7,2025-01-01 00:00:00\n8,2025-01-01 00:00:01\n");
    let mut kept = Kept::default();
    import(&settings, vec![Input::open(&file, 0).unwrap()], &mut kept).unwrap();
    assert_eq!(kept.texts("job_id"), ["7", "8"]);
}

#[test]
fn times_without_a_zone_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "philly.csv", PHILLY.as_bytes());
    let lines = run("philly", "job_events", &[file], &mut Kept::default()).unwrap().lines("f", "t");
    assert!(lines.iter().any(|l| l.contains("were read as UTC")), "{lines:?}");
    let text = "JobID|Submit|Start|End|State\n1|1700000000|1700000001|1700000002|COMPLETED\n";
    let file = write(dir.path(), "sacct.txt", text.as_bytes());
    let lines = run("slurm-sacct", "job_events", &[file], &mut Kept::default()).unwrap().lines("f", "t");
    assert_eq!(lines, ["f: 1 rows added to t"]);
}

#[test]
fn a_file_without_a_metric_is_not_of_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "gpu.csv", b"timestamp,pstate\n2023/07/14 10:12:46.000,P0\n");
    let error = run("nvidia-smi-csv", "gpu_samples", &[file], &mut Kept::default()).unwrap_err().to_string();
    assert!(error.contains("no column for any metric") && error.contains("timestamp, pstate"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_file_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        for (name, preset, table) in [
            ("a.csv", "csv", "job_events"),
            ("a.csv", "slurm-sacct", "job_events"),
            ("a.parquet", "csv", "gpu_samples"),
            ("a.csv.gz", "nvidia-smi-csv", "gpu_samples"),
            ("a.metrics", "prometheus-text", "gpu_samples"),
        ] {
            let file = write(dir.path(), name, &bytes);
            std::hint::black_box(run(preset, table, &[file], &mut Kept::default()).is_ok());
        }
    }
}

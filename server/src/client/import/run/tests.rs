#![allow(clippy::unwrap_used)]

use super::super::presets;
use super::*;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use std::io::Write;

/// Keeps what it is sent, each sequence of a writer once, as the server does.
#[derive(Default)]
struct Kept {
    sequences: HashMap<String, u64>,
    batches: Vec<RecordBatch>,
    /// The chunk at which it stops answering.
    fails_at: Option<u64>,
}

impl Sink for Kept {
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
        let accepted = batches.iter().map(|b| b.num_rows() as u64).sum();
        self.batches.extend(batches);
        Ok(IngestAnswer { accepted, ..IngestAnswer::default() })
    }

    fn progress(&mut self, _bytes_read: u64, _rows: u64) {}
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

fn run(preset: &str, table: &str, files: &[PathBuf], kept: &mut Kept) -> Result<Tally, ImportError> {
    let map = presets::preset(preset, contract::table(table).unwrap()).unwrap();
    let defaults = Defaults { cluster: Some("c".to_owned()), ..Defaults::default() };
    let unit = Unit { map: &map, preset, defaults: &defaults, time_micros: Some(0), files: files.to_vec() };
    let digests: Vec<_> = files.iter().map(|f| file_digest(f).unwrap()).collect();
    import(&unit, &import_digest(&digests, &[("preset", preset)]), kept)
}

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
    assert_eq!(kept.texts("job_id"), ["row-2", "row-5"]);
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
    assert_eq!(kept.texts("gpu_uuid"), ["a", "b", "a", "c"]);
    assert_eq!(kept.texts("node"), kept.texts("job_id"));
    assert_eq!(kept.floats("gpu_busy_ratio"), [Some(0.5), Some(0.0), Some(0.1), None]);
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
    assert_eq!(kept.texts("gpu_uuid"), ["file:gpu"; 4]);
}

#[test]
fn a_stem_loses_its_extensions_only() {
    assert_eq!(stem("n1__590.48.01.metrics"), "n1__590.48.01");
    assert_eq!(stem("n1.csv.gz"), "n1");
    assert_eq!(stem("n1"), "n1");
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

//! Starts the real collector against the NVML stub and reads what it recorded.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Current,
    /// Lacks the symbols that old drivers lack.
    Old,
}

/// Compiles the stub; `None`, with a message, where there is no C compiler.
pub fn stub(driver: Driver, dir: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/nvml-stub/stub.c");
    let library = dir.join("libnvidia-ml-stub.so");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    if driver == Driver::Old {
        command.arg("-DOLD_DRIVER");
    }
    match command.status() {
        Ok(status) => {
            assert!(status.success(), "the stub does not compile");
            Some(library)
        }
        Err(error) => {
            eprintln!("skipped: the NVML stub needs a C compiler named cc: {error}");
            None
        }
    }
}

/// Replaces a file at once, so that the stub never reads half of it.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("next");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// A healthy GPU's facts.
pub fn healthy(gpu: usize) -> String {
    format!(
        "{gpu} uuid GPU-{gpu}\n{gpu} name NVIDIA H100 80GB HBM3\n{gpu} gpu_busy 97\n{gpu} memory_busy 40\n\
         {gpu} memory_used 1073741824\n{gpu} memory_total 85899345920\n{gpu} power 300500\n{gpu} power_limit 700000\n\
         {gpu} energy 123456789\n{gpu} temperature 55\n{gpu} sm_clock 1980\n{gpu} memory_clock 2619\n{gpu} throttle 4\n\
         {gpu} ecc_corrected 3\n{gpu} ecc_uncorrected 0\n{gpu} field_82 61\n{gpu} field_197 1000\n{gpu} field_198 2000\n\
         {gpu} field_138 10\n{gpu} field_139 20\n{gpu} field32_142 1\n{gpu} field32_143 2\n{gpu} mig 0\n{gpu} gpm 1\n\
         {gpu} gpm_2 50.5\n{gpu} gpm_3 25\n{gpu} gpm_5 12.5\n{gpu} gpm_10 75\n"
    )
}

/// A recording in progress or done.
pub struct Recorded {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
    pub log: String,
}

impl Recorded {
    /// Records for a time with the stub under a script; `None` where the stub cannot be built.
    pub fn start(driver: Driver, script: &str, seconds: f64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = stub(driver, dir.path())?;
        replace(&dir.path().join("script"), script);
        let child = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"))
            .args(["record", "--cluster", "c", "--node", "n1", "--interval", "200ms"])
            .arg("--duration")
            .arg(format!("{seconds}s"))
            .arg("--nvml-library")
            .arg(library)
            .arg(dir.path().join("out"))
            .env("NVML_STUB", dir.path().join("script"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Self { dir, child: Some(child), log: String::new() })
    }

    pub fn script(&self, text: &str) {
        replace(&self.dir.path().join("script"), text);
    }

    /// Waits for the end, which must be a success.
    pub fn finish(mut self) -> Self {
        let Output { status, stderr, .. } = self.child.take().unwrap().wait_with_output().unwrap();
        self.log = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success(), "{}", self.log);
        self
    }

    pub fn rows(&self, table: &str) -> Rows {
        Rows::read(&self.dir.path().join("out"), table)
    }

    /// How often the stub was called, by name.
    pub fn calls(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(self.dir.path().join("script.calls")).unwrap();
        text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// All recorded rows of one table.
pub struct Rows(pub RecordBatch);

impl Rows {
    pub fn read(dir: &Path, table: &str) -> Self {
        let contract = contract::table(table).unwrap();
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(dir) {
            Ok(listing) => listing.map(|e| e.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        };
        paths.retain(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&format!("{table}-")));
        paths.sort();
        let mut batches = Vec::new();
        for path in paths {
            let file = std::fs::File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            batches.extend(reader.map(Result::unwrap));
        }
        Self(concat_batches(&contract::schema(contract), &batches).unwrap())
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).unwrap()
    }

    pub fn float(&self, row: usize, name: &str) -> Option<f64> {
        let column = self.column(name).as_primitive::<Float64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    pub fn int(&self, row: usize, name: &str) -> Option<i64> {
        let column = self.column(name).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    pub fn text(&self, row: usize, name: &str) -> Option<String> {
        let column = self.column(name).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    /// The rows whose text column has that value.
    pub fn of(&self, name: &str, value: &str) -> Vec<usize> {
        (0..self.len()).filter(|row| self.text(*row, name).as_deref() == Some(value)).collect()
    }

    pub fn is_all_null(&self, name: &str) -> bool {
        self.column(name).null_count() == self.len()
    }
}

/// Asks until it is so, or fails.
pub fn wait_until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < limit, "it did not come: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

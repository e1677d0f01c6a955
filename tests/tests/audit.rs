//! The order of system calls: what is answered, removed or named was synced before.
//!
//! The real server runs under strace; its calls are replayed on a model of a disk that loses what was not synced.

use coulomb_tests::writers::events_at;
use coulomb_tests::{Server, binary};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CALLS: &str = "openat,open,write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,link,\
                     linkat,unlink,unlinkat,mkdir,ftruncate";
const DAY: i64 = 86_400_000_000;
const AT_MOST: Duration = Duration::from_secs(120);

/// A system call that succeeded, by the lines at which it began and ended.
#[derive(Debug)]
struct Call {
    begin: usize,
    end: usize,
    name: String,
    /// The text between the outer brackets.
    arguments: String,
}

fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let mut text = text.trim_start().to_owned();
        let mut begin = number;
        if let Some(start) = text.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (number, start.to_owned()));
            continue;
        }
        if let Some(rest) = text.strip_prefix("<... ") {
            let Some((_, rest)) = rest.split_once(" resumed>") else { continue };
            let Some((at, start)) = unfinished.remove(thread) else { continue };
            (begin, text) = (at, format!("{start}{rest}"));
        }
        let Some((called, result)) = text.rsplit_once(" = ") else { continue };
        let Some((name, arguments)) = called.trim_end().trim_end_matches(')').split_once('(') else { continue };
        if !result.starts_with('-') && !result.starts_with('?') {
            calls.push(Call { begin, end: number, name: name.to_owned(), arguments: arguments.to_owned() });
        }
    }
    calls.sort_by_key(|call| call.end);
    calls
}

impl Call {
    /// The paths in quotes.
    fn quoted(&self) -> Vec<PathBuf> {
        self.arguments.split('"').skip(1).step_by(2).map(PathBuf::from).collect()
    }

    /// Whether it tells a client that all is well; this test only sends rows.
    fn is_answer(&self) -> bool {
        let of = self.of_descriptor();
        (of.starts_with("socket:") || of.starts_with("TCP")) && self.arguments.contains("HTTP/1.1 200 OK")
    }

    /// What `-y` says of the first argument.
    fn of_descriptor(&self) -> &str {
        let first = self.arguments.split(", ").next().unwrap_or_default();
        let (from, to) = (first.find('<'), first.rfind('>'));
        from.zip(to).map_or("", |(from, to)| &first[from + 1..to])
    }
}

/// The disk, as far as calls have told. A file is known by a number, whatever its names.
#[derive(Default)]
struct Model {
    files: usize,
    names: BTreeMap<PathBuf, usize>,
    /// Of each file, where its last write ended, while that is not synced.
    dirty: BTreeMap<usize, usize>,
    /// Names that were given or taken and whose folder was not synced since, with where that ended.
    unsynced: BTreeMap<PathBuf, usize>,
    faults: Vec<String>,
    /// What happened, so that a trace in which nothing happened proves nothing.
    seen: BTreeMap<&'static str, usize>,
}

impl Model {
    fn fault(&mut self, call: &Call, text: String) {
        self.faults.push(format!("line {}: {}: {text}", call.begin + 1, call.name));
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn made(&mut self, path: PathBuf, end: usize) {
        self.files += 1;
        self.names.insert(path.clone(), self.files);
        self.unsynced.insert(path, end);
    }

    fn is_clean(&self, path: &Path) -> bool {
        self.names.get(path).is_some_and(|file| !self.dirty.contains_key(file))
    }

    /// Why a file could be lost in a power cut now: its bytes, its name, or that of a folder on its way.
    fn could_lose(&self, path: &Path, data: &Path) -> Option<String> {
        if !self.is_clean(path) {
            return Some(format!("{path:?} has bytes that are not synced"));
        }
        let parents = path.ancestors().take_while(|at| at.starts_with(data));
        let unsynced = parents.into_iter().find(|at| self.unsynced.contains_key(*at));
        unsynced.map(|at| format!("the name {at:?} is not synced"))
    }

    fn sync(&mut self, path: &Path, begin: usize) {
        if let Some(file) = self.names.get(path)
            && self.dirty.get(file).is_some_and(|written| *written < begin)
        {
            self.dirty.remove(file);
        }
        self.unsynced.retain(|name, end| name.parent() != Some(path) || *end > begin);
    }
}

/// A version of a table, read from the log that the server left.
struct Version {
    adds: Vec<PathBuf>,
    removes: Vec<PathBuf>,
    /// Up to which position it covers the log.
    covers: Option<u64>,
}

fn versions(table: &Path) -> BTreeMap<PathBuf, Version> {
    let listed = fs::read_dir(table.join("_delta_log")).expect("the table has a log");
    let paths = listed
        .map(|e| e.expect("the folder can be read").path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"));
    let version = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a version is text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|l| serde_json::from_str(l).expect("a line is JSON")).collect();
        let paths = |kind: &str| lines.iter().filter_map(|l| Some(table.join(l[kind]["path"].as_str()?))).collect();
        let covers = lines.iter().find_map(|l| l["txn"]["version"].as_u64());
        (path, Version { adds: paths("add"), removes: paths("remove"), covers })
    };
    paths.map(version).collect()
}

struct Audit<'a> {
    data: &'a Path,
    versions: BTreeMap<PathBuf, Version>,
    model: Model,
    /// Written to the log since the last answer.
    appended: bool,
    /// Where the last sync of a version ended, and where that of the watermarks did.
    version_synced: usize,
    watermarks_synced: usize,
}

impl Audit<'_> {
    fn is_segment(&self, path: &Path) -> bool {
        path.parent() == Some(&self.data.join("wal")) && path.extension().is_some_and(|e| e == "wal")
    }

    fn before(&mut self, call: &Call) {
        match call.name.as_str() {
            "sendto" | "sendmsg" | "write" | "writev" if call.is_answer() => self.answered(call),
            "unlink" | "unlinkat" => {
                for path in call.quoted() {
                    if self.is_segment(&path) {
                        self.segment_goes(call, &path);
                    } else if path.extension().is_some_and(|e| e == "parquet") {
                        self.data_file_goes(call, &path);
                    }
                }
            }
            "link" | "linkat" | "rename" | "renameat" | "renameat2" => {
                if let [from, to] = &call.quoted()[..]
                    && self.versions.contains_key(to)
                {
                    self.version_comes(call, from, to);
                }
            }
            "fsync" if Path::new(call.of_descriptor()) == self.data.join("wal") => {
                let torn: Vec<PathBuf> = self
                    .model
                    .unsynced
                    .keys()
                    .filter(|p| self.is_segment(p) && self.model.names.contains_key(*p) && !self.model.is_clean(p))
                    .cloned()
                    .collect();
                for path in torn {
                    self.model.fault(call, format!("{path:?} gets its name before its header is on disk"));
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, call: &Call) {
        self.model.count("answers");
        if !std::mem::take(&mut self.appended) {
            self.model.fault(call, "rows are acknowledged and nothing was written to the log".to_owned());
        }
        let segments: Vec<PathBuf> = self.model.names.keys().filter(|p| self.is_segment(p)).cloned().collect();
        for path in segments {
            if let Some(why) = self.model.could_lose(&path, self.data) {
                self.model.fault(call, format!("rows are acknowledged and {why}"));
            }
        }
    }

    fn segment_goes(&mut self, call: &Call, path: &Path) {
        self.model.count("segments removed");
        let next = self.model.names.keys().filter(|p| self.is_segment(p)).find(|p| p.as_path() > path).cloned();
        let first = next.and_then(|p| p.file_stem()?.to_str()?.parse::<u64>().ok());
        let there: Vec<&PathBuf> = self.versions.keys().filter(|p| self.model.names.contains_key(*p)).collect();
        let covered = there.iter().filter_map(|p| self.versions[*p].covers).max().unwrap_or(0);
        let mut lost: Vec<String> = there.iter().filter_map(|p| self.model.could_lose(p, self.data)).collect();
        let files = there.iter().flat_map(|p| &self.versions[*p].adds);
        lost.extend(
            files.filter(|p| self.model.names.contains_key(*p)).filter_map(|p| self.model.could_lose(p, self.data)),
        );
        if first.is_none_or(|first| first > covered + 1) {
            lost.push(format!("the table covers the log up to {covered} only, the next segment begins at {first:?}"));
        }
        if self.watermarks_synced < self.version_synced {
            lost.push("the writers' watermarks are not synced".to_owned());
        }
        for why in lost {
            self.model.fault(call, format!("a segment of the log is removed and {why}"));
        }
    }

    fn data_file_goes(&mut self, call: &Call, path: &Path) {
        let by = self.versions.iter().find(|(_, version)| version.removes.iter().any(|p| p == path));
        let Some((version, _)) = by else {
            // Nobody names it: a merge or a flush that was given up.
            assert!(!self.versions.values().any(|v| v.adds.iter().any(|p| p == path)), "{path:?} is named and removed");
            return;
        };
        let why = if self.model.names.contains_key(version) {
            self.model.could_lose(version, self.data)
        } else {
            Some(format!("{version:?} is not there yet"))
        };
        self.model.count("data files removed");
        if let Some(why) = why {
            self.model.fault(call, format!("{path:?} is removed and {why}"));
        }
    }

    fn version_comes(&mut self, call: &Call, from: &Path, to: &Path) {
        self.model.count("versions");
        let mut lost = Vec::new();
        if !self.model.is_clean(from) {
            lost.push("its bytes are not synced".to_owned());
        }
        lost.extend(self.versions[to].adds.iter().filter_map(|p| self.model.could_lose(p, self.data)));
        if !self.versions[to].removes.is_empty() && !self.versions[to].adds.is_empty() {
            self.model.count("merges");
        }
        for why in lost {
            self.model.fault(call, format!("{to:?} gets its name and {why}"));
        }
    }

    fn after(&mut self, call: &Call) {
        let of = PathBuf::from(call.of_descriptor());
        match call.name.as_str() {
            "openat" | "open" if call.arguments.contains("O_CREAT") => {
                for path in call.quoted().into_iter().filter(|p| p.starts_with(self.data)) {
                    if !self.model.names.contains_key(&path) {
                        self.model.made(path, call.end);
                    }
                }
            }
            "mkdir" => call
                .quoted()
                .into_iter()
                .filter(|p| p.starts_with(self.data))
                .for_each(|p| self.model.made(p, call.end)),
            "write" | "writev" | "pwrite64" | "ftruncate" => {
                if let Some(file) = self.model.names.get(&of) {
                    self.model.dirty.insert(*file, call.end);
                    self.appended |= self.is_segment(&of);
                }
            }
            "fsync" | "fdatasync" => {
                self.model.sync(&of, call.begin);
                if of.ends_with("_delta_log") {
                    self.version_synced = call.end;
                }
                if of.starts_with(self.data) && of.to_string_lossy().contains("meta.sqlite") {
                    self.watermarks_synced = call.end;
                }
            }
            "link" | "linkat" | "rename" | "renameat" | "renameat2" => {
                if let [from, to] = &call.quoted()[..]
                    && let Some(file) = self.model.names.get(from).copied()
                {
                    self.model.names.insert(to.clone(), file);
                    self.model.unsynced.insert(to.clone(), call.end);
                    if call.name.starts_with("rename") {
                        self.model.names.remove(from);
                        self.model.unsynced.insert(from.clone(), call.end);
                    }
                }
            }
            "unlink" | "unlinkat" => {
                for path in call.quoted() {
                    if self.model.names.remove(&path).is_some() {
                        self.model.unsynced.insert(path, call.end);
                    }
                }
            }
            _ => {}
        }
    }
}

fn strace(trace: &Path) -> Option<Command> {
    let tried = Command::new("strace").args(["-f", "-e", "trace=fsync", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut command = Command::new("strace");
    // Detached, so that the server is our child and hears our signals.
    command.args(["-D", "-f", "-y", "-s", "64", "-o"]).arg(trace).args(["-e", &format!("trace={CALLS}")]);
    command.arg(binary("coulomb"));
    Some(command)
}

/// Rows over three days in many small files, until some were merged and what was merged is removed.
fn drive(server: &Server) {
    let end = Instant::now() + AT_MOST;
    let table = server.data.join("tables/device_events");
    let mut names = BTreeSet::new();
    let mut gone = false;
    for sequence in 1.. {
        let rows = (sequence * 10) as i64..(sequence * 10 + 10) as i64;
        let stream = events_at("n", rows, |row| 1_700_000_000_000_000 + row % 3 * DAY + row);
        server.ingest("device_events", "n/boot", sequence, &stream).expect_status(200);
        let days = fs::read_dir(&table).into_iter().flatten().flatten().map(|e| e.path());
        let files = days.flat_map(|day| fs::read_dir(day).into_iter().flatten().flatten().map(|e| e.path()));
        let now: BTreeSet<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "parquet")).collect();
        gone |= names.difference(&now).next().is_some();
        names.extend(now);
        if gone && sequence > 20 {
            return;
        }
        assert!(Instant::now() < end, "nothing was merged and removed; the server said:\n{}", server.program.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Replays the calls on the model, as if those of `without` had not been made.
fn replay(data: &Path, calls: &[Call], without: impl Fn(&Call) -> bool) -> Model {
    let mut audit = Audit {
        data,
        versions: versions(&data.join("tables/device_events")),
        model: Model::default(),
        appended: false,
        version_synced: 0,
        watermarks_synced: 0,
    };
    let calls: Vec<&Call> = calls.iter().filter(|call| !without(call)).collect();
    // A call counts on what ended before it began.
    let mut by_begin = calls.clone();
    by_begin.sort_by_key(|call| call.begin);
    let mut ended = calls.into_iter().peekable();
    for call in by_begin {
        while let Some(earlier) = ended.next_if(|other| other.end < call.begin) {
            audit.after(earlier);
        }
        audit.before(call);
    }
    ended.for_each(|call| audit.after(call));
    let back: Vec<PathBuf> = audit.model.unsynced.keys().filter(|p| audit.is_segment(p)).cloned().collect();
    audit.model.faults.extend(back.into_iter().map(|path| format!("{path:?} was removed, and may come back")));
    audit.model
}

/// Whether a call of this name on this path is meant.
type IsIt = Box<dyn Fn(&str, &Path) -> bool>;

/// Every sync that the order stands on, by a name and what it is of.
fn syncs(data: &Path) -> Vec<(&'static str, IsIt)> {
    let ends = |end: &'static str| move |path: &Path| path.to_string_lossy().trim_end_matches("#0").ends_with(end);
    let is = |at: PathBuf| move |path: &Path| path == at;
    let table = data.join("tables/device_events");
    let day = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("day="));
    vec![
        ("a frame", Box::new(move |call, path| call == "fdatasync" && ends(".wal")(path))),
        ("a segment's header", Box::new(move |call, path| call == "fsync" && ends(".wal")(path))),
        ("a segment's name", Box::new(move |_, path| ends("/wal")(path))),
        ("a data file", Box::new(move |_, path| ends(".parquet")(path))),
        ("a data file's name", Box::new(move |_, path| day(path))),
        ("a day's name", {
            let of = is(table.clone());
            Box::new(move |_, path| of(path))
        }),
        ("a table's name", {
            let of = is(data.join("tables"));
            Box::new(move |_, path| of(path))
        }),
        ("a version", Box::new(move |_, path| ends(".json")(path))),
        ("a version's name", Box::new(move |_, path| ends("/_delta_log")(path))),
        ("the watermarks", Box::new(move |_, path| path.to_string_lossy().contains("meta.sqlite"))),
        ("the names in the data directory", {
            let of = is(data.to_owned());
            Box::new(move |_, path| of(path))
        }),
        ("the data directory's name", {
            let of = is(data.parent().expect("it has one").to_owned());
            Box::new(move |_, path| of(path))
        }),
    ]
}

#[test]
fn nothing_is_answered_named_or_removed_before_what_it_counts_on_is_synced() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (data, trace) = (dir.path().join("data"), dir.path().join("trace"));
    let Some(command) = strace(&trace) else {
        return println!("skipped: there is no strace, or it may not trace");
    };
    let flags = ["--flush-after-seconds", "1", "--keep-replaced-seconds", "1"];
    let mut server = Server::start_as(command, &data, &flags);
    drive(&server);
    assert!(server.program.stop(AT_MOST), "the server did not stop well");
    let text = String::from_utf8_lossy(&fs::read(&trace).expect("strace wrote its file")).into_owned();
    let calls = parse(&text);
    let model = replay(&data, &calls, |_| false);
    println!("{} calls, {:?}", calls.len(), model.seen);
    assert!(model.faults.is_empty(), "{} faults:\n{}", model.faults.len(), model.faults.join("\n"));
    for (what, least) in
        [("answers", 20), ("versions", 3), ("merges", 1), ("segments removed", 2), ("data files removed", 1)]
    {
        assert!(model.seen.get(what).is_some_and(|n| *n >= least), "too few {what} were seen: {:?}", model.seen);
    }
    // The test has teeth: without any one kind of sync it would have failed.
    for (name, is_it) in syncs(&data) {
        let is_sync = |call: &Call| ["fsync", "fdatasync"].contains(&call.name.as_str());
        let is_left_out = |call: &Call| is_sync(call) && is_it(&call.name, Path::new(call.of_descriptor()));
        assert!(calls.iter().any(is_left_out), "{name} is never synced");
        assert!(!replay(&data, &calls, is_left_out).faults.is_empty(), "nobody notices that {name} is not synced");
    }
}

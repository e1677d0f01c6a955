//! Power cuts: the server runs on a disk that keeps only what was synced, and the next one starts on what was kept.
//!
//! `power/shadow.c` is preloaded into the server and remembers what each sync has promised; a disk is built from
//! that, with more or less luck for what was not synced. The other half makes the disk fail and fill up.

use coulomb_tests::writers::{Writer, check, check_duplicates, events_at, load};
use coulomb_tests::{Server, binary, workspace_root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

const CUTS: u64 = 20;
const WRITERS: u64 = 3;
/// Flushes, merges, days that are over and removed files, all within a round.
const FLAGS: [&str; 6] =
    ["--flush-after-seconds", "1", "--keep-replaced-seconds", "1", "--retain-days", "device_events=3650"];

/// splitmix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// How much of what was not synced a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    /// Nothing: no byte, no new name, and what was unlinked is back.
    None,
    /// Every name, and no byte: files are empty or as they were.
    Names,
    /// Each name and each file's end for itself, by chance.
    Some,
}

/// A disk: the folder that the server sees, and what of it would survive.
struct Disk {
    dir: tempfile::TempDir,
}

fn identity(metadata: &fs::Metadata) -> Option<String> {
    let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}-{}.{:09}", metadata.ino(), born.as_secs(), born.subsec_nanos()))
}

type Entries = BTreeMap<String, (String, bool)>;

fn entries_of(folder: &Path) -> Entries {
    let listed = fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot list {folder:?}: {e}"));
    let entry = |entry: fs::DirEntry| {
        let metadata = entry.metadata().expect("nobody else changes the folder");
        let id = identity(&metadata).expect("the file system knows when a file was made");
        (entry.file_name().to_string_lossy().into_owned(), (id, metadata.is_dir()))
    };
    listed.map(|e| entry(e.expect("the folder can be read"))).collect()
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("coulomb-power-").tempdir().expect("a temporary folder can be made");
        fs::create_dir(dir.path().join("data")).expect("a folder can be made");
        Self { dir }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn shadow(&self, kind: &str, id: &str) -> PathBuf {
        self.dir.path().join("shadow").join(kind).join(id)
    }

    fn faults(&self) -> PathBuf {
        self.dir.path().join("faults")
    }

    /// Everything that is there now is on disk.
    fn settle(&self) {
        drop(fs::remove_dir_all(self.dir.path().join("shadow")));
        for kind in ["files", "folders"] {
            fs::create_dir_all(self.shadow(kind, "")).expect("a folder can be made");
        }
        self.settle_folder(&self.data());
    }

    fn settle_folder(&self, folder: &Path) {
        let mut listing = String::new();
        for (name, (id, is_folder)) in entries_of(folder) {
            let kind = if is_folder { 'd' } else { 'f' };
            listing.push_str(&format!("{id} {kind} {name}\n"));
            let path = folder.join(&name);
            if is_folder {
                self.settle_folder(&path);
            } else {
                fs::copy(&path, self.shadow("files", &id)).expect("a file can be copied");
            }
        }
        let id = identity(&fs::metadata(folder).expect("the folder is there")).expect("a folder has an identity");
        fs::write(self.shadow("folders", &id), listing).expect("a file can be written");
    }

    fn start(&self, library: &Path) -> Server {
        let mut command = Command::new(binary("coulomb"));
        command.env("LD_PRELOAD", library).env("POWER_DATA", self.data());
        command.env("POWER_SHADOW", self.dir.path().join("shadow")).env("POWER_FAULTS", self.faults());
        Server::start_as(command, &self.data(), &FLAGS)
    }

    /// What is left of it when the power goes now.
    fn after_a_cut(&self, luck: Luck, random: &mut Random) -> Self {
        let left = Self::new();
        let id = identity(&fs::metadata(self.data()).expect("the folder is there")).expect("it has an identity");
        self.copy_folder(&id, Some(&self.data()), &left.data(), luck, random);
        left
    }

    fn promised(&self, id: &str) -> Entries {
        let listing = fs::read_to_string(self.shadow("folders", id)).unwrap_or_default();
        let entry = |line: &str| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            let mut part = || parts.next().expect("a line has three parts");
            let (id, kind, name) = (part(), part(), part());
            (name, (id, kind == "d"))
        };
        listing.lines().map(entry).collect()
    }

    fn copy_folder(&self, id: &str, real: Option<&Path>, to: &Path, luck: Luck, random: &mut Random) {
        let promised = self.promised(id);
        let seen = real.map(entries_of).unwrap_or_default();
        let names: BTreeSet<&String> = promised.keys().chain(seen.keys()).collect();
        for name in names {
            let (before, now) = (promised.get(name), seen.get(name));
            let kept = match luck {
                Luck::None => before,
                Luck::Names => now,
                Luck::Some if random.below(2) == 0 => before,
                Luck::Some => now,
            };
            let Some((id, is_folder)) = kept else { continue };
            // SQLite makes its index of the log anew after any start of the machine.
            if name.ends_with("-shm") {
                continue;
            }
            let real = real.map(|folder| folder.join(name)).filter(|_| now.is_some_and(|(other, _)| other == id));
            let target = to.join(name);
            if *is_folder {
                fs::create_dir(&target).expect("a folder can be made");
                self.copy_folder(id, real.as_deref(), &target, luck, random);
            } else {
                let bytes = self.bytes(id, real.as_deref(), luck, random);
                fs::write(&target, bytes).expect("a file can be written");
            }
        }
    }

    /// Synced bytes, and with luck a part of what came after them.
    fn bytes(&self, id: &str, real: Option<&Path>, luck: Luck, random: &mut Random) -> Vec<u8> {
        let mut bytes = fs::read(self.shadow("files", id)).unwrap_or_default();
        let Some(real) = real.filter(|_| luck == Luck::Some) else { return bytes };
        let now = fs::read(real).expect("the file is there");
        if now.len() > bytes.len() && now.starts_with(&bytes) {
            let more = random.below((now.len() - bytes.len()) as u64 + 1) as usize;
            match random.below(3) {
                0 => {}
                1 => bytes.extend_from_slice(&now[bytes.len()..bytes.len() + more]),
                // Its length came to disk and its bytes did not.
                _ => bytes.resize(bytes.len() + more, 0),
            }
        }
        bytes
    }
}

/// The preloaded layer, or why there is none.
fn library(dir: &Path) -> Result<PathBuf, String> {
    let source = workspace_root().join("tests/tests/power/shadow.c");
    let library = dir.join("libshadow.so");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .args(["-ldl", "-lpthread"]);
    let built = cc.output().map_err(|e| format!("there is no C compiler: {e}"))?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    match fs::metadata(dir).ok().as_ref().and_then(identity) {
        Some(_) => Ok(library),
        None => Err("the file system does not say when a file was made".to_owned()),
    }
}

fn kill(server: &Server) {
    let killed = Command::new("kill").args(["-KILL", &server.program.pid().to_string()]).status();
    assert!(killed.is_ok_and(|s| s.success()), "the server was gone before it was killed");
}

/// Rows of a day that is over ten years ago: the next start takes them out of the table.
fn send_old_rows(server: &Server, round: u64) {
    let stream = events_at("old", 0..20, |row| 1_000_000_000_000_000 + row);
    let answer = server.ingest("device_events", "old/boot", round + 1, &stream);
    assert!([200, 503].contains(&answer.status), "{}", answer.text());
}

/// The number of a metric without labels.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").expect_status(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}

#[test]
fn every_acknowledged_row_is_there_once_after_power_cuts() {
    let tools = tempfile::tempdir().expect("a temporary folder can be made");
    let library = match library(tools.path()) {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut disk = Disk::new();
    let (mut flushes, mut merges) = (0, 0);
    for round in 0..CUTS {
        let seed = round.wrapping_mul(0x5851_F42D_4C95_7F2D);
        let mut random = Random(seed);
        let luck = [Luck::None, Luck::Names, Luck::Some][round as usize % 3];
        // Within the first rows, or within flushes and merges of what a second has brought.
        let millis = [20, 1_900][round as usize % 2] + random.below(1_500);
        println!("cut {round}: seed {seed:#x}, {luck:?}, after {millis} ms");
        disk.settle();
        let server = disk.start(&library);
        check(&server, &writers);
        check_duplicates(&server, &writers);
        send_old_rows(&server, round);
        load(&server, &mut writers, millis, || {
            flushes += metric(&server, "coulomb_store_flushes_total");
            merges += metric(&server, "coulomb_store_merges_total");
            kill(&server);
        });
        // A killed server leaves what it did not sync in the kernel's hands; another may start on that.
        if round % 4 == 3 {
            drop(server);
            let again = disk.start(&library);
            check(&again, &writers);
            load(&again, &mut writers, random.below(1_500), || kill(&again));
        }
        disk = disk.after_a_cut(luck, &mut random);
    }
    disk.settle();
    let server = disk.start(&library);
    check(&server, &writers);
    check_duplicates(&server, &writers);
    load(&server, &mut writers, 300, || ());
    check(&server, &writers);
    let acknowledged: u64 = writers.iter().map(|w| w.acknowledged).sum();
    println!("{CUTS} cuts, {acknowledged} rows acknowledged, {flushes} flushes, {merges} merges");
    assert!(acknowledged > 500 && flushes > 2 && merges > 2, "there was too little to lose");
}

/// A fault: its number as in errno, the calls and the part of the paths that it hits, and whether the server must
/// go on by itself when the disk works again.
struct Fault {
    errno: i32,
    calls: &'static str,
    part: &'static str,
    recovers: bool,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

const FAULTS: [Fault; 9] = [
    Fault { errno: ENOSPC, calls: "w", part: "/wal/", recovers: true },
    Fault { errno: ENOSPC, calls: "wo", part: "/tables/", recovers: true },
    Fault { errno: ENOSPC, calls: "w", part: "meta.sqlite", recovers: true },
    Fault { errno: ENOSPC, calls: "wo", part: "/", recovers: true },
    Fault { errno: EIO, calls: "s", part: ".wal", recovers: false },
    Fault { errno: EIO, calls: "s", part: ".parquet", recovers: true },
    Fault { errno: EIO, calls: "s", part: ".json", recovers: true },
    Fault { errno: EIO, calls: "s", part: "meta.sqlite", recovers: true },
    Fault { errno: EIO, calls: "w", part: "/", recovers: false },
];

fn ready(server: &Server) -> bool {
    server.get("/health/ready").status == 200
}

#[test]
fn a_disk_that_fails_or_is_full_makes_the_server_refuse_and_never_lose() {
    let tools = tempfile::tempdir().expect("a temporary folder can be made");
    let library = match library(tools.path()) {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut disk = Disk::new();
    for (i, fault) in FAULTS.iter().enumerate() {
        let mut random = Random(i as u64);
        let Fault { errno, calls, part, recovers } = fault;
        println!("fault {i}: errno {errno} at {calls} of {part:?}");
        disk.settle();
        let server = disk.start(&library);
        load(&server, &mut writers, 200 + random.below(800), || {
            fs::write(disk.faults(), format!("{errno} {calls} {part}")).expect("a file can be written");
            // Long enough for a flush.
            std::thread::sleep(Duration::from_millis(1_600));
        });
        let refused: u64 = writers.iter().map(|w| w.refusals).sum();
        fs::remove_file(disk.faults()).expect("the file is there");
        let in_log = part.contains("wal") || *part == "/";
        assert_eq!(in_log, writers.iter().any(|w| w.pending.is_some()) && refused > 0, "{}", server.program.log());
        if *recovers {
            assert!(ready(&server), "{}", server.program.log());
            // A flush that failed is tried again after five seconds.
            let (flushed, end) =
                (metric(&server, "coulomb_store_flushes_total"), Instant::now() + Duration::from_secs(30));
            while metric(&server, "coulomb_store_flushes_total") == flushed {
                assert!(Instant::now() < end, "no flush after the disk works again\n{}", server.program.log());
                load(&server, &mut writers, 200, || ());
            }
            assert!(writers.iter().all(|w| w.pending.is_none()), "{}", server.program.log());
            check(&server, &writers);
        } else if *calls == "s" {
            assert!(!ready(&server), "nothing may be kept after a failed sync of the log");
        }
        kill(&server);
        drop(server);
        writers.iter_mut().for_each(|w| w.refusals = 0);
        // The next start finds either what the kernel still has, or what came to disk.
        if i % 2 == 0 {
            disk = disk.after_a_cut(Luck::None, &mut random);
            disk.settle();
        }
        let server = disk.start(&library);
        check(&server, &writers);
        check_duplicates(&server, &writers);
        load(&server, &mut writers, 300, || ());
        assert!(writers.iter().all(|w| w.pending.is_none()));
        kill(&server);
    }
}

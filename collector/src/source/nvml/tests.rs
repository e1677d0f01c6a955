#![allow(clippy::unwrap_used)]
//! The devices through time, against the scripted library: the time between looks is made up, so nothing waits.

use super::*;
use crate::source::Pods;
use std::fs;
use std::path::Path;
use std::process::Command;

const HEALTHY: &str = "gpu_busy 97,memory_busy 40,memory_used 1073741824,memory_total 85899345920,power 300500,\
                       energy 123456789,temperature 55,throttle 4,mig 0,gpm 1,gpm_2 50,link_0 1,link_1 1";

/// Facts of a GPU, `name value` with commas between.
fn facts(gpu: usize, facts: &str) -> String {
    facts.split(',').map(|fact| format!("{gpu} {}\n", fact.trim())).collect()
}

fn healthy(gpu: usize) -> String {
    facts(gpu, &format!("uuid GPU-{gpu},name NVIDIA H100 80GB HBM3,{HEALTHY}"))
}

/// Two healthy GPUs; the facts given first go before theirs.
fn two(first: &str) -> String {
    format!("system count 2\n{first}{}{}", healthy(0), healthy(1))
}

struct Bench {
    dir: tempfile::TempDir,
    gpus: Gpus,
    processes: Processes,
    now: i64,
}

impl Bench {
    /// `None`, with a message, where there is no C compiler.
    fn start(text: &str, arguments: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libnvidia-ml-stub.so");
        let script = format!("-DSCRIPT={:?}", dir.path().join("script"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/nvml-stub/stub.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", &script, "-o"])
            .arg(&library)
            .arg(source)
            .args(arguments)
            .status();
        match built {
            Ok(status) => assert!(status.success(), "the stub does not compile"),
            Err(error) => {
                tracing::warn!(%error, "skipped: the NVML stub needs a C compiler named cc");
                return None;
            }
        }
        let node = NodeIdentity { cluster: "c".into(), node: "n1".into() };
        let gpus = Gpus::new(node, Some(library), Arc::default());
        let processes = Processes::new(dir.path(), None, Pods::default());
        let bench = Self { dir, gpus, processes, now: 1_800_000_000_000_000 };
        bench.script(text);
        Some(bench)
    }

    fn script(&self, text: &str) {
        let beside = self.dir.path().join("next");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.dir.path().join("script")).unwrap();
    }

    /// One look, so many seconds after the one before.
    fn look(&mut self, seconds: f64) -> Sample {
        let interval = Interval { time_unix_micros: self.now, seconds };
        self.now += (seconds * 1e6) as i64;
        let mut sample = Sample::default();
        self.processes.next_look();
        self.gpus.look(interval, &mut self.processes, &mut sample);
        sample
    }

    /// Looks each second, so often, and puts together what they gave.
    fn looks(&mut self, count: usize) -> Sample {
        let mut all = Sample::default();
        (0..count).for_each(|_| all.append(self.look(1.0)));
        all
    }
}

fn kinds(sample: &Sample) -> Vec<(&str, Option<&str>)> {
    sample.events.iter().map(|e| (e.kind, e.gpu_uuid.as_deref())).collect()
}

fn rows(sample: &Sample, gpu: &str) -> usize {
    sample.gpus.iter().filter(|row| &*row.gpu.gpu_uuid == gpu).count()
}

#[test]
fn a_gpu_that_answers_nothing_gives_no_rows_and_is_lost_until_a_look_that_it_answers() {
    for code in [10, 999] {
        let Some(mut bench) = Bench::start(&two(""), &[]) else { return };
        assert_eq!(rows(&bench.looks(2), "GPU-0"), 2);
        bench.script(&two(&format!("0 all !{code}\n")));
        let sick = bench.looks(10);
        assert_eq!((rows(&sick, "GPU-0"), rows(&sick, "GPU-1")), (0, 10));
        assert_eq!(kinds(&sick), [("lost", Some("GPU-0"))]);
        assert_eq!(sick.events[0].code, Some(code));
        bench.script(&two(""));
        let well = bench.looks(2);
        assert_eq!((rows(&well, "GPU-0"), kinds(&well)), (2, vec![("reset", Some("GPU-0"))]));
    }
}

#[test]
fn a_gpu_that_does_not_tell_whether_it_is_held_gives_no_row() {
    let deaf = "0 gpu_busy !10\n0 memory_total !10\n0 processes !10\n0 gpm_2 !10\n";
    let Some(mut bench) = Bench::start(&two(deaf), &[]) else { return };
    let sample = bench.looks(10);
    assert_eq!((rows(&sample, "GPU-0"), rows(&sample, "GPU-1"), kinds(&sample)), (0, 10, vec![]));
}

#[test]
fn a_gpu_that_answers_one_call_only_is_not_back() {
    let Some(mut bench) = Bench::start(&two(""), &[]) else { return };
    bench.looks(2);
    bench.script(&two("0 power !15\n"));
    let lost = bench.looks(20);
    assert_eq!((rows(&lost, "GPU-0"), kinds(&lost)), (0, vec![("lost", Some("GPU-0"))]));
}

#[test]
fn a_gpu_that_a_fresh_library_does_not_give_is_lost_and_not_read_through_its_old_handle() {
    let Some(mut bench) = Bench::start(&two(""), &[]) else { return };
    bench.looks(2);
    bench.script(&two("0 handle !999\n1 power !15\n"));
    // Losing GPU 1 is what loads the library anew.
    let lost = bench.looks(70);
    assert_eq!(kinds(&lost), [("lost", Some("GPU-1")), ("lost", Some("GPU-0"))]);
    bench.script(&two("1 power !15\n"));
    let back = bench.looks(2);
    assert_eq!((rows(&back, "GPU-0"), kinds(&back)), (2, vec![("reset", Some("GPU-0"))]));
    bench.script(&format!("system init !9\n{}", two("1 power !15\n")));
    let gone = bench.looks(300);
    assert_eq!(kinds(&gone), [("lost", Some("GPU-0"))], "nor when the driver is unloaded");
}

#[test]
fn a_lost_gpu_breaks_the_measuring_of_the_others_less_and_less() {
    let Some(mut bench) = Bench::start(&two(""), &[]) else { return };
    bench.looks(2);
    bench.script(&two("0 all !15\n"));
    let sample = bench.looks(3600);
    let broken = sample.gpus.iter().filter(|row| row.metrics.sm_active_ratio.is_none()).count();
    // After 1, 3, 7, 15, 30 and 45 minutes.
    assert_eq!((sample.gpus.len(), broken), (3600, 6));
    assert_eq!(kinds(&sample), [("lost", Some("GPU-0"))]);
}

#[test]
fn xids_are_told_across_a_reload_and_after_a_return() {
    let Some(mut bench) = Bench::start(&two(""), &[]) else { return };
    bench.looks(2);
    bench.script(&two("0 all !15\n"));
    // The last look before the library is loaded anew.
    let lost = bench.looks(59);
    assert_eq!(kinds(&lost), [("lost", Some("GPU-0"))]);
    bench.script(&two("0 all !15\n0 handle !15\nxid 1 1 48\n"));
    let sample = bench.looks(3);
    assert_eq!(kinds(&sample), [("xid", Some("GPU-1"))], "what waited was taken before the set was freed");
    bench.script(&two("xid 1 1 48\n"));
    assert_eq!(kinds(&bench.looks(1)), [("reset", Some("GPU-0"))]);
    bench.script(&two("xid 1 1 48\nxid 2 0 31\n"));
    assert_eq!(kinds(&bench.looks(1)), [("xid", Some("GPU-0"))]);
}

#[test]
fn what_was_unsupported_is_asked_for_again_after_an_hour_and_when_mig_changes() {
    let cut = "0 mig 1\n0 gpu_busy !3\n0.0 uuid MIG-a\n0.0 memory_used 1\n0.0 memory_total 2\n";
    let Some(mut bench) = Bench::start(&two(cut), &[]) else { return };
    assert!(bench.looks(2).gpus.iter().any(|r| &*r.gpu.gpu_uuid == "MIG-a"));
    bench.script(&two(""));
    let whole = bench.looks(12);
    assert_eq!(whole.gpus.last().unwrap().metrics.gpu_busy_ratio, Some(0.97), "GPU-1");
    let busy = |sample: &Sample| {
        let row = sample.gpus.iter().rfind(|row| &*row.gpu.gpu_uuid == "GPU-0").unwrap();
        row.metrics.gpu_busy_ratio
    };
    assert_eq!(busy(&whole), Some(0.97), "as soon as the GPU is whole again");
    bench.script(&two("0 gpu_busy !4\n"));
    assert_eq!(busy(&bench.looks(1)), None);
    bench.script(&two(""));
    assert_eq!(busy(&bench.looks(60)), None);
    assert_eq!(busy(&bench.looks(3600)), Some(0.97));
}

#[test]
fn a_question_that_fails_takes_neither_instances_nor_links_away() {
    let cut = "0 mig 1\n0.0 uuid MIG-a\n0.0 memory_used 1\n0.0 memory_total 2\n";
    let Some(mut bench) = Bench::start(&two(cut), &[]) else { return };
    bench.looks(2);
    let cut = "0 mig !999\n0 link_0 !999\n0.0 uuid MIG-a\n0.0 memory_used 1\n0.0 memory_total 2\n";
    bench.script(&two(cut));
    let sample = bench.looks(30);
    assert_eq!((rows(&sample, "MIG-a"), kinds(&sample)), (30, vec![]));
    bench.script(&two("0 link_1 0\n"));
    assert_eq!(kinds(&bench.looks(12)), [("link", Some("GPU-0"))]);
}

#[test]
fn a_passing_error_does_not_rename_a_gpu_and_one_without_uuid_is_named_with_its_node() {
    let nameless = format!("0 uuid !3\n0 pci 00000000:3B:00.0\n1 uuid !999\n{}", two(""));
    let Some(mut bench) = Bench::start(&nameless, &[]) else { return };
    let sample = bench.looks(2);
    assert_eq!(kinds(&sample), [("lost", None)]);
    assert_eq!((rows(&sample, "n1/00000000:3B:00.0"), sample.gpus.len()), (2, 2));
    bench.script(&format!("0 uuid !3\n0 pci 00000000:3B:00.0\n{}", two("")));
    let sample = bench.looks(61);
    assert_eq!(rows(&sample, "GPU-1") > 0, kinds(&sample).is_empty());
}

#[test]
fn throttling_that_was_not_told_for_being_too_soon_is_told_later() {
    let Some(mut bench) = Bench::start(&two("0 throttle 8\n"), &[]) else { return };
    assert_eq!(kinds(&bench.looks(5)), [("throttle", Some("GPU-0"))]);
    bench.script(&two(""));
    bench.looks(5);
    bench.script(&two("0 throttle 8\n"));
    assert_eq!(kinds(&bench.looks(10)), []);
    assert_eq!(kinds(&bench.looks(60)), [("throttle", Some("GPU-0"))], "it lasts");
}

#[test]
fn timers_do_not_follow_the_wall_clock() {
    let Some(mut bench) = Bench::start(&two("0 throttle 8\n"), &[]) else { return };
    bench.looks(1);
    bench.now -= 86_400_000_000;
    bench.script(&two("0 link_1 0\n0 process 7 1\n"));
    let sample = bench.looks(20);
    assert_eq!(kinds(&sample), [("link", Some("GPU-0"))], "it was seen although the clock was set back");
    bench.script(&two("0 throttle 8\n"));
    assert_eq!(kinds(&bench.looks(60)), [("throttle", Some("GPU-0"))]);
}

#[test]
fn remaps_that_wait_or_failed_are_events() {
    let Some(mut bench) = Bench::start(&two("0 remapped_corrected 0\n0 remapped_uncorrected 1\n"), &[]) else { return };
    assert_eq!(kinds(&bench.looks(2)), []);
    let worse = "0 remapped_corrected 0\n0 remapped_uncorrected 1\n0 remapped_pending 1\n";
    bench.script(&two(worse));
    assert_eq!(kinds(&bench.looks(2)), [("remap", Some("GPU-0"))]);
    let Some(mut bench) = Bench::start(&two("0 field_142 0\n0 field_143 1\n0 field_144 0\n0 field_145 1\n"), &[])
    else {
        return;
    };
    let sample = bench.looks(2);
    assert_eq!((kinds(&sample), sample.events[0].severity), (vec![("remap", Some("GPU-0"))], "critical"));
}

#[test]
fn processes_are_listed_by_old_drivers_and_through_mps_and_an_idle_one_is_not_unknown() {
    let held = "0 process 7 1\n0 mps_process 8 2\n0 mps_process 7 1\n";
    for arguments in [&[][..], &["-DOLD_DRIVER"]] {
        let Some(mut bench) = Bench::start(&two(held), arguments) else { return };
        let sample = bench.look(1.0);
        let listed: Vec<_> = sample.processes.iter().map(|p| (p.pid, p.sm_busy_ratio)).collect();
        assert_eq!(listed, [(7, Some(0.0)), (8, Some(0.0))], "{arguments:?}");
        assert_eq!(bench.look(0.2).processes[0].sm_busy_ratio, None, "too short for a sample");
    }
}

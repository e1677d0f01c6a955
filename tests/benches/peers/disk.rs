//! Bytes of a day that is over and merged, here and in VictoriaMetrics.

use crate::history::{self, History};
use crate::{DAY_MICROS, INTERVAL_MICROS, START_MICROS, copies, line, receivers};
use coulomb_tests::fleet::{self, Fleet, METRICS};

/// Steps of one request; no job changes within it.
const STEPS_OF_A_REQUEST: i64 = 30;
/// The first day of a history, which is over.
const DAY: &str = "day=2026-06-01";

pub(crate) fn disk(history: &History) {
    let steps = DAY_MICROS / INTERVAL_MICROS;
    let samples = (steps as usize * history.gpus * METRICS.len()) as f64;
    let log = history::samples(history.data()).join("_delta_log");
    // Files that were merged lie there for another hour.
    let (live, _) = copies::live_files(&log);
    let sizes = live.iter().filter(|(path, _)| path.starts_with(DAY)).filter_map(|(_, add)| add["size"].as_f64());
    let (files, ours) = sizes.fold((0, 0.0), |(files, bytes), size| (files + 1, bytes + size));
    let mut fleet = Fleet::new(history.gpus);
    let request = |first: i64| {
        let mut several = Vec::new();
        for step in first..first + STEPS_OF_A_REQUEST {
            fleet.advance();
            several.push((fleet.clone(), (START_MICROS + step * INTERVAL_MICROS) / 1000));
        }
        let several: Vec<(&Fleet, i64)> = several.iter().map(|(fleet, time)| (fleet, *time)).collect();
        let request = fleet::remote_write_of(&several);
        snap::raw::Encoder::new().compress_vec(&request).expect("a request can be compressed")
    };
    let firsts = (0..steps).step_by(STEPS_OF_A_REQUEST as usize);
    let Some(theirs) = receivers::bytes_of_victoria_metrics(firsts.map(request)) else {
        println!("VictoriaMetrics is not installed");
        return;
    };
    println!("{} GPUs, a day in {files} files", history.gpus);
    line("bytes per sample of a day that is over", ours / samples, theirs / samples, "<= 0.8");
}

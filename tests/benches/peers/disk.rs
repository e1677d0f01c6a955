//! Bytes of a day that is over and merged, here and in VictoriaMetrics.

use crate::history::{self, History};
use crate::{DAY_MICROS, INTERVAL_MICROS, START_MICROS, bytes_below, line, receivers};
use coulomb_tests::fleet::{self, Fleet, METRICS};

/// Steps of one request; no job changes within it.
const STEPS_OF_A_REQUEST: i64 = 30;
/// The first day of a history, which is over.
const DAY: &str = "day=2026-06-01";

pub(crate) fn disk(history: &History) {
    let steps = DAY_MICROS / INTERVAL_MICROS;
    let samples = (steps as usize * history.gpus * METRICS.len()) as f64;
    let day = history::samples(history.data()).join(DAY);
    let files = std::fs::read_dir(&day).expect("the first day was sent").count();
    let ours = bytes_below(&day);
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

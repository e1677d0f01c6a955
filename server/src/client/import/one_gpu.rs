//! A log that names no GPU must be of one: what its first rows look like when it is of several.

use super::convert::{Values, place};
use super::error::ImportError;
use super::map::{Map, Value};

/// Rows that are looked at: three looks at the GPUs of the largest node, and far fewer than a chunk.
const ROWS_MAX: usize = 65;

pub(super) struct OneGpu {
    time: usize,
    times: Vec<i64>,
    is_checked: bool,
}

impl OneGpu {
    pub(super) fn new(is_of_one_gpu: bool, map: &Map) -> Self {
        Self { time: place(map, "time"), times: Vec::new(), is_checked: is_of_one_gpu }
    }

    pub(super) fn check(&mut self, values: &Values) -> Result<(), ImportError> {
        let Some(Value::Time(time)) = values[self.time] else { return Ok(()) };
        if self.is_checked {
            self.times.push(time);
            if self.times.len() == ROWS_MAX {
                return self.end();
            }
        }
        Ok(())
    }

    /// At the end of the file, or of the rows that are looked at.
    pub(super) fn end(&mut self) -> Result<(), ImportError> {
        self.is_checked = false;
        match gpus(&self.times) {
            1 => Ok(()),
            gpus => Err(ImportError::SeveralGpus { gpus }),
        }
    }
}

/// How many GPUs rows of these times are of: as many as share the first instant, or as follow each other closely
/// before each of several equal pauses, as nvidia-smi writes them.
fn gpus(times: &[i64]) -> usize {
    let at_first = times.iter().take_while(|t| Some(*t) == times.first()).count();
    if at_first > 1 {
        return at_first;
    }
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let longest = gaps.iter().copied().max().unwrap_or(0);
    let is_pause = |gap: &i64| *gap > longest / 2;
    let pauses: Vec<usize> = (0..gaps.len()).filter(|at| is_pause(&gaps[*at])).collect();
    let is_clear = gaps.iter().all(|gap| is_pause(gap) || *gap <= longest / 20);
    let period = pauses.first().map_or(1, |at| at + 1);
    let is_regular = pauses.windows(2).all(|pair| pair[1] - pair[0] == period);
    if is_clear && is_regular && pauses.len() >= 3 { period } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_gpus_come_in_bursts() {
        assert_eq!(gpus(&[]), 1);
        assert_eq!(gpus(&[5, 5, 5, 1000]), 3);
        let bursts = |gpus: i64| (0..40).map(move |row| row / gpus * 1_000_000 + row % gpus * 3_000 + row % 7 * 100);
        assert_eq!(gpus(&bursts(8).collect::<Vec<_>>()), 8);
        assert_eq!(gpus(&bursts(2).collect::<Vec<_>>()), 2);
        assert_eq!(gpus(&bursts(1).collect::<Vec<_>>()), 1);
    }

    #[test]
    fn a_dense_or_unsteady_log_of_one_gpu_is_one() {
        let steps = |steps: &[i64]| {
            let mut time = 0;
            let times = steps.iter().map(|step| {
                time += step;
                time
            });
            gpus(&times.collect::<Vec<_>>())
        };
        assert_eq!(steps(&[15, 16, 14, 15, 7, 22, 15, 300, 15, 15, 16, 300, 14, 15]), 1, "pauses come as they like");
        assert_eq!(steps(&[1000, 1000, 0, 1000, 1000]), 1);
        assert_eq!(steps(&[10, 1000, 10, 1000, 10]), 1, "two pauses prove nothing");
    }
}

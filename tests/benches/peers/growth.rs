//! How the answers grow with the fleet and with the days.

use crate::history::History;
use crate::questions;

/// GPUs, and the days at which a fleet is asked: what fits in 5 GB. 512 GPUs of 90 days would take 12 GB, 4,096 GPUs of
/// 30 days 32 GB.
const SIZES: [(usize, &[i64]); 3] = [(512, &[2, 30]), (64, &[2, 30, 90]), (4096, &[1])];

pub(crate) fn growth() {
    for (gpus, steps) in SIZES {
        let mut history = History::new(gpus);
        for days in steps {
            history.grow_to(*days);
            questions::ask(&history);
        }
    }
}

//! How the answers grow with the fleet and with the days.

use crate::history::History;
use crate::questions;

/// GPUs, and the days at which a fleet is asked; together 32 GB on disk, at most 13 GB at once.
const SIZES: [(usize, &[i64]); 3] = [(64, &[2, 30, 90]), (512, &[2, 30, 90]), (4096, &[1])];

/// All sizes, or those that `words` name, such as `512x90`.
pub(crate) fn growth(words: &[String]) {
    let named: Vec<(usize, i64)> = words.iter().filter_map(|word| size(word)).collect();
    if named.is_empty() {
        return SIZES.iter().for_each(|(gpus, steps)| ask(*gpus, steps));
    }
    named.into_iter().for_each(|(gpus, days)| ask(gpus, &[days]));
}

fn size(word: &str) -> Option<(usize, i64)> {
    let (gpus, days) = word.split_once('x')?;
    Some((gpus.parse().ok()?, days.parse().ok()?))
}

fn ask(gpus: usize, steps: &[i64]) {
    let mut history = History::new(gpus);
    for days in steps {
        history.grow_to(*days);
        questions::ask(&history);
    }
}

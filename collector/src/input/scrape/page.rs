//! A page as GPUs and points.

use super::fetch::Fetched;
use coulomb_exposition::{
    Bounds, Families, GpuRows, Gpus, Line, Page, PageError, is_blank, is_gpu_metric, is_lifted, lines,
};
use std::io;
use std::path::PathBuf;

/// What a page may have. A node exporter has 2,000 samples, a cluster's state some 50,000; labels longer than this
/// name nothing.
const BOUNDS: Bounds = Bounds { samples_max: 100_000, labels_max: 64, label_bytes_max: 8 << 10 };

#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error("{0}")]
    Request(String),
    #[error("it answers with status {0}")]
    Status(u16),
    #[error("it answers with {0:?}, which is no page of metrics: is the path right")]
    Type(String),
    #[error("its page is packed as something else than gzip")]
    Packing,
    #[error("its page cannot be unpacked as {packing}: {why}")]
    Packed { packing: &'static str, why: String },
    #[error("its page has more than {0} bytes")]
    TooLarge(usize),
    #[error("the token file {path:?} cannot be read: {source}")]
    Token { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Page(#[from] PageError),
}

/// What a page says.
#[derive(Debug)]
pub(super) struct Read {
    pub gpus: GpuRows,
    pub page: Page,
}

/// GPUs of exporters that are known, and everything that is not a column of theirs as points.
pub(super) fn read(fetched: &Fetched, now_micros: i64) -> Result<Read, ScrapeError> {
    let (mut families, mut gpus) = (Families::new(BOUNDS), Gpus::default());
    for (_, line) in lines(&fetched.text) {
        let mut sample = match line {
            Line::Sample(sample) => sample,
            line => {
                families.said(&line);
                gpus.said(&line);
                continue;
            }
        };
        families.count()?;
        if is_gpu_metric(&sample.name) {
            let names_gpu = sample.label("UUID").or(sample.label("uuid")).is_some();
            // One row a GPU and scrape, whatever times its series have.
            let own_time = sample.time_micros.take();
            gpus.add(&sample, now_micros);
            sample.time_micros = own_time;
            if (names_gpu && is_lifted(&sample.name)) || is_blank(sample.value) {
                continue;
            }
        }
        families.add(&sample);
    }
    Ok(Read { gpus: gpus.finish(), page: families.finish(fetched.is_open_metrics)? })
}

//! Files that lie before a range, or whole within it: each is folded once and remembered.
//!
//! A question asks for a week of history to know the fleet and since when something is so. For that it needs
//! spans and last rows, and of its range also sums, but no samples. **Invariant:** what is remembered is a pure function of one immutable file,
//! so it cannot be stale; it is bounded in bytes, and what was not used for longest is forgotten first.

use super::ask::Asking;
use super::buckets::Buckets;
use super::gpu_fold::GpuFold;
use super::samples::Scope;
use super::timeline::Span;
use super::{QueryError, samples};
use crate::store::{DataFile, Snapshot};
use contract::answers::Range;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

/// A week of 10,000 GPUs that change their state every hour takes about so much.
const BYTES_MAX: usize = 128 * 1024 * 1024;
/// Files that one question reads at once.
const FILES_AT_ONCE: usize = 8;

/// The rows of one file, each GPU and node apart; the spans are not settled.
pub(super) struct Past {
    folds: Vec<GpuFold>,
    /// End of the last row.
    until: i64,
    bytes: usize,
}

impl Past {
    fn of(folds: Vec<GpuFold>) -> Self {
        let ends = folds.iter().map(|fold| fold.spans.iter().map(|span| span.to).fold(fold.latest.until, i64::max));
        let until = ends.max().unwrap_or(i64::MIN);
        let bytes = |fold: &GpuFold| 2 * size_of::<GpuFold>() + fold.spans.capacity() * 2 * size_of::<Span>();
        let bytes = folds.iter().map(bytes).sum();
        Self { folds, until, bytes }
    }

    /// What a scan of the file's rows from `since` on would have folded.
    fn since(&self, scope: &Scope, since: i64) -> Vec<GpuFold> {
        let wanted = |fold: &&GpuFold| fold.latest.time >= since && is_wanted(scope, fold);
        let cut = |fold: &GpuFold| {
            let mut fold = fold.before_the_range();
            fold.spans.retain(|span| span.last >= since);
            fold.spans.iter_mut().for_each(|span| span.from = span.from.max(since));
            fold
        };
        self.folds.iter().filter(wanted).map(cut).collect()
    }

    /// What a scan of the whole file would have folded for a range that it lies in.
    fn whole(&self, scope: &Scope) -> Vec<GpuFold> {
        self.folds.iter().filter(|fold| is_wanted(scope, fold)).cloned().collect()
    }
}

fn is_wanted(scope: &Scope, fold: &GpuFold) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    is(&scope.cluster, &fold.identity.cluster)
        && is(&scope.node, &fold.identity.node)
        && is(&scope.gpu_uuid, &fold.uuid)
}

/// By the path of a file, with when it was last used.
#[derive(Default)]
pub(super) struct PastFiles {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    files: HashMap<String, (u64, Arc<Past>)>,
    bytes: usize,
    uses: u64,
}

impl Kept {
    fn get(&mut self, path: &str) -> Option<Arc<Past>> {
        self.uses += 1;
        let (used, past) = self.files.get_mut(path)?;
        *used = self.uses;
        Some(Arc::clone(past))
    }

    fn keep(&mut self, path: &str, past: Arc<Past>) {
        self.uses += 1;
        self.bytes += past.bytes;
        if let Some((_, before)) = self.files.insert(path.to_owned(), (self.uses, past)) {
            self.bytes -= before.bytes;
        }
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.files.iter().min_by_key(|(_, (used, _))| *used).map(|(path, _)| path.clone())
            else {
                return;
            };
            if let Some((_, past)) = self.files.remove(&oldest) {
                self.bytes -= past.bytes;
            }
        }
    }
}

/// The folds of the files that lie between `since` and the range, those of files within the range if `sums` will do
/// there, and a snapshot of all other rows.
pub(super) async fn split(
    asking: &Asking,
    scope: &Scope,
    since: i64,
    range: Range,
    sums: bool,
) -> Result<(Vec<GpuFold>, Snapshot), QueryError> {
    let mut snapshot = asking.snapshot("gpu_samples").await?;
    // What is remembered of a file has the jobs of a GPU together.
    if scope.job_id.is_some() {
        return Ok((Vec::new(), snapshot));
    }
    let (from, to) = (range.from_unix_micros, range.to_unix_micros);
    let before = |file: &DataFile| file.time_max_micros < from;
    let within = |file: &DataFile| sums && file.time_min_micros >= from && file.time_max_micros < to;
    let (folded, mut rest): (Vec<&DataFile>, Vec<&DataFile>) =
        snapshot.files.iter().filter(|file| file.time_max_micros >= since).partition(|f| before(f) || within(f));
    let table = &snapshot;
    let pasts = folded.into_iter().map(|file| async move {
        let past = past(asking, table, file).await?;
        Ok::<_, QueryError>((file, past))
    });
    // The list keeps the closures of a stream out of the type of this future.
    let pasts: Vec<_> = pasts.collect();
    let pasts: Vec<(&DataFile, Arc<Past>)> = stream::iter(pasts).buffered(FILES_AT_ONCE).try_collect().await?;
    let mut folds = Vec::new();
    for (file, past) in pasts {
        // A row that reaches over the start or the end of the range is needed itself.
        match (before(file), past.until) {
            (true, until) if until <= from => folds.extend(past.since(scope, since)),
            (false, until) if until <= to => folds.extend(past.whole(scope)),
            _ => rest.push(file),
        }
    }
    snapshot.files = Arc::new(rest.into_iter().cloned().collect());
    Ok((folds, snapshot))
}

async fn past(asking: &Asking, snapshot: &Snapshot, file: &DataFile) -> Result<Arc<Past>, QueryError> {
    let kept = &asking.engine().inner.past.kept;
    if let Some(past) = kept.lock().get(file.path.as_ref()) {
        return Ok(past);
    }
    let alone = Snapshot { hot: Arc::default(), files: Arc::new(vec![file.clone()]), ..snapshot.clone() };
    let folds = samples::fold_rows(asking, alone, &Scope::default(), None, &Buckets::of_all_time(), &[]).await?;
    let past = Arc::new(Past::of(folds));
    kept.lock().keep(file.path.as_ref(), Arc::clone(&past));
    Ok(past)
}

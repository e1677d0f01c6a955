//! A look at a window: asked once for all who want to know it, kept for a while, and made anew in the background.

use super::facts::{DAY, HOUR, Text, Window};
use super::findings::{self, Finding};
use super::incidents::{self, Failures};
use super::{InsightError, gather, sheet};
use crate::query::{Engine, Meanings};
use contract::answers::Range;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

/// What is looked at without being asked: what a month of waste costs.
const STANDING: i64 = 30 * DAY;
/// How often it is seen whether there is anything new.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look may take this part of the time; rows come each second, findings are about hours.
const REST: u32 = 20;
/// Windows whose looks are kept: those of the people who look at pages now. Each has some megabytes at most.
const KEPT_MAX: usize = 16;
/// Tables whose rows a look depends on.
const INPUTS: [&str; 7] =
    ["documents", "ledger_open", "ledger_closed", "gpu_samples_1h", "job_events", "device_events", "spans"];

/// What was found in a window.
#[derive(Debug)]
pub struct Look {
    /// The hours of what was asked for that the ledger has.
    pub window: Window,
    pub currency: Text,
    /// The worst first.
    pub findings: Vec<Finding>,
    pub failures: Failures,
    /// Unix microseconds.
    pub made_micros: i64,
}

struct Kept {
    look: Arc<Look>,
    inputs: Vec<u64>,
    /// Until when it is good although its inputs have changed.
    fresh_until: Instant,
    used: Instant,
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Insight {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    meanings: Arc<Meanings>,
    /// Unix microseconds, UTC.
    clock: fn() -> i64,
    kept: Mutex<HashMap<Window, Kept>>,
    /// Whoever looks holds it: two who ask for the same wait for one look.
    looking: tokio::sync::Mutex<()>,
}

impl Insight {
    /// From now on the tables `findings` and `incidents` are there, empty at first.
    pub fn open(engine: Engine, clock: fn() -> i64) -> Result<Self, InsightError> {
        let meanings = engine.meanings();
        let inner = Inner { engine, meanings, clock, kept: Mutex::default(), looking: Default::default() };
        let insight = Self { inner: Arc::new(inner) };
        insight.show(&Look::nothing())?;
        Ok(insight)
    }

    /// Keeps the tables as the last 30 days have it. Ends when it is dropped.
    pub async fn keep(&self) {
        let mut shown: Option<Arc<Look>> = None;
        loop {
            let now = (self.inner.clock)();
            let range = Range { from_unix_micros: now - STANDING, to_unix_micros: now };
            match self.look(range).await {
                Ok(look) if shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &look)) => (),
                Ok(look) => {
                    if let Err(error) = self.show(&look) {
                        tracing::error!(%error, "the tables of findings and incidents could not be made");
                    }
                    shown = Some(look);
                }
                Err(error) => tracing::warn!(%error, "findings could not be looked for, it is tried again"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What there is to find in a range, in its whole hours.
    pub async fn look(&self, range: Range) -> Result<Arc<Look>, InsightError> {
        let window = whole_hours(range);
        if let Some(look) = self.kept(window) {
            return Ok(look);
        }
        let _looking = self.inner.looking.lock().await;
        // Whoever held it may have looked at the same.
        if let Some(look) = self.kept(window) {
            return Ok(look);
        }
        let began = Instant::now();
        let inputs = self.inner.engine.generations(&INPUTS);
        let look = Arc::new(self.made(window).instrument(tracing::info_span!("findings")).await?);
        let took = began.elapsed();
        tracing::debug!(
            findings = look.findings.len(),
            incidents = look.failures.incidents.len(),
            ?took,
            "looked for findings"
        );
        let now = Instant::now();
        let mut kept = self.inner.kept.lock();
        if kept.len() >= KEPT_MAX
            && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(window, _)| *window)
        {
            kept.remove(&oldest);
        }
        kept.insert(window, Kept { look: Arc::clone(&look), inputs, fresh_until: now + took * REST, used: now });
        Ok(look)
    }

    fn kept(&self, window: Window) -> Option<Arc<Look>> {
        let mut kept = self.inner.kept.lock();
        let found = kept.get_mut(&window)?;
        found.used = Instant::now();
        let is_good = found.used < found.fresh_until || found.inputs == self.inner.engine.generations(&INPUTS);
        is_good.then(|| Arc::clone(&found.look))
    }

    async fn made(&self, window: Window) -> Result<Look, InsightError> {
        let (facts, losses) = gather::facts(&self.inner.engine, window).await?;
        let failures = incidents::all(&facts, losses, &self.inner.meanings);
        let findings = findings::all(&facts, &failures);
        Ok(Look {
            window: facts.window,
            currency: facts.currency,
            findings,
            failures,
            made_micros: (self.inner.clock)(),
        })
    }

    fn show(&self, look: &Look) -> Result<(), InsightError> {
        self.inner.engine.set_sheet("findings", sheet::findings(look)?);
        self.inner.engine.set_sheet("incidents", sheet::incidents(look)?);
        Ok(())
    }
}

impl Look {
    fn nothing() -> Self {
        Self {
            window: Window::default(),
            currency: Text::default(),
            findings: Vec::new(),
            failures: Failures::default(),
            made_micros: 0,
        }
    }
}

/// The hours that a range touches.
fn whole_hours(range: Range) -> Window {
    Window {
        from_micros: range.from_unix_micros.div_euclid(HOUR) * HOUR,
        to_micros: -(-range.to_unix_micros).div_euclid(HOUR) * HOUR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_looked_at_in_the_hours_that_it_touches() {
        let hours = |from, to| whole_hours(Range { from_unix_micros: from, to_unix_micros: to });
        assert_eq!(hours(HOUR, 2 * HOUR), Window { from_micros: HOUR, to_micros: 2 * HOUR });
        assert_eq!(hours(HOUR + 1, 2 * HOUR + 1), Window { from_micros: HOUR, to_micros: 3 * HOUR });
        assert_eq!(hours(-1, 1), Window { from_micros: -HOUR, to_micros: HOUR });
    }
}

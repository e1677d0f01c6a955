//! Series of one histogram or summary, put together.

use crate::points::Value;

/// Series in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    /// Of a histogram: upper bound and what lies below it; of a summary quantile and value.
    pub parts: Vec<(f64, f64)>,
    pub sum: Option<f64>,
    pub count: Option<f64>,
}

/// The largest count that a float tells from the next one.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;
const COUNTS: &str = "its counts are no whole numbers from 0";
const FALL: &str = "its buckets fall";
const END: &str = "it has neither a bucket +Inf nor a count";

fn counted(count: f64) -> Result<i64, &'static str> {
    if (0.0..=COUNT_MAX).contains(&count) && count.fract() == 0.0 { Ok(count as i64) } else { Err(COUNTS) }
}

impl Group {
    /// Each bucket for itself, where the page gives what lies below each bound.
    pub(crate) fn histogram(mut self) -> Result<Value, &'static str> {
        if self.parts.iter().any(|(bound, _)| bound.is_nan() || *bound == f64::NEG_INFINITY) {
            return Err("a bound is no number");
        }
        self.parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        // 0 and -0, and a bucket that is there twice.
        self.parts.dedup_by(|later, before| later.0 == before.0);
        let infinite = self.parts.pop_if(|(bound, _)| bound.is_infinite()).map(|(_, count)| count);
        let all = counted(infinite.or(self.count).ok_or(END)?)?;
        let count = self.count.map_or(Ok(all), counted)?;
        let (mut bounds, mut counts, mut below) = (Vec::new(), Vec::new(), 0);
        for (bound, cumulative) in &self.parts {
            let cumulative = counted(*cumulative)?;
            bounds.push(*bound);
            counts.push(cumulative.checked_sub(below).filter(|own| *own >= 0).ok_or(FALL)?);
            below = cumulative;
        }
        if !bounds.is_empty() || infinite.is_some() {
            counts.push(all.checked_sub(below).filter(|own| *own >= 0).ok_or(FALL)?);
        }
        Ok(Value::Histogram { count, sum: self.sum.filter(|sum| sum.is_finite()), bounds, counts })
    }

    pub(crate) fn summary(mut self) -> Result<Value, &'static str> {
        self.parts.retain(|(_, value)| value.is_finite());
        if self.parts.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile)) {
            return Err("a quantile is not between 0 and 1");
        }
        self.parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = self.count.map(counted).transpose()?;
        Ok(Value::Summary { count, sum: self.sum.filter(|sum| sum.is_finite()), quantiles: self.parts })
    }
}

//! The period in which samples of a GPU repeat themselves, which for a training job probably is that of its steps. Pure.

/// A pattern that correlates less with itself is none.
const CONFIDENCE_MIN: f64 = 0.5;
/// It has to be seen as often as this.
const PERIODS_MIN: usize = 3;
/// Two samples a period can be any period.
const LAG_MIN: usize = 3;
/// A shorter lag whose correlation is nearly that of the best is the period, and the best a multiple of it: one that
/// lies between two samples correlates less than its double, which may lie on one.
const NEARLY: f64 = 0.7;
/// Fewer samples say nothing.
const SAMPLES_MIN: usize = 24;

/// Seconds of the period, and how much the pattern correlates with itself one or some periods later. The samples follow each
/// other at equal distances.
pub(super) fn period(values: &[f64], interval_seconds: f64) -> Option<(f64, f64)> {
    if values.len() < SAMPLES_MIN || interval_seconds <= 0.0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let lags = centred.len() / PERIODS_MIN;
    let correlations: Vec<f64> = (0..=lags).map(|lag| correlation(&centred, lag)).collect();
    // Neighbours are alike in any series; a period begins after the first fall.
    let fallen = correlations.iter().position(|value| *value <= 0.0)?;
    let is_peak = |lag: &usize| {
        let here = correlations[*lag];
        here >= correlations[lag - 1] && correlations.get(lag + 1).is_none_or(|next| here >= *next)
    };
    let peaks: Vec<usize> = (fallen.max(LAG_MIN)..=lags).filter(is_peak).collect();
    let best = peaks.iter().map(|lag| correlations[*lag]).fold(0.0, f64::max);
    let lag = *peaks.iter().find(|lag| correlations[**lag] >= best * NEARLY)?;
    let confidence = best.min(1.0);
    (confidence >= CONFIDENCE_MIN).then(|| ((lag as f64 + between(&correlations, lag)) * interval_seconds, confidence))
}

/// Pearson's, of the series and itself `lag` samples later.
fn correlation(centred: &[f64], lag: usize) -> f64 {
    let (early, late) = (&centred[..centred.len() - lag], &centred[lag..]);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let both = (dot(early, early) * dot(late, late)).sqrt();
    if both > 0.0 { dot(early, late) / both } else { 0.0 }
}

/// How far from a peak the top of the parabola through it and its neighbours lies, in samples.
fn between(correlations: &[f64], lag: usize) -> f64 {
    let (Some(next), before, here) = (correlations.get(lag + 1), correlations[lag - 1], correlations[lag]) else {
        return 0.0;
    };
    let curve = before - 2.0 * here + next;
    if curve < 0.0 { (0.5 * (before - next) / curve).clamp(-0.5, 0.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise that is the same at each run.
    fn noise(at: usize) -> f64 {
        let mixed = (at as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    }

    fn steps(count: usize, period: f64, interval: f64, noisy: f64) -> Vec<f64> {
        let value = |at: usize| {
            let phase = (at as f64 * interval / period).fract();
            (if phase < 0.7 { 650.0 } else { 250.0 }) + noise(at) * noisy
        };
        (0..count).map(value).collect()
    }

    #[test]
    fn steps_of_a_minute_are_found_in_samples_of_ten_seconds() {
        for (wanted, interval) in [(60.0, 10.0), (95.0, 10.0), (7.3, 1.0)] {
            let (seconds, confidence) = period(&steps(600, wanted, interval, 60.0), interval).expect("it repeats");
            assert!((seconds - wanted).abs() / wanted < 0.02, "{wanted}: {seconds}");
            assert!(confidence > 0.8, "{confidence}");
        }
    }

    #[test]
    fn what_does_not_repeat_has_no_period() {
        let random: Vec<f64> = (0..600).map(|at| noise(at) * 400.0).collect();
        assert_eq!(period(&random, 10.0), None);
        assert_eq!(period(&[700.0; 600], 10.0), None, "constant");
        let rising: Vec<f64> = (0..600).map(f64::from).collect();
        assert_eq!(period(&rising, 10.0), None);
        assert_eq!(period(&steps(20, 60.0, 10.0, 0.0), 10.0), None, "too short");
        assert_eq!(period(&[], 10.0), None);
    }

    proptest! {
        #[test]
        fn any_series_has_a_period_within_it_or_none(values in prop::collection::vec(-1e6..1e6_f64, 0..300)) {
            if let Some((seconds, confidence)) = period(&values, 1.0) {
                prop_assert!(seconds > 0.0 && seconds <= values.len() as f64);
                prop_assert!((0.5..=1.0).contains(&confidence));
            }
        }
    }
}

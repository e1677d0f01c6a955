//! Model FLOPs utilisation: what steps computed against what their GPUs could have. Pure.

use crate::answers::TrainingMfu;

/// Of forward and backward passes, for each parameter and token.
const FLOPS_PER_PARAMETER_AND_TOKEN: f64 = 6.0;

/// What the steps of one launch that counted say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Computed {
    /// Sums over ranks.
    pub(super) flops: Option<f64>,
    pub(super) tokens: Option<f64>,
    pub(super) step_seconds: f64,
    pub(super) ranks: u64,
    pub(super) gpus: f64,
    pub(super) parameters: Option<f64>,
    pub(super) dtype: Option<String>,
}

impl Computed {
    /// What steps say themselves; else what follows from parameters and tokens, with how it is known.
    fn computed(&self) -> Option<(f64, &'static str)> {
        let stated = self.flops.filter(|flops| *flops > 0.0).map(|flops| (flops, "flops"));
        let product = || Some(FLOPS_PER_PARAMETER_AND_TOKEN * self.parameters? * self.tokens.filter(|t| *t > 0.0)?);
        stated.or_else(|| product().map(|flops| (flops, "parameters")))
    }

    /// Of its steps, by the clock on the wall.
    fn seconds(&self) -> f64 {
        self.step_seconds / self.ranks.max(1) as f64
    }
}

/// Of all launches; `peak` answers for a type what a GPU of the job can do.
pub(super) fn mfu(
    launches: &[Computed],
    held_gpu_seconds: f64,
    gpu_model: Option<String>,
    peak: impl Fn(&str, &str) -> Option<(f64, String)>,
) -> TrainingMfu {
    let last = |of: fn(&Computed) -> Option<&String>| launches.iter().rev().find_map(of).cloned();
    let dtype = last(|launch| launch.dtype.as_ref());
    let found = gpu_model.as_deref().zip(dtype.as_deref()).and_then(|(model, dtype)| peak(model, dtype));
    let seconds: f64 = launches.iter().map(Computed::seconds).sum();
    let gpu_seconds: f64 = launches.iter().map(|launch| launch.seconds() * launch.gpus).sum();
    let tokens = launches.iter().filter_map(|launch| launch.tokens).reduce(|a, b| a + b);
    // A launch that does not say what it computed makes the sum unknown and not smaller.
    let worked = launches.iter().filter(|launch| launch.step_seconds > 0.0);
    let flops: Option<Vec<(f64, &'static str)>> = worked.map(Computed::computed).collect();
    let flops = flops.filter(|all| !all.is_empty());
    let sum = flops.as_ref().map(|all| all.iter().map(|(flops, _)| flops).sum::<f64>());
    let of = |gpu_seconds: f64| {
        let (peak, _) = found.as_ref()?;
        (gpu_seconds > 0.0).then_some(sum? / (peak * gpu_seconds))
    };
    let missing = match (sum, gpu_model.as_deref(), dtype.as_deref(), &found) {
        (None, ..) => {
            Some("steps say neither their FLOPs nor, with the parameters of the model, their tokens".to_owned())
        }
        (_, None, ..) => Some("no sample names the model of its GPUs".to_owned()),
        (_, _, None, _) => Some("the job does not say in which type it computes".to_owned()),
        (_, Some(model), Some(dtype), None) => Some(format!("no peak of {model:?} is known for {dtype}")),
        _ => None,
    };
    TrainingMfu {
        ratio: of(gpu_seconds),
        overall_ratio: of(held_gpu_seconds),
        missing,
        flops: sum,
        flops_by: flops.and_then(|all| all.last().map(|(_, by)| (*by).to_owned())),
        tokens,
        tokens_per_second: tokens.filter(|_| seconds > 0.0).map(|tokens| tokens / seconds),
        parameters: launches.iter().rev().find_map(|launch| launch.parameters),
        dtype,
        gpu_model,
        peak_flops_per_second: found.as_ref().map(|(peak, _)| *peak),
        peak_source: found.map(|(_, source)| source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Computed {
        Computed {
            tokens: Some(1e6),
            step_seconds: 160.0,
            ranks: 16,
            gpus: 16.0,
            parameters: Some(7e9),
            dtype: Some("bf16".to_owned()),
            ..Computed::default()
        }
    }

    fn h100(_: &str, dtype: &str) -> Option<(f64, String)> {
        (dtype == "bf16").then(|| (989e12, "a data sheet".to_owned()))
    }

    #[test]
    fn tokens_and_parameters_against_the_peak() {
        let found = mfu(&[launch()], 320.0, Some("H100".to_owned()), h100);
        let ratio = 6.0 * 7e9 * 1e6 / (989e12 * 160.0);
        assert!((found.ratio.expect("all is known") - ratio).abs() < 1e-12);
        assert!((found.overall_ratio.expect("all is known") - ratio / 2.0).abs() < 1e-12);
        assert_eq!((found.tokens_per_second, found.flops_by.as_deref()), (Some(1e5), Some("parameters")));
        let stated = Computed { flops: Some(989e12), tokens: None, ..launch() };
        let found = mfu(&[stated.clone()], 320.0, Some("H100".to_owned()), h100);
        assert_eq!((found.ratio, found.flops_by.as_deref(), found.tokens), (Some(1.0 / 160.0), Some("flops"), None));
        let two = mfu(&[stated, launch()], 320.0, Some("H100".to_owned()), h100);
        assert!((two.flops.expect("both say it") - (989e12 + 4.2e16)).abs() < 1e3);
    }

    #[test]
    fn what_is_not_known_is_null_and_told() {
        let check = |launch: Computed, model: Option<&str>, said: &str| {
            let found = mfu(&[launch], 1.0, model.map(str::to_owned), h100);
            assert_eq!((found.ratio, found.overall_ratio), (None, None));
            assert!(found.missing.as_deref().is_some_and(|text| text.contains(said)), "{:?}", found.missing);
        };
        check(Computed { parameters: None, ..launch() }, Some("H100"), "steps say neither");
        check(launch(), None, "no sample names");
        check(Computed { dtype: None, ..launch() }, Some("H100"), "in which type");
        check(Computed { dtype: Some("fp32".to_owned()), ..launch() }, Some("H100"), "no peak of \"H100\"");
        let silent = Computed { parameters: None, ..launch() };
        assert_eq!(mfu(&[launch(), silent], 1.0, Some("H100".to_owned()), h100).flops, None, "not a smaller sum");
    }
}

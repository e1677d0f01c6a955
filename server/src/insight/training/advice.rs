//! What the owner of a training job can do better: small rules over what is known of it. Pure.

use super::whole::part_of;
use crate::answers::{JobTraining, TrainingGoodput};
use contract::answers::JobAdvice;

/// Below these a rule says nothing.
const GPU_HOURS_MIN: f64 = 0.001;
const LOST_PART_MIN: f64 = 0.02;
const DATA_PART_MIN: f64 = 0.05;
const START_PART_MIN: f64 = 0.1;
const STALL_PART_MIN: f64 = 0.02;
const SAVE_PART_MIN: f64 = 0.05;
const STRAGGLER_PART_MIN: f64 = 0.01;
/// Another interval is worth a sentence when it saves this part of the time.
const INTERVAL_PART_MIN: f64 = 0.005;
/// Large models on tuned clusters reach 40 to 50 %.
const LOW_MFU: f64 = 0.25;
const TREND_MIN: f64 = 0.1;

type Rule = fn(&JobTraining, &TrainingGoodput) -> Option<JobAdvice>;

const RULES: [Rule; 8] =
    [lost_work, checkpoint_interval, stragglers, data_loading, start, stalled, low_mfu, slower_and_slower];

/// What costs most first; nothing without spans.
pub(super) fn advice(found: &JobTraining) -> Vec<JobAdvice> {
    let Some(goodput) = &found.goodput else { return Vec::new() };
    let mut all: Vec<JobAdvice> = RULES.iter().filter_map(|rule| rule(found, goodput)).collect();
    all.sort_by(|a, b| b.gpu_hours.unwrap_or(-1.0).total_cmp(&a.gpu_hours.unwrap_or(-1.0)));
    all
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// `45 s`, `12 min`, `3.5 h`.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

fn of(goodput: &TrainingGoodput, category: &str) -> f64 {
    goodput.parts.iter().find(|part| part.category == category).map_or(0.0, |part| part.gpu_seconds)
}

/// With its money, if it is enough of the job's time.
fn costing(goodput: &TrainingGoodput, gpu_seconds: f64, least: f64, title: String, detail: &str) -> Option<JobAdvice> {
    let hours = gpu_seconds / 3_600.0;
    if gpu_seconds < goodput.gpu_seconds * least || hours < GPU_HOURS_MIN {
        return None;
    }
    Some(JobAdvice {
        title,
        detail: detail.to_owned(),
        gpu_hours: Some(hours),
        cost_micros: part_of(goodput.cost_micros, gpu_seconds, goodput.gpu_seconds),
    })
}

fn lost_work(_: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let (lost, steps) = (of(goodput, "lost_work"), goodput.lost_steps);
    let title = format!("{steps} {} computed again or broke off", if steps == 1 { "step was" } else { "steps were" });
    let detail = "Work since the last checkpoint is lost when a job fails. Save more often, and on the signal that the \
                  scheduler sends before it ends a job.";
    costing(goodput, lost, LOST_PART_MIN, title, detail)
}

fn checkpoint_interval(found: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let checkpoints = found.checkpoints.as_ref()?;
    let (now, best) = (checkpoints.overhead_ratio?, checkpoints.suggested_overhead_ratio?);
    let (interval, suggested) = (checkpoints.interval_seconds?, checkpoints.suggested_seconds?);
    let detail = format!(
        "A save takes {}, and a failure comes every {}. Every {} saves and lost work take {} of the time; now it is {}.",
        time(checkpoints.save_seconds?),
        time(checkpoints.failure_seconds?),
        time(suggested),
        percent(best),
        percent(now)
    );
    let title = format!("Save a checkpoint every {} instead of every {}", time(suggested), time(interval));
    costing(goodput, goodput.gpu_seconds * (now - best), INTERVAL_PART_MIN, title, &detail)
}

fn stragglers(found: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let worst = found.stragglers.first()?;
    let lost = found.stragglers.iter().map(|straggler| straggler.lost_gpu_seconds).sum();
    let on = worst.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
    let others = found.stragglers.len() - 1;
    let title = match others {
        0 => format!("All ranks wait for rank {}{on}", worst.rank),
        _ => format!("All ranks wait for rank {}{on} and {others} more", worst.rank),
    };
    let detail = format!(
        "It takes {:.2} times as long as the others in {} of {} steps. See whether its GPU is throttled or its node \
         shared, and leave the node out if it stays so.",
        worst.work_ratio, worst.slow_steps, worst.steps
    );
    costing(goodput, lost, STRAGGLER_PART_MIN, title, &detail)
}

fn data_loading(_: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let waited = of(goodput, "data_loading");
    let title = format!("It waits for data {} of the time", percent(waited / goodput.gpu_seconds.max(1e-9)));
    let detail =
        "Load batches ahead in more workers, keep data on local disks, or prepare it once before the training.";
    costing(goodput, waited, DATA_PART_MIN, title, detail)
}

fn start(_: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let started = of(goodput, "initialization") + of(goodput, "checkpoint_restore") + of(goodput, "restart");
    let title = format!("Starting takes {} of the time", percent(started / goodput.gpu_seconds.max(1e-9)));
    let detail =
        "Keep compiled kernels and the environment on a local disk, and restore checkpoints from several ranks.";
    costing(goodput, started, START_PART_MIN, title, detail)
}

fn stalled(_: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let stalled = of(goodput, "stalled");
    let title = format!("It stood still {} of the time", percent(stalled / goodput.gpu_seconds.max(1e-9)));
    let detail = "No rank told of a step for over a minute. Set a timeout for collective operations, so that a job that \
                  hangs ends and is started again.";
    costing(goodput, stalled, STALL_PART_MIN, title, detail)
}

fn low_mfu(found: &JobTraining, goodput: &TrainingGoodput) -> Option<JobAdvice> {
    let ratio = found.mfu.as_ref()?.ratio.filter(|ratio| *ratio < LOW_MFU)?;
    let save = of(goodput, "checkpoint_save") / goodput.gpu_seconds.max(1e-9);
    let more = if save > SAVE_PART_MIN { " Checkpoints take time, too: write them beside the training." } else { "" };
    Some(JobAdvice {
        title: format!("Its steps use {:.1} % of what the GPUs can compute", ratio * 100.0),
        detail: format!(
            "Large models reach 40 %. A larger batch on each GPU, fused kernels, and exchange beside computing are the \
             usual ways up.{more}"
        ),
        gpu_hours: None,
        cost_micros: None,
    })
}

fn slower_and_slower(found: &JobTraining, _: &TrainingGoodput) -> Option<JobAdvice> {
    let trend = found.steps.as_ref()?.trend_ratio.filter(|trend| *trend > TREND_MIN)?;
    Some(JobAdvice {
        title: format!("Steps take {} longer than at the beginning", percent(trend)),
        detail:
            "Memory that fragments, logs and metrics that grow, and data at the end of a set are the usual reasons."
                .to_owned(),
        gpu_hours: None,
        cost_micros: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{TrainingCheckpoints, TrainingMfu, TrainingPart, TrainingStraggler};

    fn job() -> JobTraining {
        let part = |category: &str, gpu_seconds| TrainingPart {
            category: category.to_owned(),
            gpu_seconds,
            cost_micros: None,
        };
        let goodput = TrainingGoodput {
            gpu_seconds: 36_000.0,
            cost_micros: Some(20_000_000),
            parts: vec![part("productive", 30_000.0), part("lost_work", 3_600.0), part("data_loading", 100.0)],
            lost_steps: 1,
            ..TrainingGoodput::default()
        };
        JobTraining { goodput: Some(goodput), ..JobTraining::default() }
    }

    #[test]
    fn what_costs_most_comes_first_with_its_money() {
        let straggler = TrainingStraggler { rank: 3, lost_gpu_seconds: 7_200.0, ..TrainingStraggler::default() };
        let found = advice(&JobTraining { stragglers: vec![straggler], ..job() });
        let titles: Vec<&str> = found.iter().map(|advice| advice.title.as_str()).collect();
        assert_eq!(titles, ["All ranks wait for rank 3", "1 step was computed again or broke off"]);
        assert_eq!((found[1].gpu_hours, found[1].cost_micros), (Some(1.0), Some(2_000_000)));
    }

    #[test]
    fn an_interval_is_suggested_where_it_saves_something() {
        let checkpoints = TrainingCheckpoints {
            save_seconds: Some(60.0),
            interval_seconds: Some(7_200.0),
            failure_seconds: Some(43_200.0),
            suggested_seconds: Some(2_277.0),
            overhead_ratio: Some(0.092),
            suggested_overhead_ratio: Some(0.053),
            ..TrainingCheckpoints::default()
        };
        let better = JobTraining { checkpoints: Some(checkpoints.clone()), ..job() };
        let title =
            |found: &JobTraining| advice(found).into_iter().find(|a| a.title.starts_with("Save")).map(|a| a.title);
        assert_eq!(title(&better).as_deref(), Some("Save a checkpoint every 38 min instead of every 2.0 h"));
        let good = TrainingCheckpoints { overhead_ratio: Some(0.054), ..checkpoints };
        assert_eq!(title(&JobTraining { checkpoints: Some(good), ..job() }), None);
    }

    #[test]
    fn nothing_is_advised_of_what_is_not_known() {
        assert!(advice(&JobTraining::default()).is_empty());
        let mfu = TrainingMfu { ratio: Some(0.1), ..TrainingMfu::default() };
        assert!(advice(&JobTraining { mfu: Some(mfu), ..job() }).iter().any(|a| a.title.contains("10.0 %")));
    }
}

//! Training jobs: answers as the API document has them, and how parts of their time are told. Pure.

use crate::format::{self, Unit, money};
use crate::sheet::{self, Sheet};
use contract::answers::{JobAdvice, Range};

answer! {
    /// `GET /api/v1/jobs/{cluster}/{job_id}/training`.
    pub(crate) struct JobTraining {
        pub(crate) job_id: String,
        pub(crate) currency: String,
        pub(crate) source: Option<String>,
        pub(crate) spans_dropped: u64,
        pub(crate) goodput: Option<TrainingGoodput>,
        pub(crate) mfu: Option<TrainingMfu>,
        pub(crate) steps: Option<TrainingSteps>,
        pub(crate) stragglers: Vec<TrainingStraggler>,
        pub(crate) slow_steps: Vec<TrainingSlowStep>,
        pub(crate) checkpoints: Option<TrainingCheckpoints>,
        pub(crate) inferred: Option<TrainingPeriod>,
        pub(crate) attempts: Vec<TrainingAttempt>,
        pub(crate) advice: Vec<JobAdvice>,
    }
    pub(crate) struct TrainingGoodput {
        pub(crate) ratio: Option<f64>,
        pub(crate) gpu_seconds: f64,
        pub(crate) cost_micros: Option<i64>,
        pub(crate) parts: Vec<TrainingPart>,
        pub(crate) waiting_seconds: f64,
        pub(crate) restarts: u64,
        pub(crate) lost_steps: u64,
    }
    pub(crate) struct TrainingPart {
        pub(crate) category: String,
        pub(crate) gpu_seconds: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    pub(crate) struct TrainingMfu {
        pub(crate) ratio: Option<f64>,
        pub(crate) overall_ratio: Option<f64>,
        pub(crate) missing: Option<String>,
        pub(crate) tokens_per_second: Option<f64>,
        pub(crate) dtype: Option<String>,
        pub(crate) gpu_model: Option<String>,
        pub(crate) peak_flops_per_second: Option<f64>,
        pub(crate) peak_source: Option<String>,
    }
    pub(crate) struct TrainingSteps {
        pub(crate) count: u64,
        pub(crate) ranks: u64,
        pub(crate) mean_seconds: f64,
        pub(crate) p50_seconds: f64,
        pub(crate) p90_seconds: f64,
        pub(crate) p99_seconds: f64,
        pub(crate) trend_ratio: Option<f64>,
        pub(crate) sampled_every: u64,
        pub(crate) buckets: Vec<TrainingBucket>,
    }
    pub(crate) struct TrainingBucket {
        pub(crate) first_step: i64,
        pub(crate) last_step: i64,
        pub(crate) count: u64,
        pub(crate) p50_seconds: f64,
        pub(crate) max_seconds: f64,
        pub(crate) work_seconds: Option<f64>,
        pub(crate) lost: u64,
    }
    pub(crate) struct TrainingStraggler {
        pub(crate) rank: i64,
        pub(crate) node: Option<String>,
        pub(crate) steps: u64,
        pub(crate) slow_steps: u64,
        pub(crate) work_ratio: f64,
        pub(crate) lost_gpu_seconds: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    pub(crate) struct TrainingSlowStep {
        pub(crate) step: i64,
        pub(crate) rank: i64,
        pub(crate) node: Option<String>,
        pub(crate) work_seconds: f64,
        pub(crate) usual_seconds: f64,
        pub(crate) cost_micros: Option<i64>,
    }
    pub(crate) struct TrainingCheckpoints {
        pub(crate) saves: u64,
        pub(crate) save_seconds: Option<f64>,
        pub(crate) interval_seconds: Option<f64>,
        pub(crate) restores: u64,
        pub(crate) restore_seconds: Option<f64>,
        pub(crate) failures: u64,
        pub(crate) failure_seconds: Option<f64>,
        pub(crate) failures_of: Option<String>,
        pub(crate) suggested_seconds: Option<f64>,
        pub(crate) overhead_ratio: Option<f64>,
        pub(crate) suggested_overhead_ratio: Option<f64>,
    }
    pub(crate) struct TrainingPeriod {
        pub(crate) seconds: f64,
        pub(crate) confidence_ratio: f64,
        pub(crate) metric: String,
    }
    pub(crate) struct TrainingAttempt {
        pub(crate) attempt: i64,
        pub(crate) state: Option<String>,
        pub(crate) first_step: Option<i64>,
        pub(crate) last_step: Option<i64>,
        pub(crate) lost_steps: u64,
        pub(crate) lost_gpu_seconds: f64,
        pub(crate) lost_micros: Option<i64>,
        pub(crate) cause: Option<TrainingCause>,
    }
    pub(crate) struct TrainingCause {
        pub(crate) kind: String,
        pub(crate) text: String,
        pub(crate) evidence: Vec<TrainingEvidence>,
    }
    pub(crate) struct TrainingEvidence {
        pub(crate) time_unix_micros: i64,
        pub(crate) source: String,
        pub(crate) place: String,
        pub(crate) text: String,
    }
    /// `GET /api/v1/jobs/{cluster}/{job_id}/trace`.
    pub(crate) struct JobTrace {
        pub(crate) step: Option<i64>,
        pub(crate) previous_step: Option<i64>,
        pub(crate) next_step: Option<i64>,
        pub(crate) range: Range,
        pub(crate) ranks: Vec<i64>,
        pub(crate) ranks_total: u64,
        pub(crate) spans: Vec<TraceSpan>,
        pub(crate) spans_left_out: u64,
    }
    pub(crate) struct TraceSpan {
        pub(crate) name: String,
        pub(crate) rank: Option<i64>,
        pub(crate) node: Option<String>,
        pub(crate) start_seconds: f64,
        pub(crate) duration_seconds: f64,
        pub(crate) is_error: bool,
        pub(crate) message: Option<String>,
    }
}

/// A part of a job's time, as pages tell it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Category {
    name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) meaning: &'static str,
    /// Token of its colour.
    pub(crate) colour: &'static str,
}

const fn category(name: &'static str, label: &'static str, meaning: &'static str, colour: &'static str) -> Category {
    Category { name, label, meaning, colour }
}

static CATEGORIES: [Category; 12] = [
    category("productive", "productive", "steps that counted", "state-active"),
    category("initialization", "start", "from the start of an attempt to its first step", "series-5"),
    category("data_loading", "waiting for data", "the next batch was not there yet", "series-1"),
    category("checkpoint_save", "saving checkpoints", "all ranks wait while one is saved", "series-6"),
    category("checkpoint_restore", "reading checkpoints", "after a restart", "series-3"),
    category("evaluation", "evaluation", "on data that is not trained on", "series-0"),
    category("lost_work", "lost work", "steps that were computed again, and what broke off", "state-down"),
    category("restart", "restarting", "between two launches of one attempt", "state-held-empty"),
    category("stalled", "standing still", "no rank told of a step for over a minute", "state-held-idle"),
    category("other", "other", "between steps, and phases with names of their own", "series-other"),
    category("unknown", "unknown", "attempts without spans", "state-unknown"),
    category("communication", "exchange", "waiting for other ranks, within a step", "series-7"),
];

impl Category {
    /// Of a part, or of a span by its name.
    pub(crate) fn named(name: &str) -> &'static Self {
        let name = if name == "step" { "productive" } else { name };
        CATEGORIES.iter().find(|category| category.name == name).unwrap_or(&CATEGORIES[9])
    }
}

/// Parts of the bar in percent, with what each cost: `12.3 %`, `4.56`.
pub(crate) fn shares(goodput: &TrainingGoodput) -> Vec<(&'static Category, f64)> {
    let all = goodput.gpu_seconds.max(f64::MIN_POSITIVE);
    goodput.parts.iter().map(|part| (Category::named(&part.category), part.gpu_seconds / all * 100.0)).collect()
}

/// `waiting for data 12.3 %, 4.56 USD`.
pub(crate) fn part_in_words(part: &TrainingPart, goodput: &TrainingGoodput, currency: &str) -> String {
    let share = format::percent(part.gpu_seconds / goodput.gpu_seconds.max(f64::MIN_POSITIVE));
    let cost = part.cost_micros.map(|micros| format!(", {} {currency}", money::money(micros))).unwrap_or_default();
    format!("{} {share}{cost}", Category::named(&part.category).label)
}

/// Below the bar: launches, steps, waits.
pub(crate) fn story(found: &JobTraining) -> String {
    let Some(goodput) = &found.goodput else { return String::new() };
    let mut said = Vec::new();
    if goodput.restarts > 0 {
        let lost = format::counted(goodput.lost_steps, "step");
        said.push(format!("{}, {lost} lost", format::counted(goodput.restarts, "restart")));
    }
    if goodput.waiting_seconds >= 1.0 {
        let waited = format::duration((goodput.waiting_seconds * 1e6) as i64);
        said.push(format!("{waited} between attempts, when it held no GPUs"));
    }
    if found.spans_dropped > 0 {
        said.push(format!("{} were dropped by senders", format::counted(found.spans_dropped, "span")));
    }
    said.join("; ")
}

/// How it stands with steps where no span tells of them.
pub(crate) fn without_spans(found: &JobTraining) -> String {
    match &found.inferred {
        Some(period) => format!(
            "No spans. Samples of {} repeat every {} (confidence {}), which probably is a step; what that time was for \
             only spans can tell.",
            period.metric.replace('_', " "),
            format::value(Unit::Seconds, period.seconds),
            format::percent(period.confidence_ratio)
        ),
        None => "No spans of this job, so nobody can tell steps from waiting. A few lines in its program send them:"
            .to_owned(),
    }
}

pub(crate) fn parts_sheet(found: &JobTraining) -> Sheet {
    let goodput = found.goodput.clone().unwrap_or_default();
    let row = |part: &TrainingPart| {
        vec![
            sheet::named(Category::named(&part.category).label),
            sheet::hours(Some(part.gpu_seconds / 3600.0)),
            sheet::ratio((goodput.gpu_seconds > 0.0).then(|| part.gpu_seconds / goodput.gpu_seconds)),
            sheet::micros(part.cost_micros),
        ]
    };
    Sheet {
        name: format!("job-{}-time", found.job_id),
        heads: vec![
            sheet::text("What for", "part"),
            sheet::number("GPU-hours", "gpu_hours"),
            sheet::number("Of all", "share_ratio"),
            sheet::number(format!("Cost, {}", found.currency), "cost_micros"),
        ],
        rows: goodput.parts.iter().map(row).collect(),
    }
}

pub(crate) fn steps_sheet(found: &JobTraining) -> Sheet {
    let second = |value: Option<f64>| sheet::measured(Unit::Seconds, value);
    let row = |bucket: &TrainingBucket| {
        vec![
            sheet::named(bucket.first_step.to_string()),
            sheet::named(bucket.last_step.to_string()),
            second(Some(bucket.p50_seconds)),
            second(Some(bucket.max_seconds)),
            second(bucket.work_seconds),
            sheet::count(bucket.lost),
        ]
    };
    let heads = [
        ("First step", "first_step"),
        ("Last step", "last_step"),
        ("Median", "p50_seconds"),
        ("Slowest", "max_seconds"),
        ("Work of the middle rank", "work_seconds"),
        ("Computed again", "lost_steps"),
    ];
    Sheet {
        name: format!("job-{}-steps", found.job_id),
        heads: heads.map(|(label, key)| sheet::number(label, key)).into(),
        rows: found.steps.iter().flat_map(|steps| &steps.buckets).map(row).collect(),
    }
}

pub(crate) fn trace_sheet(found: &JobTrace, job_id: &str) -> Sheet {
    let row = |span: &TraceSpan| {
        vec![
            sheet::named(span.rank.map_or_else(String::new, |rank| rank.to_string())),
            sheet::named(span.node.clone().unwrap_or_default()),
            sheet::named(span.name.clone()),
            sheet::measured(Unit::Seconds, Some(span.start_seconds)),
            sheet::measured(Unit::Seconds, Some(span.duration_seconds)),
            sheet::named(span.message.clone().unwrap_or_default()),
        ]
    };
    Sheet {
        name: format!("job-{job_id}-trace"),
        heads: vec![
            sheet::number("Rank", "rank"),
            sheet::text("Node", "node"),
            sheet::text("Span", "name"),
            sheet::number("Start", "start_seconds"),
            sheet::number("Took", "duration_seconds"),
            sheet::text("Error", "message"),
        ],
        rows: found.spans.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [
            JobTraining::FIELDS,
            TrainingGoodput::FIELDS,
            TrainingPart::FIELDS,
            TrainingMfu::FIELDS,
            TrainingSteps::FIELDS,
            TrainingBucket::FIELDS,
            TrainingStraggler::FIELDS,
            TrainingSlowStep::FIELDS,
            TrainingCheckpoints::FIELDS,
            TrainingPeriod::FIELDS,
            TrainingAttempt::FIELDS,
            TrainingCause::FIELDS,
            TrainingEvidence::FIELDS,
            JobTrace::FIELDS,
            TraceSpan::FIELDS,
        ];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    fn job() -> JobTraining {
        let part = |category: &str, gpu_seconds, cost_micros| TrainingPart {
            category: category.to_owned(),
            gpu_seconds,
            cost_micros,
        };
        let goodput = TrainingGoodput {
            gpu_seconds: 7200.0,
            parts: vec![part("productive", 5400.0, Some(3_000_000)), part("lost_work", 1800.0, None)],
            restarts: 1,
            lost_steps: 18,
            ..TrainingGoodput::default()
        };
        JobTraining { goodput: Some(goodput), ..JobTraining::default() }
    }

    #[test]
    fn parts_are_told_with_their_money() {
        let found = job();
        let goodput = found.goodput.as_ref().expect("there is one");
        assert_eq!(part_in_words(&goodput.parts[0], goodput, "USD"), "productive 75.0 %, 3.00 USD");
        assert_eq!(part_in_words(&goodput.parts[1], goodput, "USD"), "lost work 25.0 %");
        assert_eq!(shares(goodput).iter().map(|(_, width)| width).sum::<f64>(), 100.0);
        assert_eq!(story(&found), "1 restart, 18 steps lost");
        let csv = parts_sheet(&found).csv();
        assert_eq!(csv, "part,gpu_hours,share_ratio,cost_micros\nproductive,1.5,0.75,3000000\nlost work,0.5,0.25,\n");
    }

    #[test]
    fn what_is_inferred_says_so() {
        let period = TrainingPeriod { seconds: 61.2, confidence_ratio: 0.87, metric: "power_watts".to_owned() };
        let text = without_spans(&JobTraining { inferred: Some(period), ..JobTraining::default() });
        assert!(text.contains("probably") && text.contains("87"), "{text}");
        assert_eq!(Category::named("tokenize"), Category::named("other"));
        assert_eq!(Category::named("step").label, "productive");
    }
}

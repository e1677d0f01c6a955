//! What the owner of a job can do better: small rules over what is known of it. Pure.

use super::gpu_fold::GpuFold;
use super::job::{METRICS, held_and_active};
use contract::GpuState;
use contract::answers::{JobAdvice, JobDetail};

/// Below these a rule says nothing: short or small jobs are not worth a sentence.
const IDLE_PART_MIN: f64 = 0.1;
const GPU_HOURS_MIN: f64 = 0.25;
/// A GPU that is busy for less of its time than this did nothing.
const UNUSED_BUSY_RATIO: f64 = 0.01;
/// A GPU lags that is less busy than the median of the job's by so much.
const LAG: f64 = 0.2;
/// Beyond half of it a job needs the memory that it has.
const SMALL_MEMORY_PART: f64 = 0.5;
/// Work that keeps a GPU busy and its tensor cores below this is not in a type that they compute.
const TENSOR_MIN: f64 = 0.05;
const TENSOR_BUSY_MIN: f64 = 0.5;
const GIB: f64 = 1_073_741_824.0;

type Rule = fn(&JobDetail, &[GpuFold]) -> Option<JobAdvice>;

const RULES: [Rule; 6] = [unused_gpus, idle, empty, lagging, small_memory, no_tensor_cores];

/// What costs most first.
pub(super) fn of(job: &JobDetail, gpus: &[GpuFold]) -> Vec<JobAdvice> {
    let mut all: Vec<JobAdvice> = RULES.iter().filter_map(|rule| rule(job, gpus)).collect();
    let rate = rate(job);
    for advice in &mut all {
        advice.cost_micros = advice.gpu_hours.zip(rate).map(|(hours, rate)| (hours * rate).round() as i64);
    }
    all.sort_by(|a, b| b.gpu_hours.unwrap_or(-1.0).total_cmp(&a.gpu_hours.unwrap_or(-1.0)));
    all
}

/// Micros of a GPU-hour of the job, as a mean of those that have a price.
fn rate(job: &JobDetail) -> Option<f64> {
    let priced = job.costs.iter().filter(|cost| cost.unit == "GPU-Hours");
    let (hours, micros) = priced.fold((0.0, 0.0), |(hours, micros), cost| match cost.cost_micros {
        Some(cost_micros) => (hours + cost.quantity, micros + cost_micros as f64),
        None => (hours, micros),
    });
    (hours > 0.0).then(|| micros / hours)
}

fn advice(title: String, detail: String, gpu_hours: Option<f64>) -> Option<JobAdvice> {
    Some(JobAdvice { title, detail, gpu_hours, cost_micros: None })
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn busy(gpu: &GpuFold) -> Option<f64> {
    (gpu.busy.1 > 0.0).then(|| gpu.busy.0 / gpu.busy.1)
}

fn held_hours(gpu: &GpuFold) -> f64 {
    gpu.spans.iter().map(|span| span.to - span.from).sum::<i64>() as f64 / 3.6e9
}

/// Of several GPUs some did nothing all the while.
fn unused_gpus(_: &JobDetail, gpus: &[GpuFold]) -> Option<JobAdvice> {
    let unused: Vec<&GpuFold> = gpus.iter().filter(|gpu| busy(gpu).is_some_and(|b| b < UNUSED_BUSY_RATIO)).collect();
    let hours: f64 = unused.iter().map(|gpu| held_hours(gpu)).sum();
    if unused.is_empty() || unused.len() == gpus.len() || hours < GPU_HOURS_MIN {
        return None;
    }
    let (none, all) = (unused.len(), gpus.len());
    advice(
        format!("{none} of {all} GPUs did nothing"),
        format!(
            "Their busy ratio stayed below 1 % from start to end. Ask for {} GPUs, or see why the program uses no more.",
            all - none
        ),
        Some(hours),
    )
}

/// Processes were on GPUs and did not use them.
fn idle(job: &JobDetail, _: &[GpuFold]) -> Option<JobAdvice> {
    let (held, _) = held_and_active(&job.gpu_hours);
    let idle = *job.gpu_hours.get(GpuState::HeldIdle);
    if held <= 0.0 || idle / held < IDLE_PART_MIN || idle < GPU_HOURS_MIN {
        return None;
    }
    advice(
        format!("{} of the time its processes did no work on GPUs", percent(idle / held)),
        "Data loading, checkpoints, evaluation on CPUs or waiting for others are the usual reasons. Profile one step, \
         load data ahead, and write checkpoints beside the training."
            .to_owned(),
        Some(idle),
    )
}

/// GPUs were held without any process.
fn empty(job: &JobDetail, _: &[GpuFold]) -> Option<JobAdvice> {
    let (held, _) = held_and_active(&job.gpu_hours);
    let empty = *job.gpu_hours.get(GpuState::HeldEmpty);
    if held <= 0.0 || empty / held < IDLE_PART_MIN || empty < GPU_HOURS_MIN {
        return None;
    }
    advice(
        format!("{} of the time no process was on its GPUs", percent(empty / held)),
        "Install packages and prepare data in a job without GPUs, and end the job when its work is done.".to_owned(),
        Some(empty),
    )
}

/// All wait for the slowest; one that is less busy than the others may be waiting, or be the odd one.
fn lagging(_: &JobDetail, gpus: &[GpuFold]) -> Option<JobAdvice> {
    let mut all: Vec<(f64, &GpuFold)> = gpus.iter().filter_map(|gpu| Some((busy(gpu)?, gpu))).collect();
    if all.len() < 3 {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = all[all.len() / 2].0;
    let (least, gpu) = all[0];
    if median - least < LAG || least < UNUSED_BUSY_RATIO {
        return None;
    }
    advice(
        format!("GPU {} of {} works less than the others", gpu.identity.gpu_index, gpu.identity.node),
        format!(
            "It is busy {} of the time, the median of the job is {}. See whether its rank has less to do, or its node \
             is slow to feed it.",
            percent(least),
            percent(median)
        ),
        None,
    )
}

fn peak(job: &JobDetail, metric: &str) -> Option<f64> {
    let series = job.series.iter().find(|series| series.name == metric)?;
    series.values.iter().flatten().copied().reduce(f64::max)
}

/// Half of the memory was never used.
fn small_memory(job: &JobDetail, gpus: &[GpuFold]) -> Option<JobAdvice> {
    let total: i64 = gpus.iter().map(|gpu| gpu.latest.memory_total).sum::<Option<i64>>()?;
    let peak = peak(job, METRICS[4].0)?;
    let (held, active) = held_and_active(&job.gpu_hours);
    if total <= 0 || peak / total as f64 > SMALL_MEMORY_PART || active < GPU_HOURS_MIN || held <= 0.0 {
        return None;
    }
    let each = |bytes: f64| format!("{:.0} GiB", bytes / GIB / gpus.len() as f64);
    advice(
        format!("It needs {} of the memory that it has", percent(peak / total as f64)),
        format!(
            "At most {} of {} were used on each GPU. A larger batch, a smaller GPU or a MIG instance would do.",
            each(peak),
            each(total as f64)
        ),
        None,
    )
}

/// Busy without tensor cores.
fn no_tensor_cores(job: &JobDetail, _: &[GpuFold]) -> Option<JobAdvice> {
    let mean = |name: &str| {
        let values = &job.series.iter().find(|series| series.name == name)?.values;
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let (tensor, busy) = (mean("tensor_active_ratio")?, mean("gpu_busy_ratio")?);
    let (_, active) = held_and_active(&job.gpu_hours);
    if tensor > TENSOR_MIN || busy < TENSOR_BUSY_MIN || active < GPU_HOURS_MIN {
        return None;
    }
    advice(
        format!("Its tensor cores are active {} of the time", percent(tensor)),
        format!(
            "The GPUs are busy {} of the time. If the work is made of matrix products, compute them in bf16, fp16, tf32 \
             or fp8.",
            percent(busy)
        ),
        None,
    )
}

//! `coulomb job training JOB`: what a training job's time was for.

use super::ClientError;
use super::books::{amount, encoded};
use super::connection::Connection;
use super::output::Format;
use super::token::write_rows;
use crate::answers::{JobTraining, TrainingPart};
use crate::config::ClientFlags;
use clap::{Args, Subcommand};
use contract::answers::JobList;
use std::io::Write;

#[derive(Debug, Args)]
pub struct JobCommand {
    #[command(subcommand)]
    action: JobAction,
}

#[derive(Debug, Subcommand)]
enum JobAction {
    /// Goodput, MFU, stragglers, checkpoints, and why attempts ended.
    Training {
        /// The scheduler's own id.
        job: String,
        /// Needed where several clusters have a job of this id.
        #[arg(long)]
        cluster: Option<String>,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
}

pub fn job(command: &JobCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let JobAction::Training { job, cluster, format, client } = &command.action;
    let connection = Connection::open(client)?;
    let cluster = match cluster {
        Some(cluster) => cluster.clone(),
        None => cluster_of(&connection, job)?,
    };
    let found: JobTraining =
        connection.get(&format!("/api/v1/jobs/{}/{}/training", encoded(&cluster), encoded(job)))?;
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&found).map_err(std::io::Error::other)?)?,
        Format::Csv => write_parts(*format, &found, out)?,
        Format::Table => {
            write_parts(*format, &found, out)?;
            for line in lines(&found) {
                writeln!(out, "{}", line.replace(char::is_control, " "))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// The one cluster that has a job of this id.
fn cluster_of(connection: &Connection, job: &str) -> Result<String, ClientError> {
    let list: JobList = connection.get(&format!("/api/v1/jobs?from=1970-01-01&limit=1000&filter={}", encoded(job)))?;
    let mut clusters: Vec<String> =
        list.jobs.into_iter().filter(|row| row.job_id == job).map(|row| row.cluster).collect();
    clusters.sort();
    clusters.dedup();
    let why = match clusters.as_slice() {
        [one] => return Ok(one.clone()),
        [] => "no cluster has a job of this id".to_owned(),
        many => format!("the clusters {} have one each; give --cluster", many.join(", ")),
    };
    Err(ClientError::Argument { what: "job", text: job.to_owned(), why })
}

fn write_parts(format: Format, found: &JobTraining, out: &mut impl Write) -> Result<(), ClientError> {
    let Some(goodput) = &found.goodput else { return Ok(()) };
    let names = ["part", "gpu_hours", "share", "cost", "currency"].map(str::to_owned);
    let row = |part: &TrainingPart| {
        [
            part.category.clone(),
            format!("{:.3}", part.gpu_seconds / 3600.0),
            format!("{:.4}", part.gpu_seconds / goodput.gpu_seconds.max(f64::MIN_POSITIVE)),
            part.cost_micros.map(amount).unwrap_or_default(),
            found.currency.clone(),
        ]
    };
    write_rows(format, &names, goodput.parts.iter().map(row).collect(), out)
}

/// What stands below the table.
fn lines(found: &JobTraining) -> Vec<String> {
    let mut lines = Vec::new();
    match (found.source.as_deref(), &found.inferred) {
        (Some("measured"), _) => {}
        (_, Some(period)) => lines.push(format!(
            "no spans; {} repeats every {:.1} s (confidence {:.0} %), which probably is a step",
            period.metric,
            period.seconds,
            period.confidence_ratio * 100.0
        )),
        _ => lines.push("no spans of this job; docs/training.md tells how to send them".to_owned()),
    }
    if let Some(goodput) = &found.goodput {
        lines.push(format!(
            "restarts: {}, steps lost: {}, seconds between attempts: {:.0}",
            goodput.restarts, goodput.lost_steps, goodput.waiting_seconds
        ));
    }
    if let Some(mfu) = &found.mfu {
        lines.push(match (mfu.ratio, &mfu.missing) {
            (Some(ratio), _) => format!("MFU {:.2} % in steps", ratio * 100.0),
            (None, why) => format!("MFU not known: {}", why.as_deref().unwrap_or("nothing was computed")),
        });
    }
    if let Some(steps) = &found.steps {
        lines.push(format!(
            "{} steps on {} ranks: p50 {:.3} s, p90 {:.3} s, p99 {:.3} s",
            steps.count, steps.ranks, steps.p50_seconds, steps.p90_seconds, steps.p99_seconds
        ));
    }
    for attempt in &found.attempts {
        if let Some(cause) = &attempt.cause {
            lines.push(format!("attempt {}: {}", attempt.attempt, cause.text));
        }
    }
    for advice in &found.advice {
        let cost = advice.cost_micros.map(|cost| format!(" ({} {})", amount(cost), found.currency)).unwrap_or_default();
        lines.push(format!("{}{cost}. {}", advice.title, advice.detail));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said() {
        let found = lines(&JobTraining::default());
        assert_eq!(found, ["no spans of this job; docs/training.md tells how to send them"]);
    }
}

//! `coulomb-collector check`: says what this node can report and whether the server takes it.

use crate::batch;
use crate::config::CheckOptions;
use crate::metrics::Counters;
use crate::run::unix_micros_now;
use crate::send::{Client, PostError};
use crate::signal::Signals;
use crate::source::{Live, Pods, Sample};
use arrow::record_batch::RecordBatch;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Differences and GPM need two looks; this far apart is enough for both.
const LOOK_APART: Duration = Duration::from_millis(500);

/// Looks twice, prints what was seen; an error when the host or the server fails. A node without GPUs is fine.
pub(crate) fn check(options: &CheckOptions, signals: Signals) -> anyhow::Result<()> {
    let counters = Arc::new(Counters::default());
    let mut live = Live::open(&options.source, Pods::default(), counters);
    live.look(unix_micros_now(), None);
    signals.wait(LOOK_APART);
    let sample = live.look(unix_micros_now(), Some(LOOK_APART));
    let mut out = io::stdout().lock();
    writeln!(out, "node      {} in cluster {}", options.source.node, options.source.cluster)?;
    gpus(&mut out, &live, &sample)?;
    match sample.hosts.first() {
        Some(host) => writeln!(
            out,
            "host      cpu {:.0} % busy, {:.1} of {:.1} GiB used{}{}",
            host.cpu_busy_ratio * 100.0,
            gib(host.memory_used_bytes),
            gib(host.memory_total_bytes),
            if host.power_watts.is_some() { ", power reported" } else { ", power not reported" },
            if host.rdma_receive_bytes_total.is_some() { ", rdma reported" } else { ", rdma not reported" },
        )?,
        None => writeln!(out, "host      not readable, see the message above")?,
    }
    let with_job = sample.processes.iter().filter(|p| p.job_id.is_some()).count();
    writeln!(out, "jobs      {with_job} of {} GPU processes belong to a job that is known", sample.processes.len())?;
    anyhow::ensure!(!sample.hosts.is_empty(), "the host gives no rows");
    if !options.local {
        server(&mut out, options)?;
    }
    Ok(())
}

fn gib(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn gpus(out: &mut impl Write, live: &Live, sample: &Sample) -> io::Result<()> {
    let (driver, devices) = live.gpus().describe();
    writeln!(out, "driver    {driver}")?;
    for (gpu, unsupported) in devices {
        writeln!(out, "gpu {:<5} {} {}", gpu.gpu_index, gpu.gpu_model, gpu.gpu_uuid)?;
        let row = sample.gpus.iter().find(|row| row.gpu.gpu_uuid == gpu.gpu_uuid);
        let power = row.and_then(|row| row.metrics.power_watts).map(|watts| format!("{watts:.0} W"));
        let busy = row.and_then(|row| row.metrics.gpu_busy_ratio).map(|ratio| format!("{:.0} % busy", ratio * 100.0));
        let said: Vec<String> = power.into_iter().chain(busy).collect();
        writeln!(
            out,
            "          now {}",
            if said.is_empty() { "no power and no use reported".to_owned() } else { said.join(", ") }
        )?;
        for instance in sample.gpus.iter().filter(|row| row.gpu.parent_gpu_uuid.as_ref() == Some(&gpu.gpu_uuid)) {
            let profile = instance.gpu.mig_profile.as_deref().unwrap_or("of unknown profile");
            writeln!(out, "          MIG instance {profile} {}", instance.gpu.gpu_uuid)?;
        }
        if !unsupported.is_empty() {
            writeln!(out, "          not reported: {}", unsupported.join(", "))?;
        }
    }
    Ok(())
}

/// Posts an empty batch: the server stores nothing and says whether it would.
fn server(out: &mut impl Write, options: &CheckOptions) -> anyhow::Result<()> {
    let client = Client::new(options.uplink.client_settings());
    let table = contract::table("host_samples").ok_or(batch::BatchError::Table("host_samples"))?;
    let body = crate::wire::encode(&RecordBatch::new_empty(contract::schema(table)))?;
    let writer = format!("{}/{}", options.source.node, uuid::Uuid::new_v4());
    match client.post(table.name, &writer, 1, &body) {
        Ok(_) => writeln!(out, "server    {} takes rows", client.server())?,
        Err(PostError::Refused { status: 400 | 422, message }) => {
            writeln!(out, "server    {} answers and accepts the token ({message})", client.server())?;
        }
        Err(error) => {
            writeln!(out, "server    {}: {error}", client.server())?;
            anyhow::bail!("the server does not take rows: {error}");
        }
    }
    Ok(())
}

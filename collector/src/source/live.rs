//! This node as it is now: GPUs through NVML, the host, and who owns what.
//!
//! **Invariant:** one source that fails takes its own rows with it and nothing else.

use super::host::Host;
use super::nvml::Gpus;
use super::pods::Pods;
use super::process::Processes;
use super::{Interval, NodeIdentity, Sample};
use crate::config::SourceOptions;
use crate::metrics::Counters;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Live {
    node: NodeIdentity,
    gpus: Gpus,
    host: Host,
    host_failing: bool,
    processes: Processes,
    pods: Pods,
    counters: Arc<Counters>,
}

impl Live {
    /// `pods` are those that an input names; without one nobody does.
    pub(crate) fn open(options: &SourceOptions, pods: Pods, counters: Arc<Counters>) -> Self {
        let node = NodeIdentity { cluster: options.cluster.as_str().into(), node: options.node.as_str().into() };
        let root = Path::new("/");
        Self {
            gpus: Gpus::new(node.clone(), options.nvml_library.clone(), Arc::clone(&counters)),
            host: Host::new(root, node.clone()),
            host_failing: false,
            processes: Processes::new(root, options.gpu_jobs_dir.clone(), pods.clone()),
            pods,
            node,
            counters,
        }
    }

    /// What `check` prints of the GPUs.
    pub(crate) fn gpus(&self) -> &Gpus {
        &self.gpus
    }

    pub(crate) fn node(&self) -> &NodeIdentity {
        &self.node
    }

    /// Reads everything once. `elapsed` is the time since the look before; the first look has none and gives no
    /// rows of intervals, because nothing is known of what went before it.
    pub(crate) fn look(&mut self, now_unix_micros: i64, elapsed: Option<Duration>) -> Sample {
        let first = elapsed.is_none();
        let elapsed = elapsed.unwrap_or_default();
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let interval =
            Interval { time_unix_micros: now_unix_micros.saturating_sub(micros), seconds: elapsed.as_secs_f64() };
        let mut sample = Sample::default();
        self.processes.next_look();
        self.gpus.look(interval, &mut self.processes, &mut sample);
        if self.pods.is_watched() {
            self.pods.set_instances(self.gpus.instances().collect());
        }
        if first {
            // What these rows stand for began before anyone looked.
            sample.gpus.clear();
            sample.processes.clear();
        }
        match self.host.look(interval) {
            Ok(row) => {
                sample.hosts.extend(row);
                self.host_failing = false;
            }
            Err(error) => {
                Counters::add(&self.counters.host_errors, 1);
                if !std::mem::replace(&mut self.host_failing, true) {
                    tracing::warn!(%error, "the host gives no rows");
                }
            }
        }
        sample
    }
}

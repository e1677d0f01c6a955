//! `device_events` as the named questions need them: who is lost, what to list, what to count.

use super::QueryError;
use super::ask::{Asking, Row, each_row, instant, text};
use super::gpu_fold::GpuFold;
use super::samples::Scope;
use super::timeline::Presence;
use contract::answers::{DeviceEvent, FleetGpu, Range};
use std::collections::{BTreeSet, HashMap};

/// Events that one answer lists, the latest: a page shows a list of them, not a log.
const EVENTS_MAX: usize = 1000;
/// GPUs of a job whose own events are looked for.
const GPUS_MAX: usize = 4_096;
/// Clocks of a node's programs are apart by so much.
const CLOCKS_APART_MICROS: i64 = 5_000_000;

/// Lost and reset events, by GPU and by node.
pub(super) struct Presences {
    by_gpu: HashMap<String, Vec<Presence>>,
    by_node: HashMap<(String, String), Vec<Presence>>,
}

impl Presences {
    pub(super) async fn ask(asking: &Asking, scope: &Scope, since: i64, to: i64) -> Result<Self, QueryError> {
        let mut found = Self { by_gpu: HashMap::new(), by_node: HashMap::new() };
        if !asking.snapshot("device_events").await?.may_hold(since, to) {
            return Ok(found);
        }
        let scope = Scope { gpu_uuid: None, job_id: None, ..scope.clone() };
        let (conditions, values) = scope.conditions(3);
        let sql = format!(
            "select time, kind, gpu_uuid, cluster, node from device_events \
             where kind in ('lost', 'reset') and time >= $1 and time < $2{conditions} order by time"
        );
        let mut with = vec![instant(since), instant(to)];
        with.extend(values);
        for row in each_row(&asking.rows(&sql, with).await?) {
            let Some(time) = row.time(0) else { continue };
            let presence = Presence { time, lost: row.text(1) == Some("lost") };
            match row.owned(2) {
                Some(gpu) => found.by_gpu.entry(gpu).or_default().push(presence),
                None => {
                    let node = (row.owned(3).unwrap_or_default(), row.owned(4).unwrap_or_default());
                    found.by_node.entry(node).or_default().push(presence);
                }
            }
        }
        Ok(found)
    }

    /// Of the GPU, of the GPU that it is cut from, and of its node as a whole.
    pub(super) fn of(&self, gpu: &GpuFold) -> Vec<Presence> {
        if self.by_gpu.is_empty() && self.by_node.is_empty() {
            return Vec::new();
        }
        let parent = gpu.identity.parent.as_ref().and_then(|parent| self.by_gpu.get(parent));
        let node = self.by_node.get(&(gpu.identity.cluster.clone(), gpu.identity.node.clone()));
        let mut all: Vec<Presence> =
            [self.by_gpu.get(&gpu.uuid), parent, node].into_iter().flatten().flatten().copied().collect();
        all.sort();
        all
    }
}

/// The latest events of a node or GPU within the range, in order of time.
pub(super) async fn list(asking: &Asking, scope: &Scope, range: Range) -> Result<Vec<DeviceEvent>, QueryError> {
    let (conditions, values) = scope.conditions(3);
    let sql = format!(
        "select time, gpu_uuid, kind, code, job_id, severity, message from device_events \
         where time >= $1 and time < $2{conditions} order by time desc limit {EVENTS_MAX}"
    );
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    with.extend(values);
    let rows = asking.rows(&sql, with).await?;
    let mut events: Vec<DeviceEvent> = each_row(&rows).map(|row| event(&row)).collect();
    events.reverse();
    Ok(events)
}

/// What happened to a job, its GPUs and their nodes, the latest, in order of time.
pub(super) async fn of_job(
    asking: &Asking,
    (cluster, job_id): (&str, &str),
    gpus: &[GpuFold],
    range: Range,
) -> Result<Vec<DeviceEvent>, QueryError> {
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros), text(cluster), text(job_id)];
    let mut listed = |names: BTreeSet<&str>| {
        let places = names.into_iter().map(|name| {
            with.push(text(name));
            format!(", ${}", with.len())
        });
        places.collect::<String>()
    };
    let uuids = listed(gpus.iter().take(GPUS_MAX).map(|gpu| gpu.uuid.as_str()).collect());
    let nodes = listed(gpus.iter().take(GPUS_MAX).map(|gpu| gpu.identity.node.as_str()).collect());
    let sql = format!(
        "select time, gpu_uuid, kind, code, job_id, severity, message from device_events \
         where time >= $1 and time < $2 and cluster = $3 and (job_id = $4 or gpu_uuid in ($4{uuids}) \
         or (gpu_uuid is null and node in ($4{nodes}))) order by time desc limit {EVENTS_MAX}"
    );
    let rows = asking.rows(&sql, with).await?;
    let mut events: Vec<DeviceEvent> = each_row(&rows).map(|row| event(&row)).collect();
    events.reverse();
    Ok(events)
}

/// Events that say no job get the one that held their GPU then, whoever began last.
pub(super) fn with_holders(mut events: Vec<DeviceEvent>, gpus: &[FleetGpu]) -> Vec<DeviceEvent> {
    for event in events.iter_mut().filter(|event| event.job_id.is_none()) {
        let gpu = gpus.iter().find(|gpu| event.gpu_uuid.as_ref() == Some(&gpu.gpu_uuid));
        let time = event.time_unix_micros;
        let held = gpu.into_iter().flat_map(|gpu| &gpu.jobs).rev().find(|job| {
            let from = job.from_unix_micros - CLOCKS_APART_MICROS;
            (from..=job.to_unix_micros + CLOCKS_APART_MICROS).contains(&time)
        });
        event.job_id = held.map(|job| job.job_id.clone());
    }
    events
}

fn event(row: &Row<'_>) -> DeviceEvent {
    DeviceEvent {
        time_unix_micros: row.time(0).unwrap_or_default(),
        gpu_uuid: row.owned(1),
        kind: row.owned(2).unwrap_or_default(),
        code: row.int(3),
        job_id: row.owned(4),
        severity: row.owned(5).unwrap_or_default(),
        message: row.owned(6).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::GpuState;
    use contract::answers::JobSpan;

    #[test]
    fn an_event_without_a_job_gets_who_held_the_gpu() {
        let span = |job: &str, from: i64, to: i64| JobSpan {
            job_id: job.to_owned(),
            name: None,
            user: None,
            from_unix_micros: from * 1_000_000,
            to_unix_micros: to * 1_000_000,
        };
        let gpu = FleetGpu {
            gpu_uuid: "GPU-1".to_owned(),
            gpu_index: 0,
            gpu_model: String::new(),
            mig_profile: None,
            state: GpuState::Active,
            job_id: None,
            user: None,
            gpu_busy_ratio: None,
            power_watts: None,
            temperature_celsius: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            cells: Vec::new(),
            jobs: vec![span("a", 0, 100), span("b", 100, 200)],
        };
        let told = |gpu: &str, at: i64, job: Option<&str>| DeviceEvent {
            time_unix_micros: at * 1_000_000,
            gpu_uuid: Some(gpu.to_owned()),
            kind: "xid".to_owned(),
            code: None,
            job_id: job.map(str::to_owned),
            severity: String::new(),
            message: String::new(),
        };
        let events = vec![
            told("GPU-1", 50, None),
            told("GPU-1", 204, None),
            told("GPU-1", 210, None),
            told("GPU-2", 50, None),
            told("GPU-1", 50, Some("c")),
        ];
        let jobs: Vec<Option<String>> = with_holders(events, &[gpu]).into_iter().map(|event| event.job_id).collect();
        let expected = [Some("a"), Some("b"), None, None, Some("c")];
        assert_eq!(jobs, expected.map(|job| job.map(str::to_owned)));
    }
}

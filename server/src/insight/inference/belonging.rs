//! Which jobs are the replicas of a service. Pure.
//!
//! **Invariant:** a job belongs to one service at most, so that its cost is counted once.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of jobs that name a service, the surest first.
pub(super) const LABELS: [&str; 6] = [
    "coulomb.service",
    "service.name",
    "serving.kserve.io/inferenceservice",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app",
];
/// What a Deployment or a StatefulSet appends to its name for a pod's, as a pattern.
pub(super) const POD_ENDING: &str = "-([0-9a-z]{5,10}-[0-9a-z]{5}|[0-9]{1,5})$";

/// An attempt of a job, as far as it may be a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) cluster: String,
    pub(super) job_id: String,
    pub(super) name: Option<String>,
    /// Name of the pod without what its workload has appended.
    pub(super) workload: Option<String>,
    /// Values of [`LABELS`].
    pub(super) labels: [Option<String>; LABELS.len()],
    pub(super) started_micros: i64,
    /// The last there is while it runs.
    pub(super) ended_micros: i64,
    pub(super) gpus: Option<i64>,
}

/// What the metrics of an engine say of the job that it runs in, by job.
pub(super) type Told = BTreeMap<String, BTreeSet<String>>;

/// The service that a job serves: what its engine's metrics say, else its labels, else its name, else its pod's name.
pub(super) fn service_of<'s>(job: &Candidate, services: &'s BTreeSet<String>, told: &Told) -> Option<&'s str> {
    let known = |name: &String| services.get(name).map(String::as_str);
    // Of an engine that speaks for several only the labels can tell.
    let by_metrics = told.get(&job.job_id).filter(|of| of.len() == 1).and_then(|of| of.iter().find_map(known));
    let by_label = || job.labels.iter().flatten().find_map(known);
    let by_name = || job.name.as_ref().and_then(known).or_else(|| job.workload.as_ref().and_then(known));
    by_metrics.or_else(by_label).or_else(by_name)
}

/// The attempts of each service's jobs.
pub(super) fn by_service(
    jobs: Vec<Candidate>,
    services: &BTreeSet<String>,
    told: &Told,
) -> BTreeMap<String, Vec<Candidate>> {
    let mut found: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for job in jobs {
        if let Some(service) = service_of(&job, services, told) {
            found.entry(service.to_owned()).or_default().push(job);
        }
    }
    found
}

/// Jobs that ran at an instant.
pub(super) fn replicas_at(jobs: &[Candidate], micros: i64) -> u64 {
    let here = jobs.iter().filter(|job| job.started_micros <= micros && job.ended_micros > micros);
    here.map(|job| (&job.cluster, &job.job_id)).collect::<BTreeSet<_>>().len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    fn job(id: &str, name: Option<&str>, workload: Option<&str>, label: Option<(usize, &str)>) -> Candidate {
        let mut job = Candidate {
            job_id: id.to_owned(),
            name: name.map(str::to_owned),
            workload: workload.map(str::to_owned),
            ended_micros: i64::MAX,
            ..Candidate::default()
        };
        if let Some((at, value)) = label {
            job.labels[at] = Some(value.to_owned());
        }
        job
    }

    #[test]
    fn the_surest_word_counts() {
        let services = names(&["chat", "embed"]);
        let none = Told::new();
        let of = |job: &Candidate, told: &Told| service_of(job, &services, told).map(str::to_owned);
        let named = job("1", Some("chat"), None, None);
        assert_eq!(of(&named, &none).as_deref(), Some("chat"));
        assert_eq!(of(&job("1", Some("chat"), None, Some((4, "embed"))), &none).as_deref(), Some("embed"));
        let told: Told = [("1".to_owned(), names(&["embed"]))].into();
        assert_eq!(of(&named, &told).as_deref(), Some("embed"), "the engine knows best");
        let both: Told = [("1".to_owned(), names(&["chat", "embed"]))].into();
        assert_eq!(of(&named, &both).as_deref(), Some("chat"), "a word for two is none");
        let strange: Told = [("1".to_owned(), names(&["other"]))].into();
        assert_eq!(of(&named, &strange).as_deref(), Some("chat"));
        assert_eq!(of(&job("ns/chat-5d9f-x", None, Some("chat"), None), &none).as_deref(), Some("chat"));
        assert_eq!(of(&job("1", Some("chat-tool"), None, Some((0, "train"))), &none), None);
    }

    #[test]
    fn replicas_are_jobs_that_run_and_attempts_of_one_are_one() {
        let at = |id: &str, from, to| Candidate { started_micros: from, ended_micros: to, ..job(id, None, None, None) };
        let jobs = [at("a", 0, 10), at("a", 5, 20), at("b", 10, i64::MAX), at("c", 30, 40)];
        assert_eq!([4, 7, 10, 25, 35].map(|micros| replicas_at(&jobs, micros)), [1, 1, 2, 1, 2]);
    }
}

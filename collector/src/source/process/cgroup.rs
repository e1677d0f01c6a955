//! Job, pod and container in the text of /proc/PID/cgroup, and Slurm's names in an environment. Pure.

/// Who made a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// Slurm's job number.
    Slurm(String),
    /// UID of a Kubernetes pod, with dashes.
    Pod(String),
    /// A container without a scheduler: the first twelve digits of its id, as `docker ps` prints it.
    Container(String),
}

/// Finds the owner of a process. A scheduler's word goes before a container's.
pub(super) fn owner(text: &str) -> Option<Owner> {
    // Each line is `hierarchy:controllers:path`; the path may contain colons.
    let paths = || text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let slurm = || paths().find_map(slurm_job).map(Owner::Slurm);
    let pod = || paths().find_map(pod_uid).map(Owner::Pod);
    let container = || paths().find_map(container_id).map(Owner::Container);
    slurm().or_else(pod).or_else(container)
}

/// `/slurm[_node]/uid_1/job_7/…` (v1) and `/system.slice/[node_]slurmstepd.scope/job_7/…` (v2).
fn slurm_job(path: &str) -> Option<String> {
    let mut parts = path.split('/').skip_while(|part| !part.contains("slurm"));
    parts.next()?;
    parts.find_map(|part| {
        let digits = part.strip_prefix("job_")?;
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.to_owned())
    })
}

/// `/kubepods/burstable/pod<uid>/…` (cgroupfs), `/kubepods.slice/…/kubepods-burstable-pod<uid with _>.slice/…`, the
/// same behind `kubelet-`, and `…/kubepods-pod<uid with _>.slice:cri-containerd:<id>` of a runtime below systemd.
fn pod_uid(path: &str) -> Option<String> {
    let is_kubelets = |part: &str| part.starts_with("kubepods") || part.starts_with("kubelet-kubepods");
    let mut parts = path.split('/').skip_while(|part| !is_kubelets(part));
    parts.find_map(|part| {
        let part = part.split_once(".slice").map_or(part, |(slice, _)| slice);
        let uid = match part.strip_prefix("pod") {
            Some(uid) => uid,
            None if is_kubelets(part) => part.rsplit_once("-pod")?.1,
            None => return None,
        };
        let uid = uid.replace('_', "-");
        // A static pod's UID is a digest without dashes.
        let good = uid.len() >= 32 && uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        good.then_some(uid)
    })
}

/// `/docker/<id>`, `/system.slice/docker-<id>.scope`, `cri-containerd-<id>.scope`, `libpod-<id>.scope`, `…/<id>`.
fn container_id(path: &str) -> Option<String> {
    const ID_DIGITS: usize = 64;
    const SHORT_DIGITS: usize = 12;
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        let good = id.len() == ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| id.get(..SHORT_DIGITS).unwrap_or(id).to_owned())
    })
}

/// The job's name as Slurm prints it: `7`, `5_2` of an array, `9+1` of a heterogeneous job.
///
/// `expected` is the number that the cgroup gave: an environment that tells of another job is a stranger's.
pub(super) fn slurm_name(environ: &str, expected: Option<&str>) -> Option<String> {
    let value = |name: &str| {
        environ
            .split('\0')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            .filter(|value| !value.is_empty() && value.len() <= 32 && value.bytes().all(|b| b.is_ascii_digit()))
    };
    let job = value("SLURM_JOB_ID").or_else(|| value("SLURM_JOBID"))?;
    if expected.is_some_and(|expected| expected != job) {
        return None;
    }
    if let (Some(array), Some(task)) = (value("SLURM_ARRAY_JOB_ID"), value("SLURM_ARRAY_TASK_ID")) {
        return Some(format!("{array}_{task}"));
    }
    if let (Some(first), Some(offset)) = (value("SLURM_HET_JOB_ID"), value("SLURM_HET_JOB_OFFSET")) {
        return Some(format!("{first}+{offset}"));
    }
    Some(job.to_owned())
}

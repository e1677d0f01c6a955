//! The job of a process that no scheduler has a cgroup for, by its environment: one that its owner named, or Ray's.
//! Pure.

use super::JOB_BYTES_MAX;

/// What somebody names a job with; the Python package for training takes the same.
const OWN: &str = "COULOMB_JOB_ID";
/// Ray's raylet gives it to each worker that it starts.
const RAY_JOB: &str = "RAY_JOB_ID";
/// Of the cluster that a worker is of, where its nodes were started with it; KubeRay does so.
const RAY_CLUSTER: &str = "RAY_CLUSTER_NAME";
/// Hexadecimal digits of Ray's number of a job.
const RAY_DIGITS: usize = 8;

/// A job that its owner named.
pub(super) fn own_name(environ: &str) -> Option<String> {
    let name = value(environ, OWN)?.trim();
    is_good(name).then(|| name.to_owned())
}

/// `CLUSTER/01000000` of a worker of Ray, or `ray/01000000` where its cluster has no name: Ray counts the jobs of each
/// of its clusters from one. A worker that waits for a job has a number of ones only.
pub(super) fn ray_name(environ: &str) -> Option<String> {
    let job = value(environ, RAY_JOB)?;
    let is_number = job.len() == RAY_DIGITS && job.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_number || job.bytes().all(|b| b.eq_ignore_ascii_case(&b'f')) {
        return None;
    }
    let cluster = value(environ, RAY_CLUSTER).map(str::trim).filter(|name| !name.contains('/') && is_good(name));
    let name = format!("{}/{}", cluster.unwrap_or("ray"), job.to_ascii_lowercase());
    is_good(&name).then_some(name)
}

fn value<'a>(environ: &'a str, name: &str) -> Option<&'a str> {
    environ.split('\0').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn is_good(name: &str) -> bool {
    !name.is_empty() && name.len() <= JOB_BYTES_MAX && !name.contains(char::is_control) && !name.contains('\u{FFFD}')
}

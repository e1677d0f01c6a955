//! Which user, program and job own a process id.
//!
//! Owns the reading of /proc/PID, the layouts of Slurm's, Kubernetes' and container runtimes' cgroups, and what an
//! environment says of a job.
//! Must not know GPUs. **Invariants:** arguments of a command are never read, they may hold secrets; a process
//! that is gone or hidden is unknown, not an error.

mod cgroup;
mod environ;

use super::GpuIdentity;
use super::pods::Pods;
use cgroup::Owner;
use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An environment longer than this is not searched to its end.
const ENVIRON_BYTES_MAX: u64 = 1 << 20;
/// Files of /proc/PID that are read are shorter by far.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Where a prolog may say which job holds a GPU, as Jobstats does: one file a GPU, `<job> <uid>`.
const GPU_JOB_DIR: &str = "run/gpustat";
/// The longest name of a job that is believed.
const JOB_BYTES_MAX: usize = 255;

/// What is known of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    pub user: Option<Arc<str>>,
    pub command: Option<Arc<str>>,
    pub job_id: Option<Arc<str>>,
}

/// Resolves process ids, and remembers them as long as the process lives.
#[derive(Debug)]
pub(crate) struct Processes {
    root: PathBuf,
    /// Where a prolog notes jobs as dcgm-exporter reads them.
    gpu_jobs: Option<PathBuf>,
    users: HashMap<u32, Arc<str>>,
    known: HashMap<u32, Known>,
    pods: Pods,
    look: u64,
}

#[derive(Debug)]
struct Known {
    /// Start time in ticks since boot: with the pid it names one process.
    started: u64,
    look: u64,
    owned: Owned,
    /// Whether it is in a pod that nobody has named yet.
    is_unnamed: bool,
}

impl Processes {
    /// `root` is `/`, or a directory that looks like it.
    pub(crate) fn new(root: &Path, gpu_jobs: Option<PathBuf>, pods: Pods) -> Self {
        let passwd = read(&root.join("etc/passwd"), ENVIRON_BYTES_MAX).unwrap_or_default();
        let users = passwd.lines().filter_map(parse_passwd_line).collect();
        Self { root: root.to_owned(), gpu_jobs, users, known: HashMap::new(), pods, look: 0 }
    }

    /// Forgets processes that were not asked for since the last call.
    pub(crate) fn next_look(&mut self) {
        let look = self.look;
        self.known.retain(|_, known| known.look == look);
        self.look += 1;
    }

    /// The owner of a process that is on a GPU: one of a pod without a name belongs to the pod that holds the GPU.
    pub(crate) fn owner_on(&mut self, pid: u32, gpu: &GpuIdentity) -> Owned {
        let mut owned = self.owner(pid);
        if owned.job_id.is_none() && self.known.get(&pid).is_some_and(|known| known.is_unnamed) {
            owned.job_id = self.pods.holder(&gpu.gpu_uuid, index_of(gpu));
        }
        owned
    }

    fn owner(&mut self, pid: u32) -> Owned {
        let dir = self.root.join("proc").join(pid.to_string());
        let Some(started) = read(&dir.join("stat"), FILE_BYTES_MAX).as_deref().and_then(parse_start_time) else {
            return Owned::default();
        };
        if let Some(known) = self.known.get_mut(&pid).filter(|known| known.started == started && !known.is_unnamed) {
            known.look = self.look;
            return known.owned.clone();
        }
        let (owned, is_unnamed) = self.resolve(&dir);
        self.known.insert(pid, Known { started, look: self.look, owned: owned.clone(), is_unnamed });
        owned
    }

    fn resolve(&self, dir: &Path) -> (Owned, bool) {
        let command = read(&dir.join("comm"), FILE_BYTES_MAX).map(|name| Arc::from(name.trim_end()));
        // A process that ends between two reads is unknown.
        let uid = fs::metadata(dir).ok().map(|m| m.uid());
        let user = uid.map(|uid| self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string().into()));
        let (job_id, is_unnamed) = self.job(dir);
        (Owned { user, command, job_id }, is_unnamed)
    }

    /// The job, and whether that is a pod without a name.
    fn job(&self, dir: &Path) -> (Option<Arc<str>>, bool) {
        let cgroup = read(&dir.join("cgroup"), FILE_BYTES_MAX).unwrap_or_default();
        let environ = || read(&dir.join("environ"), ENVIRON_BYTES_MAX).unwrap_or_default();
        let job = match cgroup::owner(&cgroup) {
            Some(Owner::Slurm(job)) => Some(cgroup::slurm_name(&environ(), Some(&job)).unwrap_or(job)),
            Some(Owner::Pod(uid)) => {
                let name = self.pods.name(&uid).or_else(|| self.pod_name(&uid).map(Arc::from));
                return match name {
                    Some(name) => (Some(name), false),
                    // Somebody will name it; its UID would be another job.
                    None if self.pods.is_watched() => (None, true),
                    None => (Some(uid.into()), false),
                };
            }
            // A container that no scheduler knows may hold the workers of several jobs.
            Some(Owner::Container(id)) => stated(&environ()).or(Some(id)),
            None => stated(&environ()),
        };
        (job.map(Arc::from), false)
    }

    /// `namespace/pod` of a pod's UID, from the names of the kubelet's log directories.
    fn pod_name(&self, uid: &str) -> Option<String> {
        let logs = fs::read_dir(self.root.join("var/log/pods")).ok()?; // not there or not for this user: the UID stands
        logs.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).find_map(|name| {
            let mut parts = name.splitn(3, '_');
            let (namespace, pod, found) = (parts.next()?, parts.next()?, parts.next()?);
            (found == uid).then(|| format!("{namespace}/{pod}"))
        })
    }

    /// The job that holds a GPU: as a prolog noted it, by its UUID or index, or as the kubelet says it.
    pub(crate) fn job_of_gpu(&self, gpu: &GpuIdentity) -> Option<Arc<str>> {
        let index = gpu.gpu_index.to_string();
        let noted = self.noted(&gpu.gpu_uuid).or_else(|| self.noted(&index)).or_else(|| self.mapped(&index));
        noted.or_else(|| self.pods.holder(&gpu.gpu_uuid, index_of(gpu)))
    }

    /// The same for a MIG instance, by its UUID, or by the index of its GPU and its own id there.
    pub(crate) fn job_of_instance(&self, gpu: &GpuIdentity, instance: u32) -> Option<Arc<str>> {
        let noted = self.noted(&gpu.gpu_uuid).or_else(|| self.mapped(&format!("{}.{instance}", gpu.gpu_index)));
        noted.or_else(|| self.pods.holder(&gpu.gpu_uuid, index_of(gpu)))
    }

    /// Of /run/gpustat: the first word of a file.
    fn noted(&self, name: &str) -> Option<Arc<str>> {
        // A name with a slash would be a path: a GPU without a UUID is known here by its index alone.
        let text = (!name.contains('/')).then(|| read(&self.root.join(GPU_JOB_DIR).join(name), FILE_BYTES_MAX))??;
        text.split_ascii_whitespace().next().and_then(noted_job)
    }

    /// Of a directory for dcgm-exporter: a job a line. With several, processes alone tell whose the GPU is.
    fn mapped(&self, name: &str) -> Option<Arc<str>> {
        let text = read(&self.gpu_jobs.as_ref()?.join(name), FILE_BYTES_MAX)?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let job = lines.next()?;
        lines.next().is_none().then(|| noted_job(job)).flatten()
    }
}

/// The job that an environment tells of: a scheduler's word goes before its owner's, and both before Ray's, which runs
/// within what the others hold.
fn stated(environ: &str) -> Option<String> {
    cgroup::slurm_name(environ, None).or_else(|| environ::own_name(environ)).or_else(|| environ::ray_name(environ))
}

fn noted_job(job: &str) -> Option<Arc<str>> {
    let good = job != "0" && job.len() <= JOB_BYTES_MAX && !job.contains(char::is_control);
    good.then(|| Arc::from(job))
}

/// The index of a GPU; an instance has that of its GPU, which is not its own.
fn index_of(gpu: &GpuIdentity) -> i64 {
    if gpu.parent_gpu_uuid.is_some() { -1 } else { gpu.gpu_index }
}

/// The text of a file, lossy; `None` when it cannot be read.
fn read(path: &Path, bytes_max: u64) -> Option<String> {
    let mut bytes = Vec::new();
    // Absent, hidden and vanished all mean unknown here.
    fs::File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Start time, the 22nd field of /proc/PID/stat; the second field is a name in brackets that may hold anything.
fn parse_start_time(stat: &str) -> Option<u64> {
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn parse_passwd_line(line: &str) -> Option<(u32, Arc<str>)> {
    let mut parts = line.split(':');
    let name = parts.next().filter(|name| !name.is_empty())?;
    Some((parts.nth(1)?.parse().ok()?, Arc::from(name)))
}

#[cfg(test)]
mod tests;

#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn check(cgroup: &str, expected: Option<Owner>) {
    assert_eq!(cgroup::owner(cgroup), expected, "{cgroup}");
}

#[test]
fn cgroup_layouts_of_schedulers_and_runtimes() {
    let slurm = |id: &str| Some(Owner::Slurm(id.to_owned()));
    check("9:memory:/slurm/uid_1000/job_4711/step_0/task_0\n3:cpu:/user.slice\n", slurm("4711"));
    check("9:memory:/slurm_node07/uid_1000/job_12/step_batch", slurm("12"));
    check("0::/system.slice/slurmstepd.scope/job_88/step_extern/user/task_0", slurm("88"));
    check("0::/system.slice/node1_slurmstepd.scope/job_88/step_0", slurm("88"));
    check(&format!("0::/system.slice/slurmstepd.scope/job_9/step_0/docker-{HEX}.scope"), slurm("9"));
    check("0::/system.slice/slurmstepd.scope/system", None);
    check("0::/system.slice/slurmstepd.scope/job_x/step_0", None);
    check("0::/user.slice/job_7/x", None);
    let pod = || Some(Owner::Pod(UID.to_owned()));
    let under = UID.replace('-', "_");
    check(&format!("4:memory:/kubepods/burstable/pod{UID}/{HEX}"), pod());
    check(&format!("4:memory:/kubepods/pod{UID}/{HEX}"), pod());
    check(
        &format!(
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/cri-containerd-{HEX}.scope"
        ),
        pod(),
    );
    check(&format!("0::/kubepods.slice/kubepods-pod{under}.slice/crio-{HEX}.scope"), pod());
    check(
        &format!(
            "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{under}.slice/cri-containerd-{HEX}.scope"
        ),
        pod(),
    );
    check(
        &format!("0::/system.slice/containerd.service/kubepods-besteffort-pod{under}.slice:cri-containerd:{HEX}"),
        pod(),
    );
    let container = || Some(Owner::Container(HEX[..12].to_owned()));
    check(&format!("0::/system.slice/docker-{HEX}.scope"), container());
    check(&format!("5:cpu:/docker/{HEX}"), container());
    check(&format!("0::/user.slice/user-1000.slice/libpod-{HEX}.scope/container"), container());
    check("0::/user.slice/user-1000.slice/session-2.scope", None);
    check("", None);
}

#[test]
fn names_of_slurm_jobs_are_those_that_slurm_prints() {
    let name = cgroup::slurm_name;
    assert_eq!(name("A=1\0SLURM_JOB_ID=7\0", None), Some("7".to_owned()));
    assert_eq!(
        name("SLURM_JOB_ID=7\0SLURM_ARRAY_JOB_ID=5\0SLURM_ARRAY_TASK_ID=2\0", Some("7")),
        Some("5_2".to_owned())
    );
    assert_eq!(name("SLURM_JOB_ID=10\0SLURM_HET_JOB_ID=9\0SLURM_HET_JOB_OFFSET=1", None), Some("9+1".to_owned()));
    assert_eq!(name("SLURM_JOB_ID=8\0", Some("7")), None);
    for bad in ["", "SLURM_JOB_ID=", "SLURM_JOB_ID=7;rm", "XSLURM_JOB_ID=7"] {
        assert_eq!(name(bad, None), None, "{bad:?}");
    }
}

#[test]
fn an_environment_names_jobs_that_no_scheduler_knows() {
    let ray = environ::ray_name;
    assert_eq!(ray("PATH=/bin\0RAY_JOB_ID=01000000\0RAY_RAYLET_PID=7\0").as_deref(), Some("ray/01000000"));
    assert_eq!(ray("RAY_JOB_ID=0A000000\0RAY_CLUSTER_NAME=tuning\0").as_deref(), Some("tuning/0a000000"));
    assert_eq!(ray("RAY_CLUSTER_NAME=a/b\0RAY_JOB_ID=01000000").as_deref(), Some("ray/01000000"));
    for none in
        ["", "RAY_JOB_ID=ffffffff", "RAY_JOB_ID=", "RAY_JOB_ID=1", "RAY_JOB_ID=0100000g", "XRAY_JOB_ID=01000000"]
    {
        assert_eq!(ray(none), None, "{none:?}");
    }
    let own = environ::own_name;
    assert_eq!(own("COULOMB_JOB_ID= sweep 7 \0").as_deref(), Some("sweep 7"));
    for none in ["COULOMB_JOB_ID= ", "COULOMB_JOB_ID=a\tb", "COULOMB_JOB_IDS=7"] {
        assert_eq!(own(none), None, "{none:?}");
    }
    assert_eq!(own(&format!("COULOMB_JOB_ID={}", "9".repeat(JOB_BYTES_MAX + 1))), None);
}

#[test]
fn the_scheduler_goes_before_the_owner_and_both_before_ray_and_a_container() {
    let root = tempfile::tempdir().unwrap();
    let job = |pid: u32, cgroup: &str, environ: &str| {
        put(root.path(), &format!("proc/{pid}/stat"), &stat(1));
        put(root.path(), &format!("proc/{pid}/cgroup"), cgroup);
        put(root.path(), &format!("proc/{pid}/environ"), environ);
        let job = Processes::new(root.path(), None, Pods::default()).owner(pid).job_id;
        job.map(|job| job.to_string())
    };
    let (session, docker) =
        ("0::/user.slice/user-1000.slice/session-2.scope", format!("0::/system.slice/docker-{HEX}.scope"));
    let all = "RAY_JOB_ID=02000000\0COULOMB_JOB_ID=mine\0SLURM_JOB_ID=7\0";
    assert_eq!(job(1, session, all).as_deref(), Some("7"));
    assert_eq!(job(2, session, "RAY_JOB_ID=02000000\0COULOMB_JOB_ID=mine\0").as_deref(), Some("mine"));
    assert_eq!(job(3, &docker, "RAY_JOB_ID=02000000\0").as_deref(), Some("ray/02000000"));
    assert_eq!(job(4, &docker, "RAY_JOB_ID=ffffffff\0").as_deref(), Some(&HEX[..12]));
    let slurm = "0::/system.slice/slurmstepd.scope/job_9/step_0";
    assert_eq!(job(5, slurm, "RAY_JOB_ID=02000000\0COULOMB_JOB_ID=mine\0").as_deref(), Some("9"));
    let pod = format!("0::/kubepods/pod{UID}/{HEX}");
    assert_eq!(job(6, &pod, "RAY_JOB_ID=02000000\0COULOMB_JOB_ID=mine\0").as_deref(), Some(UID));
    assert_eq!(job(7, session, "HOME=/root\0"), None);
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn stat(started: u64) -> String {
    format!("42 (a) b) S 1 42 42 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 {started} 1000 1")
}

#[test]
fn a_pid_is_remembered_as_long_as_its_process_lives() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/42/stat", &stat(100));
    put(root.path(), "proc/42/comm", "python3\n");
    put(root.path(), "proc/42/cgroup", "0::/system.slice/slurmstepd.scope/job_7/step_0\n");
    let uid = fs::metadata(root.path()).unwrap().uid();
    put(root.path(), "etc/passwd", &format!("odd line\nada:x:{uid}:0:Ada:/:/bin/sh\n"));
    let mut processes = Processes::new(root.path(), None, Pods::default());
    let owned = processes.owner(42);
    assert_eq!(owned.user.as_deref(), Some("ada"));
    assert_eq!(owned.command.as_deref(), Some("python3"));
    assert_eq!(owned.job_id.as_deref(), Some("7"));
    put(root.path(), "proc/42/comm", "changed\n");
    assert_eq!(processes.owner(42), owned);
    put(root.path(), "proc/42/stat", &stat(200));
    assert_eq!(processes.owner(42).command.as_deref(), Some("changed"), "the pid belongs to another process now");
    assert_eq!(processes.owner(43), Owned::default());
    processes.next_look();
    processes.next_look();
    assert!(processes.known.is_empty());
}

#[test]
fn a_pod_is_named_by_the_log_directories() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/42/stat", &stat(1));
    put(root.path(), "proc/42/cgroup", &format!("0::/kubepods/pod{UID}/{HEX}\n"));
    assert_eq!(Processes::new(root.path(), None, Pods::default()).owner(42).job_id.as_deref(), Some(UID));
    fs::create_dir_all(root.path().join(format!("var/log/pods/research_train-0_{UID}"))).unwrap();
    assert_eq!(
        Processes::new(root.path(), None, Pods::default()).owner(42).job_id.as_deref(),
        Some("research/train-0")
    );
}

fn gpu(uuid: &str, parent: Option<&str>) -> GpuIdentity {
    GpuIdentity {
        node: crate::source::NodeIdentity { cluster: "c".into(), node: "n1".into() },
        gpu_uuid: uuid.into(),
        gpu_index: 3,
        gpu_model: "H100".into(),
        parent_gpu_uuid: parent.map(Arc::from),
        mig_profile: None,
    }
}

#[test]
fn a_pod_that_somebody_will_name_has_no_job_until_then() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/42/stat", &stat(1));
    put(root.path(), "proc/42/cgroup", &format!("0::/kubepods/pod{UID}/{HEX}\n"));
    let pods = Pods::default();
    pods.watch();
    let mut processes = Processes::new(root.path(), None, pods.clone());
    let job = |processes: &mut Processes| processes.owner_on(42, &gpu("GPU-1", None)).job_id;
    assert_eq!(job(&mut processes), None, "its UID would be another job");
    // The kubelet alone says who holds the GPU.
    pods.set_holders([(crate::source::Unit::Uuid("GPU-1".into()), "research/train-0".into())]);
    assert_eq!(job(&mut processes).as_deref(), Some("research/train-0"));
    pods.set_names(HashMap::from([(UID.into(), "research/other".into())]));
    assert_eq!(job(&mut processes).as_deref(), Some("research/other"), "what its cgroup says goes before");
    pods.set_names(HashMap::new());
    assert_eq!(job(&mut processes).as_deref(), Some("research/other"), "a process does not change its pod");
}

#[test]
fn the_kubelet_says_who_holds_a_gpu_where_no_prolog_does() {
    let root = tempfile::tempdir().unwrap();
    let pods = Pods::default();
    let processes = Processes::new(root.path(), None, pods.clone());
    assert_eq!(processes.job_of_gpu(&gpu("GPU-1", None)), None);
    pods.set_holders([(crate::source::Unit::Index(3), "research/train-0".into())]);
    assert_eq!(processes.job_of_gpu(&gpu("GPU-1", None)).as_deref(), Some("research/train-0"));
    assert_eq!(processes.job_of_instance(&gpu("MIG-1", Some("GPU-1")), 1), None, "all of a GPU is not an instance");
    put(root.path(), "run/gpustat/GPU-1", "4711 1000\n");
    assert_eq!(processes.job_of_gpu(&gpu("GPU-1", None)).as_deref(), Some("4711"));
}

fn of(uuid: &str, gpu_index: i64) -> GpuIdentity {
    GpuIdentity { gpu_index, ..gpu(uuid, None) }
}

#[test]
fn a_prolog_may_say_which_job_holds_a_gpu() {
    let root = tempfile::tempdir().unwrap();
    let processes = Processes::new(root.path(), None, Pods::default());
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)), None);
    put(root.path(), "run/gpustat/0", "4711 1000\n");
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)).as_deref(), Some("4711"));
    put(root.path(), "run/gpustat/GPU-1", "4712 1000\n");
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)).as_deref(), Some("4712"));
    assert_eq!(processes.job_of_gpu(&of("../0", 5)), None);
}

#[test]
fn a_directory_for_dcgm_exporter_may_say_it_too() {
    let root = tempfile::tempdir().unwrap();
    let jobs = root.path().join("jobs");
    let processes = Processes::new(root.path(), Some(jobs.clone()), Pods::default());
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)), None);
    put(&jobs, "0", "4711\n");
    put(&jobs, "0.9", "4712\n\n");
    put(&jobs, "1", "4711\n4712\n");
    put(&jobs, "2", &"9".repeat(300));
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)).as_deref(), Some("4711"));
    let instance = GpuIdentity { gpu_index: 0, ..gpu("MIG-1", Some("GPU-1")) };
    assert_eq!(processes.job_of_instance(&instance, 9).as_deref(), Some("4712"));
    assert_eq!(processes.job_of_instance(&instance, 8), None);
    assert_eq!(processes.job_of_gpu(&of("GPU-2", 1)), None, "two jobs at once: their processes tell");
    assert_eq!(processes.job_of_gpu(&of("GPU-3", 2)), None);
    put(root.path(), "run/gpustat/GPU-1", "4713 1000 4713\n");
    assert_eq!(processes.job_of_gpu(&of("GPU-1", 0)).as_deref(), Some("4713"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_panics(text in "(0::|/|slurm|job_|kubepods|pod|docker-|[0-9a-f]{32}|[0-9]{1,25}|[\n:_.-]|\\PC){0,40}") {
        if let Some(Owner::Slurm(id)) = cgroup::owner(&text) {
            prop_assert!(id.bytes().all(|b| b.is_ascii_digit()));
        }
        cgroup::slurm_name(&text, None);
        for name in ["RAY_JOB_ID", "COULOMB_JOB_ID"] {
            let stated = stated(&format!("{name}={text}"));
            prop_assert!(stated.is_none_or(|job| !job.is_empty() && job.len() <= JOB_BYTES_MAX));
        }
        parse_start_time(&text);
        parse_passwd_line(&text);
    }
}

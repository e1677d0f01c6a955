//! A real Slurm cluster of one node with two GPUs that are none, as the user who runs the test: munged, MariaDB,
//! slurmdbd, slurmctld and slurmd on loopback, in a temporary folder.
//!
//! **Invariant:** what it started ends with it, jobs included.

use crate::{Program, run};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const START_AT_MOST: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Daemons lie here, which is not in everybody's PATH.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin"];
const PROGRAMS: [&str; 6] = ["munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd"];

/// The running daemons; all killed when dropped.
pub struct Slurm {
    pub node: String,
    ports: [u16; 4],
    database: Option<Program>,
    daemons: Vec<Program>,
    dir: tempfile::TempDir,
}

fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

fn word(program: &str, arguments: &[&str]) -> String {
    let output = run(Command::new(program).args(arguments));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("there is a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + START_AT_MOST;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not happen within {START_AT_MOST:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Slurm {
    /// `None`, with a message, where it is not installed.
    pub fn start() -> Option<Self> {
        if let Some(missing) = PROGRAMS.iter().find(|name| program(name).is_none()) {
            println!("skipped: no {missing}; Debian's packages are slurm-wlm, slurmdbd, munge and mariadb-server");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("coulomb-slurm-").tempdir().expect("a temporary folder can be made");
        let mut slurm =
            Self { node: word("hostname", &["-s"]), ports: free_ports(), database: None, daemons: Vec::new(), dir };
        slurm.write_settings();
        slurm.start_munge();
        slurm.start_mariadb();
        slurm.start_database();
        assert!(slurm.ask("sacctmgr", &["-i", "add", "cluster", "lab"]).status.success(), "the cluster has an entry");
        slurm.start_daemon("slurmctld", &["-D"]);
        slurm.start_daemon("slurmd", &["-D"]);
        wait_for("an idle node", || slurm.says("sinfo", &["-h", "-o", "%T"]).contains("idle"));
        Some(slurm)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
    }

    fn write_settings(&self) {
        for folder in ["munge", "db", "run", "state", "spool"] {
            fs::create_dir(self.dir.path().join(folder)).expect("an empty folder takes folders");
        }
        // Munge's socket must be reached by all, so its folders are open.
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let [maria, dbd, controller, node] = self.ports;
        let (user, name) = (word("id", &["-un"]), &self.node);
        let [socket, run, state, spool] = ["munge/socket", "run", "state", "spool"].map(|path| self.path(path));
        let settings = format!(
            "AuthType=auth/munge\nAuthInfo=socket={socket}\nDbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={dbd}\n\
             SlurmUser={user}\nStorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={maria}\n\
             StorageUser=slurm\nStoragePass=slurm\nStorageLoc=slurm\nPidFile={run}/slurmdbd.pid\n"
        );
        self.write("slurmdbd.conf", &settings, 0o600);
        let settings = format!(
            "ClusterName=lab\nSlurmctldHost={name}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             AuthType=auth/munge\nAuthInfo=socket={socket}\nSlurmUser={user}\nSlurmdUser={user}\n\
             StateSaveLocation={state}\nSlurmdSpoolDir={spool}\nSlurmctldPidFile={run}/slurmctld.pid\n\
             SlurmdPidFile={run}/slurmd.pid\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             SlurmdParameters=config_overrides\nMpiDefault=none\nReturnToService=2\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\nGresTypes=gpu\nAccountingStorageType=accounting_storage/slurmdbd\n\
             AccountingStorageHost=127.0.0.1\nAccountingStoragePort={dbd}\nAccountingStoragePass={socket}\n\
             AccountingStorageTRES=gres/gpu\nAccountingStoreFlags=job_comment\nJobAcctGatherType=jobacct_gather/none\n\
             KillWait=2\nSchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0\n\
             NodeName={name} NodeAddr=127.0.0.1 CPUs=8 Gres=gpu:test:2 State=UNKNOWN\n\
             PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        );
        self.write("slurm.conf", &settings, 0o644);
        // Files that every machine has stand for the devices.
        self.write("gres.conf", "Name=gpu Type=test File=/dev/zero\nName=gpu Type=test File=/dev/null\n", 0o644);
        self.write(
            "cgroup.conf",
            &format!("CgroupPlugin=cgroup/v1\nCgroupMountpoint={}\n", self.path("cgroup")),
            0o644,
        );
    }

    fn start_munge(&mut self) {
        self.write("munge/key", &"a key that is none ".repeat(8), 0o400);
        let at = |name: &str| self.path(&format!("munge/{name}"));
        let flags = [
            "--foreground".to_owned(),
            format!("--socket={}", at("socket")),
            format!("--key-file={}", at("key")),
            format!("--pid-file={}", at("pid")),
            format!("--log-file={}", at("log")),
            format!("--seed-file={}", at("seed")),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.start_daemon("munged", &flags);
        wait_for("munge's socket", || self.dir.path().join("munge/socket").exists());
    }

    fn start_mariadb(&mut self) {
        let user = format!("--user={}", word("id", &["-un"]));
        let folder = format!("--datadir={}", self.path("db"));
        let install = ["--no-defaults", &folder, "--auth-root-authentication-method=normal", "--skip-test-db", &user];
        let made = run(Command::new(program("mariadb-install-db").expect("it was looked for")).args(install));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let socket = format!("--socket={}", self.path("run/db.sock"));
        let (port, pid) = (format!("--port={}", self.ports[0]), format!("--pid-file={}", self.path("run/db.pid")));
        let flags = ["--no-defaults", &folder, &socket, &port, &pid, "--bind-address=127.0.0.1", &user];
        self.start_daemon(
            "mariadbd",
            &[&flags[..], &["--innodb-buffer-pool-size=32M", "--skip-name-resolve"]].concat(),
        );
        let grant = "create database slurm; create user slurm@'127.0.0.1' identified by 'slurm'; \
                     grant all on slurm.* to slurm@'127.0.0.1'";
        wait_for("a database", || {
            let client = ["--no-defaults", &socket, "-u", "root", "-e", grant];
            run(Command::new("mariadb").args(client)).status.success()
        });
    }

    fn command(&self, path: PathBuf, arguments: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.args(arguments).env("SLURM_CONF", self.path("slurm.conf")).current_dir(self.dir.path());
        command
    }

    fn start_daemon(&mut self, name: &str, arguments: &[&str]) {
        let path = program(name).expect("it was looked for");
        self.daemons.push(Program::start(&mut self.command(path, arguments)));
    }

    /// Starts slurmdbd, and waits until it answers.
    pub fn start_database(&mut self) {
        let path = program("slurmdbd").expect("it was looked for");
        self.database = Some(Program::start(&mut self.command(path, &["-D"])));
        wait_for("slurmdbd's answer", || self.ask("sacctmgr", &["-n", "list", "cluster"]).status.success());
    }

    /// Kills slurmdbd.
    pub fn stop_database(&mut self) {
        self.database = None;
    }

    /// Where its commands find their settings, for programs that run them.
    pub fn settings(&self) -> (&'static str, String) {
        ("SLURM_CONF", self.path("slurm.conf"))
    }

    /// Runs one of its commands.
    pub fn ask(&self, command: &str, arguments: &[&str]) -> Output {
        let path = program(command).unwrap_or_else(|| command.into());
        run(self.command(path, arguments).env("SLURM_TIME_FORMAT", "%s"))
    }

    /// What a command prints; it must succeed.
    pub fn says(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.ask(command, arguments);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {arguments:?}: {why}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Submits a script, and returns the number of the job.
    pub fn submit(&self, flags: &[&str], script: &str) -> String {
        let fixed = ["--parsable", "-o", "/dev/null", "-n", "1"];
        self.says("sbatch", &[&fixed[..], flags, &["--wrap", script]].concat())
    }

    /// The state that the controller says of a job.
    pub fn state(&self, job: &str) -> String {
        self.says("squeue", &["-h", "-t", "all", "-j", job, "-o", "%T"])
    }

    /// Waits until the controller says one of these of a job.
    pub fn wait_for_state(&self, job: &str, states: &[&str]) {
        wait_for(&format!("{states:?} of job {job}"), || states.contains(&self.state(job).as_str()));
    }

    /// A file that jobs may write.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // Jobs first, which are no children of ours: they and their parents have our settings in their environment.
        let mine = format!("SLURM_CONF={}", self.path("slurm.conf"));
        self.daemons.iter_mut().rev().take(2).for_each(Program::kill);
        for pid in fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name()) {
            let pid = pid.to_string_lossy().into_owned();
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let is_mine = environment.split(|byte| *byte == 0).any(|pair| pair == mine.as_bytes());
            if is_mine && self.daemons.iter().chain(&self.database).all(|daemon| daemon.pid().to_string() != pid) {
                drop(run(Command::new("kill").args(["-KILL", &pid])));
            }
        }
        self.database = None;
        while let Some(mut daemon) = self.daemons.pop() {
            daemon.kill();
        }
    }
}

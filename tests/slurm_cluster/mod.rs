//! A Slurm cluster for each test, at most two at a time, which is gone when the test is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Record, read};
use rustix::process::Signal;

use super::program::{PACELINE, await_that, both, is_installed, record_in, signal};

/// A cluster of two nodes.
pub(crate) struct Cluster {
    dir: PathBuf,
    /// Which of the networks is its own, 0 or 1.
    number: usize,
    /// Names and addresses, as `NAME=ADDRESS`. Slurm does not know the third.
    nodes: [String; 3],
    // No other process uses this network.
    _alone: File,
}

impl Cluster {
    /// Brings it up; says why it cannot be had, if so.
    pub(crate) fn up() -> Result<Self, String> {
        for program in ["slurmctld", "slurmd", "sbatch", "munged", "ip", "nsenter"] {
            if !is_installed(program) {
                return Err(format!(
                    "a Slurm cluster needs {program}: apt-get install slurm-wlm munge iproute2"
                ));
            }
        }
        if !rustix::process::geteuid().is_root() {
            return Err("a Slurm cluster needs root for its network namespaces".into());
        }
        let (number, alone) = free_network();
        let dir = PathBuf::from(format!("/tmp/paceline-slurm-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("slurm")).unwrap();
        let nodes = [1, 2, 3].map(|node| format!("n{node}=10.97.{number}.1{node}"));
        let cluster = Cluster { dir, number, nodes, _alone: alone };
        // What an earlier test left that was killed.
        cluster.script(&["down", "."]);
        let up = cluster.run(&["up", ".", "2"]);
        if up.status.success() {
            Ok(cluster)
        } else {
            Err(format!("a Slurm cluster does not come up: {}", both(&up)))
        }
    }

    /// Where plan and results are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its first nodes with their addresses, as a plan names them.
    pub(crate) fn nodes(&self, count: usize) -> Vec<&str> {
        self.nodes[..count].iter().map(String::as_str).collect()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm_cluster/cluster.sh");
        // To files: daemons would hold a pipe open.
        let out = File::create(self.dir.join("script.out")).unwrap();
        let mut command = Command::new(script);
        command.args(arguments).current_dir(self.dir.join("slurm")).stdin(Stdio::null());
        command.env("CLUSTER", self.number.to_string());
        let status = command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
        Output { status, stdout: fs::read(self.dir.join("script.out")).unwrap(), stderr: vec![] }
    }

    pub(crate) fn script(&self, arguments: &[&str]) {
        let done = self.run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", both(&done));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("SLURM_CONF", self.dir.join("slurm/slurm.conf"));
        command.env("PACELINE_ALLOW_DEBUG", "1").stdin(Stdio::null());
        command
    }

    fn cluster(&self, arguments: &[&str]) -> Output {
        self.command(PACELINE).arg("cluster").args(arguments).output().unwrap()
    }

    /// What `paceline cluster` prints, however it ends.
    pub(crate) fn prints(&self, arguments: &[&str]) -> String {
        both(&self.cluster(arguments))
    }

    /// What it prints, which must end with this code.
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cluster(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", both(&output));
        both(&output)
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    /// The only record that was collected.
    pub(crate) fn record(&self) -> Record {
        read(&record_in(&self.dir)).unwrap()
    }

    /// What a command of Slurm prints.
    pub(crate) fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An engine file: the built-in one with changes, and quick to look again.
    pub(crate) fn engine(&self, changes: &[(&str, &str)]) -> String {
        let (_, text) =
            paceline::cluster::BUILT_IN.iter().find(|(name, _)| *name == "slurm").unwrap();
        let mut text = format!("poll_seconds = 0.5\ngrace_seconds = 2\n{text}");
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        fs::write(self.dir.join("engine.toml"), text).unwrap();
        "engine.toml".into()
    }

    pub(crate) fn await_running(&self) {
        patiently("a block runs", || !self.slurm("squeue", &["-h", "--states=R"]).is_empty());
    }

    /// Waits until a node is in this state.
    pub(crate) fn await_node(&self, node: &str, state: &str) {
        let states = ["-h", "-n", node, "-o", "%T"];
        patiently(state, || self.slurm("sinfo", &states).contains(state));
    }

    pub(crate) fn await_empty_queue(&self) {
        let queue = ["-h", "--states=R,PD,CG"];
        patiently("the queue is empty", || self.slurm("squeue", &queue).is_empty());
    }

    /// How many blocks have a complete attempt.
    pub(crate) fn done(&self) -> usize {
        let files = |folder: &Path| -> Vec<PathBuf> {
            fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        let blocks = files(&self.dir.join("plan/parts"));
        blocks
            .iter()
            .filter(|block| files(block).iter().any(|of| of.join("done.json").exists()))
            .count()
    }

    fn kill(&self, name: &str) {
        let id = fs::read_to_string(self.dir.join(format!("slurm/run/{name}.pid"))).unwrap();
        signal(id.trim().parse().unwrap(), Signal::KILL);
    }

    /// Kills the controller once it has saved the jobs that it knows now. Those it forgets it would start again, and
    /// their nodes would refuse them.
    pub(crate) fn kill_controller(&self) {
        let changed = |name: &str| {
            fs::metadata(self.dir.join("slurm").join(name)).and_then(|of| of.modified()).ok()
        };
        fs::write(self.dir.join("slurm/before"), "").unwrap();
        patiently("the controller saves its jobs", || {
            changed("state/job_state") > changed("before")
        });
        self.kill("slurmctld");
    }

    /// Runs `cluster status --wait` for five minutes at most. Meanwhile it does what an administrator does: a node that
    /// refused a job which a restarted controller sent it again takes jobs once more.
    pub(crate) fn wait(&self) -> Output {
        let mut command = self.command(PACELINE);
        command.args(["cluster", "status", "plan", "--wait"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_mins(5);
        while child.try_wait().unwrap().is_none() {
            let nodes = self.slurm("sinfo", &["-h", "-N", "-o", "%N %E"]);
            for node in nodes.lines().filter_map(|line| line.strip_suffix(" Duplicate jobid")) {
                self.slurm("scontrol", &["update", &format!("nodename={node}"), "state=resume"]);
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it waits for ever: {nodes}{}", self.slurm("squeue", &[]));
            }
            thread::sleep(Duration::from_millis(500));
        }
        child.wait_with_output().unwrap()
    }

    /// Kills a node with all that runs on it: every process in its network namespace.
    pub(crate) fn kill_node(&self, node: u32) {
        let namespace = format!("plt{}-n{node}", self.number);
        let pids = self.command("ip").args(["netns", "pids", &namespace]).output().unwrap();
        for id in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            signal(id.parse().unwrap(), Signal::KILL);
        }
    }

    pub(crate) fn link(&self, node: u32, state: &str) {
        let link = format!("plt{}-{node}", self.number);
        let done = self.command("ip").args(["link", "set", &link, state]).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.run(&["down", "."]);
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Waits for a network that no cluster uses.
fn free_network() -> (usize, File) {
    loop {
        for number in 0..2 {
            let file = File::create(format!("/tmp/paceline-slurm-{number}.lock")).unwrap();
            if file.try_lock().is_ok() {
                return (number, file);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for what Slurm does, and asks it ten times a second.
pub(crate) fn patiently(what: &str, mut comes: impl FnMut() -> bool) {
    await_that(what, || {
        thread::sleep(Duration::from_millis(100));
        comes()
    });
}

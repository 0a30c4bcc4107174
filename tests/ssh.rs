//! `paceline cluster` over SSH: a real sshd with two addresses, which are two hosts to it. Where there is none this test
//! passes, and says so.
#![cfg(target_os = "linux")]

mod program;

use std::{
    ffi::OsStr,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Record, read};
use program::{
    await_that, both, is_installed, load_words, long_plan, processes, record_in, run, text,
};
use tempfile::TempDir;

/// An sshd that ends with the test.
struct Sshd(Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn key(path: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    assert!(keygen.status().unwrap().success());
}

/// Starts it in `dir`, with more lines of its configuration. Returns the options with which ssh reaches it.
fn sshd(dir: &Path, more: &str) -> Result<(Sshd, String), String> {
    if !is_installed("/usr/sbin/sshd") || !is_installed("ssh") {
        return Err(
            "SSH needs a client and a server: apt-get install openssh-server openssh-client".into(),
        );
    }
    key(&dir.join("host"));
    key(&dir.join("me"));
    fs::copy(dir.join("me.pub"), dir.join("allowed")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = dir.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nListenAddress 127.0.0.2\nHostKey {at}/host\nAuthorizedKeysFile {at}/allowed\n\
         PasswordAuthentication no\nPidFile none\nStrictModes no\nAcceptEnv PACELINE_*\n{more}"
    );
    fs::write(dir.join("config"), config).unwrap();
    let _ = fs::create_dir_all("/run/sshd");
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(dir.join("config"));
    command.stdin(Stdio::null()).stderr(fs::File::create(dir.join("sshd.log")).unwrap());
    let mut sshd = Sshd(command.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect(("127.0.0.2", port)).is_err() {
        if sshd.0.try_wait().unwrap().is_some() || Instant::now() > deadline {
            return Err(format!(
                "sshd does not start: {}",
                fs::read_to_string(dir.join("sshd.log")).unwrap()
            ));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let options = format!(
        "-p {port} -i {at}/me -F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR \
         -o SendEnv=PACELINE_*"
    );
    Ok((sshd, options))
}

/// Hosts at two addresses of this machine, and the folder of what is submitted to them.
struct Hosts {
    _sshd: Sshd,
    /// With these ssh reaches them.
    options: String,
    folder: TempDir,
}

impl Hosts {
    /// Starts them, with more lines of sshd's configuration. Returns `None` after a message where there is no sshd.
    fn up(more: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        match sshd(folder.path(), more) {
            Ok((sshd, options)) => Some(Hosts { _sshd: sshd, options, folder }),
            Err(why) => {
                eprintln!("left out: {why}");
                None
            }
        }
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the words that choose these hosts.
    fn engine(&self) -> Vec<String> {
        let away = format!("folder={}/away", self.dir().display());
        let options = format!("options={}", self.options);
        ["--engine", "ssh", "--set", &options, "--set", &away].map(str::to_owned).into()
    }

    /// Runs `paceline`, which must succeed.
    fn ok<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) {
        let output = run(self.dir(), words);
        assert_eq!(output.status.code(), Some(0), "{}\n{}", both(&output), self.log());
    }

    /// What the first submission printed.
    fn log(&self) -> String {
        fs::read_to_string(self.dir().join("plan/submissions/1.txt")).unwrap_or_default()
    }

    /// Submits the plan; to these of the hosts, unless a load's plan names them.
    fn submit(&self, hosts: Option<&str>) {
        let mut words: Vec<String> = ["cluster", "submit", "plan"].map(str::to_owned).into();
        words.extend(self.engine());
        words.extend(hosts.iter().flat_map(|of| ["--set".to_owned(), format!("hosts={of}")]));
        self.ok(words);
    }

    /// Plans, and submits the plan.
    fn submitted(&self, plan: &[&str], hosts: Option<&str>) {
        self.ok(plan);
        self.submit(hosts);
    }

    fn wait_and_collect(&self) -> Record {
        self.ok(["cluster", "status", "plan", "--wait"]);
        self.ok(["cluster", "collect", "plan"]);
        read(&record_in(self.dir())).unwrap()
    }
}

/// Returns the words of a plan of sleeping jobs.
fn plan(of: &str) -> Vec<&str> {
    let words = ["cluster", "plan", "sleep", "--scale", "10", "--out", "plan"];
    words.into_iter().chain(of.split(' ')).collect()
}

/// Returns the words of `cluster` for a load from one host on the other.
fn load<'a>(command: &'a str, more: &'a str) -> Vec<&'a str> {
    [&["cluster"], &load_words(command, &["127.0.0.1", "127.0.0.2"], more)[..]].concat()
}

#[test]
fn hosts_that_share_no_folder_give_one_record_and_one_that_is_away_costs_nothing() {
    let Some(hosts) = Hosts::up("") else { return };
    let plan = plan("yield --model tokio,pool --trials 4");
    // Nobody listens at the third address, and the fourth is the first again.
    hosts.submitted(&plan, Some("127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.1"));
    let record = hosts.wait_and_collect();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 16));
    let nodes = record.nodes.unwrap();
    let ids: Vec<&str> = nodes.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["127.0.0.1", "127.0.0.2"]);
    assert!(nodes.left_out.is_empty(), "{:?}", nodes.left_out);
    let log = hosts.log();
    assert!(log.contains("127.0.0.3 cannot be reached"), "{log}");
    // Each host prints its version once.
    assert_eq!(log.lines().filter(|line| line.starts_with("paceline ")).count(), 2, "{log}");
}

#[test]
fn a_load_has_each_role_on_its_own_host_and_the_servers_result_comes_back() {
    let Some(hosts) = Hosts::up("") else { return };
    hosts.submitted(&load("plan", "--duration 1s --port 17601"), None);
    hosts.ok(["cluster", "status", "plan", "--wait"]);
    let collected = run(hosts.dir(), ["cluster", "collect", "plan"]);
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    let said = text(&collected.stdout);
    assert!(said.contains("1 block, 1 cell:"), "{said}");
    let record = read(&record_in(hosts.dir())).unwrap();
    let of = record.cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap();
    assert_eq!((&*of.server, &of.generators[..]), ("127.0.0.1", &["127.0.0.2".to_owned()][..]));
    // The token is its owner's alone there, too.
    let away = fs::read_dir(hosts.dir().join("away")).unwrap().map(|host| host.unwrap().path());
    let mode = |host: PathBuf| fs::metadata(host.join("token")).unwrap().permissions().mode();
    let modes: Vec<u32> = away.map(mode).collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| mode.trailing_zeros() >= 6), "{modes:?}");
}

/// Returns lines of sshd's configuration: it passes commands on, but at one of the addresses those with `words` fail.
fn failing(words: &str) -> String {
    let passed = r#"*) eval "$SSH_ORIGINAL_COMMAND" ;; esac"#;
    format!(
        "Match LocalAddress 127.0.0.2\nForceCommand case \"$SSH_ORIGINAL_COMMAND\" in *\"{words}\"*) exit 126 ;; {passed}\n"
    )
}

#[test]
fn a_host_that_cannot_run_the_program_takes_no_block() {
    let Some(hosts) = Hosts::up(&failing("./paceline --version")) else { return };
    hosts.submitted(&plan("--model pool --trials 4"), Some("127.0.0.1,127.0.0.2"));
    hosts.ok(["cluster", "status", "plan", "--wait"]);
    let log = hosts.log();
    assert!(log.contains("127.0.0.2 cannot be reached, has no room in "), "{log}");
}

#[test]
fn a_host_that_fails_at_each_block_leaves_all_but_two_to_the_others() {
    let Some(hosts) = Hosts::up(&failing("paceline cluster work")) else { return };
    hosts.submitted(&plan("--model pool --trials 8"), Some("127.0.0.1,127.0.0.2"));
    let waited = run(hosts.dir(), ["cluster", "status", "plan", "--wait"]);
    assert!(text(&waited.stdout).contains("6 done, 2 lost"), "{}\n{}", both(&waited), hosts.log());
    let why = "127.0.0.2 failed at two blocks one after the other, and takes no more";
    assert!(hosts.log().contains(why), "{}", hosts.log());
    hosts.submit(Some("127.0.0.1"));
    assert_eq!(hosts.wait_and_collect().trials.len(), 8);
}

#[test]
fn a_block_that_is_cancelled_ends_on_its_host() {
    let Some(hosts) = Hosts::up("") else { return };
    hosts.submitted(&long_plan(hosts.dir()), Some("127.0.0.1"));
    is_cancelled(&hosts, "__host");
}

#[test]
fn a_load_that_is_cancelled_ends_on_every_host() {
    let Some(hosts) = Hosts::up("") else { return };
    hosts.submitted(&load("plan", "--duration 10m --port 17602"), None);
    is_cancelled(&hosts, "__load");
}

/// Cancels the plan once a host has a process with this word.
fn is_cancelled(hosts: &Hosts, word: &str) {
    let dir = hosts.dir();
    await_that("it begins", || processes(dir).iter().any(|line| line.contains(word)));
    hosts.ok(["cluster", "cancel", "plan"]);
    // A host ends what it has once its connection is gone.
    await_that("nothing is left", || {
        processes(dir).iter().all(|line| line.starts_with("/usr/sbin/sshd"))
    });
    let status = text(&run(dir, ["cluster", "status", "plan"]).stdout);
    assert!(status.contains("1 lost") && status.contains("cancelled"), "{status}");
}

#[test]
fn one_command_runs_a_load_in_both_directions_and_brings_both_results_back() {
    let Some(hosts) = Hosts::up("") else { return };
    let words = load("run", "--duration 1s --port 17603 --swap-roles").into_iter();
    let words = words.map(str::to_owned).chain(hosts.engine());
    let said = both(&run(hosts.dir(), words));
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    assert!(said.contains("2 blocks, 2 cells:"), "{said}{}", hosts.log());
    assert_eq!(fs::read_dir(hosts.dir().join("results")).unwrap().count(), 2);
}

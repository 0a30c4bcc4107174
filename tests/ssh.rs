//! `paceline cluster` over SSH: a real sshd with two addresses, which are two hosts to it. Where there is none this test
//! passes, and says so.
#![cfg(target_os = "linux")]

mod program;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use paceline::record::read;
use program::{await_that, both, is_installed, load_words, processes, record_in, run, text};

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
         PasswordAuthentication no\nPidFile none\nStrictModes no\nAcceptEnv PACELINE_ALLOW_DEBUG\n{more}"
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
         -o SendEnv=PACELINE_ALLOW_DEBUG"
    );
    Ok((sshd, options))
}

/// Starts an sshd, or leaves the test.
macro_rules! sshd {
    ($dir:expr) => {
        sshd!($dir, "")
    };
    ($dir:expr, $more:expr) => {
        match sshd($dir, $more) {
            Ok(found) => found,
            Err(why) => return eprintln!("left out: {why}"),
        }
    };
}

/// Returns the words that choose hosts which are reached with `options`.
fn engine(dir: &Path, options: &str) -> [String; 6] {
    let [options, away] = [format!("options={options}"), format!("folder={}/away", dir.display())];
    ["--engine", "ssh", "--set", &options, "--set", &away].map(str::to_owned)
}

/// Submits the plan in `dir` to such hosts.
fn submitted(dir: &Path, more: &[&str], options: &str) {
    let engine = engine(dir, options);
    let submit = ["cluster", "submit", "plan"].into_iter().chain(engine.iter().map(String::as_str));
    ok(dir, &submit.chain(more.iter().copied()).collect::<Vec<_>>());
}

/// Returns the words of `cluster` for a load from one host on the other.
fn load<'a>(command: &'a str, more: &'a str) -> Vec<&'a str> {
    [&["cluster"], &load_words(command, &["127.0.0.1", "127.0.0.2"], more)[..]].concat()
}

fn ok(dir: &Path, arguments: &[&str]) {
    let output = run(dir, arguments);
    let log = fs::read_to_string(dir.join("plan/submissions/1.txt")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}\n{log}", text(&output.stderr));
}

#[test]
fn hosts_that_share_no_folder_give_one_record_and_one_that_is_away_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    let plan = "cluster plan sleep yield --model tokio,pool --scale 10 --trials 4 --out plan";
    ok(dir, &plan.split(' ').collect::<Vec<_>>());
    // Nobody listens at the third address.
    submitted(dir, &["--set", "hosts=127.0.0.1,127.0.0.2,127.0.0.3"], &options);
    ok(dir, &["cluster", "status", "plan", "--wait"]);
    ok(dir, &["cluster", "collect", "plan"]);
    let record = read(&record_in(dir)).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 16));
    let nodes = record.nodes.unwrap();
    let ids: Vec<&str> = nodes.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["127.0.0.1", "127.0.0.2"]);
    assert!(nodes.left_out.is_empty(), "{:?}", nodes.left_out);
    let log = fs::read_to_string(dir.join("plan/submissions/1.txt")).unwrap();
    assert!(log.contains("127.0.0.3 cannot be reached"), "{log}");
}

#[test]
fn a_load_has_each_role_on_its_own_host_and_the_servers_result_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    ok(dir, &load("plan", "--duration 1s --port 17601"));
    submitted(dir, &[], &options);
    ok(dir, &["cluster", "status", "plan", "--wait"]);
    let collected = run(dir, ["cluster", "collect", "plan"]);
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    let said = text(&collected.stdout);
    assert!(said.contains("1 block, 1 cell:"), "{said}");
    let record = read(&record_in(dir)).unwrap();
    let hosts = record.cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap();
    assert_eq!(
        (&*hosts.server, &hosts.generators[..]),
        ("127.0.0.1", &["127.0.0.2".to_owned()][..])
    );
    // The token is its owner's alone there, too.
    let mut hosts = fs::read_dir(dir.join("away")).unwrap().map(|host| host.unwrap().path());
    assert!(hosts.all(|host| {
        let mode = fs::metadata(host.join("token")).unwrap().permissions().mode();
        mode.trailing_zeros() >= 6
    }));
}

/// Passes commands on, but those that run paceline fail at one of the addresses.
const CANNOT_RUN: &str = concat!(
    "Match LocalAddress 127.0.0.2\n",
    r#"ForceCommand case "$SSH_ORIGINAL_COMMAND" in *./paceline*) exit 126 ;; *) eval "$SSH_ORIGINAL_COMMAND" ;; esac"#,
    "\n"
);

#[test]
fn a_host_that_cannot_run_the_program_takes_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir, CANNOT_RUN);
    let plan = "cluster plan sleep yield --model pool --scale 10 --trials 4 --out plan";
    ok(dir, &plan.split(' ').collect::<Vec<_>>());
    submitted(dir, &["--set", "hosts=127.0.0.1,127.0.0.2"], &options);
    ok(dir, &["cluster", "status", "plan", "--wait"]);
    let log = fs::read_to_string(dir.join("plan/submissions/1.txt")).unwrap();
    assert!(log.contains("127.0.0.2 cannot be reached, has no room in "), "{log}");
}

#[test]
fn a_block_that_is_cancelled_ends_on_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    // It takes longer than the test waits.
    fs::write(dir.join("long.toml"), "name = \"long\"\nscale = [1]\njob = [{ sleep = \"50s\" }]\n")
        .unwrap();
    let plan = "cluster plan long.toml --model tokio,pool --trials 1 --out plan";
    ok(dir, &plan.split(' ').collect::<Vec<_>>());
    submitted(dir, &["--set", "hosts=127.0.0.1"], &options);
    is_cancelled(dir, "__host");
}

#[test]
fn a_load_that_is_cancelled_ends_on_every_host() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    ok(dir, &load("plan", "--duration 10m --port 17602"));
    submitted(dir, &[], &options);
    is_cancelled(dir, "__load");
}

/// Cancels the plan once a host has a process with this word.
fn is_cancelled(dir: &Path, word: &str) {
    await_that("it begins", || processes(dir).iter().any(|line| line.contains(word)));
    ok(dir, &["cluster", "cancel", "plan"]);
    // A host ends what it has once its connection is gone.
    await_that("nothing is left", || {
        processes(dir).iter().all(|line| line.starts_with("/usr/sbin/sshd"))
    });
    let status = text(&run(dir, ["cluster", "status", "plan"]).stdout);
    assert!(status.contains("1 lost") && status.contains("cancelled"), "{status}");
}

#[test]
fn one_command_runs_a_load_in_both_directions_and_brings_both_results_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    let (words, engine) =
        (load("run", "--duration 1s --port 17603 --swap-roles"), engine(dir, &options));
    let words = words.into_iter().chain(engine.iter().map(String::as_str));
    let said = both(&run(dir, words));
    let log = fs::read_to_string(dir.join("plan/submissions/1.txt")).unwrap_or_default();
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    assert!(said.contains("2 blocks, 2 cells:"), "{said}{log}");
    assert_eq!(fs::read_dir(dir.join("results")).unwrap().count(), 2);
}

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
use program::{await_that, both, is_installed, processes, record_in, run, text};

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

/// Starts it in `dir`, and returns the options with which ssh reaches it.
fn sshd(dir: &Path) -> Result<(Sshd, String), String> {
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
         PasswordAuthentication no\nPidFile none\nStrictModes no\nAcceptEnv PACELINE_ALLOW_DEBUG\n"
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
        match sshd($dir) {
            Ok(found) => found,
            Err(why) => return eprintln!("left out: {why}"),
        }
    };
}

/// Plans a load with the words of `plan`, and submits it to hosts that are reached with `options`.
fn submitted(dir: &Path, plan: &str, options: &str) {
    ok(dir, &plan.split(' ').collect::<Vec<_>>());
    let [options, away] = [format!("options={options}"), format!("folder={}/away", dir.display())];
    let submit = ["cluster", "submit", "plan", "--engine", "ssh", "--set"];
    ok(dir, &[&submit[..], &[&options, "--set", &away]].concat());
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
    let [options, folder] =
        [format!("options={options}"), format!("folder={}/away", dir.display())];
    // Nobody listens at the third address.
    let hosts = "hosts=127.0.0.1,127.0.0.2,127.0.0.3";
    ok(
        dir,
        &[
            "cluster", "submit", "plan", "--engine", "ssh", "--set", hosts, "--set", &options,
            "--set", &folder,
        ],
    );
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
    let plan = concat!(
        "cluster plan serve-plain --model threads --trials 1 --rate 50 --connections 4 --warm-up 0s --duration 1s ",
        "--out plan --port 17601 --server 127.0.0.1 --generator 127.0.0.2"
    );
    submitted(dir, plan, &options);
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

#[test]
fn a_load_that_is_cancelled_ends_on_every_host() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_sshd, options) = sshd!(dir);
    let plan = concat!(
        "cluster plan serve-plain --model threads --trials 1 --rate 50 --connections 4 --warm-up 0s --duration 10m ",
        "--out plan --port 17602 --server 127.0.0.1 --generator 127.0.0.2"
    );
    submitted(dir, plan, &options);
    await_that("a generator starts", || processes(dir).iter().any(|line| line.contains("__load")));
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
    let line = concat!(
        "cluster run serve-plain --model threads --trials 1 --rate 50 --connections 4 --warm-up 0s --duration 1s ",
        "--out plan --port 17603 --server 127.0.0.1 --generator 127.0.0.2 --swap-roles --engine ssh --set"
    );
    let [options, away] = [format!("options={options}"), format!("folder={}/away", dir.display())];
    let words: Vec<&str> = line.split(' ').chain([&*options, "--set", &away]).collect();
    let said = both(&run(dir, &words));
    let log = fs::read_to_string(dir.join("plan/submissions/1.txt")).unwrap_or_default();
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    assert!(said.contains("2 blocks, 2 cells:"), "{said}{log}");
    assert_eq!(fs::read_dir(dir.join("results")).unwrap().count(), 2);
}

//! Whatever way a run ends, what had ended is kept, nothing stays behind, and it can be gone on with.

mod program;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Record, State, read};
use paceline_core::job::mix;
use program::{
    PACELINE, await_that, call, child_that, children, ended, error, only_record, printed, said,
    signal, text,
};
use rustix::process::Signal;

/// Four cells of three trials, each some tens of milliseconds long.
const COMMAND: &str = "run sleep yield --model tokio,pool --scale 10 --trials 3 --budget 60s";

fn paceline(folder: &Path) -> Command {
    program::paceline(folder, [""; 0])
}

fn resume(folder: &Path) -> Output {
    paceline(folder).args(["run", "--resume"]).output().unwrap()
}

fn only_run(folder: &Path) -> Option<PathBuf> {
    only_record(&folder.join("results"))
}

fn record(folder: &Path) -> Option<Record> {
    only_run(folder).filter(|run| run.join("trials.jsonl").exists()).map(|run| read(&run).unwrap())
}

fn await_end(ids: &BTreeSet<u32>) {
    let gone = |id: &u32| !Path::new(&format!("/proc/{id}/task")).exists();
    await_that("all children end", || ids.iter().all(gone));
}

/// Waits until the run has written a trial.
fn await_trial(folder: &Path) {
    await_that("a trial is written", || record(folder).is_some_and(|of| !of.trials.is_empty()));
}

/// A run that has been started.
fn started(folder: &Path, arguments: &str) -> Child {
    paceline(folder).args(arguments.split(' ')).spawn().unwrap()
}

/// Kills the parent or a child at a random moment, then goes on, and checks that all is as it was and comes to its end.
fn killed_at_random(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = started(folder.path(), COMMAND);
    let (when, whom) = (mix(seed), mix(seed + 1));
    thread::sleep(Duration::from_millis(when % 1500));
    let family: BTreeSet<u32> = children(parent.id(), "").into_iter().collect();
    if whom.is_multiple_of(3) && !family.is_empty() {
        // A child: the run goes on, and at most a cell has failed of it, where it was a host.
        signal(*family.iter().nth((whom / 3) as usize % family.len()).unwrap(), Signal::KILL);
        let ended = ended(parent);
        let code = ended.status.code();
        assert!(matches!(code, Some(0 | 1 | 3)), "{code:?}: {}", text(&ended.stderr));
        if code != Some(1) {
            let cells = record(folder.path()).unwrap().cells;
            assert_eq!(cells.len(), 4);
            let failed = cells.iter().filter(|cell| cell.state != State::Ok);
            assert!(
                failed.clone().all(|cell| cell.state == State::Failed && cell.reason.is_some())
            );
            assert_eq!(failed.count() > 0, code == Some(3));
        }
        return await_end(&family);
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    await_end(&family);
    let Some(before) = record(folder.path()) else { return };
    printed(&resume(folder.path()), 0);
    let record = record(folder.path()).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 12));
    assert_eq!(record.cells[..before.cells.len()], before.cells[..]);
    let mut trials = BTreeSet::new();
    for trial in &record.trials {
        let name = (trial.workload.clone(), trial.model.clone(), trial.trial);
        assert!(trials.insert(name), "a trial was run twice");
    }
}

#[test]
fn a_run_killed_at_random_moments_loses_no_finished_cell_and_goes_on() {
    // PACELINE_KILLS=100 is what docs/validity.md reports.
    let times = std::env::var("PACELINE_KILLS").map_or(5, |times| times.parse().unwrap());
    for seed in 0..times {
        killed_at_random(seed);
    }
}

#[test]
fn a_torn_line_is_cut_off_and_its_cell_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    printed(&program::run(folder.path(), COMMAND.split(' ')), 0);
    let run = only_run(folder.path()).unwrap();
    for name in ["cells.jsonl", "trials.jsonl"] {
        let lines = fs::read(run.join(name)).unwrap();
        fs::write(run.join(name), &lines[..lines.len() - 1]).unwrap();
    }
    assert_eq!(read(&run).unwrap().cells.len(), 3, "a line without its end is not one");
    printed(&resume(folder.path()), 0);
    let record = read(&run).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 12));
}

#[test]
fn ctrl_c_keeps_what_has_ended_and_the_second_one_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = started(folder.path(), COMMAND);
    await_trial(folder.path());
    signal(run.id(), Signal::INT);
    let ended = ended(run);
    assert!(printed(&ended, 130).contains("record: "), "what there is is shown");
    assert!(said(&ended).contains("go on with paceline run --resume\n"), "{}", said(&ended));
    assert!(record(folder.path()).unwrap().cells.iter().all(|cell| cell.state == State::Ok));
    printed(&resume(folder.path()), 0);
    assert_eq!(record(folder.path()).unwrap().cells.len(), 4);

    let folder = tempfile::tempdir().unwrap();
    let run = started(folder.path(), COMMAND);
    await_trial(folder.path());
    signal(run.id(), Signal::INT);
    signal(run.id(), Signal::INT);
    printed(&program::ended(run), 130);
}

#[test]
fn a_child_that_hangs_ends_at_its_own_deadline_or_with_the_budget() {
    let start = Instant::now();
    for (budget, trials, state, why) in [
        ("4s", "5", State::Skipped, "did not end within"),
        ("60s", "30", State::Failed, "no answer within"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sleep =
            format!("run sleep --model tokio --scale 1 --trials {trials} --budget {budget}");
        let mut run = started(folder.path(), &sleep);
        // Whatever host there is, it is stopped, not ended: it hangs.
        if state == State::Failed {
            await_trial(folder.path());
        }
        signal(child_that(&mut run, "__host").unwrap(), Signal::STOP);
        let ended = ended(run);
        let record = record(folder.path()).unwrap();
        assert_eq!(record.cells[0].state, state, "{}", text(&ended.stderr));
        assert!(record.cells[0].reason.as_ref().unwrap().contains(why), "{:?}", record.cells);
        assert_eq!(!record.trials.is_empty(), state == State::Failed, "what ended is kept");
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(55), "6 s and 10 s, not the budget of 60: {took:?}");
}

#[test]
fn the_suites_server_is_started_again_where_it_dies_and_no_cell_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let both = "run yield echo --model tokio,pool --scale 10 --trials 3";
    let mut run = started(folder.path(), both);
    await_trial(folder.path());
    for _ in 0..2 {
        signal(child_that(&mut run, "__echo").unwrap(), Signal::KILL);
        thread::sleep(Duration::from_millis(600));
    }
    printed(&ended(run), 0);
    let record = record(folder.path()).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 12));
    assert!(record.cells.iter().all(|cell| cell.state == State::Ok), "{:?}", record.cells);
}

#[test]
fn a_run_whose_server_dies_again_and_again_stops_and_leaves_its_cells_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = started(folder.path(), COMMAND);
    await_trial(folder.path());
    while let Some(server) = child_that(&mut run, "__echo") {
        signal(server, Signal::KILL);
    }
    let said = error(&ended(run), 1);
    assert!(said.contains("paceline's server"), "{said}");
    let cells = record(folder.path()).unwrap().cells;
    assert!(cells.len() < 4 && cells.iter().all(|cell| cell.state == State::Ok), "{cells:?}");
}

#[test]
fn a_cell_that_was_skipped_is_open_again_for_a_run_with_a_new_budget() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("long.toml"), "name = \"long\"\njob = [{ sleep = \"400ms\" }]")
        .unwrap();
    let arguments = ["run", "long.toml", "--model", "tokio", "--scale", "1", "--trials", "1"];
    let states = |arguments: &[&str]| {
        assert!(paceline(folder.path()).args(arguments).status().unwrap().success());
        record(folder.path()).unwrap().cells.iter().map(|cell| cell.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&[&arguments[..], &["--budget", "1s"]].concat()), [State::Skipped]);
    assert_eq!(states(&["run", "--resume", "--budget", "60s"]), [State::Ok]);
}

#[test]
fn a_cell_that_lacks_trials_gets_the_rest_in_a_run_with_a_new_budget() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "empty", "--model", "threads", "--scale", "1", "--trials", "40"];
    let cells = |arguments: &[&str]| {
        assert!(paceline(folder.path()).args(arguments).status().unwrap().success());
        record(folder.path()).unwrap().cells
    };
    // Two batches of 50 ms in each of 40 processes take longer.
    let first = cells(&[&arguments[..], &["--budget", "3s"]].concat());
    assert!(first.len() == 1 && (1..40).contains(&first[0].trials_ns.len()), "{first:?}");
    let then = cells(&["run", "--resume", "--budget", "120s"]);
    assert!(then.len() == 1 && then[0].trials_ns.len() == 40, "{then:?}");
    assert_eq!((then[0].state, &then[0].reason), (State::Ok, &None));
}

#[test]
fn a_run_whose_file_is_gone_says_what_began_it_and_which_file_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "name = \"mine\"\njob = []").unwrap();
    let run = "run mine.toml --model sequential --scale 1 --trials 1";
    printed(&ended(started(folder.path(), run)), 0);
    fs::remove_file(file).unwrap();
    let ended = resume(folder.path());
    let why = said(&ended);
    assert_eq!(ended.status.code(), Some(2), "{why}");
    assert!(why.contains(&format!("{run}`, and now there is no file mine.toml")), "{why}");
}

#[test]
fn connections_that_are_dropped_while_latencies_are_recorded_invalidate_a_cell() {
    let folder = tempfile::tempdir().unwrap();
    let job = "name = \"slow\"\njob = [{ connect = \"echo\" }, { sleep = \"2s\" }]";
    fs::write(folder.path().join("slow.toml"), job).unwrap();
    let mut run = started(folder.path(), "run slow.toml --model tokio --scale 1 --trials 1");
    child_that(&mut run, "__host").unwrap();
    // One batch is watched, one timed, and the third recorded, 2 s each.
    thread::sleep(Duration::from_millis(5200));
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = full.local_addr().unwrap();
    let wait_a_little = || TcpStream::connect_timeout(&address, Duration::from_millis(50));
    // Until the run has ended, whenever the third batch is.
    let mut open = Vec::new();
    while run.try_wait().unwrap().is_none() {
        open.push(wait_a_little());
    }
    assert!(open.iter().any(Result::is_err), "one of them was dropped");
    printed(&ended(run), 3);
    let cells = record(folder.path()).unwrap().cells;
    assert!(
        cells[0]
            .reason
            .as_ref()
            .unwrap()
            .contains("a queue of connections was full, that of the echo server or"),
        "{cells:?}"
    );
}

#[test]
fn a_full_disk_ends_the_run_with_one_sentence_and_loses_nothing() {
    // A limit on the size of files stands for the disk: the line that crosses it is written in part.
    let ends = |typed: &str, again: &str| {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("trap '' XFSZ; ulimit -f 32; exec {PACELINE} {typed}");
        let said = error(&call("sh", folder.path(), ["-c", &script]).output().unwrap(), 1);
        assert!(said.contains("cannot write to") && said.ends_with(again), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        folder
    };
    ends("advise sleep --model tokio,pool --scale 10 --trials 12", ", and measure again\n");
    let folder = ends(COMMAND, ", and go on with --resume\n");
    let before = record(folder.path()).unwrap();
    assert!(!before.trials.is_empty() && before.trials.len() < 12);
    printed(&resume(folder.path()), 0);
    let after = record(folder.path()).unwrap();
    assert_eq!((after.cells.len(), after.trials.len()), (4, 12));
}

#[test]
fn a_trial_whose_histogram_is_damaged_is_named_and_nothing_is_merged_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "yield", "--model", "tokio", "--scale", "10", "--trials", "2"];
    assert!(paceline(folder.path()).args(arguments).status().unwrap().success());
    let run = only_run(folder.path()).unwrap();
    // As if it had been stopped before the last trial's cell was written.
    fs::write(run.join("cells.jsonl"), "").unwrap();
    let trials = run.join("trials.jsonl");
    let whole = fs::read_to_string(&trials).unwrap();
    let (first, second) = whole.split_once('\n').unwrap();
    let histogram = second.split("\"hdr_v2\":\"").nth(1).unwrap().split('"').next().unwrap();
    let (before, after) = second.split_once("\"times_ns\":[").unwrap();
    let after = after.split_once(']').unwrap().1;
    for (wrong, why) in [
        (second.replacen(histogram, &histogram[..24], 1), "its latency is not a histogram: "),
        (second.replacen("\"count\":", "\"count\":1", 1), "its latency is a histogram of "),
        (format!("{before}\"times_ns\":[]{after}"), "its times_ns is empty"),
    ] {
        assert_ne!(wrong, second);
        fs::write(&trials, format!("{first}\n{wrong}")).unwrap();
        let said = error(&resume(folder.path()), 2);
        assert!(said.contains("trials.jsonl, line 2, ") && said.contains(why), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(fs::read_to_string(run.join("cells.jsonl")).unwrap(), "", "{said}");
    }
    fs::write(&trials, &whole).unwrap();
    printed(&resume(folder.path()), 0);
    assert_eq!(record(folder.path()).unwrap().cells[0].state, State::Ok);
}

#[test]
fn a_run_is_not_gone_on_with_where_it_would_not_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = error(&resume(folder.path()), 2);
    assert!(nothing.contains("no run to go on with"), "{nothing}");

    let job = folder.path().join("mine.toml");
    fs::write(&job, "name = \"mine\"\njob = [{ sleep = \"1ms\" }]").unwrap();
    let arguments = ["run", "mine.toml", "--model", "tokio", "--scale", "2", "--trials", "1"];
    assert!(paceline(folder.path()).args(arguments).status().unwrap().success());
    assert_eq!(resume(folder.path()).status.code(), Some(0), "nothing is left to do");

    printed(&program::run(folder.path(), arguments.into_iter().chain(["--resume"])), 0);
    let other = ["run", "sleep", "--scale", "2", "--resume"];
    let other = error(&program::run(folder.path(), other), 2);
    assert!(other.contains("was begun by `"), "{other}");

    fs::write(&job, "name = \"mine\"\njob = [{ sleep = \"2ms\" }]").unwrap();
    let changed = error(&resume(folder.path()), 2);
    assert!(changed.contains("definition of `mine` has changed"), "{changed}");
    fs::write(&job, "name = \"mine\"\njob = [{ sleep = \"1ms\" }]").unwrap();

    let head = only_run(folder.path()).unwrap().join("run.json");
    let here = fs::read_to_string(&head).unwrap();
    let hash = read(head.parent().unwrap()).unwrap().run.fingerprint.hash;
    fs::write(&head, here.replace(&hash, "0123456789abcdef")).unwrap();
    let begun = read(head.parent().unwrap()).unwrap().run;
    let version = |of: &str| format!("\"version\": \"{of}\"");
    for (was, is, why) in [
        (&hash, "0123456789abcdef", "another machine"),
        (&begun.build.program, "0123456789abcdef", "another build"),
        (
            &version(&begun.models[0].version),
            &version("0.1"),
            "was begun with tokio 0.1, and here is",
        ),
    ] {
        assert!(!was.is_empty());
        fs::write(&head, here.replace(was, is)).unwrap();
        let elsewhere = error(&resume(folder.path()), 6);
        assert!(elsewhere.contains(why), "{elsewhere}");
    }
    fs::write(&head, &here).unwrap();

    // One that was killed at its start, and is the newest by its name.
    let nothing = folder.path().join("results/9999-01-01T00-00-00Z-trials-1");
    fs::create_dir(&nothing).unwrap();
    assert_eq!(resume(folder.path()).status.code(), Some(0), "it is passed over");
    fs::copy(&head, nothing.join("run.json")).unwrap();
    assert_eq!(resume(folder.path()).status.code(), Some(0), "it is gone on with");
    assert_eq!(read(&nothing).unwrap().cells.len(), 1);
}

#[test]
fn a_child_that_does_not_know_that_it_is_one_starts_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let child =
        paceline(folder.path()).args(COMMAND.split(' ')).env("PACELINE_CHILD", "__host").output();
    let child = child.unwrap();
    let said = text(&child.stderr);
    assert!(!child.status.success() && said.contains("child::spawned"), "{said}");
}

#[test]
fn a_path_that_is_no_utf8_is_no_panic_and_a_closed_terminal_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = OsStr::from_bytes(b"r\xe9sultats");
    let arguments = COMMAND.split(' ').map(OsStr::new).chain([OsStr::new("--out"), out]);
    // Tests that run under `nohup` ignore SIGHUP, and so do the programs that they start.
    let before = ["--default-signal=HUP", PACELINE].map(OsStr::new);
    let mut run = call("env", folder.path(), before.into_iter().chain(arguments));
    let mut run = run.spawn().unwrap();
    child_that(&mut run, "__host").unwrap();
    signal(run.id(), Signal::HUP);
    printed(&ended(run), 130);
    assert!(folder.path().join(out).read_dir().unwrap().next().is_some());
}

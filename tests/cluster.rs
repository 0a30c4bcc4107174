//! `paceline cluster` on this machine: the same cells as a run, whatever is killed, and one sentence for what is wrong.

#[cfg(target_os = "linux")]
#[path = "cluster/clock.rs"]
mod clock;
#[cfg(target_os = "linux")]
#[path = "cluster/hyperqueue.rs"]
mod hyperqueue;
#[cfg(target_os = "linux")]
#[path = "cluster/nodes.rs"]
mod nodes;
mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Cell, State, read};
use paceline_core::job::mix;
use program::{PACELINE, await_that, both, ok, only_record, paceline, record_in, run};

/// One sentence, and this exit code.
fn refused(folder: &Path, arguments: &[&str], code: i32, says: &str) {
    let output = run(folder, arguments);
    let said = program::said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?}: {said}");
    assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
}

const CELLS: [&str; 8] =
    ["sleep", "yield", "--model", "tokio,pool,sequential", "--scale", "10", "--budget", "60s"];

fn planned(folder: &Path, passes: &str) {
    let more = ["--trials", passes, "--out", "plan"];
    ok(folder, &[&["cluster", "plan"], &CELLS[..], &more].concat());
}

fn identities(cells: &[Cell]) -> BTreeSet<String> {
    let of = |cell: &Cell| {
        let Cell { workload, model, scale, workers, placement, state, .. } = cell;
        format!("{workload} {model} {scale} {workers:?} {placement:?} {state:?}")
    };
    let all: BTreeSet<String> = cells.iter().map(of).collect();
    assert_eq!(all.len(), cells.len(), "each once");
    all
}

#[test]
fn a_plan_on_the_engine_local_has_the_cells_of_a_run_and_its_readers_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let more = ["--trials", "3", "--out", "my plan", "--engine", "local", "--results", "c"];
    ok(folder, &[&["cluster", "run"], &CELLS[..], &more].concat());
    ok(folder, &[&["run"], &CELLS[..], &["--trials", "3", "--out", "r"]].concat());
    let record = read(&only_record(&folder.join("c")).unwrap()).unwrap();
    let other = read(&only_record(&folder.join("r")).unwrap()).unwrap();
    assert_eq!(identities(&record.cells), identities(&other.cells));
    assert_eq!(record.trials.len(), other.trials.len());
    assert!(record.trials.iter().all(|trial| trial.node.is_some()));
    assert_eq!(record.missing(), None);
    let cell = record.cells.iter().find(|cell| cell.state == State::Ok).unwrap();
    assert!(cell.interval.as_ref().unwrap().ends_with("nothing is known of others"));
    let [one, other] = [&record.folder, &other.folder].map(|folder| folder.to_str().unwrap());
    let compared = ok(folder, &["compare", other, one]);
    assert!(compared.contains("sequential"), "{compared}");
    let page = ok(folder, &["report", one, "-o", "-"]);
    assert!(page.contains("All of it ran on one node"), "the page says that it is of one node");
    ok(folder, &["report", one, "--format", "csv"]);
}

/// The files of a record and its page.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

#[test]
fn collect_that_is_killed_at_random_moments_comes_to_the_same_bytes() {
    let kills = std::env::var("PACELINE_KILLS").map_or(10, |times| times.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "2");
    for block in ["0000", "0001", "0002", "0003"] {
        ok(folder, &["cluster", "work", "plan", block]);
    }
    let start = Instant::now();
    ok(folder, &["cluster", "collect", "plan", "--results", "whole"]);
    let took = start.elapsed().as_micros() as u64;
    let whole = bytes(&only_record(&folder.join("whole")).unwrap());
    assert_eq!(whole.len(), 5, "{:?}", whole.keys());
    let mut cut = 0;
    for seed in 0..kills {
        let collect = ["cluster", "collect", "plan", "--results", "killed"];
        let mut child = paceline(folder, collect).spawn().unwrap();
        thread::sleep(Duration::from_micros(mix(seed) % took));
        child.kill().unwrap();
        cut += usize::from(!child.wait().unwrap().success());
        // What is a record at all is the whole one.
        let runs = fs::read_dir(folder.join("killed"))
            .into_iter()
            .flatten()
            .map(|run| run.unwrap().path());
        for run in runs.filter(|run| run.join("run.json").exists()) {
            for (name, text) in bytes(&run)
                .iter()
                .filter(|(name, _)| name.ends_with("json") || name.ends_with("jsonl"))
            {
                assert!(whole.get(name) == Some(text), "{name} after kill {seed}");
            }
        }
        if seed % 3 > 0 {
            let _ = fs::remove_dir_all(folder.join("killed"));
        }
    }
    assert!(cut > 0, "no collect was killed");
    ok(folder, &["cluster", "collect", "plan", "--results", "killed"]);
    assert!(bytes(&only_record(&folder.join("killed")).unwrap()) == whole);
}

#[test]
fn what_is_stopped_in_the_middle_is_gone_on_with_and_no_block_is_measured_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "4");
    ok(folder, &["cluster", "submit", "plan", "--engine", "local"]);
    await_that("a block begins", || folder.join("plan/parts").is_dir());
    ok(folder, &["cluster", "cancel", "plan"]);
    let status = ok(folder, &["cluster", "status", "plan", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let found: Vec<&str> = status["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["state"].as_str().unwrap())
        .collect();
    assert!(found.contains(&"lost") && !found.contains(&"submitted"), "{found:?}");
    refused(folder, &["cluster", "collect", "plan"], 3, "nothing was recorded: submit again");
    ok(folder, &["cluster", "submit", "plan"]);
    ok(folder, &["cluster", "status", "plan", "--wait"]);
    ok(folder, &["cluster", "collect", "plan"]);
    let record = read(&record_in(folder)).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (6, 24));
    assert!(ok(folder, &["cluster", "submit", "plan"]).contains("nothing to submit"));
    assert!(ok(folder, &["cluster", "work", "plan", "0000"]).contains("was done before"));
}

/// An engine that runs all blocks at once, says no id, and lists nothing.
const QUICK: &str = r#"
name = "quick"
submit = ["sh", "-c", 'sh "$0" >&2; exit 1', "{script}"]
id = 'job (\d+)'
list = ["true"]
line = '^(?<job>\d+) (?<state>R)$'
cancel = ["true"]
timeout_seconds = 300
script = 'while read -r block; do {paceline} cluster work {dir} "$block" </dev/null; done <{blocks}'
[states]
R = "running"
"#;

#[test]
fn a_job_that_has_ended_before_its_id_was_read_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "3");
    fs::write(folder.join("quick.toml"), QUICK).unwrap();
    ok(folder, &["cluster", "submit", "plan", "--engine", "quick.toml"]);
    ok(folder, &["cluster", "collect", "plan"]);
    record_in(folder);
}

#[test]
fn every_job_is_cancelled_though_one_of_them_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "1");
    let engine = QUICK
        .replace("'sh \"$0\" >&2; exit 1', \"{script}\"", "'echo job $0', \"{submission}\"")
        .replace("[\"true\"]\nline", "[\"printf\", '1 R\\n2 R\\n']\nline")
        .replace(
            "cancel = [\"true\"]",
            "cancel = [\"sh\", \"-c\", 'echo >cancelled-$0; [ $0 = 2 ]', \"{job}\"]",
        );
    fs::write(folder.join("two.toml"), format!("most_tasks = 1\n{engine}")).unwrap();
    ok(folder, &["cluster", "submit", "plan", "--engine", "two.toml"]);
    refused(folder, &["cluster", "cancel", "plan"], 1, "job 1 goes on");
    assert!(folder.join("cancelled-1").exists() && folder.join("cancelled-2").exists());
}

#[test]
fn a_run_on_a_node_that_cannot_run_the_program_ends_and_names_what_was_printed_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, local) = paceline::cluster::BUILT_IN[0];
    let text = local.replace("{paceline} cluster work", "/dev/null cluster work");
    fs::write(folder.join("mine.toml"), text).unwrap();
    let more = ["--trials", "1", "--out", "plan", "--engine", "mine.toml"];
    let output = run(folder, [&["cluster", "run"], &CELLS[..], &more].concat());
    let said = both(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for number in 1..4 {
        let log = format!("plan/submissions/{number}.txt");
        assert!(said.contains("logs of lost blocks: ") && said.contains(&log), "{said}");
        let log = fs::read_to_string(folder.join(log)).unwrap();
        assert!(log.contains("/dev/null: "), "{log}");
    }
    assert!(said.contains("no result of 2 of 2 blocks"), "{said}");
    let status = ok(folder, &["cluster", "status", "plan"]);
    assert!(status.contains("gave up") && status.contains("submissions/3.txt"), "{status}");
}

#[test]
fn wrong_input_gets_one_sentence_and_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let status = ["cluster", "status", "plan"];
    refused(folder, &status, 2, "plan has no plan: make one with paceline cluster plan --out plan");
    fs::create_dir_all(folder.join("odd/plan.json")).unwrap();
    let odd = "odd/plan.json cannot be read: Is a directory";
    refused(folder, &["cluster", "status", "odd"], 2, odd);
    refused(folder, &["cluster", "plan", "slep", "--out", "plan"], 2, "did you mean");
    let twice = ["cluster", "plan", "sleep", "--model", "pool,tokio,pool", "--out", "plan"];
    refused(folder, &twice, 2, "--model names pool twice");
    let generators = ["cluster", "plan", "sleep", "--generators", "3", "--out", "plan"];
    refused(folder, &generators, 2, "--server <NODE=ADDRESS>");
    planned(folder, "1");
    refused(folder, &["cluster", "plan", "sleep", "--out", "plan"], 2, "a plan never changes");
    fs::create_dir_all(folder.join("old/parts")).unwrap();
    let old = "old has parts, and a plan never changes";
    refused(folder, &["cluster", "plan", "sleep", "--out", "old"], 2, old);
    refused(folder, &["cluster", "submit", "plan"], 2, "name an engine with --engine");
    let submit = |engine: &str, code, says: &str| {
        refused(folder, &["cluster", "submit", "plan", "--engine", engine], code, says);
    };
    submit("slrum", 2, "there is no engine `slrum`: did you mean `slurm`?");
    submit("none.toml", 2, "the engine none.toml: cannot be read");
    submit("ssh", 2, "the engine ssh needs --set hosts=");
    let set = ["cluster", "submit", "plan", "--engine", "local", "--set", "partition=all"];
    refused(folder, &set, 2, "the engine local has no setting `partition`");
    refused(folder, &["cluster", "work", "plan", "9"], 2, "its blocks are 0000 to 0001");
    refused(folder, &["cluster", "cancel", "plan"], 2, "there is nothing to cancel");
    refused(folder, &["cluster", "collect", "plan", "--partial"], 3, "no block has a result");
    let engine = |name: &str, submit: &str, list: &str| {
        let text = format!(
            "name = \"mine\"\nsubmit = {submit}\nid = '^job (\\d+)$'\nlist = {list}\n\
             line = '^(?<job>\\d+) (?<state>\\w+)$'\ncancel = [\"true\"]\nscript = \"\"\npoll_seconds = 0.1\n[states]\nR = \"running\"\n"
        );
        fs::write(folder.join(name), text).unwrap();
    };
    engine("gone.toml", "[\"no-such-scheduler\"]", "[\"true\"]");
    submit("gone.toml", 6, "`no-such-scheduler` cannot be started here");
    let slurm = ["cluster", "submit", "plan", "--engine", "slurm"];
    let without = paceline(folder, slurm).env("PATH", folder).output().unwrap();
    let why = program::error(&without, 6);
    assert!(why.contains("`sbatch` cannot be started here"), "{why}");
    assert!(why.contains("install slurm, or choose another engine"), "{why}");
    engine("odd.toml", "[\"echo\", \"JOB 12 OK\"]", "[\"true\"]");
    submit("odd.toml", 2, "found no job id by `^job (\\d+)$` in what it printed: \"JOB 12 OK\"");
    engine("mute.toml", "[\"echo\", \"job 12\"]", "[\"echo\", \"12:R\"]");
    ok(folder, &["cluster", "submit", "plan", "--engine", "mute.toml"]);
    let status = ok(folder, &["cluster", "status", "plan"]);
    let odd = "matches no line of what it listed, such as \"12:R\"";
    assert!(status.contains(odd), "{status}");
    refused(folder, &["cluster", "status", "plan", "--wait"], 2, odd);
    fs::remove_file(folder.join("plan/engine.toml")).unwrap();
    for command in ["status", "cancel"] {
        refused(folder, &["cluster", command, "plan"], 2, "engine.toml is gone from ");
    }
    fs::write(folder.join("bad.toml"), "name = \"mine\"\nsubmitt = []\n").unwrap();
    let bad = run(folder, ["cluster", "submit", "plan", "--engine", "bad.toml"]);
    assert!(program::error(&bad, 2).contains("is not an engine file"));
}

#[test]
fn a_plan_of_another_build_and_a_folder_that_cannot_be_written_measure_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "1");
    let plan = folder.join("plan/plan.json");
    let text = fs::read_to_string(&plan).unwrap();
    let program =
        text.split("\"program\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    fs::write(&plan, text.replace(&program, &"0".repeat(64))).unwrap();
    let other = "was planned by another build of paceline (program 000000000000";
    refused(folder, &["cluster", "work", "plan", "0000"], 6, other);
    refused(folder, &["cluster", "submit", "plan", "--engine", "local"], 6, other);
    fs::write(&plan, text.replace("\"schema\": 1,\n  \"id\"", "\"schema\": 99,\n  \"id\""))
        .unwrap();
    refused(folder, &["cluster", "status", "plan"], 2, "use a newer paceline");
    fs::write(&plan, &text).unwrap();
    // A file where a folder must be stands for a folder that this node may not write to: root may write anywhere.
    fs::write(folder.join("plan/parts"), "").unwrap();
    // Other tests may measure on this machine's own name meanwhile, and it would wait for them.
    let work = ["cluster", "work", "plan", "0000", "--node", "own"];
    refused(folder, &work, 1, "cannot write to");
}

/// No file may be larger than 4 KiB: the disk is full in the middle of a line.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_an_attempt_that_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "1");
    let mut full = Command::new("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" cluster work plan 0000", PACELINE]);
    let full = full.current_dir(folder).env("PACELINE_ALLOW_DEBUG", "1").output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", both(&full));
    let remedy = "(ulimit -f unlimited), and go on with paceline cluster submit";
    assert!(both(&full).contains(remedy), "{}", both(&full));
    ok(folder, &["cluster", "work", "plan", "0000"]);
    ok(folder, &["cluster", "work", "plan", "0001", "--node", "box"]);
    ok(folder, &["cluster", "collect", "plan"]);
    let nodes = read(&record_in(folder)).unwrap().nodes.unwrap();
    assert_eq!((nodes.counted.len(), nodes.left_out.len()), (2, 1));
    assert_eq!(nodes.counted[1].node, "box");
    assert_eq!(nodes.left_out[0].reason, "it is not complete");
}

#[test]
fn the_manifest_for_kubernetes_has_a_pod_for_each_block_and_says_that_nobody_ran_it() {
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), "2");
    let text = ok(folder.path(), &["cluster", "manifest", "plan", "--image", "me/paceline:1"]);
    let (note, text) = text.split_once('\n').unwrap();
    assert!(note.contains("Not run by us"), "{note}");
    let job: serde_json::Value = serde_json::from_str(text).unwrap();
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    assert_eq!(spec["completions"], 4);
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["podReplacementPolicy"], "Failed");
    assert_eq!(spec["backoffLimitPerIndex"], 2);
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(
        pod["containers"][0]["resources"]["limits"],
        pod["containers"][0]["resources"]["requests"]
    );
    is_of_the_published_schema(&job);
    // Whole CPUs, in a string: that is what the static CPU manager looks for.
    assert_eq!(pod["containers"][0]["resources"]["limits"]["cpu"], "2");
}

/// Validates a manifest by the schemas that the Kubernetes project publishes, as `kubernetes-validate` of `PyPI`
/// ships them, and shows that the validation can fail.
fn is_of_the_published_schema(job: &serde_json::Value) {
    const VALIDATE: &str = "import json, sys\n\
        try: import kubernetes_validate as k\n\
        except ImportError: sys.exit(77)\n\
        try: k.validate(json.load(sys.stdin), k.latest_version(), strict=True)\n\
        except k.ValidationError as error: sys.exit(error.message)\n";
    let validate = |job: &serde_json::Value| -> Option<String> {
        let mut python = Command::new("python3");
        python.args(["-c", VALIDATE]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut python = python.spawn().ok()?;
        // A python without the package has ended by now.
        let _ = serde_json::to_writer(python.stdin.take().unwrap(), job);
        let done = python.wait_with_output().unwrap();
        (done.status.code() != Some(77)).then(|| String::from_utf8(done.stderr).unwrap())
    };
    let Some(faults) = validate(job) else {
        return eprintln!(
            "left out: python3 -m pip install kubernetes-validate brings the schemas of Kubernetes"
        );
    };
    assert_eq!(faults, "");
    for (place, value, says) in [
        ("/spec/podReplacementPolicyy", "Failed".into(), "podReplacementPolicyy"),
        ("/spec/backoffLimitPerIndex", "two".into(), "'two' is not of type"),
        ("/spec/template/spec/containers/0/command", "sh".into(), "'sh' is not of type"),
        ("/spec/template/spec/containers/0/imagee", "x".into(), "imagee"),
        ("/spec/template/spec/restartPolici", serde_json::Value::Null, "restartPolici"),
    ] {
        let mut wrong = job.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        wrong.pointer_mut(parent).unwrap()[name] = value;
        let faults = validate(&wrong).unwrap();
        assert!(faults.contains(says), "{place}: {faults:?}");
    }
}

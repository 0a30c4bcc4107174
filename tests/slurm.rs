//! `paceline cluster` on a real Slurm: munged, slurmctld and two slurmds in network namespaces. Whatever is planted, no
//! block is lost and none counts twice. Where such a cluster cannot be had these tests pass, and say so.
#![cfg(target_os = "linux")]

mod program;
mod slurm_cluster;

use std::{fs, path::PathBuf};

use paceline::record::State;
use program::{load_words, long_plan, processes};
use slurm_cluster::{Cluster, patiently};

/// Brings a cluster up, or leaves the test.
macro_rules! cluster {
    () => {
        match Cluster::up() {
            Ok(cluster) => cluster,
            Err(why) => return eprintln!("left out: {why}"),
        }
    };
}

/// Waits, and submits again what was lost. Returns how the plan stood then.
fn done_in_the_end(cluster: &Cluster) -> String {
    let mut log = String::new();
    for _ in 0..3 {
        if cluster.wait().status.code() == Some(0) {
            break;
        }
        log += &cluster.prints(&["status", "plan"]);
        cluster.ok(&["submit", "plan"]);
    }
    log
}

/// Waits until all is done, and collects: all blocks must be there, each once.
fn survives(cluster: &Cluster, passes: usize) {
    done_in_the_end(cluster);
    cluster.ok(&["collect", "plan"]);
    let record = cluster.record();
    assert_eq!((record.cells.len(), record.trials.len()), (4, 4 * passes));
    assert!(record.cells.iter().all(|cell| cell.state == State::Ok && cell.trials() == passes));
    let counted = &record.nodes.as_ref().unwrap().counted;
    assert_eq!(counted.len(), 2 * passes);
    assert!(counted.windows(2).all(|two| two[0].block < two[1].block), "a block counts twice");
}

/// Plans two workloads on two models.
fn planned(cluster: &Cluster, passes: usize) {
    let plan = "plan sleep yield --model tokio,pool --scale 10 --budget 60s --out plan --trials";
    let passes = passes.to_string();
    cluster.ok(&plan.split(' ').chain([&*passes]).collect::<Vec<_>>());
}

/// Submits the plan to an engine.
fn to(engine: &str) -> [&str; 4] {
    ["submit", "plan", "--engine", engine]
}

/// Submits it to Slurm with options of `sbatch`.
fn with(options: &str) -> [&str; 6] {
    ["submit", "plan", "--engine", "slurm", "--set", options]
}

fn submitted(cluster: &Cluster, passes: usize, submission: &[&str]) {
    planned(cluster, passes);
    cluster.ok(submission);
}

#[test]
fn a_plan_runs_as_one_array_and_names_its_nodes() {
    let cluster = cluster!();
    submitted(&cluster, 4, &to("slurm"));
    survives(&cluster, 4);
    let jobs = fs::read_to_string(cluster.dir().join("plan/jobs.jsonl")).unwrap();
    assert_eq!(jobs.matches("\"submitted\"").count(), 1, "one submission for all blocks: {jobs}");
    let nodes = cluster.record().nodes.unwrap();
    let ids: Vec<&str> = nodes.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["n1", "n2"]);
    assert!(nodes.warnings()[0].contains("share one boot id"), "{:?}", nodes.warnings());
}

#[test]
fn a_node_that_is_killed_costs_an_attempt_and_no_block() {
    let cluster = cluster!();
    submitted(&cluster, 6, &to("slurm"));
    cluster.await_running();
    cluster.kill_node(1);
    cluster.await_node("n1", "down");
    cluster.script(&["node", ".", "1"]);
    survives(&cluster, 6);
}

#[test]
fn a_node_that_is_cut_off_finishes_as_a_zombie_and_counts_at_most_once() {
    let cluster = cluster!();
    submitted(&cluster, 6, &to("slurm"));
    cluster.await_running();
    cluster.link(1, "down");
    cluster.await_node("n1", "down");
    cluster.link(1, "up");
    survives(&cluster, 6);
}

/// A submission after which the controller dies, once it has saved its jobs: one that forgets them at its death makes
/// another submission necessary.
const DIES: &str = concat!(
    "[\"sh\", \"-c\", 'sbatch \"$@\" >/dev/null && touch slurm/after; ",
    "until [ slurm/state/job_state -nt slurm/after ]; do sleep 0.1; done; ",
    "kill -9 $(cat slurm/run/slurmctld.pid); exit 1', \"sh\""
);

#[test]
fn a_controller_that_dies_while_a_job_is_submitted_loses_and_doubles_nothing() {
    let cluster = cluster!();
    // sbatch hands the job over, and the controller dies before the answer arrives.
    let engine = cluster.engine(&[("[\"sbatch\"", DIES)]);
    // More than can end until it has saved them.
    planned(&cluster, 12);
    let unsure = cluster.ends(6, &to(&engine));
    assert!(unsure.contains("it is not known whether the engine slurm took the job"), "{unsure}");
    cluster.ends(6, &["submit", "plan"]);
    cluster.script(&["controller", "."]);
    patiently("the controller answers", || {
        cluster.slurm("squeue", &["-h", "-o", "%i"]).contains('_')
            || !cluster.slurm("sinfo", &["-h"]).is_empty()
    });
    survives(&cluster, 12);
    let jobs = fs::read_to_string(cluster.dir().join("plan/jobs.jsonl")).unwrap();
    assert_eq!(jobs.matches("\"intent\"").count(), 1, "the job was found by its name: {jobs}");
}

#[test]
fn blocks_that_end_while_the_controller_is_down_count() {
    let cluster = cluster!();
    // More than can end until it has saved them: those that have not begun keep waiting for a controller.
    submitted(&cluster, 12, &to("slurm"));
    cluster.await_running();
    cluster.kill_controller();
    patiently("the blocks that run end", || cluster.done() > 0);
    let down = cluster.prints(&["status", "plan"]);
    assert!(down.contains("the scheduler does not answer"), "{down}");
    cluster.script(&["controller", "."]);
    survives(&cluster, 12);
}

#[test]
fn a_job_that_slurm_has_forgotten_is_done_by_its_files() {
    let cluster = cluster!();
    submitted(&cluster, 1, &to("slurm"));
    patiently("slurm forgets the job", || {
        cluster.done() == 2 && cluster.slurm("squeue", &["-h", "--states=all"]).is_empty()
    });
    survives(&cluster, 1);
}

#[test]
fn requeued_and_cancelled_tasks_are_done_in_the_end() {
    let cluster = cluster!();
    submitted(&cluster, 6, &with("options=--requeue"));
    cluster.await_running();
    let running = cluster.slurm("squeue", &["-h", "--array", "--states=R", "-o", "%i"]);
    cluster.slurm("scontrol", &["requeue", running.lines().next().unwrap()]);
    let waiting = cluster.slurm("squeue", &["-h", "--array", "--states=PD", "-o", "%i"]);
    cluster.slurm("scancel", &[waiting.lines().last().unwrap()]);
    survives(&cluster, 6);
}

#[test]
fn a_block_that_slurm_ends_for_its_time_is_given_up_with_its_word() {
    let cluster = cluster!();
    let engine = cluster.engine(&[("--time={minutes}", "--time=0:01")]);
    in_mid_trial(&cluster, &to(&engine));
    // Slurm checks times every 30 s and more; the test says so itself.
    let running = cluster.slurm("squeue", &["-h", "--array", "--states=R", "-o", "%A"]);
    for job in running.lines() {
        cluster.slurm("scontrol", &["update", &format!("jobid={job}"), "TimeLimit=0"]);
    }
    let waited = cluster.ends(3, &["status", "plan", "--wait"]);
    assert!(waited.contains("gave up") && waited.contains("TIMEOUT"), "{waited}");
    nothing_is_left(&cluster);
}

/// Plans a block that takes longer than the test, submits it, and waits until it is in a trial.
fn in_mid_trial(cluster: &Cluster, submission: &[&str]) {
    let plan = long_plan(cluster.dir());
    if !cluster.dir().join("plan").exists() {
        cluster.ok(&plan[1..]);
    }
    cluster.ok(submission);
    patiently("a trial runs", || is_measuring(cluster));
}

fn is_measuring(cluster: &Cluster) -> bool {
    processes(cluster.dir()).iter().any(|line| line.contains("__host"))
}

/// No process of a block, and no result.
fn nothing_is_left(cluster: &Cluster) {
    patiently("nothing is left", || !is_measuring(cluster));
    assert_eq!(cluster.done(), 0);
}

#[test]
fn a_block_that_is_preempted_is_lost_and_one_that_is_held_after_a_requeue_is_blocked() {
    let cluster = cluster!();
    in_mid_trial(&cluster, &with("options=--requeue"));
    let job = "--partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap=true";
    cluster.slurm("sbatch", &job.split(' ').collect::<Vec<_>>());
    let in_state = |state: &str| {
        let states = format!("--states={state}");
        cluster.slurm("squeue", &["-h", "--array", "--partition=all", &states, "-o", "%i"])
    };
    patiently("it is preempted", || !in_state("PREEMPTED").is_empty());
    let status = cluster.prints(&["status", "plan"]);
    assert!(status.contains("1 lost") && status.contains("PREEMPTED"), "{status}");
    nothing_is_left(&cluster);
    for (how, held) in
        [(&["requeuehold"][..], "PENDING"), (&["requeuehold", "State=SpecialExit"], "SPECIAL_EXIT")]
    {
        in_mid_trial(&cluster, &["submit", "plan"]);
        let task = in_state("RUNNING");
        cluster.slurm("scontrol", &[how, &[task.trim()]].concat());
        patiently("it is held", || !in_state(held).is_empty());
        let waited = cluster.ends(3, &["status", "plan", "--wait"]);
        assert!(waited.contains("1 blocked") && waited.contains("requeued in"), "{waited}");
        nothing_is_left(&cluster);
        cluster.ok(&["cancel", "plan"]);
    }
}

#[test]
fn a_block_that_can_never_run_is_refused_or_blocked() {
    let cluster = cluster!();
    submitted(&cluster, 1, &with("options=-c 64"));
    patiently("Slurm says why", || {
        cluster.slurm("squeue", &["-h", "-o", "%r"]).contains("PartitionConfig")
    });
    // Nothing is under way, so waiting ends.
    let wide = cluster.ends(3, &["status", "plan", "--wait"]);
    assert!(wide.contains("2 blocked") && wide.contains("PartitionConfig"), "{wide}");
    let again = cluster.prints(&["submit", "plan"]);
    assert!(again.contains("2 blocks will never run"), "{again}");
    cluster.ok(&["cancel", "plan"]);
    let large = cluster.ends(2, &with("options=--mem=900G"));
    assert!(large.contains("Requested node configuration is not available"), "{large}");
    let unknown = cluster.ends(2, &with("options=--partition=fast"));
    assert!(unknown.contains("invalid partition specified: fast"), "{unknown}");
    assert_eq!(unknown.lines().count(), 1, "{unknown}");
    cluster.ok(&with("options="));
    survives(&cluster, 1);
}

#[test]
fn another_program_on_a_node_measures_nothing() {
    let cluster = cluster!();
    let other = cluster.dir().join("other");
    let program = fs::read(env!("CARGO_BIN_EXE_paceline")).unwrap();
    fs::write(&other, [&program[..], b"another build"].concat()).unwrap();
    let other = other.display();
    let engine = cluster.engine(&[("exec {paceline}", &format!("chmod +x {other}; exec {other}"))]);
    submitted(&cluster, 1, &to(&engine));
    let waited = cluster.ends(3, &["status", "plan", "--wait"]);
    assert!(waited.contains("FAILED"), "{waited}");
    let said = fs::read_to_string(cluster.dir().join("plan/submissions/1-0.txt")).unwrap();
    assert!(said.contains("was planned by another build of paceline"), "{said}");
    cluster.ok(&to("slurm"));
    survives(&cluster, 1);
}

#[test]
fn cancelling_leaves_nothing_in_the_queue_and_submitting_again_goes_on() {
    let cluster = cluster!();
    submitted(&cluster, 6, &to("slurm"));
    cluster.await_running();
    cluster.ok(&["cancel", "plan"]);
    cluster.await_empty_queue();
    let status = cluster.prints(&["status", "plan"]);
    assert!(status.contains("lost") && status.contains("cancelled"), "{status}");
    cluster.ok(&["submit", "plan"]);
    survives(&cluster, 6);
}

/// Plans a load with the server on n1 and a generator on n2.
fn planned_load(cluster: &Cluster) {
    cluster.ok(&load_words("plan", &cluster.nodes(2), "--duration 4s"));
}

/// Plans and submits it, waits until its nodes have met, and returns the folder of the attempts.
fn meeting(cluster: &Cluster) -> PathBuf {
    planned_load(cluster);
    cluster.ok(&to(&cluster.engine(&[])));
    let begun = cluster.dir().join("plan/parts/0000");
    patiently("the nodes meet", || begun.exists());
    begun
}

/// Waits until all is done, and collects: the one cell is there once, of nodes with the right roles.
fn load_survives(cluster: &Cluster) {
    let log = done_in_the_end(cluster);
    let collected = cluster.prints(&["collect", "plan"]);
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    assert!(collected.contains("1 block, 1 cell:"), "{log}{collected}");
    let record = cluster.record();
    assert_eq!((record.cells.len(), record.nodes.as_ref().unwrap().counted.len()), (1, 1));
    let hosts = record.cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap();
    assert_eq!((&*hosts.server, &hosts.generators[..]), ("n1", &["n2".to_owned()][..]));
    assert!(hosts.shared_host, "both nodes are this machine");
}

#[test]
fn a_load_has_one_allocation_of_its_nodes_and_each_finds_its_role_by_its_name() {
    let cluster = cluster!();
    planned_load(&cluster);
    cluster.ok(&to("slurm"));
    cluster.await_running();
    assert_eq!(cluster.slurm("squeue", &["-h", "--states=R", "-o", "%D %N"]).trim(), "2 n[1-2]");
    load_survives(&cluster);
    let jobs = fs::read_to_string(cluster.dir().join("plan/jobs.jsonl")).unwrap();
    assert_eq!(jobs.matches("\"submitted\"").count(), 1, "it took another attempt: {jobs}");
}

#[test]
fn one_command_runs_a_load_in_both_directions_and_each_has_a_record() {
    let cluster = cluster!();
    let more = format!("--duration 1s --swap-roles --engine {}", cluster.engine(&[]));
    let run = cluster.prints(&load_words("run", &cluster.nodes(2), &more));
    // On a busy machine a load may be invalid, which is 3, and is not missing.
    assert!(run.contains("2 blocks, 2 cells:"), "{run}");
    let records = fs::read_dir(cluster.dir().join("results")).unwrap();
    let server = |record: std::io::Result<fs::DirEntry>| {
        let record = paceline::record::read(&record.unwrap().path()).unwrap();
        record.cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap().server.clone()
    };
    let mut servers: Vec<String> = records.map(server).collect();
    servers.sort();
    assert_eq!(servers, ["n1", "n2"]);
}

#[test]
fn a_load_that_is_cancelled_leaves_nothing_in_the_queue_and_is_done_when_it_is_submitted_again() {
    let cluster = cluster!();
    meeting(&cluster);
    cluster.ok(&["cancel", "plan"]);
    cluster.await_empty_queue();
    let status = cluster.prints(&["status", "plan"]);
    assert!(status.contains("lost") && status.contains("cancelled"), "{status}");
    cluster.ok(&["submit", "plan"]);
    load_survives(&cluster);
}

#[test]
fn a_load_whose_generators_node_is_killed_is_void_and_done_when_it_is_submitted_again() {
    let cluster = cluster!();
    let begun = meeting(&cluster);
    cluster.kill_node(2);
    let lost = cluster.wait();
    assert_eq!(lost.status.code(), Some(3));
    let status = cluster.prints(&["status", "plan"]);
    assert!(status.contains("1 lost"), "a lost node is repeated, not given up: {status}");
    assert_eq!(cluster.done(), 0, "the attempt is void");
    cluster.ends(3, &["collect", "plan"]);
    cluster.script(&["node", ".", "2"]);
    cluster.await_node("n2", "idle");
    cluster.ok(&["submit", "plan"]);
    load_survives(&cluster);
    assert!(fs::read_dir(&begun).unwrap().count() >= 2, "there was no other attempt");
}

#[test]
fn a_load_on_nodes_that_slurm_does_not_have_is_refused_in_a_sentence() {
    let cluster = cluster!();
    planned_load(&cluster);
    let refused = |submission: &[&str], why: &str| {
        let said = cluster.ends(2, submission);
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    };
    refused(&with("options=--partition=fast"), "invalid partition specified: fast");
    fs::remove_dir_all(cluster.dir().join("plan")).unwrap();
    cluster.ok(&load_words("plan", &cluster.nodes(3), ""));
    refused(&to("slurm"), "Invalid node name specified");
    let status = cluster.prints(&["status", "plan"]);
    assert!(status.contains("1 planned"), "{status}");
}

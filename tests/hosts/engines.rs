//! Plans of loads that engines do: run in one, cancelled, submitted again, and with the roles swapped.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use paceline::record::{Record, read};

use super::{
    collected,
    ended::await_generator,
    fails, load_words, paceline, planned,
    program::{Swept, processes},
    said,
};

const NODES: [&str; 2] = ["a=127.0.0.1", "b=127.0.0.2"];

#[test]
fn one_machine_plays_all_roles_of_a_load_with_the_engine_local() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, &NODES, "--port 17506");
    fs::copy("docs/engines/hyperqueue.toml", folder.join("mine.toml")).unwrap();
    let without = cluster(folder, &["submit", "plan", "--engine", "mine.toml"], &[2]);
    assert!(without.contains("give its file a `load` script"), "{without}");
    cluster(folder, &["submit", "plan", "--engine", "local"], &[0]);
    cluster(folder, &["status", "plan", "--wait"], &[0]);
    let cells = collected(folder);
    let hosts = cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap();
    assert_eq!((&*hosts.server, &hosts.generators[..]), ("a", &["b".to_owned()][..]));
}

/// Calls `paceline cluster`, which must end with one of these codes. Returns what it printed.
fn cluster(folder: &Path, words: &[&str], codes: &[i32]) -> String {
    let output = paceline(folder, &[], words).output().unwrap();
    let log = fs::read_to_string(folder.join("plan/submissions/1.txt"));
    let code = output.status.code().unwrap();
    assert!(codes.contains(&code), "{words:?}: {code}: {} {log:?}", said(&output));
    said(&output)
}

#[test]
fn a_load_that_is_cancelled_ends_everywhere_and_is_done_when_it_is_submitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _swept = Swept(folder);
    cluster(folder, &load_words("plan", &NODES, "--duration 4s --port 17531"), &[0]);
    let submitted = cluster(folder, &["submit", "plan", "--engine", "local"], &[0]);
    assert!(submitted.contains("submitted 1 block as job 1"), "{submitted}");
    await_generator(folder);
    assert!(cluster(folder, &["status", "plan"], &[0]).contains("1 running"));
    let cancelled = cluster(folder, &["cancel", "plan"], &[0]);
    assert!(cancelled.contains("cancelled 1 job;"), "{cancelled}");
    assert_eq!(processes(folder), [""; 0], "they go on after cancel");
    let status = cluster(folder, &["status", "plan", "--wait"], &[3]);
    assert!(status.contains("1 lost") && status.contains("cancelled"), "{status}");
    cluster(folder, &["submit", "plan"], &[0]);
    cluster(folder, &["status", "plan", "--wait"], &[0]);
    assert_eq!(collected(folder).len(), 1);
    let record = read(&records(folder)[0]).unwrap();
    assert_eq!(record.nodes.unwrap().left_out.len(), 1, "the cancelled attempt is not listed");
}

/// The folders of all records, by name.
fn records(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder.join("results")).unwrap();
    let mut records: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    records.retain(|path| path.join("run.json").exists());
    records.sort();
    records
}

/// The command that the page of a record has for its only cell.
fn command_of_the_page(record: &Path) -> String {
    let page = fs::read_to_string(record.join("report.html")).unwrap();
    let start = page.find("paceline cluster plan").expect("the page has no such command");
    page[start..].split('<').next().unwrap().replace("&#39;", "'")
}

#[test]
fn each_node_is_the_servers_in_turn_and_each_has_a_record_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let more = "--duration 1s --port 17532 --swap-roles --engine local";
    // On a busy machine a load may be invalid, which is 3.
    let said_of_run = cluster(folder, &load_words("run", &NODES, more), &[0, 3]);
    assert!(said_of_run.contains("2 blocks, 2 cells: every planned block"), "{said_of_run}");
    assert!(said_of_run.contains("compare servers within one"), "{said_of_run}");
    let status = cluster(folder, &["status", "plan", "--format", "json"], &[0]);
    for direction in ["server on a, generator on b", "server on b, generator on a"] {
        assert!(status.contains(&format!("serve-plain at 4, {direction}\"")), "{status}");
    }
    let records = records(folder);
    assert_eq!(records.len(), 2, "{records:?}");
    for (record, [server, generator]) in records.iter().zip([NODES, [NODES[1], NODES[0]]]) {
        let [s, g] = [server, generator].map(|node| &node[..1]);
        assert!(record.to_string_lossy().ends_with(&format!("-{s}")), "{record:?}");
        let Record { run, cells, nodes, .. } = read(record).unwrap();
        assert_eq!((run.planned, cells.len()), (Some(1), 1));
        let hosts = cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap();
        assert_eq!((&*hosts.server, &*hosts.generators), (s, &[g.to_owned()][..]));
        let counted = nodes.unwrap().counted;
        assert_eq!(counted.len(), 1, "{counted:?}");
        assert_eq!(counted[0].node, s);
        // The page's command plans this direction again.
        let command = command_of_the_page(record);
        let roles = format!("--server '{server}' --generator '{generator}'");
        assert!(command.contains(&roles), "{command}");
        let command = command.replacen("paceline", env!("CARGO_BIN_EXE_paceline"), 1);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(folder).env("PACELINE_ALLOW_DEBUG", "1");
        let output = shell.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
        let plan = fs::read_to_string(folder.join("again/plan.json")).unwrap();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!((&plan["load"]["server"]["id"], &plan["passes"]), (&s.into(), &1.into()));
        fs::remove_dir_all(folder.join("again")).unwrap();
    }
}

#[test]
fn a_run_of_a_load_that_is_interrupted_leaves_its_blocks_to_cancel() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _swept = Swept(folder);
    let run = load_words("run", &NODES, "--duration 10m --port 17533 --engine local");
    let run = paceline(folder, &[], &run).spawn().unwrap();
    await_generator(folder);
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    fails(&run.wait_with_output().unwrap(), 130, &["the blocks go on"]);
    thread::sleep(Duration::from_millis(200));
    assert!(!processes(folder).is_empty(), "the blocks do not go on");
    cluster(folder, &["cancel", "plan"], &[0]);
    assert_eq!(processes(folder), [""; 0], "they go on after cancel");
}

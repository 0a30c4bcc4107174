//! Plans and nodes that are refused, each with a sentence and its exit code.

use std::{fs, net::TcpListener};

use super::{all_end_well, fails, paceline, planned, work};

#[test]
fn a_plan_that_makes_no_sense_is_refused_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = "plan --out plan --server a=10.93.0.1 --generator b=10.93.0.2";
    let refused = |words: &str, why: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        fails(&paceline(folder.path(), &[], &words).output().unwrap(), 2, &[why]);
    };
    for (words, why) in [
        ("serve-plain --rate 9 --generators 2", "2 generators need as many nodes"),
        ("serve-plain", "say how to load it"),
        ("--rate 9", "name what to load"),
        ("http://192.0.2.1/ --rate 9", "not at an address of the plan"),
        ("http://127.0.0.1/ --rate 9", "not at an address of the server's node"),
        ("http://10.93.0.2/ --rate 9", "not at an address of the plan"),
        ("http://[::1]/ --rate 9", "not at an address of the server's node"),
        ("http://no-such-host.invalid/ --rate 9", "cannot be resolved"),
        ("https://10.93.0.1/ --rate 9", "needs TLS"),
        ("http://10.93.0.1:0/ --rate 9", "port is not a number from 1 to 65535"),
        (
            "http://10.93.0.1:8080/ --rate 9 --model tokio",
            "--model and --workers are for servers of paceline",
        ),
        ("http://10.93.0.1:7473/ --rate 9", "also the port on which the generators meet"),
        ("serve-plain --rate 0", "--rate 0"),
        (
            "serve-plain --rate 9 --model tokio --trials 9 --budget 9s",
            "--budget 9s is too short for a block, whose loads take half of 1m49s: give at least --budget 1m49s",
        ),
        ("http://10.93.0.1:8080/ --rate 9 --swap-roles", "--swap-roles is for servers of paceline"),
        ("serve-plain --rate 9 --generators 0", "the number of generators must be at least 1"),
        (
            "http://10.93.0.1:8080/ --connections 1 --generator c=10.93.0.3",
            "2 generators cannot share 1 connection",
        ),
        ("serve-plain --rate 9 --timeout 11s", "awaits its last answers for 10s"),
        ("serve-plain --connections 9 --arrivals burst", "add --rate, or leave --arrivals out"),
        ("serve-plain --rate 9 --expect 200", "--expect is for a URL"),
        ("serve-plain --rate 9 --method PUT", "are for a URL"),
        ("serve-plain --rate 9 --scale 9", "leave --scale, --pin and --placement out"),
        ("serve-plain --rate 9 --pin", "leave --scale, --pin and --placement out"),
        ("serve-plain --rate 9 --placement inside", "leave --scale, --pin and --placement out"),
        ("serve-plain --rate 9 --workers 1,2", "at most one number of --workers"),
    ] {
        refused(&format!("{nodes} {words}"), why);
    }
    // The options of `paceline load` that a load between nodes does not have.
    let all = paceline::cli::command();
    let options = |path: &[&str]| -> Vec<String> {
        let command = path.iter().fold(&all, |of, name| of.find_subcommand(name).unwrap());
        command.get_arguments().filter_map(clap::Arg::get_long).map(str::to_owned).collect()
    };
    let (known, mut others) = (options(&["cluster", "plan"]), options(&["load"]));
    others.retain(|option| !known.contains(option));
    assert!(others.iter().any(|option| option == "header") && others.len() > 9, "{others:?}");
    for option in others {
        let why = format!("paceline cluster plan does not take --{option}, an option of paceline ");
        refused(&format!("{nodes} serve-plain --rate 9 --{option}"), &why);
    }
    for (words, why) in [
        ("--server a=10.93.0.1 --rate 9", "--generator"),
        ("--rate 9", "--server"),
        ("--swap-roles", "--server"),
        ("--duration 9s", "--server"),
        ("--warm-up 9s", "--server"),
        ("--port 7000", "--server"),
        ("--timeout 1s", "--server"),
        (
            "--rate 9 --server a=127.0.0.1 --generator b=10.93.0.2",
            "other nodes cannot reach a at 127.0.0.1",
        ),
    ] {
        refused(&format!("plan --out plan serve-plain {words}"), why);
    }
    assert!(!folder.path().join("plan").exists());
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--max-errors 2%");
    let plan = fs::read_to_string(folder.path().join("plan/plan.json")).unwrap();
    assert!(plan.contains("\"Of\": 0.02"), "{plan}");
    fs::write(folder.path().join("plan/token"), "short").unwrap();
    refused("manifest plan --image x", "submit this plan to Slurm or over SSH");
    refused("work plan 0000 --node z", "has no role in this plan");
    refused("work plan 0000 --node b", "hexadecimal digits: copy the plan's token");
    fs::remove_dir_all(folder.path().join("plan")).unwrap();
    planned(folder.path(), &["a=198.51.100.1", "b=198.51.100.2"], "");
    refused("work plan 0000 --node b", "this machine does not have b's address 198.51.100.2");
}

#[test]
fn a_generator_with_another_plan_or_token_is_refused_at_once_and_the_right_one_still_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = ["a=127.0.0.1", "b=127.0.0.2"];
    let make = |out: &str, more: &str| {
        planned(folder.path(), &nodes, more);
        fs::rename(folder.path().join("plan"), folder.path().join(out)).unwrap();
    };
    make("tokenless", "--port 17507");
    make("other", "--port 17507 --seed 2");
    planned(folder.path(), &nodes, "--port 17507");
    let token = folder.path().join("plan/token");
    fs::copy(&token, folder.path().join("other/token")).unwrap();
    let leader = work(folder.path(), &[], "a");
    for (dir, why) in [
        ("tokenless", "copy the plan's folder with its token from there"),
        ("other", "refused this generator: it has another plan"),
    ] {
        let mut b = paceline(folder.path(), &[], &["work", dir, "0000", "--node", "b"]);
        // On a machine of its own: on the leader's, it would wait until that is free.
        b.env("PACELINE_TEST_MACHINE", folder.path().join(dir));
        fails(&b.output().unwrap(), 2, &[why]);
    }
    all_end_well([leader, work(folder.path(), &[], "b")]);
}

#[test]
fn a_port_in_use_ends_the_servers_node_with_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], &format!("--port {port}"));
    fails(&work(folder.path(), &[], "a").wait_with_output().unwrap(), 1, &["another --port"]);
    assert!(!folder.path().join("plan/parts").exists());
}

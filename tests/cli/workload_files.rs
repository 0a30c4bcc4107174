//! Errors in workload files: one sentence with the place in the file.

use std::fs;

use super::{error, folder, run};

/// Checks that a file with this text is refused with one sentence that contains `expected`.
fn is_refused(text: &str, expected: &[&str]) {
    let folder = folder();
    fs::write(folder.path().join("w.toml"), text).unwrap();
    let error = error(&run(folder.path(), ["run", "w.toml"]), 2);
    assert!(expected.iter().all(|part| error.contains(part)), "{error} lacks {expected:?}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}

#[test]
fn a_broken_file_is_pointed_at_by_line_and_column() {
    let says = |text: &str, expected: &str| is_refused(text, &[expected]);
    says(
        "name = \"w\"\njob = [{ slep = \"1ms\" }]",
        "w.toml:2:10: unknown step `slep`: did you mean `sleep`?",
    );
    says(
        "name = \"w\"\njob = [{ compute = -5 }]",
        "w.toml:2:20: the rounds of a compute step must be at least 0",
    );
    says(
        "name = \"w\"\njob = [{ compute = 99999999999999999999 }]",
        "must be at most 100 000 000 000",
    );
    says("name = \"w\"\njob = [{ sleep = 10 }]", "a duration such as \"10ms\", not the number 10");
    says("name = \"w\"\njob = [{ sleep = \"1h\" }]", "sleep must be at most 1m");
    says(
        "name = \"w\"\njob = [{ exchange = { bytes = 100, times = 1 } }]",
        "put { connect = \"echo\" } before it",
    );
    says("name = \"w\"\njob = [{ connect = \"ech\" }]", "the suite has \"echo\"");
    says(
        "name = \"w\"\njob = [{ offload = [{ sleep = \"1ms\" }] }]",
        "offload takes block and compute steps",
    );
    says(
        "name = \"w\"\njob = [{ gather = { width = 0, of = [] } }]",
        "width of a gather must be at least 1",
    );
    says(
        "name = \"w\"\njob = [{ sleep = \"1ms\", compute = 2 }]",
        "exactly one key, this one has 2",
    );
    says("name = \"w\"\nscale = [10, 1]\njob = []", "w.toml:2:9: scale lists");
    says("name = \"w\"\nworkers = [0]\njob = []", "workers must be at least 1, not 0");
    says("name = \"../w\"\njob = []", "a name has 1 to 64");
    says("name = \"w\"\njobs = []", "unknown key `jobs`: did you mean `job`?");
    says("name = \"w\"", "needs the key `job`");
    says("name = \"w\"\njob = [", "not TOML");
    says(
        "name = \"w\"\njob = [{ gather = { width = 1000, of = [{ gather = { width = 1000, of = [] } }] } }]",
        "at most 100 000 tasks alive at once",
    );
    let deep = format!(
        "name = \"w\"\njob = {}{}",
        "[{ gather = { width = 1, of = ".repeat(9),
        "[]".to_owned() + &" } }]".repeat(9)
    );
    says(&deep, "steps nest at most 8 deep");
    let deeper = format!("name = \"w\"\njob = {}", "[".repeat(100_000));
    says(&deeper, "w.toml:");
}

#[test]
fn a_group_or_a_room_that_cannot_be_is_pointed_at() {
    let says = |text: &str, expected: &str| is_refused(text, &["w.toml:2:", expected]);
    let job = |steps: &str| format!("name = \"w\"\njob = [{steps}]");
    says(&job("{ fail = \"error\" }"), "fail stands in the list of a group's children");
    says(
        &job(
            "{ group = { width = 1, of = [{ gather = { width = 1, of = [{ fail = \"error\" }] } }], on_failure = \"wait\" } }",
        ),
        "fail stands in the list of a group's children",
    );
    for starts in [
        "{ gather = { width = 1, of = [] } }",
        "{ group = { width = 1, of = [] } }",
        "{ offload = [] }",
        "{ hop = 1 }",
    ] {
        says(
            &job(&format!("{{ group = {{ width = 1, of = [{starts}] }} }}")),
            "may outlive a group that cancels",
        );
    }
    says(
        &job(
            "{ group = { width = 90_000, of = [{ compute = 100_000_000_000 }], every = { nth = 2, job = [{ fail = \"error\" }] } } }",
        ),
        "at most 1 000 000 000 000 rounds of compute",
    );
    says(&job("{ group = { width = 1, of = [{ fail = \"panic\" }] } }"), "not \"panic\"");
    says(
        &job("{ group = { width = 1, of = [{ fail = \"error\" }, { yield = 1 }] } }"),
        "nothing comes after fail",
    );
    says(
        &job("{ group = { width = 1, of = [], on_failure = \"stop\" } }"),
        "on_failure is \"cancel\" or \"wait\", not \"stop\"",
    );
    says(&job("{ group = { width = 0, of = [] } }"), "the width of a group must be at least 1");
    says(
        &job("{ gather = { width = 1, of = [], join = \"thread\" } }"),
        "join is \"tasks\" or \"future\", not \"thread\"",
    );
    says(&job("{ connect = { slow = \"2m\" } }"), "slow must be at most 1m");
    says(&job("{ connect = { slo = \"2ms\" } }"), "did you mean `slow`?");
    says(&job("{ hear = { bytes = 8, times = 1 } }"), "put { connect = \"room\" } before it");
    says(
        &job("{ connect = \"room\" }, { exchange = { bytes = 8, times = 1 } }"),
        "put { connect = \"echo\" } before it",
    );
    says(
        &job("{ gather = { width = 2, of = [{ connect = \"room\" }] } }"),
        "a room is of all jobs",
    );
    says(&job("{ park = \"some\" }"), "park waits for \"all\"");
    says(&job("{ sleep = \"1ms\" }, { park = \"all\" }"), "first step of the job itself");
    says(
        &job("{ gather = { width = 2, of = [{ park = \"all\" }] } }"),
        "first step of the job itself",
    );
    let parks = job("{ park = \"all\" }");
    says(&format!("{parks}\nevery = {{ nth = 2, job = [] }}"), "or in neither");
    let hears = job("{ connect = \"room\" }, { hear = { bytes = 8, times = 2 } }");
    says(&hears, "a room needs a speaker");
    let says_less = "{ connect = \"room\" }, { say = { bytes = 8, times = 1 } }";
    says(
        &format!("{hears}\nevery = {{ nth = 1000, job = [{says_less}] }}"),
        "the same messages in the same order",
    );
    says(
        &format!("{hears}\nevery = {{ nth = 1000, job = [{{ yield = 1 }}] }}"),
        "all jobs are members of the room",
    );
}

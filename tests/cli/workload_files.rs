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

/// The text of a file whose job has these steps.
fn job(steps: &str) -> String {
    format!("name = \"w\"\njob = [{steps}]")
}

const GATHERS: &str =
    "{ gather = { width = 1000, of = [{ gather = { width = 1000, of = [] } }] } }";

#[test]
fn a_broken_file_is_pointed_at_by_line_and_column() {
    for (steps, expected) in [
        (r#"{ slep = "1ms" }"#, "w.toml:2:10: unknown step `slep`: did you mean `sleep`?"),
        ("{ compute = -5 }", "w.toml:2:20: the rounds of a compute step must be at least 0"),
        ("{ compute = 99999999999999999999 }", "must be at most 100 000 000 000"),
        ("{ sleep = 10 }", "a duration such as \"10ms\", not the number 10"),
        (r#"{ sleep = "1h" }"#, "sleep must be at most 1m"),
        ("{ exchange = { bytes = 100, times = 1 } }", "put { connect = \"echo\" } before it"),
        (r#"{ connect = "ech" }"#, "the suite has \"echo\""),
        (r#"{ offload = [{ sleep = "1ms" }] }"#, "offload takes block and compute steps"),
        ("{ gather = { width = 0, of = [] } }", "width of a gather must be at least 1"),
        (r#"{ sleep = "1ms", compute = 2 }"#, "exactly one key, this one has 2"),
        (GATHERS, "at most 100 000 tasks alive at once"),
    ] {
        is_refused(&job(steps), &[expected]);
    }
    let nested = "{ gather = { width = 1, of = [".repeat(9) + &"] } }".repeat(9);
    is_refused(&job(&nested), &["steps nest at most 8 deep"]);
    is_refused(&format!("name = \"w\"\njob = {}", "[".repeat(100_000)), &["w.toml:"]);
    for (text, expected) in [
        ("name = \"w\"\nscale = [10, 1]\njob = []", "w.toml:2:9: scale lists"),
        ("name = \"w\"\nworkers = [0]\njob = []", "workers must be at least 1, not 0"),
        ("name = \"../w\"\njob = []", "a name has 1 to 64"),
        ("name = \"w\"\njobs = []", "unknown key `jobs`: did you mean `job`?"),
        ("name = \"w\"", "needs the key `job`"),
        ("name = \"w\"\njob = [", "not TOML"),
    ] {
        is_refused(text, &[expected]);
    }
}

/// A group whose children do this before one of them fails.
fn group(of: &str) -> String {
    format!("{{ group = {{ width = 1, of = [{of}] }} }}")
}

const FAIL_BELOW: &str = concat!(
    r#"{ group = { width = 1, of = [{ gather = { width = 1, of = [{ fail = "error" }] } }], "#,
    r#"on_failure = "wait" } }"#
);

const FAR_TOO_MUCH: &str = concat!(
    "{ group = { width = 90_000, of = [{ compute = 100_000_000_000 }], ",
    r#"every = { nth = 2, job = [{ fail = "error" }] } } }"#
);

#[test]
fn a_group_or_a_room_that_cannot_be_is_pointed_at() {
    let says = |text: &str, expected: &str| is_refused(text, &["w.toml:2:", expected]);
    let below = "fail belongs in the list of a group's children";
    for (steps, expected) in [
        (r#"{ fail = "error" }"#, below),
        (FAIL_BELOW, below),
        (FAR_TOO_MUCH, "at most 1 000 000 000 000 rounds of compute"),
        (&group(r#"{ fail = "panic" }"#), "not \"panic\""),
        (&group(r#"{ fail = "error" }, { yield = 1 }"#), "nothing comes after fail"),
        (
            r#"{ group = { width = 1, of = [], on_failure = "stop" } }"#,
            "on_failure is \"cancel\" or \"wait\", not \"stop\"",
        ),
        ("{ group = { width = 0, of = [] } }", "the width of a group must be at least 1"),
        (
            r#"{ gather = { width = 1, of = [], join = "thread" } }"#,
            "join is \"tasks\" or \"future\", not \"thread\"",
        ),
        (r#"{ connect = { slow = "2m" } }"#, "slow must be at most 1m"),
        (r#"{ connect = { slo = "2ms" } }"#, "did you mean `slow`?"),
        ("{ hear = { bytes = 8, times = 1 } }", "put { connect = \"room\" } before it"),
        (
            r#"{ connect = "room" }, { exchange = { bytes = 8, times = 1 } }"#,
            "put { connect = \"echo\" } before it",
        ),
        (r#"{ gather = { width = 2, of = [{ connect = "room" }] } }"#, "a room is of all jobs"),
        (r#"{ park = "some" }"#, "park waits for \"all\""),
        (r#"{ sleep = "1ms" }, { park = "all" }"#, "first step of the job itself"),
        (r#"{ gather = { width = 2, of = [{ park = "all" }] } }"#, "first step of the job itself"),
    ] {
        says(&job(steps), expected);
    }
    for starts in
        ["{ gather = { width = 1, of = [] } }", &group(""), "{ offload = [] }", "{ hop = 1 }"]
    {
        says(&job(&group(starts)), "may outlive a group that cancels");
    }
    let every = |job: &str, nth: u32, others: &str| {
        format!("{job}\nevery = {{ nth = {nth}, job = [{others}] }}")
    };
    says(&every(&job(r#"{ park = "all" }"#), 2, ""), "or in neither");
    let hears = job(r#"{ connect = "room" }, { hear = { bytes = 8, times = 2 } }"#);
    says(&hears, "a room needs a speaker");
    let less = r#"{ connect = "room" }, { say = { bytes = 8, times = 1 } }"#;
    says(&every(&hears, 1000, less), "the same messages in the same order");
    says(&every(&hears, 1000, "{ yield = 1 }"), "all jobs are members of the room");
}

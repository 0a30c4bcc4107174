//! `paceline selftest` in a budget of one planted slowdown.

use std::path::Path;

use super::{
    program::{PACELINE, folder},
    ran,
};

#[test]
fn a_self_test_whose_budget_holds_no_suite_says_how_long_one_takes_on_this_machine() {
    let folder = folder();
    let arguments = ["selftest", "--budget", "50s", "--kind", "cpu", "--format", "json"];
    let (code, out, said) = ran(Path::new(PACELINE), &arguments, folder.path());
    assert_eq!(code, Some(0), "{said}");
    let start = "no suite of equal programs was begun: one takes about ";
    let note = said.lines().find_map(|line| line.strip_prefix(start));
    let note = note.unwrap_or_else(|| panic!("{said}"));
    assert!(note.contains(" here, and ") && !note.starts_with("0 s"), "{note}");
    let done: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(done["equal"]["false_regressed"]["of"], 0, "{}", done["equal"]);
}

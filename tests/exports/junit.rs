//! The report for CI against the schema of Jenkins' xUnit plugin.

use paceline::{record::Overall, report::Export};

use crate::{
    sample_gate::{large, sample, unfit},
    shapes::junit::tests,
};

#[test]
fn what_regressed_fails_and_what_could_not_be_told_is_skipped() {
    let gate = sample();
    let tests = tests(&Export::Junit.render(&gate));
    assert_eq!(tests.len(), gate.cells.len() + 1);
    let end = |name: &str| {
        let test = tests.iter().find(|(of, ..)| of.starts_with(name)).expect(name);
        (test.1.as_str(), test.2.as_str())
    };
    assert_eq!(end("null arm").0, "system-out");
    let failure = "it takes +5.2 % (+4.2 % to +7.2 %) more than the base";
    assert_eq!(end("echo/tokio/10 time per job"), ("failure", failure));
    assert_eq!(end("<script>").0, "failure");
    assert_eq!(end("sleep/threads/100").0, "system-out");
    let (kind, message) = end("echo/smol/10");
    assert_eq!(kind, "skipped");
    assert!(message.contains("+2.1 %") && message.contains("160"), "{message}");
    assert_eq!(end("switch/may/10").0, "error");
    assert_eq!(end("switch/pool/10"), ("error", "invalid: a receipt is wrong"));
    assert_eq!(end("switch/rayon/10").0, "skipped");
    assert_eq!(end("new/tokio/1").0, "skipped");
    assert_eq!(end("removed/tokio/1").0, "skipped");
}

#[test]
fn a_null_arm_that_fired_is_an_error_and_voids_its_cell_alone() {
    let mut gate = unfit();
    let ends = tests(&Export::Junit.render(&gate));
    assert_eq!(ends[0].1, "error");
    assert!(ends.iter().all(|(_, end, _)| end != "failure"), "{ends:?}");
    gate.verdict = Overall::Regressed;
    let ends = tests(&Export::Junit.render(&gate));
    assert_eq!(ends[0].1, "error");
    let of = |name: &str| ends.iter().find(|(of, ..)| of.starts_with(name)).unwrap();
    assert_eq!(of("echo/tokio/10 time per job").1, "skipped");
    assert!(of("echo/tokio/10 time per job").2.starts_with("void: the base differs"));
    assert_eq!(of("<script>").1, "failure");
}

#[test]
fn a_large_report_is_one_suite() {
    assert_eq!(tests(&Export::Junit.render(&large(500))).len(), 501);
}

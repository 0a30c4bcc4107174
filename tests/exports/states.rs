//! `JUnit` and `OpenMetrics`: formats in which every cell has its state or its verdict.

use paceline::{
    record::Overall,
    report::{Export, Exported},
};

use crate::{
    GATES, RUNS, every,
    junit::tests,
    openmetrics::{Labels, read, value},
    sample_gate::{HOSTILE, large},
};

/// How the test that begins with `name` ended, and what is said of it.
fn end(tests: &[(String, String, String)], name: &str) -> (String, String) {
    let test = tests.iter().find(|(of, ..)| of.starts_with(name)).expect(name);
    (test.1.clone(), test.2.clone())
}

#[test]
fn junit_keeps_its_shape_whatever_there_is_in_a_record() {
    for (of, text) in every(Export::Junit) {
        let tests = tests(text);
        let wanted = match of {
            Exported::Run(record) => record.cells.len(),
            // The null arm; and that nothing was compared.
            Exported::Gate(gate) => {
                gate.cells.len() + 1 + usize::from(gate.verdict == Overall::Nothing)
            }
        };
        assert_eq!(tests.len(), wanted);
        let mut names: Vec<&str> = tests.iter().map(|(name, ..)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), tests.len(), "two tests of one name");
    }
    assert_eq!(tests(&Export::Junit.render(&large(500))).len(), 501);
}

#[test]
fn what_regressed_or_is_invalid_fails_and_what_could_not_be_told_is_skipped() {
    let run = tests(&Export::Junit.render(&RUNS[0]));
    let gate = tests(&Export::Junit.render(&GATES[0]));
    for (tests, name, kind, said) in [
        (&run, "sleep/tokio@8/100", "system-out", ""),
        (&run, "sleep/rayon@8/10000", "failure", "checksum"),
        (&run, "sleep/smol@8/1000000", "error", "the host ended by signal 9, out of memory"),
        (
            &run,
            "sleep/threads/100000",
            "skipped",
            "raise the hard limit as root: sudo prlimit --pid $$ --nproc=100256",
        ),
        (&run, "sleep/pool@8/1000000", "skipped", ""),
        (&gate, "null arm", "system-out", ""),
        (
            &gate,
            "echo/tokio/10 time per job",
            "failure",
            "it takes +5.2 % (+4.2 % to +7.2 %) more than the base",
        ),
        (&gate, "<script>", "failure", ""),
        (&gate, "sleep/threads/100", "system-out", ""),
        (&gate, "echo/smol/10", "skipped", "+2.1 %"),
        (&gate, "echo/smol/10", "skipped", "160"),
        (&gate, "switch/may/10", "error", ""),
        (&gate, "switch/pool/10", "error", "invalid: a receipt is wrong"),
        (&gate, "switch/rayon/10", "skipped", ""),
        (&gate, "new/tokio/1", "skipped", ""),
        (&gate, "removed/tokio/1", "skipped", ""),
    ] {
        let found = end(tests, name);
        assert!(found.0 == kind && found.1.contains(said), "{name}: {found:?}");
    }
    let refused = tests(&Export::Junit.render(&RUNS[3]));
    assert_eq!(refused.len(), RUNS[3].cells.len());
    assert!(refused.iter().all(|(_, end, why)| end == "skipped" && why.contains("hard limit")));
}

#[test]
fn a_null_arm_that_fired_is_an_error_and_voids_its_cell_alone() {
    let mut gate = GATES[1].clone();
    let ends = tests(&Export::Junit.render(&gate));
    assert_eq!(ends[0].1, "error");
    assert!(ends.iter().all(|(_, end, _)| end != "failure"), "{ends:?}");
    gate.verdict = Overall::Regressed;
    let ends = tests(&Export::Junit.render(&gate));
    assert_eq!(ends[0].1, "error");
    let (kind, why) = end(&ends, "echo/tokio/10 time per job");
    assert!(kind == "skipped" && why.starts_with("void: the base differs"), "{kind}: {why}");
    assert_eq!(end(&ends, "<script>").0, "failure");
}

#[test]
fn openmetrics_is_what_the_standard_says_and_holds_the_figures_in_seconds() {
    for (_, text) in every(Export::OpenMetrics) {
        read(text).unwrap();
    }
    let run = read(&Export::OpenMetrics.render(&RUNS[0])).unwrap();
    let at = [("workload", "cpu"), ("model", "rayon"), ("workers", "4"), ("scale", "100")];
    let cell = RUNS[0].cells.iter().find(|c| {
        c.workload == "cpu" && c.model == "rayon" && c.workers == Some(4) && c.scale == 100
    });
    let (cell, rate) = (cell.unwrap(), cell.unwrap().jobs_per_second.unwrap());
    let gate = read(&Export::OpenMetrics.render(&GATES[0])).unwrap();
    let echo = ("cell", "echo/tokio/10");
    let state = ("paceline_gate_cell_verdict", "regressed");
    let refused = [("cell", "sleep/threads/100000"), ("paceline_run_cell_state", "refused")];
    for (families, name, at, wanted) in [
        (&run, "run_throughput_jobs_per_second", &at[..], rate.value),
        (&run, "run_throughput_lower_jobs_per_second", &at, rate.lower),
        (&run, "run_throughput_upper_jobs_per_second", &at, rate.upper),
        (&run, "run_latency_p99_seconds", &at, cell.latency_ns_p99.unwrap().value / 1e9),
        (&run, "run_cpu_per_job_seconds", &at, cell.cpu_ns_per_job.unwrap() / 1e9),
        (&run, "run_cell_state", &refused, 1.0),
        (&gate, "gate_time_per_job_seconds", &[echo, ("side", "base")], 2e-6),
        (&gate, "gate_change_ratio", &[echo, ("metric", "latency_p50")], 0.001),
        (&gate, "gate_cell_verdict", &[echo, ("metric", "time_per_job"), state], 1.0),
        (&gate, "gate_cell_verdict", &[echo, ("metric", "latency_p50"), state], 0.0),
        (&gate, "gate_verdict", &[("paceline_gate_verdict", "regressed")], 1.0),
        (&gate, "gate_verdict", &[("paceline_gate_verdict", "nothing")], 0.0),
    ] {
        let found = value(&families[&format!("paceline_{name}")], at);
        assert!((found - wanted).abs() <= 1e-12 * wanted, "{name}: {found} is not {wanted}");
    }
    assert_eq!(run["paceline_run_cell_state"].len(), 5 * RUNS[0].cells.len());
    // Quotes and backslashes come back as they were.
    let named = |labels: &Labels| labels.iter().any(|(_, name)| name.contains("\"q\" \\| ]]>"));
    let of = &gate["paceline_gate_cell_verdict"];
    assert!(HOSTILE.contains("\"q\" \\| ]]>") && of.iter().any(|(labels, _)| named(labels)));
}

#[test]
fn a_family_without_a_figure_is_left_out_of_openmetrics() {
    let families = read(&Export::OpenMetrics.render(&RUNS[3])).unwrap();
    assert_eq!(families.keys().collect::<Vec<_>>(), ["paceline_run_cell_state"]);
    // A single trial has no interval, whose ends would be the figure.
    let single = read(&Export::OpenMetrics.render(&RUNS[4])).unwrap();
    assert!(!single.contains_key("paceline_run_throughput_lower_jobs_per_second"));
    assert!(single.contains_key("paceline_run_throughput_jobs_per_second"));
    let families = read(&Export::OpenMetrics.render(&RUNS[5])).unwrap();
    assert!(!families.contains_key("paceline_run_throughput_lower_jobs_per_second"));
    assert!(families.contains_key("paceline_run_throughput_jobs_per_second"));
    assert!(families.contains_key("paceline_run_latency_p99_seconds"));
}

#[test]
fn the_reader_of_openmetrics_takes_nothing_else() {
    let good = Export::OpenMetrics.render(&GATES[0]);
    for (now, bad) in [
        ("# EOF\n", ""),
        ("_seconds seconds", "_seconds ms"),
        ("side=\"base\"} ", "side=\"base\"}  "),
        ("cell=\"", "cell=\"\\x"),
        ("side=\"base\"} 0", "side=\"base\"} NaN0"),
        ("# HELP paceline_gate_trials", "# HELP paceline_gate_ronds"),
    ] {
        let bad = good.replacen(now, bad, 1);
        assert!(bad != good && read(&bad).is_err(), "{bad}");
    }
}

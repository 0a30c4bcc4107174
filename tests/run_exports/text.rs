//! `JUnit` and `OpenMetrics`: formats in which every cell has its state.

use paceline::report::RunExport;

use crate::{
    all_kinds, not_finite, ok, only_refused, record,
    shapes::{
        junit::tests,
        openmetrics::{read, value},
    },
};

#[test]
fn in_junit_what_is_invalid_fails_and_what_could_not_run_is_an_error_or_skipped() {
    let record = record();
    let tests = tests(&RunExport::Junit.render(&record));
    assert_eq!(tests.len(), record.cells.len());
    let end = |name: &str| {
        let test = tests.iter().find(|(of, ..)| of == name).unwrap_or_else(|| panic!("{name}"));
        (test.1.as_str(), test.2.as_str())
    };
    assert_eq!(end("sleep/tokio@8/100").0, "system-out");
    let (kind, why) = end("sleep/rayon@8/10000");
    assert!(kind == "failure" && why.contains("checksum"), "{kind}: {why}");
    assert_eq!(end("sleep/smol@8/1000000"), ("error", "the host ended by signal 9, out of memory"));
    let (kind, why) = end("sleep/threads/100000");
    assert!(kind == "skipped" && why.contains("lift it with: ulimit -u 100256"), "{kind}: {why}");
    assert_eq!(end("sleep/pool@8/1000000").0, "skipped");
}

#[test]
fn junit_keeps_its_shape_whatever_there_is_in_a_run() {
    for record in all_kinds() {
        let tests = tests(&RunExport::Junit.render(&record));
        assert_eq!(tests.len(), record.cells.len());
        let mut names: Vec<&str> = tests.iter().map(|(name, ..)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), tests.len(), "two tests of one name");
    }
    let refused = tests(&RunExport::Junit.render(&only_refused()));
    assert!(refused.iter().all(|(_, end, why)| end == "skipped" && why.contains("ulimit")));
}

#[test]
fn openmetrics_is_what_the_standard_says_and_holds_the_figures_in_seconds() {
    for record in all_kinds() {
        read(&RunExport::OpenMetrics.render(&record)).unwrap();
    }
    let record = record();
    let families = read(&RunExport::OpenMetrics.render(&record)).unwrap();
    let at = [("workload", "cpu"), ("model", "rayon"), ("workers", "4"), ("scale", "100")];
    let cell = ok(&record)
        .into_iter()
        .find(|c| {
            c.workload == "cpu" && c.model == "rayon" && c.workers == Some(4) && c.scale == 100
        })
        .unwrap();
    let rate = cell.jobs_per_second.unwrap();
    for (name, wanted) in [
        ("throughput_jobs_per_second", rate.value),
        ("throughput_lower_jobs_per_second", rate.lower),
        ("throughput_upper_jobs_per_second", rate.upper),
        ("latency_p99_seconds", cell.latency_ns_p99.unwrap().value / 1e9),
        ("cpu_per_job_seconds", cell.cpu_ns_per_job.unwrap() / 1e9),
    ] {
        let found = value(&families[&format!("paceline_run_{name}")], &at);
        assert!((found / wanted - 1.0).abs() < 1e-12, "{name}: {found} is not {wanted}");
    }
    let states = &families["paceline_run_cell_state"];
    assert_eq!(states.len(), 5 * record.cells.len());
    let refused = [("cell", "sleep/threads/100000"), ("paceline_run_cell_state", "refused")];
    assert!(value(states, &refused) > 0.5);
}

#[test]
fn a_family_without_a_figure_is_left_out_of_openmetrics() {
    let families = read(&RunExport::OpenMetrics.render(&only_refused())).unwrap();
    assert_eq!(families.keys().collect::<Vec<_>>(), ["paceline_run_cell_state"]);
    let families = read(&RunExport::OpenMetrics.render(&not_finite())).unwrap();
    assert!(!families.contains_key("paceline_run_throughput_lower_jobs_per_second"));
    assert!(families.contains_key("paceline_run_throughput_jobs_per_second"));
    assert!(families.contains_key("paceline_run_latency_p99_seconds"));
}

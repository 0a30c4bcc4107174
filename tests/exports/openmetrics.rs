//! The `OpenMetrics` text against the rules of the standard.

use paceline::report::Export;

use crate::{
    sample_gate::{HOSTILE, large, sample, unfit},
    shapes::openmetrics::{Labels, read, value},
};

#[test]
fn it_is_what_the_standard_says_and_holds_what_the_gate_found() {
    for gate in [sample(), unfit(), large(300)] {
        read(&Export::OpenMetrics.render(&gate)).unwrap();
    }
    let families = read(&Export::OpenMetrics.render(&sample())).unwrap();
    let echo = ("cell", "echo/tokio/10");
    let base = value(&families["paceline_gate_time_per_job_seconds"], &[echo, ("side", "base")]);
    assert!((base - 2e-6).abs() < 1e-12, "{base}");
    let p50 = [echo, ("metric", "p50")];
    assert!((value(&families["paceline_gate_change_ratio"], &p50) - 0.001).abs() < 1e-12);
    let state = ("paceline_gate_cell_verdict", "regressed");
    let of = &families["paceline_gate_cell_verdict"];
    assert!(value(of, &[echo, ("metric", "throughput"), state]) > 0.5);
    assert!(value(of, &[echo, ("metric", "p50"), state]) < 0.5);
    let overall = [("paceline_gate_verdict", "regressed")];
    assert!(value(&families["paceline_gate_verdict"], &overall) > 0.5);
    // Quotes and backslashes come back as they were.
    let named = |labels: &Labels| labels.iter().any(|(_, name)| name.contains("\"q\" \\| ]]>"));
    assert!(HOSTILE.contains("\"q\" \\| ]]>") && of.iter().any(|(labels, _)| named(labels)));
}

#[test]
fn the_reader_takes_nothing_else() {
    let good = Export::OpenMetrics.render(&sample());
    for bad in [
        good.replace("# EOF\n", ""),
        good.replace("_seconds seconds", "_seconds ms"),
        good.replacen("side=\"base\"} ", "side=\"base\"}  ", 1),
        good.replacen("cell=\"", "cell=\"\\x", 1),
        good.replacen("side=\"base\"} 0", "side=\"base\"} NaN0", 1),
        good.replacen("# HELP paceline_gate_trials", "# HELP paceline_gate_ronds", 1),
    ] {
        assert!(bad != good && read(&bad).is_err(), "{bad}");
    }
}

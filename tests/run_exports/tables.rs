//! CSV for people, and for Apache Otava.

use std::collections::HashSet;

use paceline::{
    record::{Record, State},
    report::RunExport,
};
use paceline_core::prepared::Attestation;
use serde_json::Value;

use crate::{all_kinds, ok, record};

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    // Not flexible: a row that is longer or shorter than the first is an error.
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn csv_has_a_row_for_each_cell_and_each_column_once_whatever_there_is_in_a_run() {
    for record in all_kinds() {
        let rows = rows(&RunExport::Csv.render(&record));
        assert_eq!(rows.len(), record.cells.len() + 1);
        let distinct: HashSet<&String> = rows[0].iter().collect();
        assert_eq!(distinct.len(), rows[0].len(), "a column twice");
        let names: HashSet<&String> = rows[1..].iter().map(|row| &row[0]).collect();
        assert_eq!(names.len(), record.cells.len(), "two cells of one name");
    }
}

#[test]
fn a_row_has_its_figures_in_the_columns_of_their_units_and_its_reason() {
    let record = record();
    let rows = rows(&RunExport::Csv.render(&record));
    let column = |name: &str| rows[0].iter().position(|of| of == name).expect(name);
    let of = |name: &str, figure: &str| {
        let row = rows.iter().find(|row| row[0] == name).expect(name);
        row[column(figure)].clone()
    };
    let tokio = ok(&record).into_iter().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    let rate = tokio.jobs_per_second.unwrap();
    assert_eq!(of("sleep/tokio@8/100", "jobs_per_second").parse(), Ok(rate.value));
    assert_eq!(of("sleep/tokio@8/100", "jobs_per_second_lower").parse(), Ok(rate.lower));
    assert_eq!(of("sleep/tokio@8/100", "mode_2_ns"), "14800000");
    assert_eq!(of("sleep/threads/100000", "state"), "refused");
    assert!(of("sleep/threads/100000", "reason").contains("ulimit -u 100256"));
    assert_eq!(of("sleep/threads/100000", "jobs_per_second"), "");
    assert_eq!(of("serve-service/tokio@8/256/knee", "loop"), "open");
}

/// Every number in a cell, histograms and the single steps and samples of lists aside.
fn numbers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(number) => found.push(number.to_string()),
        Value::Object(fields) => {
            let lists = ["steps", "iterations", "times_ns"];
            let kept = fields.iter().filter(|(name, _)| !lists.contains(&name.as_str()));
            kept.for_each(|(_, value)| numbers(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

/// A field that is added to a cell and forgotten here is missed by this test.
#[test]
fn no_figure_of_a_cell_is_missing_in_its_row() {
    let mut record = record();
    let knee = record.cells.iter().find_map(|cell| cell.load.clone().filter(|l| l.knee.is_some()));
    let tokio = record.cells.iter().find(|c| c.model == "tokio" && c.scale == 100);
    let mut cell = tokio.unwrap().clone();
    cell.load = knee;
    let load = cell.load.as_mut().and_then(|load| load.schedule_error.as_mut());
    for of in [&mut cell.latency, &mut cell.service_time, &mut cell.timer_lateness] {
        // So many that every percentile is told.
        of.as_mut().unwrap().count = 20_000;
    }
    load.unwrap().count = 20_000;
    cell.bound_jobs_per_second = Some(987_654.25);
    cell.server_cpu_ns_per_job = Some(321.125);
    cell.attest = Some(Attestation {
        rings: Some(71),
        completions: Some(72),
        epolls: Some(73),
        process_threads: Some(74),
        ..cell.attest.unwrap()
    });
    let mut wanted = Vec::new();
    numbers(&serde_json::to_value(&cell).unwrap(), &mut wanted);
    record.cells = vec![cell];
    let rows = rows(&RunExport::Csv.render(&record));
    let fields: Vec<&str> = rows[1].iter().flat_map(|field| field.split(' ')).collect();
    let there = |wanted: &String| {
        let number: f64 = wanted.parse().unwrap();
        fields
            .iter()
            .any(|field| field.parse::<f64>().is_ok_and(|of| of.total_cmp(&number).is_eq()))
    };
    let missing: Vec<&String> = wanted.iter().filter(|wanted| !there(wanted)).collect();
    assert!(missing.is_empty() && wanted.len() > 80, "{} numbers: {missing:?}", wanted.len());
}

/// Apache Otava's importer wants as many values in a row as there are columns, a time that it can parse, and numbers.
#[test]
fn otava_has_one_row_with_a_number_in_every_column_named_as_the_history_names_it() {
    for record in all_kinds() {
        let rows = rows(&RunExport::Otava.render(&record));
        assert_eq!(rows.len(), 2);
        assert!(humantime::parse_rfc3339(&rows[1][0]).is_ok(), "{}", rows[1][0]);
        assert!(rows[1][2..].iter().all(|value| value.parse::<f64>().unwrap().is_finite()));
        let names: HashSet<&String> = rows[0].iter().collect();
        assert_eq!(names.len(), rows[0].len(), "a column twice");
    }
    let record = record();
    let rows = rows(&RunExport::Otava.render(&record));
    assert_eq!(rows[1][1], "0123456789abcdef0123456789abcdef01234567");
    let at = rows[0].iter().position(|of| of == "sleep/tokio@8/100 time_per_job_ns").unwrap();
    let tokio = record.cells.iter().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    let wanted = 1e9 / tokio.jobs_per_second.unwrap().value;
    assert!((rows[1][at].parse::<f64>().unwrap() / wanted - 1.0).abs() < 1e-12);
    let mut nameless: Record = record;
    nameless.run.commit = None;
    nameless.cells.retain(|cell| cell.state == State::Ok);
    let text = RunExport::Otava.render(&nameless);
    assert!(
        text.contains(&format!(",{},", nameless.run.id)),
        "a run without a commit has its name"
    );
}

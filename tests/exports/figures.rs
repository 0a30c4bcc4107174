//! The formats of figures, against schemas made from their documentation, and as other tools read CSV.

use std::collections::HashSet;

use paceline::{
    record::{Counts, Estimate, Metric, Ramp, State},
    report::{Export, Exported, gate_table},
};
use paceline_core::prepared::Attestation;
use serde_json::{Value, json};

use crate::{GATES, RUNS, cell_of, every, ok, sample_run::courses, valid};

fn near(found: &Value, wanted: f64) {
    assert!(found.as_f64().is_some_and(|found| (found / wanted - 1.0).abs() < 1e-9), "{found}");
}

/// <https://bencher.dev/docs/reference/bencher-metric-format>, and the lengths that it takes.
#[test]
fn bmf_is_what_bencher_reads() {
    let number = json!({ "type": "number" });
    let metric = json!({
        "type": "object",
        "properties": { "value": number, "lower_value": number, "upper_value": number },
        "required": ["value"],
        "additionalProperties": false,
    });
    let measures = json!({
        "type": "object",
        "propertyNames": { "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$" },
        "additionalProperties": metric,
        "minProperties": 1,
    });
    let schema = json!({
        "type": "object",
        "propertyNames": { "minLength": 1, "maxLength": 1024 },
        "additionalProperties": measures,
    });
    for (_, text) in every(Export::Bmf) {
        valid(&schema, text);
    }
    let record = &RUNS[0];
    let read = valid(&schema, &Export::Bmf.render(record));
    assert_eq!(read.as_object().unwrap().len(), ok(record).len());
    let tokio = cell_of(record, "tokio", 100);
    let (rate, found) = (tokio.jobs_per_second.unwrap(), &read["sleep/tokio@8/100"]);
    near(&found["throughput"]["value"], rate.value);
    near(&found["throughput"]["lower_value"], rate.lower);
    near(&found["latency"]["value"], tokio.latency_ns_p50.unwrap().value);
    let single = valid(&schema, &Export::Bmf.render(&RUNS[4]));
    assert!(single["sleep/tokio@8/100"]["throughput"].get("lower_value").is_none());
    assert_eq!(Export::Bmf.render(&RUNS[3]), "{}\n");
    let read = valid(&schema, &Export::Bmf.render(&GATES[0]));
    near(&read["echo/tokio/10"]["throughput"]["value"], 1e9 / 2104.0);
    near(&read["echo/tokio/10"]["latency"]["value"], 2002.0);
    // Two names that differ behind the limit are two benchmarks.
    let long = read.as_object().unwrap().keys().filter(|name| name.starts_with("nnnn"));
    assert_eq!(long.count(), 2);
}

/// <https://github.com/benchmark-action/github-action-benchmark>: the custom tools.
#[test]
fn both_files_for_the_action_are_lists_of_entries_with_unique_names() {
    let text = json!({ "type": "string", "minLength": 1 });
    let entry = json!({
        "type": "object",
        "properties": {
            "name": text, "unit": text, "value": { "type": "number" }, "range": text, "extra": text,
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": false,
    });
    let schema = json!({ "type": "array", "items": entry });
    for (export, units) in [
        (Export::ActionSmaller, &["ns", "bytes", "share"][..]),
        (Export::ActionBigger, &["jobs/s"]),
    ] {
        for (_, text) in every(export) {
            let list = valid(&schema, text);
            let list = list.as_array().unwrap();
            let names: HashSet<&Value> = list.iter().map(|entry| &entry["name"]).collect();
            assert_eq!(names.len(), list.len());
            assert!(list.iter().all(|entry| units.contains(&entry["unit"].as_str().unwrap())));
        }
    }
    let record = &RUNS[0];
    let bigger = valid(&schema, &Export::ActionBigger.render(record));
    assert_eq!(bigger.as_array().unwrap().len(), ok(record).len());
    let entry = |entry: &&Value| entry["name"] == "sleep/tokio@8/100 throughput";
    let found = bigger.as_array().unwrap().iter().find(entry).unwrap();
    near(&found["value"], cell_of(record, "tokio", 100).jobs_per_second.unwrap().value);
    assert!(found["range"].as_str().unwrap().contains(" to "), "{found}");
    let smaller = valid(&schema, &Export::ActionSmaller.render(&GATES[0]));
    assert!(smaller.as_array().unwrap().iter().any(|entry| entry["unit"] == "bytes"));
    let said = "regressed: it takes +5.2 % (+4.2 % to +7.2 %) against the base, 40 trials";
    assert_eq!(smaller[0]["extra"], said);
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    // Not flexible: a row that is longer or shorter than the first is an error.
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn csv_has_each_column_once_and_a_row_for_each_cell_whatever_there_is_in_a_record() {
    for (of, text) in every(Export::Csv) {
        let rows = rows(text);
        let distinct: HashSet<&String> = rows[0].iter().collect();
        assert_eq!(distinct.len(), rows[0].len(), "a column twice");
        let names: HashSet<&[String]> = rows[1..].iter().map(|row| &row[..2]).collect();
        assert_eq!(names.len(), rows.len() - 1, "two rows of one name");
        let cells = match of {
            Exported::Run(record) => record.cells.len(),
            Exported::Gate(gate) => gate.cells.len(),
        };
        assert_eq!(rows.len(), cells + 1);
    }
}

/// The field of a row, by the names of the row and the column.
fn field(rows: &[Vec<String>], name: &str, figure: &str) -> String {
    let column = rows[0].iter().position(|of| of == figure).expect(figure);
    rows.iter().find(|row| row[0] == name).expect(name)[column].clone()
}

#[test]
fn a_count_is_exact_and_in_no_unit_of_time() {
    let mut gate = GATES[0].clone();
    let cell = gate.cells.iter_mut().find(|cell| cell.metric == Metric::Cpu).unwrap();
    cell.cell = "counted".into();
    cell.metric = Metric::Instructions;
    cell.base = Some(123_456.0);
    cell.counts = Some(Counts { calls: 10, base: vec![1_234_560; 3], head: vec![1_100_000; 3] });
    let csv = rows(&Export::Csv.render(&gate));
    for (figure, wanted) in
        [("metric", "instructions_per_call"), ("base_count", "123456"), ("base_ns", "")]
    {
        assert_eq!(field(&csv, "counted", figure), wanted, "{figure}");
    }
    let metrics = Export::OpenMetrics.render(&gate);
    let sample = metrics.lines().find(|line| line.contains("instructions_per_call{")).unwrap();
    assert!(sample.contains("counted") && sample.ends_with(" 123456"), "{sample}");
    for text in [Export::Markdown.render(&gate), gate_table(&gate, true)] {
        let row = text.lines().find(|line| line.contains("counted")).unwrap();
        assert!(row.contains("instructions") && row.contains("123 456"), "{row}");
        assert!(row.contains("exact") && !row.contains(" to "), "{row}");
        assert!(text.contains("1 of 1 exact"), "{text}");
    }
}

#[test]
fn a_row_has_its_figures_in_the_columns_of_their_units_and_its_reason() {
    let run = rows(&Export::Csv.render(&RUNS[0]));
    let rate = cell_of(&RUNS[0], "tokio", 100).jobs_per_second.unwrap();
    let mut gate = GATES[0].clone();
    let memory = gate.cells.iter_mut().find(|cell| cell.metric == Metric::Memory);
    memory.unwrap().cell = "memory".into();
    let gate = rows(&Export::Csv.render(&gate));
    for (rows, name, figure, wanted) in [
        (&run, "sleep/tokio@8/100", "jobs_per_second", rate.value.to_string().as_str()),
        (&run, "sleep/tokio@8/100", "jobs_per_second_lower", &rate.lower.to_string()),
        (&run, "sleep/tokio@8/100", "mode_2_ns", "14800000"),
        (&run, "sleep/threads/100000", "state", "refused"),
        (&run, "sleep/threads/100000", "jobs_per_second", ""),
        (&run, "serve-service/tokio@8/256/knee within 20.0 ms", "loop", "open"),
        (&gate, "echo/tokio/10", "base_ns", "2000"),
        (&gate, "echo/tokio/10", "base_jobs_per_second", "500000"),
        (&gate, "echo/tokio/10", "base_bytes", ""),
        (&gate, "memory", "base_bytes", "2000"),
        (&gate, "memory", "base_ns", ""),
        (&gate, "switch/may/10", "verdict", ""),
    ] {
        assert_eq!(field(rows, name, figure), wanted, "{name} {figure}");
    }
    // Of one process: figures, and no interval.
    let single = rows(&Export::Csv.render(&RUNS[4]));
    for figure in ["jobs_per_second", "batch_ns", "latency_ns_p50", "rss_bytes_max"] {
        assert_ne!(field(&single, "sleep/tokio@8/100", figure), "", "{figure}");
        for end in ["lower", "upper"].map(|end| format!("{figure}_{end}")) {
            assert_eq!(field(&single, "sleep/tokio@8/100", &end), "", "{end}");
        }
    }
    assert!(field(&run, "sleep/threads/100000", "reason").contains("--nproc=100256"));
    assert!(field(&gate, "switch/may/10", "reason").contains("killed"));
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
    let mut record = RUNS[0].clone();
    let knee = record.cells.iter().find_map(|cell| cell.load.clone().filter(|l| l.knee.is_some()));
    let mut cell = cell_of(&record, "tokio", 100).clone();
    cell.load = knee;
    if let Some(load) = &mut cell.load {
        load.at_shares = [0.25, 0.75].map(|share| courses::at_share(share, load)).into();
        // Of each the row has the figure, and of a comparison its interval too.
        for at in &mut load.at_shares {
            for of in [&mut at.requests_per_second, &mut at.latency_ns_p50, &mut at.latency_ns_p99]
            {
                *of = Some(Estimate::exactly(of.unwrap().value));
            }
        }
        load.against = Some(courses::against());
        load.ramp = Some(Ramp { from: 123.5, to: 456.25 });
    }
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
    let rows = rows(&Export::Csv.render(&record));
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
    for (_, text) in every(Export::Otava) {
        let rows = rows(text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][..2], ["time", "commit"]);
        assert!(humantime::parse_rfc3339(&rows[1][0]).is_ok(), "{}", rows[1][0]);
        assert!(rows[1][2..].iter().all(|value| value.parse::<f64>().unwrap().is_finite()));
        let names: HashSet<&String> = rows[0].iter().collect();
        assert_eq!(names.len(), rows[0].len(), "a column twice");
    }
    let gate = rows(&Export::Otava.render(&GATES[0]));
    assert_eq!((gate[0][2].as_str(), gate[0].len()), ("echo/tokio/10 time_per_job_ns", 11));
    assert_eq!(gate[1][1], "abcdef0123".repeat(4));
    let run = rows(&Export::Otava.render(&RUNS[0]));
    assert_eq!(run[1][1], "0123456789abcdef0123456789abcdef01234567");
    let at = run[0].iter().position(|of| of == "sleep/tokio@8/100 time_per_job_ns").unwrap();
    let wanted = 1e9 / cell_of(&RUNS[0], "tokio", 100).jobs_per_second.unwrap().value;
    assert!((run[1][at].parse::<f64>().unwrap() / wanted - 1.0).abs() < 1e-12);
    let mut nameless = RUNS[0].clone();
    nameless.run.commit = None;
    nameless.cells.retain(|cell| cell.state == State::Ok);
    let row = rows(&Export::Otava.render(&nameless)).swap_remove(1);
    assert_eq!(row[1], nameless.run.id, "a run without a commit has its name");
}

//! What the gate shows and exports is what each format's documentation says, whatever the names are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "exports/junit.rs"]
mod junit;
#[path = "exports/markdown.rs"]
mod markdown;
#[path = "exports/openmetrics.rs"]
mod openmetrics;
mod sample_gate;
mod shapes;

use std::collections::HashSet;

use paceline::{
    record::{Gate, Metric, Overall, State},
    report::{Export, gate_table, otava_rows, otava_values},
};
use sample_gate::{HOSTILE, cell, large, sample, unfit};
use serde_json::{Value, json};

fn valid(schema: &Value, text: &str) -> Value {
    let read: Value = serde_json::from_str(text).unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&read).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    read
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    // Not flexible: a row that is longer or shorter than the first is an error.
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn every_export_has_a_name_that_finds_it_and_ends_with_a_newline() {
    for export in Export::ALL {
        assert_eq!(export.to_string().parse::<Export>(), Ok(export));
        let text = export.render(&sample());
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{export}: {text}");
    }
    let error = "html".parse::<Export>().unwrap_err();
    assert!(error.contains("\"html\"") && error.contains("markdown, junit"), "{error}");
}

#[test]
fn what_is_not_finite_is_never_written() {
    let mut gate = sample();
    for cell in &mut gate.cells {
        (cell.base, cell.head) = (Some(f64::NAN), Some(f64::INFINITY));
        cell.detectable = Some(f64::NEG_INFINITY);
        cell.cell = "a".into();
        if let Some(change) = &mut cell.change {
            (change.share, change.lower, change.upper) = (f64::NAN, f64::NAN, f64::INFINITY);
        }
    }
    let texts = Export::ALL.map(|export| (export.name(), export.render(&gate)));
    for (name, text) in texts.into_iter().chain([("table", gate_table(&gate, true))]) {
        let text = text.to_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let found: Vec<&str> =
            words.filter(|word| ["nan", "inf", "infinity"].contains(word)).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn no_control_character_and_no_turn_of_writing_reaches_a_terminal_or_a_file() {
    for gate in [sample(), unfit()] {
        let mut texts: Vec<String> = [true, false].map(|all| gate_table(&gate, all)).into();
        // JSON has its own escapes, and keeps names as they are.
        let others = Export::ALL.into_iter().filter(|export| *export != Export::Json);
        texts.extend(others.map(|export| export.render(&gate)));
        for text in texts {
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{text}");
        }
    }
}

#[test]
fn the_table_begins_with_the_verdict_and_folds_what_is_not_regressed() {
    let short = gate_table(&sample(), false);
    let first = short.lines().next().unwrap();
    assert_eq!(first, "regressed: 2 of 8 cells take more than their margin allows");
    let place = |of: &str| {
        let found = short.lines().position(|line| line == of || line.starts_with(of));
        found.unwrap_or_else(|| panic!("{of}: {short}"))
    };
    let order = [
        "improved",
        "inconclusive",
        "new: not gated",
        "removed: not gated",
        "without a verdict",
        "not regressed: 3",
        "null arm",
        "trials dropped: 14 of 574",
    ];
    let places: Vec<usize> = order.iter().map(|of| place(of)).collect();
    assert!(places.is_sorted(), "{places:?}\n{short}");
    assert!(!short.contains("cpu/rayon/2") && short.contains("160"), "{short}");
    assert!(short.contains("+5.2 %") && short.contains("+4.2 % to +7.2 %"), "{short}");
    assert!(short.contains("failed: the head ended in mid-trial"), "{short}");
    let note = short.lines().find(|line| line.starts_with("note: the head has other margins"));
    assert!(note.unwrap().ends_with("90 %"), "{short}");
    let all = gate_table(&sample(), true);
    assert!(all.contains("cpu/rayon/2") && !all.contains("not regressed: 3"), "{all}");
    for line in all.lines() {
        assert!(line.chars().count() < 250, "{line}");
    }
}

#[test]
fn a_null_arm_that_fired_is_named() {
    let text = gate_table(&unfit(), false);
    assert!(text.starts_with("environment invalid: the base differs"), "{text}");
    let line = text.lines().find(|line| line.starts_with("null arm")).unwrap();
    assert!(line.contains("a change in 1 of 9") && line.contains("echo/tokio/10"), "{line}");
    assert!(line.contains("+4.4 %") && line.contains("void and without a verdict"), "{line}");
    let again = text.lines().find(|line| line.starts_with("measured again")).unwrap();
    assert!(again.ends_with(": echo/tokio/10"), "{again}");
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
    let read = valid(&schema, &Export::Bmf.render(&sample()));
    let echo = &read["echo/tokio/10"];
    let rate = echo["throughput"]["value"].as_f64().unwrap();
    assert!((rate - 1e9 / 2104.0).abs() < 1e-6, "{echo}");
    assert!((echo["latency"]["value"].as_f64().unwrap() - 2002.0).abs() < 1e-9, "{echo}");
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
    let schema = json!({ "type": "array", "items": entry, "minItems": 1 });
    let smaller = valid(&schema, &Export::ActionSmaller.render(&sample()));
    let bigger = valid(&schema, &Export::ActionBigger.render(&sample()));
    let units = |of: &Value| {
        let units = of.as_array().unwrap().iter().map(|entry| entry["unit"].to_string());
        units.collect::<HashSet<_>>()
    };
    assert_eq!(units(&smaller), HashSet::from(["\"ns\"".into(), "\"bytes\"".into()]));
    assert_eq!(units(&bigger), HashSet::from(["\"jobs/s\"".into()]));
    for list in [smaller, bigger] {
        let list = list.as_array().unwrap();
        let names: HashSet<String> = list.iter().map(|entry| entry["name"].to_string()).collect();
        assert_eq!(names.len(), list.len());
    }
}

#[test]
fn a_row_of_csv_has_its_figures_in_the_columns_of_their_units() {
    let gate = sample();
    let rows = rows(&Export::Csv.render(&gate));
    assert_eq!(rows.len(), gate.cells.len() + 1);
    let column = |name: &str| rows[0].iter().position(|of| of == name).unwrap();
    let number = |row: usize, name: &str| rows[row][column(name)].parse::<f64>();
    assert_eq!(number(1, "base_ns"), Ok(2000.0));
    assert_eq!(number(1, "base_jobs_per_second"), Ok(500_000.0));
    assert_eq!(rows[1][column("base_bytes")], "");
    let memory = 1 + gate.cells.iter().position(|cell| cell.metric == Metric::Memory).unwrap();
    assert_eq!(number(memory, "base_bytes"), Ok(2000.0));
    assert_eq!(rows[memory][column("base_ns")], "");
    let failed = 1 + gate.cells.iter().position(|cell| cell.state == State::Failed).unwrap();
    assert!(rows[failed][column("reason")].contains("killed"));
    assert_eq!(rows[failed][column("verdict")], "");
}

/// Apache Otava's importer wants as many values in a row as there are columns, a time that it can parse, and numbers.
#[test]
fn otava_has_a_row_for_each_gate_and_numbers_in_every_column_of_it() {
    let rows = rows(&Export::Otava.render(&sample()));
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][..3], ["time", "commit", "echo/tokio/10 time_per_job_ns"]);
    assert_eq!(rows[1][1], "abcdef0123".repeat(4));
    assert!(humantime::parse_rfc3339(&rows[1][0]).is_ok(), "{}", rows[1][0]);
    assert!(rows[1][2..].iter().all(|value| value.parse::<f64>().unwrap().is_finite()));
    let names: HashSet<&String> = rows[0].iter().collect();
    assert_eq!(names.len(), rows[0].len(), "a column twice");
}

#[test]
fn rows_of_several_gates_share_their_columns() {
    let first = vec![("a x_ns".to_owned(), 1.5), ("b x_ns".to_owned(), 2.0)];
    let second = vec![("b x_ns".to_owned(), 3.0), ("c, x_ns".to_owned(), f64::NAN)];
    let time = |day: u32| format!("2026-11-{day}T00:00:00Z");
    let text = otava_rows(&[(time(1), "one".into(), first), (time(2), "two".into(), second)]);
    let rows = rows(&text);
    assert_eq!(rows[0], ["time", "commit", "a x_ns", "b x_ns", "c, x_ns"]);
    assert_eq!(rows[1][2..], ["1.5", "2", ""]);
    assert_eq!(rows[2][2..], ["", "3", ""]);
    assert_eq!(otava_values(&sample()).len(), 9);
}

#[test]
fn json_is_the_record_and_reads_back() {
    let mut gate = sample();
    for cell in &mut gate.cells {
        cell.head = cell.head.filter(|value| value.is_finite());
        cell.detectable = cell.detectable.filter(|value| value.is_finite());
    }
    let read: Gate = serde_json::from_str(&Export::Json.render(&gate)).unwrap();
    assert!(read == gate);
}

#[test]
fn a_gate_without_cells_can_be_written_in_every_format() {
    let mut gate = large(0);
    gate.verdict = Overall::Nothing;
    for export in Export::ALL {
        assert!(!export.render(&gate).is_empty(), "{export}");
    }
    assert!(gate_table(&gate, false).starts_with("nothing compared: "));
    let mut empty = sample();
    empty.cells = vec![cell("", Metric::P50, None, 0.0)];
    assert!(Export::Bmf.render(&empty).contains("\"(no name)\""));
    assert!(HOSTILE.contains('\n'));
}

//! What runs and gates are exported as is what each format's documentation says, whatever the names are.

#[path = "exports/figures.rs"]
mod figures;
#[path = "exports/hdr.rs"]
mod hdr;
#[path = "exports/labels.rs"]
mod labels;
#[path = "exports/loads.rs"]
mod loads;
#[path = "exports/markdown.rs"]
mod markdown;
#[path = "exports/states.rs"]
mod states;

#[path = "shapes/junit.rs"]
mod junit;
#[path = "shapes/openmetrics.rs"]
mod openmetrics;

mod sample_gate;
mod sample_run;
mod validator;

use std::sync::LazyLock;

use paceline::{
    record::{Cell, Gate, Metric, Overall, Record, State, read},
    report::{Export, Exported, gate_table, run_schema},
};
use serde_json::Value;

/// A sample run in every way in which it may be bad.
static RUNS: LazyLock<[Record; 7]> = LazyLock::new(|| {
    use sample_run::{hostile, not_finite, only_refused, record, without_intervals};
    let mut empty = record();
    empty.cells.clear();
    // Two cells that differ in nothing.
    let mut twice = hostile();
    twice.cells.extend(twice.cells.clone());
    [record(), hostile(), twice, only_refused(), without_intervals(), not_finite(), empty]
});

/// A sample gate likewise.
static GATES: LazyLock<[Gate; 4]> = LazyLock::new(|| {
    use sample_gate::{large, sample, unfit};
    let mut bad = sample();
    for cell in &mut bad.cells {
        (cell.base, cell.head) = (Some(f64::NAN), Some(f64::INFINITY));
        cell.detectable = Some(f64::NEG_INFINITY);
        if let Some(change) = &mut cell.change {
            (change.share, change.lower, change.upper) = (f64::NAN, f64::NAN, f64::INFINITY);
        }
    }
    let mut empty = large(0);
    empty.verdict = Overall::Nothing;
    [sample(), unfit(), bad, empty]
});

/// Every sample, and what it is exported as in each format that it has.
static EXPORTED: LazyLock<Vec<(Exported<'static>, Export, String)>> = LazyLock::new(|| {
    let all = RUNS.iter().map(Exported::from).chain(GATES.iter().map(Exported::from));
    let each = |of| {
        let formats = Export::all(matches!(of, Exported::Gate(_)));
        formats.map(move |format| (of, format, format.render(of)))
    };
    all.flat_map(each).collect()
});

/// What every sample is in one format.
fn every(export: Export) -> impl Iterator<Item = (Exported<'static>, &'static str)> {
    EXPORTED
        .iter()
        .filter(move |(_, of, _)| *of == export)
        .map(|(of, _, text)| (*of, text.as_str()))
}

fn ok(record: &Record) -> Vec<&Cell> {
    record.cells.iter().filter(|cell| cell.state == State::Ok).collect()
}

/// A cell of the sample run.
fn cell_of<'a>(record: &'a Record, model: &str, scale: usize) -> &'a Cell {
    let mut cells = record.cells.iter();
    cells.find(|cell| cell.model == model && cell.scale == scale).unwrap()
}

fn valid(schema: &Value, text: &str) -> Value {
    let read: Value = serde_json::from_str(text).unwrap();
    assert_eq!(validator::errors(schema, &read), "");
    read
}

#[test]
fn every_export_ends_with_one_newline_and_holds_no_control_character_and_no_turn_of_writing() {
    for (_, export, text) in &*EXPORTED {
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{export}: {text}");
        // JSON has its own escapes, and keeps names as they are.
        let bad = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        let bad = text.chars().filter(|_| *export != Export::Json).find(bad);
        assert_eq!(bad, None, "{export}: {text}");
    }
}

#[test]
fn what_is_not_finite_is_never_written() {
    let tables = [true, false].map(|all| gate_table(&GATES[2], all));
    for text in EXPORTED.iter().map(|(_, _, text)| text).chain(&tables) {
        let text = text.to_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let found = words.filter(|word| ["nan", "inf", "infinity"].contains(word)).count();
        assert_eq!(found, 0, "{text}");
    }
}

#[test]
fn every_export_has_a_name_that_finds_it_and_a_gate_has_no_histograms() {
    for export in Export::all(false) {
        assert_eq!(export.to_string().parse(), Ok(export));
    }
    let error = "html".parse::<Export>().unwrap_err();
    assert!(error.contains("\"html\"") && error.contains("markdown, csv"), "{error}");
    assert_eq!(Export::of_gates("csv"), Ok(Export::Csv));
    let error = Export::of_gates("hdr-log").unwrap_err();
    assert!(error.contains("of gates \"hdr-log\"") && !error.contains(", hdr-log"), "{error}");
    // The help, which docs/reference.md is made of, lists them all and no other.
    let reference = std::fs::read_to_string("docs/reference.md").unwrap();
    let list = reference.split("The output format: ").nth(1).unwrap().split(';').next().unwrap();
    let listed: Vec<&str> = list.split(", ").flat_map(|names| names.split(" or ")).collect();
    let all = ["html", "table", "svg"].into_iter().chain(Export::all(false).map(Export::name));
    assert_eq!(listed, all.collect::<Vec<_>>());
}

#[test]
fn the_sample_has_a_cell_of_every_kind_and_is_the_same_on_disk() {
    let record = &RUNS[0];
    for state in [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed] {
        assert!(record.cells.iter().any(|cell| cell.state == state), "{state:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let back = read(&sample_run::write(record, folder.path())).unwrap();
    assert!(back.cells == record.cells && back.trials.len() == record.trials.len());
    assert!(record.trials.len() > 200 && record.cells.len() > 80);
}

#[test]
fn two_thousand_cells_can_be_written_in_every_format() {
    let record = sample_run::large(2_000);
    // Histograms are decoded one by one, which takes a debug build its time.
    for export in Export::all(true) {
        assert!(export.render(&record).len() > 1_000, "{export}");
    }
}

#[test]
fn json_is_the_record_by_its_schema_and_reads_back() {
    let schema = serde_json::to_value(run_schema()).unwrap();
    for (_, text) in every(Export::Json).filter(|(of, _)| matches!(of, Exported::Run(_))) {
        valid(&schema, text);
    }
    let mut read = valid(&schema, &Export::Json.render(&RUNS[0]));
    let cells: Vec<Cell> = serde_json::from_value(read["cells"].take()).unwrap();
    assert_eq!(cells.len(), RUNS[0].cells.len());
    assert!(cells.iter().all(|cell| RUNS[0].cells.contains(cell)));
    assert_eq!(read["run"]["seed"], 42);
    assert_ne!(validator::errors(&schema, &read), "", "it takes a document without cells");
    let mut gate = sample_gate::sample();
    for cell in &mut gate.cells {
        cell.head = cell.head.filter(|value| value.is_finite());
        cell.detectable = cell.detectable.filter(|value| value.is_finite());
    }
    let read: Gate = serde_json::from_str(&Export::Json.render(&gate)).unwrap();
    assert!(read == gate);
}

#[test]
fn rows_stand_in_the_order_of_the_plan_however_the_trials_were_shuffled() {
    let planned = sample_run::record();
    let mut shuffled = planned.clone();
    shuffled.cells.sort_by_key(|cell| paceline_core::job::mix(cell.scale as u64 ^ cell.floor_ns));
    shuffled.cells.reverse();
    assert!(shuffled.cells != planned.cells);
    for export in Export::all(true) {
        assert!(export.render(&shuffled) == export.render(&planned), "{export}");
    }
    let csv = Export::Csv.render(&shuffled);
    let of = |series: &str| csv.lines().filter(|line| line.starts_with(series)).count();
    assert_eq!(of("sleep/tokio@8/"), 7);
    let first: Vec<&str> =
        csv.lines().skip(1).take(8).map(|l| l.split(',').next().unwrap()).collect();
    assert_eq!(first[0], "sleep/sequential@1/1");
    assert_eq!(first[6..], ["sleep/sequential@1/1000000", "sleep/threads/1"]);
}

#[test]
fn a_cell_without_a_name_is_called_so() {
    let mut gate = sample_gate::sample();
    gate.cells = vec![sample_gate::cell("", Metric::P50, None, 0.0)];
    assert!(Export::Bmf.render(&gate).contains("\"(no name)\""));
}

//! What a recorded run is exported as is what each format's documentation says, whatever the names are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "run_exports/hdr.rs"]
mod hdr;
#[path = "run_exports/json.rs"]
mod json;
#[path = "run_exports/markdown.rs"]
mod markdown;
#[path = "run_exports/tables.rs"]
mod tables;
#[path = "run_exports/text.rs"]
mod text;

mod sample_run;
mod shapes;

use paceline::{
    record::{Cell, Record, State, read},
    report::RunExport,
};
use sample_run::{hostile, large, not_finite, only_refused, record, without_intervals, write};

/// The sample in every way in which it may be bad.
fn all_kinds() -> [Record; 7] {
    let mut empty = record();
    empty.cells.clear();
    // Two cells that differ in nothing.
    let mut twice = hostile();
    twice.cells.extend(twice.cells.clone());
    [record(), hostile(), twice, only_refused(), without_intervals(), not_finite(), empty]
}

fn ok(record: &Record) -> Vec<&Cell> {
    record.cells.iter().filter(|cell| cell.state == State::Ok).collect()
}

#[test]
fn the_sample_has_a_cell_of_every_kind_and_is_the_same_on_disk() {
    let record = record();
    for state in [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed] {
        assert!(record.cells.iter().any(|cell| cell.state == state), "{state:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let back = read(&write(&record, folder.path())).unwrap();
    assert!(back.cells == record.cells && back.trials.len() == record.trials.len());
    assert!(record.trials.len() > 200 && record.cells.len() > 80);
}

#[test]
fn every_export_has_a_name_that_finds_it_and_ends_with_a_newline() {
    let kinds = all_kinds();
    for export in RunExport::ALL {
        assert_eq!(export.to_string().parse::<RunExport>(), Ok(export));
        for record in &kinds {
            let text = export.render(record);
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{export}: {text}");
        }
    }
    let error = "html".parse::<RunExport>().unwrap_err();
    assert!(error.contains("\"html\"") && error.contains("markdown, csv"), "{error}");
}

#[test]
fn what_is_not_finite_is_never_written() {
    let record = not_finite();
    for export in RunExport::ALL {
        let text = export.render(&record).to_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let found: Vec<&str> =
            words.filter(|word| ["nan", "inf", "infinity"].contains(word)).collect();
        assert!(found.is_empty(), "{export}: {found:?}");
    }
}

#[test]
fn no_control_character_and_no_turn_of_writing_reaches_a_file() {
    let record = hostile();
    // JSON has its own escapes, and keeps names as they are.
    for export in RunExport::ALL.into_iter().filter(|export| *export != RunExport::Json) {
        let text = export.render(&record);
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{export}");
    }
}

#[test]
fn two_thousand_cells_can_be_written_in_every_format() {
    let record = large(2_000);
    for export in RunExport::ALL {
        // Histograms are decoded one by one, which takes a debug build its time.
        if !matches!(export, RunExport::HdrLog | RunExport::HdrPercentiles) {
            assert!(export.render(&record).len() > 1_000, "{export}");
        }
    }
}

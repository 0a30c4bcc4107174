//! What fuzzers feed: the files of records, and all that is made of them. `fuzz/README.md` says how to run them.

use std::path::Path;

use crate::{
    compare::{agreement, compare_records},
    history::series,
    record::{Claims, Gate, GateTrial, Record, assemble, claims_of, gate_of, parse_lines},
    report::{
        Charts, Export, Extent, Sources, agreement_table, cells_table, claims_table,
        comparison_table, gate_table, history_csv, history_table, limits_table, load_table, page,
        summary,
    },
};

/// What stands between two files of a record in the bytes of a fuzzer.
pub const BORDER: u8 = 0x1e;

/// The files of a record. The first byte says of which kind: `r` is a run with its `run.json`, `cells.jsonl` and
/// `trials.jsonl`, `g` is `gate.json` and `gate_trials.jsonl`, and `c` is `claims.json`. Whatever can be read must be
/// shown, compared and exported without a panic. Returns whether it could be read.
pub fn records(data: &[u8]) -> bool {
    let Some((kind, bytes)) = data.split_first() else { return false };
    let mut files = bytes.split(|byte| *byte == BORDER);
    let mut next = || files.next().unwrap_or_default();
    let folder = Path::new("fuzz");
    match kind {
        b'r' => assemble(folder, next(), next(), next()).map(|record| show_run(&record)),
        b'g' => {
            let gate = gate_of(folder, next()).map(|gate| show_gate(&gate));
            gate.and_then(|()| parse_lines::<GateTrial>(folder, next()).map(drop))
        }
        b'c' => claims_of(folder, next()).map(|claims| show_claims(&claims)),
        _ => return false,
    }
    .is_ok()
}

fn show_run(record: &Record) {
    let _ = (record.check_trials(), record.workloads(), record.missing());
    let cells = &record.cells;
    for extent in [Extent::Short, Extent::All] {
        drop([cells_table(cells, extent), load_table(cells, extent)]);
    }
    drop([limits_table(cells), summary(cells)]);
    if let Ok(comparison) = compare_records(record, record, false) {
        drop(comparison_table(&comparison, Extent::All));
    }
    let both = [record.clone(), record.clone()];
    drop(agreement_table(&agreement(&both)));
    let history = series(&both, &[]);
    drop([history_table(&history), history_csv(&history)]);
    for export in Export::all(false) {
        drop(export.render(record));
    }
    let charts = Charts::of(record);
    for name in charts.names() {
        assert!(charts.svg(name).is_some(), "{name} is listed and not drawn");
    }
    drop(page(&Sources { records: &both, history: &history, ..Sources::default() }));
}

fn show_gate(gate: &Gate) {
    drop([gate_table(gate, true), gate_table(gate, false)]);
    for export in Export::all(true) {
        drop(export.render(gate));
    }
    drop(page(&Sources { gates: std::slice::from_ref(gate), ..Sources::default() }));
}

fn show_claims(claims: &Claims) {
    drop(claims_table(claims, Extent::All));
    drop(page(&Sources { claims: std::slice::from_ref(claims), ..Sources::default() }));
}

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
    read(data, None)
}

/// As [`records`], but makes only one of all tables, exports, charts and pages, which the bytes choose: a fuzzer tries
/// many more inputs in the same time.
pub fn records_in_one_form(data: &[u8]) -> bool {
    let sum = data.iter().fold(0, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(*byte));
    read(data, Some(sum))
}

fn read(data: &[u8], chosen: Option<usize>) -> bool {
    let Some((kind, bytes)) = data.split_first() else { return false };
    let mut files = bytes.split(|byte| *byte == BORDER);
    let mut next = || files.next().unwrap_or_default();
    let folder = Path::new("fuzz");
    match kind {
        b'r' => assemble(folder, next(), next(), next()).map(|record| show_run(&record, chosen)),
        b'g' => {
            let gate = gate_of(folder, next()).map(|gate| show_gate(&gate, chosen));
            gate.and_then(|()| parse_lines::<GateTrial>(folder, next()).map(drop))
        }
        b'c' => claims_of(folder, next()).map(|claims| show_claims(&claims, chosen)),
        _ => return false,
    }
    .is_ok()
}

/// One form in which a record is shown.
type Form<'a> = Box<dyn Fn() + 'a>;

/// Makes all `forms`, or the one with this number, which starts again behind the last.
fn make(forms: &[Form<'_>], chosen: Option<usize>) {
    match chosen {
        Some(number) => forms[number % forms.len()](),
        None => forms.iter().for_each(|form| form()),
    }
}

fn show_run(record: &Record, chosen: Option<usize>) {
    let cells = &record.cells;
    let both = || [record.clone(), record.clone()];
    let mut forms: Vec<Form<'_>> = vec![
        Box::new(|| drop((record.check_trials(), record.workloads(), record.missing()))),
        Box::new(|| drop([limits_table(cells), summary(cells)])),
        Box::new(|| {
            if let Ok(comparison) = compare_records(record, record, false) {
                drop(comparison_table(&comparison, Extent::All));
            }
        }),
        Box::new(|| drop(agreement_table(&agreement(&both())))),
        Box::new(|| {
            let history = series(&both(), &[]);
            drop([history_table(&history), history_csv(&history)]);
        }),
        Box::new(|| {
            let charts = Charts::of(record);
            for name in charts.names() {
                assert!(charts.svg(name).is_some(), "{name} is listed and not drawn");
            }
        }),
        Box::new(|| {
            let records = both();
            let history = series(&records, &[]);
            drop(page(&Sources { records: &records, history: &history, ..Sources::default() }));
        }),
    ];
    for extent in [Extent::Short, Extent::All] {
        forms.push(Box::new(move || drop([cells_table(cells, extent), load_table(cells, extent)])));
    }
    for export in Export::all(false) {
        forms.push(Box::new(move || drop(export.render(record))));
    }
    make(&forms, chosen);
}

fn show_gate(gate: &Gate, chosen: Option<usize>) {
    let mut forms: Vec<Form<'_>> = vec![
        Box::new(|| drop([gate_table(gate, true), gate_table(gate, false)])),
        Box::new(|| {
            drop(page(&Sources { gates: std::slice::from_ref(gate), ..Sources::default() }));
        }),
    ];
    for export in Export::all(true) {
        forms.push(Box::new(move || drop(export.render(gate))));
    }
    make(&forms, chosen);
}

fn show_claims(claims: &Claims, chosen: Option<usize>) {
    let forms: [Form<'_>; 2] = [
        Box::new(|| drop(claims_table(claims, Extent::All))),
        Box::new(|| {
            drop(page(&Sources { claims: std::slice::from_ref(claims), ..Sources::default() }));
        }),
    ];
    make(&forms, chosen);
}

//! `paceline report`: a page of recorded runs and gates, or an export for other programs.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;

use super::{CliError, compare, extent, internal, say, usage};
use crate::{
    bench::{complete, complete_newest},
    history::{self, series},
    output::{folded, print_note, print_warning},
    record::{Claims, Gate, KINDS, PARTS, Record, read_cells, read_claims, read_gate, write_text},
    report::{Charts, Export, PAGE, Sources, claims_table, gate_table, page, run_table},
};

#[derive(Args)]
pub(super) struct ReportArguments {
    /// Runs and gates: their folders, or their names in the folder for records. Of several runs, the others are compared
    /// with the first [default: the newest run, with the history of all].
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The output format: html, table, svg, markdown, csv, json, bmf, github-action-benchmark-smaller,
    /// github-action-benchmark-bigger, junit, openmetrics, otava or hdr-log.
    #[arg(long, default_value = "html", value_name = "FORMAT")]
    format: ReportFormat,
    /// The output file; - is standard output. By default, a page is written to report.html in the run's folder, or in the
    /// folder for records if it has several; a chart to the working folder; everything else to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The chart of --format svg, such as echo/throughput. Without it, the names of all charts are listed.
    #[arg(long, value_name = "CHART")]
    chart: Option<String>,
    /// With --format table: show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
}

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReportFormat {
    Html,
    /// The tables that the measuring command printed at its end.
    Table,
    Svg,
    /// A format for other programs.
    Export(Export),
}

impl FromStr for ReportFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "html" => Ok(ReportFormat::Html),
            "table" => Ok(ReportFormat::Table),
            "svg" => Ok(ReportFormat::Svg),
            "md" => Ok(ReportFormat::Export(Export::Markdown)),
            _ => name.parse().map(ReportFormat::Export).map_err(|_| {
                let names: Vec<&str> = Export::all(false).map(Export::name).collect();
                let names = names.join(", ");
                format!("there is no format {name:?}: choose one of html, table, svg, {names}")
            }),
        }
    }
}

/// The requested records.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    gates: Vec<Gate>,
    claims: Vec<Claims>,
    history: Vec<history::Series>,
    left_out: Vec<String>,
    /// The default folder of the page.
    folder: PathBuf,
}

pub(super) fn report(asked: &ReportArguments) -> Result<u8, CliError> {
    if asked.chart.is_some() && asked.format != ReportFormat::Svg {
        return Err(usage("--chart goes with --format svg: add that, or leave --chart out".into()));
    }
    if asked.all && asked.format != ReportFormat::Table {
        return Err(usage("--all goes with --format table: add that, or leave --all out".into()));
    }
    // The files of a record are never overwritten.
    let is_record =
        |file: &PathBuf| PARTS.iter().any(|name| file.file_name() == Some(OsStr::new(name)));
    if let Some(file) = asked.output.as_ref().filter(|file| is_record(file)) {
        let file = file.display();
        return Err(usage(format!(
            "{file} is the name of a part of a record: choose another with -o"
        )));
    }
    let found =
        if asked.runs.is_empty() { newest(&asked.out)? } else { named(&asked.runs, &asked.out)? };
    match asked.format {
        ReportFormat::Html => {
            let sources = Sources {
                records: &found.records,
                gates: &found.gates,
                claims: &found.claims,
                history: &found.history,
                left_out: &found.left_out,
            };
            let file = asked.output.clone().unwrap_or_else(|| found.folder.join(PAGE));
            write_file(&file, page(&sources).as_bytes(), "report")?;
        }
        ReportFormat::Svg => picture(asked, &found)?,
        ReportFormat::Table => tables(asked, &found)?,
        ReportFormat::Export(format) => write_or_print(asked, &export(format, &found)?)?,
    }
    for why in &found.left_out {
        print_warning(&format!("left out: {why}"));
    }
    for missing in found.records.iter().filter_map(Record::missing) {
        print_warning(&missing);
    }
    Ok(0)
}

/// Prints what became of a `cargo bench` that was killed.
fn note(completed: Result<Option<String>, String>) {
    completed.unwrap_or_else(Some).iter().for_each(|said| print_note(said));
}

/// Returns the newest run in `results`, or the newest gate or claims if there is no run, with the history of all.
fn newest(results: &Path) -> Result<Found, CliError> {
    note(complete_newest(results));
    let mut read = history::read(results).map_err(usage)?;
    let history = series(&read.records, &read.gates);
    let newest_gate = read.gates.iter().map(|gate| gate.started.clone()).max();
    let empty = read.records.iter().filter(|record| record.cells.is_empty());
    let begun = empty.map(|record| record.run.id.clone()).max();
    read.records.retain(|record| !record.cells.is_empty());
    let newest = read
        .records
        .into_iter()
        .max_by(|a, b| (&a.run.started, &a.run.id).cmp(&(&b.run.started, &b.run.id)));
    let left_out = read.left_out;
    match newest {
        Some(record) => {
            let folder = record.folder.clone();
            // All runs are in the history, but only the newest has sections.
            Ok(Found { records: vec![record], history, left_out, folder, ..Found::default() })
        }
        None if newest_gate.is_some() => {
            let gates =
                read.gates.into_iter().filter(|gate| Some(&gate.started) == newest_gate.as_ref());
            let gates: Vec<Gate> = gates.collect();
            let folder = results.join(&gates[0].id);
            Ok(Found { gates, history, left_out, folder, ..Found::default() })
        }
        None => {
            let place = results.display();
            if let Some((folder, newest)) = newest_claims(results) {
                let claims = vec![newest];
                return Ok(Found { claims, left_out, folder, ..Found::default() });
            }
            if let Some(begun) = begun {
                return Err(usage(format!(
                    "no cell of {begun} in {place} has ended: go on with paceline run --resume --out {place}, or measure \
                     again"
                )));
            }
            let why = left_out.first().map_or_else(String::new, |why| format!(" ({why})"));
            Err(usage(format!(
                "there is no run in {place}{why}: make one with paceline run, or name another folder with --out"
            )))
        }
    }
}

/// Returns the newest claims in `results`, and their folder.
fn newest_claims(results: &Path) -> Option<(PathBuf, Claims)> {
    let folders = std::fs::read_dir(results).ok()?.flatten().map(|entry| entry.path());
    let claims = folders.filter_map(|folder| Some((folder.clone(), read_claims(&folder).ok()??)));
    claims.max_by(|a, b| a.1.started.cmp(&b.1.started))
}

/// Reads the named runs, gates and claims.
fn named(names: &[PathBuf], results: &Path) -> Result<Found, CliError> {
    let mut found = Found { folder: results.to_owned(), ..Found::default() };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(usage(format!("{} is named twice", name.display())));
        }
        let folder = &compare::find_record(name, results, &KINDS)?;
        let gate = read_gate(folder).map_err(usage)?;
        if folder.join("run.json").exists() {
            note(complete(folder));
            let record = read_cells(folder).map_err(usage)?;
            // The record of a gate also has a run.json, but no cells of a run.
            if gate.is_none() || !record.cells.is_empty() {
                found.records.push(record);
            }
        }
        found.gates.extend(gate);
        found.claims.extend(read_claims(folder).map_err(usage)?);
        if names.len() == 1 {
            found.folder.clone_from(folder);
        }
    }
    if found.records.len() > 1 {
        found.history = series(&found.records, &found.gates);
    }
    Ok(found)
}

fn export(format: Export, found: &Found) -> Result<String, CliError> {
    match (&found.records[..], &found.gates[..]) {
        ([record], []) => Ok(format.render(record)),
        ([], [gate]) => Export::of_gates(format.name())
            .map(|format| format.render(gate))
            .map_err(|why| usage(format!("this is a gate, and {why}"))),
        ([], []) => Err(usage(
            "claims have no export: use --format html or table, or read claims.json".into(),
        )),
        _ => Err(usage(format!("--format {format} exports one run or one gate: name one"))),
    }
}

/// Writes the text to the output file, or prints it.
fn write_or_print(asked: &ReportArguments, text: &str) -> Result<(), CliError> {
    match &asked.output {
        Some(file) => write_file(file, text.as_bytes(), "written"),
        None => say(text.trim_end_matches('\n')).map(drop),
    }
}

/// Shows the tables that the measuring commands printed at their ends.
fn tables(asked: &ReportArguments, found: &Found) -> Result<(), CliError> {
    let extent = extent(asked.all);
    let runs = found.records.iter().map(|record| run_table(record, extent));
    let gates = found.gates.iter().map(|gate| gate_table(gate, asked.all));
    let claims = found.claims.iter().map(|claims| claims_table(claims, extent));
    let all: Vec<String> = runs.chain(gates).chain(claims).collect();
    let text = all.join("\n") + "\n";
    write_or_print(asked, &if asked.output.is_some() { text } else { folded(&text) })
}

fn picture(asked: &ReportArguments, found: &Found) -> Result<(), CliError> {
    let [record] = &found.records[..] else {
        return Err(usage("a chart shows one run: name one".into()));
    };
    let charts = Charts::of(record);
    let listed = charts.names().join(", ");
    if listed.is_empty() {
        return Err(usage("this run has no cell with a figure, and so no chart".into()));
    }
    let Some(name) = &asked.chart else {
        return Err(usage(format!("name a chart with --chart: this run has {listed}")));
    };
    let unknown = || usage(format!("this run has no chart {name:?}: its charts are {listed}"));
    let svg = charts.svg(name).ok_or_else(unknown)?;
    let file =
        asked.output.clone().unwrap_or_else(|| format!("{}.svg", name.replace('/', "-")).into());
    write_file(&file, svg.as_bytes(), "chart")
}

/// Writes a whole file and prints its path; `-` is standard output.
fn write_file(file: &Path, bytes: &[u8], what: &str) -> Result<(), CliError> {
    if file == Path::new("-") {
        return crate::output::print_bytes(bytes).map_err(internal);
    }
    write_text(file, bytes).map_err(internal)?;
    say(&format!("{what}: {}", file.display())).map(drop)
}

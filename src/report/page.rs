//! The report: one self-contained HTML page of recorded runs, gates, claims and their history.
//!
//! All of it is text and SVG, so that it can be read offline, printed, searched and read by screen readers. A short
//! script adds tooltips, check boxes, filters and sorting. Text from records is only inserted by templates, which escape
//! it, and a content security policy allows no script but the page's own.

mod cells;
mod changes;
mod charts;
mod claims;
mod comparison;
mod head;
mod lines;
mod load;
mod matrix;
mod models;
mod over_time;
mod overview;
mod parts;
mod past;
mod percentiles;
mod scaling;
mod speed;
mod without;
mod workload;

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{chart, table::in_order};
use crate::{
    history::Series,
    output::{count, counted, plain},
    record::{Cell, Claims, Gate, Record},
};
use matrix::{Chip, Matrix};
use overview::{FirstScreen, WorkloadSummary};
use parts::{Picture, Table, name};

/// The records of a page.
#[derive(Default)]
pub struct Sources<'a> {
    /// The runs. The others are compared with the first.
    pub records: &'a [Record],
    /// The gates.
    pub gates: &'a [Gate],
    /// The results of `paceline claims`.
    pub claims: &'a [Claims],
    /// The series of recorded runs over time.
    pub history: &'a [Series],
    /// A sentence for each requested record that is left out.
    pub left_out: &'a [String],
}

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");
/// The longest definition that is shown in full, in characters.
const DEFINITION: usize = 4000;

/// Returns the page as HTML. It depends on nothing but the sources.
pub fn page(sources: &Sources<'_>) -> String {
    let sections = sections(sources);

    let page = Page {
        title: head::title(sources),
        lead: head::lead(sources),
        facts: head::facts(sources),
        warnings: head::warnings(sources),
        style: STYLE,
        style_hash: source_hash(STYLE),
        script_hash: source_hash(SCRIPT),
        script: SCRIPT,
        markers: chart::markers(),
        sections,
        version: env!("CARGO_PKG_VERSION"),
        sources: head::contents(sources),
    };
    page.render().expect("memory takes it")
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    title: String,
    lead: String,
    facts: Vec<String>,
    warnings: Vec<String>,
    style: &'static str,
    style_hash: String,
    script: &'static str,
    /// The shapes to which all charts refer.
    markers: String,
    script_hash: String,
    sections: Vec<Section>,
    version: &'static str,
    sources: String,
}

/// A section of the page.
struct Section {
    id: String,
    /// Its name in the navigation.
    short: String,
    title: String,
    body: String,
    /// Whether it has charts.
    charts: bool,
    /// Whether its title repeats the page's, and so is shown to screen readers only.
    plain: bool,
}

impl Section {
    fn new(
        id: impl Into<String>,
        short: impl Into<String>,
        title: impl Into<String>,
        body: String,
    ) -> Self {
        Section {
            id: id.into(),
            short: short.into(),
            title: title.into(),
            body,
            charts: false,
            plain: false,
        }
    }
}

/// Returns the hash of this text for the content security policy, which allows nothing else.
fn source_hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn sections(sources: &Sources<'_>) -> Vec<Section> {
    let mut sections = Vec::new();
    for (index, gate) in sources.gates.iter().enumerate() {
        sections.push(changes::of_gate(gate, index, sources.gates.len()));
    }
    if let [base, heads @ ..] = sources.records {
        for (index, head) in heads.iter().enumerate() {
            sections.push(changes::of_comparison(base, head, index));
        }
    }
    for (index, claims) in sources.claims.iter().enumerate() {
        let of = if sources.claims.len() > 1 {
            format!(" ({})", name(&claims.id))
        } else {
            String::new()
        };
        let id = format!("t{index}");
        let body = rendered(&claims::Section::of(claims, &id));
        sections.push(Section::new(
            id,
            format!("Claims{of}"),
            format!("The claims of the tutorial{of}"),
            body,
        ));
    }
    let several = sources.records.len() > 1;
    for (index, record) in sources.records.iter().enumerate() {
        of_record(record, index, several, &mut sections);
    }
    if !sources.history.is_empty() {
        sections.push(of_history(sources.history));
    }
    sections.push(Section::new("method", "Method", "How to read this", METHOD.into()));
    sections
}

/// The explanation on every page. results/README.md has more.
const METHOD: &str = include_str!("page/method.html");

fn of_record(record: &Record, index: usize, several: bool, sections: &mut Vec<Section>) {
    let run = &record.run;
    let prefix = format!("r{index}");
    let of = if several { format!(" ({})", name(&run.id)) } else { String::new() };
    // A short form for the navigation.
    let short = if several { format!(" {}", index + 1) } else { String::new() };
    let section = |id: &str, name: &str, title: &str, body: String| {
        Section::new(
            format!("{prefix}-{id}"),
            format!("{name}{short}"),
            format!("{title}{of}"),
            body,
        )
    };
    // The record has them in the order in which they ended, which nobody can look anything up in.
    let all = record.planned();
    let workloads = record.workloads();
    let mut summaries = Vec::new();
    let mut charts = Vec::new();
    let mut rows = Vec::new();
    for (place, workload) in workloads.iter().enumerate() {
        let cells: Vec<&Cell> =
            all.iter().copied().filter(|cell| cell.workload == *workload).collect();
        let id = format!("w{place}");
        let summary = WorkloadSummary::of(workload, format!("{prefix}-{id}"), &cells);
        let source =
            run.workloads.iter().find(|of| of.name == *workload).map(|of| of.source.as_str());
        let body = workload::Section::of(workload, source, &cells, &summary);
        let shown = name(workload);
        charts.push(Section { charts: true, ..section(&id, &shown, &shown, rendered(&body)) });
        rows.push((*workload, summary.id.clone(), cells));
        summaries.push(summary);
    }
    let first = FirstScreen {
        matrix: Matrix::of(run, &format!("{prefix}-by"), &rows),
        words: lines::words(all.iter().copied()),
        models: lines::widest(&lines::lines(&all)).into_iter().map(Chip::of_model).collect(),
        missing: without::Missing::of(run, &all).as_ref().map_or_else(String::new, rendered),
        holds: overview::holds(run, &summaries),
        workloads: &summaries,
    };
    sections.push(Section {
        plain: !several,
        ..section("when", "Which model", "Which model, when", rendered(&first))
    });
    sections.extend(charts);
    let table = rendered(&Filtered::of(cells::all(run, &all), &format!("{prefix}-all")));
    sections.push(section("cells", "All cells", "All cells", table));
    sections.push(section(
        "models",
        "Models",
        "Models",
        rendered(&models::table(&run.models, &all)),
    ));
    if let Some(nodes) = &record.nodes {
        let table = rendered(&models::nodes(nodes, &record.cells));
        sections.push(section("nodes", "Nodes", "Nodes", table));
    }
    let tables = rendered(&models::machine(run)) + &dependencies(record);
    sections.push(section("machine", "Machine", "Machine, build and settings", tables));
}

/// Returns the versions of all crates, folded.
fn dependencies(record: &Record) -> String {
    let mut table = Table::new("Versions of every crate, by the lock file", "crate | version");
    for (krate, version) in &record.run.build.dependencies {
        table.rows.push(vec![name(krate).into(), name(version).into()]);
    }
    if table.rows.is_empty() {
        return String::new();
    }
    format!("<details><summary>Versions of every crate</summary>{}</details>", rendered(&table))
}

fn of_history(history: &[Series]) -> Section {
    let figures: Vec<String> = past::figures(history).iter().map(rendered).collect();
    let steps: usize = history.iter().map(|series| series.steps.len()).sum();
    let text = format!(
        "{} series of recorded runs, {}. Runs of different machines or instruments are never in one series.",
        count(history.len()),
        counted(steps, "step")
    );
    let table = rendered(&Filtered::of(past::table(history), "history-all"));
    Section::new(
        "history",
        "History",
        "Recorded runs over time",
        format!("<p>{text}</p>{}{table}", figures.concat()),
    )
}

/// A long table with a filter.
#[derive(Template)]
#[template(path = "filtered.html")]
struct Filtered {
    id: String,
    table: Table,
    /// Columns with few distinct values: their index, name and values.
    columns: Vec<(usize, String, Vec<String>)>,
}

impl Filtered {
    /// Columns with at most this many distinct values have a menu.
    const WORDS: usize = 40;

    fn of(table: Table, id: &str) -> Self {
        let column = |(place, head): (usize, &String)| {
            let words = in_order(table.rows.iter().map(|row| row[place].text.clone()));
            let few = (2..=Self::WORDS).contains(&words.len())
                && words.iter().all(|word| !word.is_empty());
            let worded =
                ["workload", "model", "state", "metric", "by", "scale"].contains(&head.as_str());
            (few && worded).then(|| (place, head.clone(), words))
        };
        let columns = table.head.iter().enumerate().filter_map(column).collect();
        Filtered { id: id.into(), columns, table }
    }
}

/// Returns a definition without control characters and marks that change the direction of text.
fn definition(source: &str) -> String {
    let lines: Vec<String> = source.lines().map(plain).collect();
    lines.join("\n").chars().take(DEFINITION).collect()
}

fn rendered(part: &impl Template) -> String {
    part.render().expect("memory takes it")
}

/// The charts of a run by name, each as an SVG file, for slides.
pub struct Charts(Vec<(String, Picture)>);

impl Charts {
    /// Returns the charts that its page has.
    pub fn of(record: &Record) -> Self {
        let mut charts = Vec::new();
        for workload in record.workloads() {
            let cells: Vec<&Cell> =
                record.cells.iter().filter(|cell| cell.workload == workload).collect();
            let summary = WorkloadSummary::of(workload, String::new(), &cells);
            for figure in workload::figures(&cells, &summary.classes) {
                charts.extend(
                    figure
                        .picture
                        .map(|picture| (format!("{}/{}", name(workload), figure.kind), picture)),
                );
            }
        }
        Charts(charts)
    }

    /// Returns their names: the workload and the kind of chart.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the chart `name` as an SVG file; `None` if there is none of this name.
    pub fn svg(&self, name: &str) -> Option<String> {
        self.find(name).map(Picture::file)
    }

    fn find(&self, name: &str) -> Option<&Picture> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, picture)| picture)
    }
}

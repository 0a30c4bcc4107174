//! The section of one workload: charts of throughput, latency, memory, CPU time, speed-up and scalability.

use askama::Template;

use super::{
    charts,
    lines::{Line, OWN, lines as lines_of, scales, widest as widest_of, words},
    load, models, over_time,
    overview::{WorkloadSummary, bytes, nanoseconds, titled},
    parts::{Data, Figure, Picture, Table, name, reason},
    percentiles, scaling, speed,
};
use crate::{
    advice::{Advice, MARGIN, Measure, Series as Leaders},
    output::{capital, count, listed, rate, shorten},
    record::{Cell, Estimate, State, bytes_per_job},
    report::{
        chart::Series,
        table::{ranked, series_name, spread, word},
        unreliable::remarks,
    },
};
use paceline_core::{job::Workload, perform::Placement};

/// The section of one workload.
#[derive(Template)]
#[template(path = "workload.html")]
pub(super) struct Section<'s> {
    about: String,
    /// A sentence for each unreliable model.
    remarks: Vec<String>,
    definition: String,
    /// The lines' names and styles, for the check boxes that hide them.
    legend: Vec<Key>,
    figures: Vec<Figure>,
    /// Tables without a chart.
    tables: Vec<Table>,
    /// The recommendations in at most four sentences, and the figures behind them.
    summary: &'s WorkloadSummary,
}

/// The style of a line.
struct Key {
    style: usize,
    name: String,
    swatch: String,
}

impl<'s> Section<'s> {
    /// Returns the section of the cells of one workload, whose definition is `source`.
    pub(super) fn of(
        workload: &str,
        source: Option<&str>,
        cells: &[&Cell],
        summary: &'s WorkloadSummary,
    ) -> Self {
        let (id, classes) = (&summary.id, &summary.classes);
        let lines = lines_of(cells);
        let widest = widest_of(&lines);
        let about =
            source.and_then(|source| Workload::parse(workload, source).ok()).map(|of| of.about);
        let key = |line: &&Line| Key {
            style: line.style,
            name: name(line.model),
            swatch: charts::swatch(line.style),
        };
        let mut figures = figures(cells, classes);
        for figure in &mut figures {
            figure.id = format!("{id}-{}", figure.kind);
        }
        let scaling = [
            scaling::table(workload, &lines),
            scaling::of_bound(workload, &lines, &scales(cells)),
            models::failed_groups(workload, &lines),
        ];
        let crossings = titled("Where the best changes hands", classes).map(crossings);
        let load = [load::nodes(cells), load::against(cells), load::by_url(cells)];
        Section {
            remarks: remarks(cells.iter().map(|cell| cell.model.as_str())),
            about: about.map_or_else(String::new, |about| shorten(&about, 400)),
            definition: source.map(super::definition).unwrap_or_default(),
            legend: widest.iter().map(key).collect(),
            figures,
            tables: scaling.into_iter().chain(crossings).chain(load).flatten().collect(),
            summary,
        }
    }
}

/// Returns every chart with content.
pub(super) fn figures(cells: &[&Cell], classes: &[(Placement, Advice)]) -> Vec<Figure> {
    let lines = lines_of(cells);
    let (widest, scales) = (widest_of(&lines), scales(cells));
    // Languages have separate charts: their absolute speeds show more of the language than of the model.
    let (own, others): (Vec<Line>, Vec<Line>) =
        lines_of(cells).into_iter().partition(|line| line.language == OWN);
    let marked: Vec<(&Cell, &str)> = scales
        .iter()
        .flat_map(|scale| {
            let row: Vec<&Cell> =
                cells.iter().copied().filter(|cell| cell.scale == *scale).collect();
            let marks = ranked(&row);
            row.into_iter().zip(marks)
        })
        .collect();
    let apart = |of: &[Line], kind: &'static str, of_which: &str| -> Vec<Figure> {
        if of.is_empty() {
            return vec![];
        }
        let widest = widest_of(of);
        let mut both = vec![throughput(of, &widest, &scales, &marked, classes)];
        both.extend(cpu(&widest, &scales));
        for figure in &mut both {
            figure.title.push_str(of_which);
            if !kind.is_empty() {
                figure.kind = if figure.kind == "cpu" { "cpu-others" } else { kind };
            }
        }
        both
    };
    let mut figures = apart(&own, "", "");
    let beside = if own.is_empty() { "" } else { ", other languages" };
    let others = apart(&others, "throughput-others", beside);
    figures.extend(others);
    let more = [
        speed::over_sequential(&lines),
        speed::speed_up(&lines),
        percentiles::figure(&widest, &scales),
        load::under_load(&widest),
        memory(&widest),
    ];
    figures.extend(more.into_iter().flatten());
    figures.extend(over_time::figures(&widest));
    figures
}

/// Returns jobs a second over the scale. The table below it is a heat map of all cells with their states.
fn throughput(
    lines: &[Line],
    widest: &[&Line],
    scales: &[usize],
    marked: &[(&Cell, &str)],
    classes: &[(Placement, Advice)],
) -> Figure {
    let (unit, at) = words(lines.iter().flat_map(|line| line.cells.iter().copied()));
    let caption =
        format!("{} for each model and number of {at}, and how each cell ended", capital(unit));
    let best = |scale: usize, class: Placement| {
        let cells = lines.iter().filter_map(|line| line.at(scale));
        let rates = cells.filter(|cell| cell.class() == class).filter_map(figure);
        rates.map(|rate| rate.value).filter(|rate| rate.is_finite()).fold(0.0, f64::max)
    };
    let both =
        |scale: &usize| [Placement::Inside, Placement::Outside].map(|class| best(*scale, class));
    let best: Vec<[f64; 2]> = scales.iter().map(both).collect();
    let table = by_scale(caption, lines, scales, |line, place| {
        let cell = line.at(scales[place]);
        let of = |cell: &Cell| marked.iter().find(|(one, _)| std::ptr::eq(*one, cell));
        let mark = cell.and_then(of).map_or("", |(_, mark)| *mark);
        let class = usize::from(cell.is_some_and(|cell| cell.class() == Placement::Outside));
        heat(cell, best[place][class], mark)
    });
    let several = lines.len() > widest.len();
    let only = if several { " Of each model the most workers; the table has all." } else { "" };
    let bound = if charts::has_bound(widest) {
        " The dotted line is what no model can exceed, by the definition's waits, this machine's cores and an offered rate."
    } else {
        ""
    };
    let plot = charts::throughput(unit, at, widest, classes);
    let crossed = if plot.marks.is_empty() {
        ""
    } else {
        " Shaded bands are where the best changes hands: somewhere between the two scales."
    };
    let is_broken =
        plot.series.iter().flat_map(|series| &series.points).any(|point| point.after_gap);
    let broken = if is_broken { " A line is broken where a scale has no figure." } else { "" };
    let picture = is_line(&plot.series).then_some(Picture::Plot(plot));
    // Without a chart there is neither a bar nor a dotted line.
    let drawn =
        picture.as_ref().map(|_| format!(" Bars are intervals.{broken}{bound}{crossed}{only}"));
    let drawn = drawn.unwrap_or_default();
    let least = load::least_note(lines.iter().flat_map(|line| line.cells.iter().copied()));
    let caption = format!(
        "Higher is better.{drawn} In the table shades follow the share of the best of its placement in a column; * is that best, = is tied with it{least}."
    );
    Figure {
        id: String::new(),
        title: format!("{} over {at}", capital(unit)),
        kind: "throughput",
        picture,
        caption,
        table,
        open: true,
    }
}

/// Returns a row for each line, with a field for each scale.
pub(super) fn by_scale<'l, 'a: 'l>(
    caption: impl Into<String>,
    lines: impl IntoIterator<Item = &'l Line<'a>>,
    scales: &[usize],
    field: impl Fn(&Line, usize) -> Data,
) -> Table {
    let mut table =
        Table::new(caption, "model").with_columns(scales.iter().map(|scale| count(*scale)));
    for line in lines {
        let fields = (0..scales.len()).map(|place| field(line, place));
        table.rows.push(std::iter::once(line.name.clone().into()).chain(fields).collect());
    }
    table
}

pub(super) fn figure(cell: &Cell) -> Option<Estimate> {
    cell.jobs_per_second.filter(|_| cell.state == State::Ok)
}

/// Returns the same if it is the model's own: neither the suite's server's nor a rate that was given.
pub(super) fn own_figure(cell: &Cell) -> Option<Estimate> {
    figure(cell).filter(|_| !cell.is_server_bound() && cell.has_own_rate())
}

/// Returns a field of the heat map: the figure, shaded by its share of the best of its placement, with its mark;
/// or the state.
fn heat(cell: Option<&Cell>, best: f64, mark: &str) -> Data {
    let Some(cell) = cell else { return Data::default() };
    let Some(jobs) = figure(cell) else {
        let why = reason(cell.reason.as_deref());
        return Data {
            text: word(cell.state).into(),
            title: why,
            class: word(cell.state).into(),
            ..Data::default()
        };
    };
    let share = if best > 0.0 { jobs.value / best } else { 0.0 };
    let step = match share {
        of if of >= 1.0 - MARGIN => 5,
        of if of >= 0.8 => 4,
        of if of >= 0.6 => 3,
        of if of >= 0.4 => 2,
        of if of >= 0.2 => 1,
        _ => 0,
    };
    let more = spread(cell);
    let modes = if cell.modes.is_some() { " two modes" } else { "" };
    let bound = cell.bound_jobs_per_second.filter(|bound| *bound > 0.0);
    let title = bound.map_or_else(String::new, |bound| {
        format!("{:.0} % of the bound", jobs.value / bound * 100.0)
    });
    let mark = if mark.is_empty() { cell.least_mark() } else { mark };
    Data {
        text: format!("{mark}{}", rate(jobs.value)),
        more: more + modes,
        class: format!("heat h{step}"),
        title,
    }
}

/// Returns whether there is a line to draw: a single point, far from the ends of its axis, says less than the table.
fn is_line(series: &[Series]) -> bool {
    series.len() > 1 || series.iter().any(|one| one.points.len() > 1)
}

/// Returns CPU time per job over the scale.
fn cpu(lines: &[&Line], scales: &[usize]) -> Option<Figure> {
    let of = |cell: &Cell| cell.cpu_ns_per_job.filter(|ns| ns.is_finite() && *ns > 0.0);
    if !lines.iter().any(|line| line.measured_cells().any(|cell| of(cell).is_some())) {
        return None;
    }
    let table = by_scale("CPU time per job", lines.iter().copied(), scales, |line, place| {
        let cell = line.at(scales[place]).filter(|cell| cell.state == State::Ok);
        cell.and_then(of).map_or_else(Data::default, |ns| Data::of(nanoseconds(ns)))
    });
    let plot = charts::cpu(lines);
    let drawn = is_line(&plot.series);
    Some(Figure {
        title: "CPU time per job".into(),
        kind: "cpu",
        open: !drawn,
        picture: drawn.then_some(Picture::Plot(plot)),
        caption: "Lower is better: user and system time of the model's process, all its threads, for each job. Starting and \
                  joining many jobs is shared among them, so that lines fall; where they rise, contention begins."
            .into(),
        table,
        ..Figure::default()
    })
}

/// Returns memory per job: the slope over the scales.
fn memory(lines: &[&Line]) -> Option<Figure> {
    let mut table = Table::new(
        "Memory",
        "model | per job | before the first batch | added at the largest scale | largest scale",
    );
    let mut bars = Vec::new();
    for line in lines {
        let of: Vec<&Cell> = line.measured_cells().collect();
        let Some(last) = of
            .iter()
            .rev()
            .find(|cell| cell.resources.is_some_and(|used| used.rss_bytes.is_some()))
        else {
            continue;
        };
        let used = last.resources.unwrap_or_default();
        let slope = bytes_per_job(&of);
        bars.extend(slope.map(|slope| charts::bytes(line, slope)));
        let shown =
            |value: Option<u64>| value.map_or_else(String::new, |value| bytes(value as f64));
        table.rows.push(vec![
            line.name.clone().into(),
            slope.map_or_else(|| "too little to tell".into(), bytes).into(),
            shown(used.rss_bytes).into(),
            shown(used.rss_bytes_added).into(),
            count(last.scale).into(),
        ]);
    }
    if table.rows.is_empty() {
        return None;
    }
    Some(Figure {
        id: String::new(),
        title: "Memory per job".into(),
        kind: "memory",
        open: bars.is_empty(),
        picture: (!bars.is_empty()).then(|| Picture::Bars(charts::memory(bars))),
        caption: "Lower is better: how much more is resident in the model's process for each job in flight, as the slope over \
                  the scales. Memory of the kernel, such as socket buffers, is not in it."
            .into(),
        table,
    })
}

/// Returns the crossings in words.
fn crossings((title, advice): (String, &Advice)) -> Option<Table> {
    let mut table =
        Table::new(title, "by | ahead up to | scale | ahead from | scale | how it is known");
    let all = |leaders: &[Leaders]| {
        let own = |one: &Leaders| name(&series_name(&one.model, one.workers));
        let names: Vec<String> = leaders.iter().map(own).collect();
        Data::of(listed(&names, 6)).class("l w")
    };
    for crossing in &advice.crossings {
        let by = if crossing.by == Measure::P99 { "p99 latency" } else { "throughput" };
        let how = if crossing.overtaken {
            "paired tests tell them apart"
        } else {
            "those before have no figure there"
        };
        table.rows.push(vec![
            by.into(),
            all(&crossing.ahead),
            count(crossing.up_to).into(),
            all(&crossing.then),
            count(crossing.from).into(),
            Data::of(how).class("l"),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PerTrial;

    /// Returns a cell with these trials, in jobs per second.
    fn cell(model: &str, rates: [f64; 5]) -> Cell {
        Cell {
            jobs_per_second: Estimate::of_trials(&rates, 0.0),
            per_trial: PerTrial { jobs_per_second: rates.to_vec(), ..PerTrial::default() },
            ..Cell::new("echo", model, 10, Some(2), Placement::Inside, State::Ok)
        }
    }

    #[test]
    fn a_tie_has_the_mark_that_it_has_in_the_terminal() {
        let cells = [
            cell("tokio", [99.0, 100.0, 101.0, 100.0, 100.0]),
            cell("smol", [101.0, 99.0, 100.0, 100.0, 101.0]),
            cell("compio", [50.0, 51.0, 50.0, 49.0, 50.0]),
        ];
        let all: Vec<&Cell> = cells.iter().collect();
        let heat = &figures(&all, &[])[0];
        let shown: Vec<&str> = heat.table.rows.iter().map(|row| &*row[1].text).collect();
        assert_eq!(ranked(&all), ["=", "*", ""]);
        assert_eq!(shown, ["=100", "*100", "50.0"], "{}", heat.caption);
    }
}

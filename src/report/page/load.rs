//! Servers at several rates: their tail latency, and the highest rates that they sustained.

use super::{
    charts::{self, Loaded},
    lines::Line,
    overview::{nanoseconds, with_interval},
    parts::{Data, Figure, Picture, Table, name, reason},
};
use crate::{
    output::{count, rate},
    record::{AtShare, Cell, Estimate, Knee, MOSTLY_LATE, State},
    report::load::{BY_URL, few_trials, has_late_url, least_legend, of_url},
};

/// The meaning of the mark of a latency in the table of a chart.
pub(super) const NOT_DRAWN: &str = " A latency of which over half is the generator's own lateness has a ? in the table, and is not drawn.";

/// Returns latency over the offered rate, with the knees.
pub(super) fn under_load(lines: &[&Line]) -> Option<Figure> {
    let mut table = Table::new(
        "Every rate that was tried",
        "model | requests per second | p99 latency | kept | remark",
    )
    .with_prose(&[4]);
    let mut drawn: Vec<Loaded> = Vec::new();
    for line in lines {
        let begun = |name: String| Loaded {
            name,
            style: line.style,
            points: vec![],
            knee: None,
            is_least: false,
            limit_ns: None,
        };
        // A search is one line. Cells of fixed rates form a line for each number of connections.
        let mut fixed: Vec<(usize, Loaded)> = Vec::new();
        for cell in &line.cells {
            if let Some(knee) = cell.load.as_ref().and_then(|load| load.knee.as_ref()) {
                let mut loaded = begun(line.name.clone());
                searched(knee, &mut loaded, &mut table);
                let shares = cell.load.iter().flat_map(|load| &load.at_shares);
                shares.for_each(|at| at_share(at, &mut loaded, &mut table));
                drawn.push(loaded);
            } else if let Some(figures) = offered(cell) {
                let is_late = cell.own_latency("p99").is_none();
                let known = fixed.iter().position(|(scale, _)| *scale == cell.scale);
                let place = known.unwrap_or_else(|| {
                    let name = format!("{}, {} open", line.name, count(cell.scale));
                    fixed.push((cell.scale, begun(name)));
                    fixed.len() - 1
                });
                let loaded = &mut fixed[place].1;
                let of_late = is_late.then_some(MOSTLY_LATE);
                let remark: Vec<&str> = few_trials(cell).into_iter().chain(of_late).collect();
                let remark = reason(Some(&remark.join("; ")));
                table.rows.push(vec![
                    loaded.name.clone().into(),
                    rate(figures.0).into(),
                    marked(figures.1, is_late),
                    "yes".into(),
                    remark.into(),
                ]);
                loaded.points.extend((!is_late).then_some(figures));
            }
        }
        drawn.extend(fixed.into_iter().map(|(_, loaded)| loaded));
    }
    for loaded in &mut drawn {
        loaded.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    drawn.retain(|loaded| !loaded.points.is_empty());
    let has_late = table.has_marks();
    let least = least_note(lines.iter().flat_map(|line| line.cells.iter().copied()));
    (!drawn.is_empty() || has_late).then(|| Figure {
        title: "p99 latency over the offered rate".into(),
        kind: "load",
        picture: (!drawn.is_empty()).then(|| Picture::Plot(charts::under_load(&drawn))),
        caption: format!(
            "Requests start at times set beforehand, whatever becomes of those before: a server that stalls is charged for \
             all that it keeps waiting. The marked rate is the highest that was kept{least}.{}",
            if has_late { NOT_DRAWN } else { "" }
        ),
        table,
        ..Figure::default()
    })
}

/// Returns a row for each rate of a search.
fn searched(knee: &Knee, loaded: &mut Loaded, table: &mut Table) {
    loaded.limit_ns = Some(knee.limit_ns as f64);
    loaded.is_least = knee.is_least();
    for step in &knee.steps {
        let kept = step.gave_way.is_none();
        let p99 = step.latency_ns_p99.map(Estimate::exactly);
        table.rows.push(vec![
            loaded.name.clone().into(),
            rate(step.rate).into(),
            p99.map_or_else(Data::default, |p99| marked(p99, step.mostly_late)),
            if kept { "yes" } else { "no" }.into(),
            reason(step.gave_way.as_deref()).into(),
        ]);
        loaded.points.extend(p99.filter(|_| !step.mostly_late).map(|p99| (step.rate, p99)));
        if kept {
            loaded.knee = Some(loaded.knee.map_or(step.rate, |rate: f64| rate.max(step.rate)));
        }
    }
}

/// Returns the measurements at shares of the rate that a search found.
fn at_share(at: &AtShare, loaded: &mut Loaded, table: &mut Table) {
    let kept = at.state == State::Ok;
    let is_late = at.mostly_late.iter().any(|name| name == "p99");
    table.rows.push(vec![
        format!("{}, at {} of the highest kept", loaded.name, at.percent()).into(),
        rate(at.rate).into(),
        at.latency_ns_p99.map_or_else(Data::default, |p99| marked(p99, is_late)),
        if kept { "yes" } else { "no" }.into(),
        reason(at.reason.clone().or_else(|| at.errors()).as_deref()).into(),
    ]);
    let p99 = at.latency_ns_p99.filter(|_| kept && !is_late);
    loaded.points.extend(p99.map(|p99| (at.rate, p99)));
}

/// Returns what the mark of the least rate means, in parentheses, if one of `cells` has it.
pub(super) fn least_note<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> String {
    least_legend(cells).map_or_else(String::new, |legend| format!(" ({legend})"))
}

/// Returns a latency with its interval, and with a mark if it is mostly the generator's lateness.
pub(super) fn marked(of: Estimate, is_late: bool) -> Data {
    let shown = with_interval(Some(of), &nanoseconds);
    let mark = if is_late { "?" } else { "" };
    Data { text: format!("{mark}{}", shown.text), ..shown }
}

/// Returns where each server and its generators were, if on several nodes.
pub(super) fn nodes(cells: &[&Cell]) -> Option<Table> {
    let mut table = Table::new(
        "Where the load was",
        "server | connections | server's node | generators' nodes | start agreed within | ranked",
    );
    for cell in cells {
        let Some(hosts) = cell.load.as_ref().and_then(|load| load.hosts.as_ref()) else { continue };
        let ranked = if hosts.shared_host { "no: shared host" } else { "yes" };
        let clocks =
            hosts.clock_uncertainty_ns.map_or_else(String::new, |ns| nanoseconds(ns as f64));
        table.rows.push(vec![
            name(&cell.server_name()).into(),
            count(cell.scale).into(),
            Data::of(name(&hosts.server)).class("l"),
            Data::of(name(&hosts.generators.join(", "))).class("l"),
            clocks.into(),
            Data::of(ranked).class("l"),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns the comparisons of servers that took turns.
pub(super) fn against(cells: &[&Cell]) -> Option<Table> {
    let mut table = Table::new(
        "Two servers that took turns",
        "server | against | of | pairs of trials | ratio | lower end | upper end | level | what it says",
    );
    for cell in cells {
        let Some(against) = cell.load.as_ref().and_then(|load| load.against.as_ref()) else {
            continue;
        };
        let times = |ratio: f64| Data::of(format!("{ratio:.3}×"));
        for one in against.ratios() {
            table.rows.push(vec![
                name(&cell.server_name()).into(),
                Data::of(name(&against.base)).class("l"),
                Data::of(one.name).class("l"),
                count(against.pairs).into(),
                times(one.estimate.value),
                times(one.estimate.lower),
                times(one.estimate.upper),
                format!("{:.1} %", against.level * 100.0).into(),
                Data::of(one.word).class("l"),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns a row for each URL that was requested by weight.
pub(super) fn by_url(cells: &[&Cell]) -> Option<Table> {
    let head = format!("server | connections | {BY_URL}");
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok);
    let loads = || measured().filter_map(|cell| Some((cell, cell.load.as_ref()?)));
    let late = loads().any(|(_, load)| has_late_url(load));
    let mark = if late { format!(" ({MOSTLY_LATE})") } else { String::new() };
    let mut table = Table::new(format!("Each URL by itself{mark}"), &head);
    for (cell, load) in loads() {
        for url in &load.by_url {
            let mut fields = vec![name(&cell.server_name()).into(), count(cell.scale).into()];
            fields.push(Data::of(name(&url.name())).class("l"));
            fields.extend(of_url(url, load).into_iter().skip(1).map(Data::of));
            table.rows.push(fields);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns the rate and the p99 latency of a cell of an open loop, if it has a figure.
fn offered(cell: &Cell) -> Option<(f64, Estimate)> {
    let p99 = cell.latency_ns_p99.filter(|_| cell.state == State::Ok)?;
    Some((cell.load.as_ref()?.rate?, p99))
}

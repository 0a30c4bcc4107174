//! The gain from more workers.

use super::{
    charts,
    lines::{Line, by_workers, common_scale, left_out, most_workers, words},
    overview::with_interval,
    parts::{Data, Figure, Picture, Table, name},
    workload::own_figure,
};
use crate::{
    output::{count, counted, rate},
    record::{Cell, Estimate},
    report::chart::{Bar, Series},
};

/// Returns throughput with more workers over that with the fewest, of all models at one scale.
pub(super) fn speed_up(lines: &[Line]) -> Option<Figure> {
    let (unit, at) = words(lines.iter().flat_map(|line| line.cells.iter().copied()));
    let head = format!("model | {at} | workers | {unit} | speed-up | share of the ideal");
    let mut table = Table::new("Speed-up over workers", &head);
    let models = by_workers(lines);
    if models.is_empty() {
        return None;
    }
    let Some(scale) = scale_over_workers(lines) else {
        return Some(without_scale("Speed-up over workers", "speed-up", lines, table));
    };
    let (mut drawn, mut without): (Vec<Series>, Vec<String>) = (vec![], vec![]);
    for (model, of) in models {
        let base = of[0].at(scale).filter(|_| all_at(&of, scale));
        let Some(base) = base else {
            without.push(name(model));
            continue;
        };
        let fewest = of[0].workers.unwrap_or(1);
        let mut up = Series { name: name(model), index: of[0].style, points: vec![] };
        for line in &of {
            let jobs = line.at(scale).and_then(|cell| Some((own_figure(cell)?, over(cell, base)?)));
            let (Some((jobs, ratio)), Some(workers)) = (jobs, line.workers) else { continue };
            let ratio = if workers == fewest { Estimate::exactly(1.0) } else { ratio };
            up.points.push(charts::point(workers as f64, ratio));
            let ideal = workers as f64 / fewest as f64;
            table.rows.push(vec![
                name(model).into(),
                count(scale).into(),
                workers.to_string().into(),
                with_interval(Some(jobs), &rate),
                with_interval(Some(ratio), &|value| format!("{value:.2}×")),
                format!("{:.0} %", ratio.value / ideal * 100.0).into(),
            ]);
        }
        drawn.push(up);
    }
    Some(Figure {
        title: "Speed-up over workers".into(),
        kind: "speed-up",
        picture: Some(Picture::Plot(charts::speed_up(drawn))),
        caption: format!(
            "Throughput with more workers over that with the fewest, of all models at {} {at}. The dotted line is \
             the ideal: twice the workers, twice the throughput. {}{}",
            count(scale),
            INTERVAL,
            left_out(&without)
        ),
        table,
        ..Figure::default()
    })
}

/// Returns the scale at which models are compared over their worker counts.
pub(super) fn scale_over_workers(lines: &[Line]) -> Option<usize> {
    common_scale(lines, &by_workers(lines), |(_, of), scale| all_at(of, scale))
}

/// Returns whether all of these lines have figures at this scale.
pub(super) fn all_at(of: &[&Line], scale: usize) -> bool {
    of.iter().all(|line| line.at(scale).and_then(own_figure).is_some())
}

/// Returns what replaces a chart whose models share no scale.
fn without_scale(title: &str, kind: &'static str, lines: &[Line], table: Table) -> Figure {
    let (_, at) = words(lines.iter().flat_map(|line| line.cells.iter().copied()));
    let caption = format!(
        "No chart: it needs one scale, of at least {} {at} to keep all workers busy, at which two models have figures.",
        count(most_workers(lines))
    );
    let title = title.into();
    Figure { kind, title, caption, table, ..Figure::default() }
}

const OVER_SEQUENTIAL: &str = "Speed-up over the sequential program of the same language";

/// What the bars of a ratio are.
const INTERVAL: &str = "Bars are 95 % intervals of the ratio (Welch); there is none if one of both has fewer than 3 trials.";

/// Returns the ratio of throughputs, with its interval if both have enough trials for one.
fn over(cell: &Cell, base: &Cell) -> Option<Estimate> {
    let value = own_figure(cell)?.value / own_figure(base)?.value;
    let interval =
        |(lower, upper): (f64, f64)| Estimate { value, lower: lower.exp(), upper: upper.exp() };
    Some(cell.rate_over(base).map_or_else(|| Estimate::exactly(value), interval))
}

/// Returns, for jobs that wait for no timer, the speed-up of each model over the sequential program of its language, or
/// over its own single worker if that language has no such program here; all at one scale.
pub(super) fn over_sequential(lines: &[Line]) -> Option<Figure> {
    let computes =
        |line: &Line| line.cells.iter().all(|cell| cell.floor_ns == 0 && cell.load.is_none());
    let several = lines.iter().any(|line| line.workers.is_some_and(|workers| workers > 1));
    if !several || !lines.iter().all(computes) {
        return None;
    }
    let mut table = Table::new(
        OVER_SEQUENTIAL,
        "model | language | compared with | jobs at once | jobs per second | speed-up",
    );
    let pairs: Vec<(&Line, &Line)> =
        lines.iter().filter_map(|line| Some((line, sequential(lines, line)?))).collect();
    if pairs.is_empty() {
        return None;
    }
    let times = |(line, base): &(&Line, &Line), scale: usize| {
        let cell = line.at(scale)?;
        let times = over(cell, base.at(scale)?)?;
        Some((own_figure(cell)?, times)).filter(|_| times.value.is_finite())
    };
    let Some(scale) = common_scale(lines, &pairs, |pair, scale| times(pair, scale).is_some())
    else {
        return Some(without_scale(OVER_SEQUENTIAL, "over-sequential", lines, table));
    };
    let (mut bars, mut without): (Vec<Bar>, Vec<String>) = (vec![], vec![]);
    for pair @ (line, base) in &pairs {
        let Some((jobs, times)) = times(pair, scale) else {
            without.push(line.name.clone());
            continue;
        };
        table.rows.push(vec![
            line.name.clone().into(),
            Data::of(line.language).class("l"),
            Data::of(base.name.clone()).class("l"),
            count(scale).into(),
            with_interval(Some(jobs), &rate),
            with_interval(Some(times), &|value| format!("{value:.2}×")),
        ]);
        bars.push(charts::times(line, times));
    }
    Some(Figure {
        title: OVER_SEQUENTIAL.into(),
        kind: "over-sequential",
        picture: Some(Picture::Bars(charts::over_sequential(bars))),
        caption: format!(
            "All at {}. These jobs wait for no timer. If they only compute, an event loop is no speed-up: its bar ends near 1, \
             and the ideal is as many times as there are workers, on as many cores. {}{}",
            counted(scale, "job at once"),
            INTERVAL,
            left_out(&without)
        ),
        table,
        ..Figure::default()
    })
}

/// Returns the baseline of a line; `None` if it is its own.
fn sequential<'l, 'a>(lines: &'l [Line<'a>], line: &Line<'a>) -> Option<&'l Line<'a>> {
    let same = |other: &&Line| other.language == line.language;
    let plain = lines.iter().filter(same).find(|other| other.model.ends_with("sequential"));
    let base = plain.or_else(|| {
        lines.iter().find(|other| other.model == line.model && other.workers == Some(1))
    })?;
    (base.model != line.model || base.workers != line.workers).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{PerTrial, State},
        report::page::{lines::lines, scaling},
    };
    use paceline_core::perform::Placement;

    /// Returns cells of a workload that computes: each model with 1 and 2 workers, or with 1, at its scales.
    fn cells(of: &[(&str, &[usize], &[usize])]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (model, workers, scales) in of {
            for (workers, scale) in
                workers.iter().flat_map(|w| scales.iter().map(move |scale| (*w, *scale)))
            {
                let cell =
                    Cell::new("cpu", model, scale, Some(workers), Placement::Inside, State::Ok);
                // One job gains nothing; many jobs gain everything.
                let value = 1000.0 * workers.min(scale) as f64;
                let jobs = Estimate { value, lower: value * 0.99, upper: value * 1.01 };
                cells.push(Cell { jobs_per_second: Some(jobs), ..cell });
            }
        }
        cells
    }

    fn figure_of(cells: &[Cell], make: fn(&[Line]) -> Option<Figure>) -> Option<Figure> {
        make(&lines(&cells.iter().collect::<Vec<_>>()))
    }

    /// Returns the scales in the table of a figure.
    fn scales(figure: &Figure, column: usize) -> Vec<&str> {
        figure.table.rows.iter().map(|row| row[column].text.as_str()).collect()
    }

    const BOTH: &[usize] = &[1, 2];

    #[test]
    fn a_speed_up_has_an_interval_only_if_both_of_its_figures_have_three_trials() {
        let both = [("sequential", &[1][..], &[10][..]), ("rayon", BOTH, &[10])];
        let shown = |of_base: usize, of_two: usize| {
            let mut all = cells(&both);
            for cell in &mut all {
                let trials = if cell.workers == Some(2) { of_two } else { of_base };
                let rate = cell.jobs_per_second.unwrap().value;
                let rates: Vec<f64> =
                    [0.98, 1.0, 1.02][..trials].iter().map(|share| share * rate).collect();
                cell.jobs_per_second = Estimate::of_trials(&rates, 0.0);
                cell.per_trial = PerTrial { jobs_per_second: rates, ..PerTrial::default() };
            }
            let [up, over] = [speed_up, over_sequential].map(|make| figure_of(&all, make).unwrap());
            // Two workers over one, and over the sequential program, whose figures are the same.
            let last = |figure: &Figure| {
                figure.table.rows.last().unwrap()[if figure.kind == "speed-up" { 4 } else { 5 }]
                    .more
                    .clone()
            };
            [last(&up), last(&over)]
        };
        // ln 2 ± t(4) · √2 · 0.02 / √3, nearly.
        assert_eq!(shown(3, 3), ["1.91× to 2.09×"; 2]);
        assert_eq!(shown(2, 3), [""; 2]);
        assert_eq!(shown(3, 2), [""; 2]);
    }

    #[test]
    fn all_models_are_at_one_scale_and_the_one_that_lacks_it_is_named() {
        let all = cells(&[
            ("python-processes", BOTH, &[1]),
            ("rayon", BOTH, &[1, 10, 1000]),
            ("tokio", BOTH, &[1, 10]),
            ("smol", BOTH, &[1, 10]),
        ]);
        let figure = figure_of(&all, speed_up).unwrap();
        assert_eq!(scales(&figure, 1), ["10"; 6]);
        assert!(figure.picture.is_some());
        assert!(figure.caption.contains("at 10 jobs at once"), "{}", figure.caption);
        assert!(figure.caption.ends_with("at this scale: python-processes."), "{}", figure.caption);
    }

    #[test]
    fn a_figure_that_may_be_the_suites_servers_is_no_speed_up() {
        let both = [("rayon", BOTH, &[10][..]), ("tokio", BOTH, &[10]), ("smol", BOTH, &[10])];
        let mut all = cells(&both);
        let of_tokio = all.iter_mut().filter(|cell| cell.model == "tokio");
        of_tokio.for_each(|cell| cell.server_busy_share_max = Some(0.95));
        let figure = figure_of(&all, speed_up).unwrap();
        assert_eq!(figure.table.rows.len(), 4);
        assert!(figure.caption.ends_with("at this scale: tokio."), "{}", figure.caption);
    }

    #[test]
    fn models_that_share_no_scale_of_as_many_jobs_as_workers_have_a_sentence_and_no_chart() {
        // With one job both have figures, but only one worker has anything to do.
        let all = cells(&[("rayon", BOTH, &[1, 1000]), ("tokio", BOTH, &[1, 10])]);
        let figure = figure_of(&all, speed_up).unwrap();
        assert!(figure.picture.is_none() && figure.table.rows.is_empty());
        assert!(figure.caption.contains("one scale, of at least 2 jobs"), "{}", figure.caption);
        let only = figure_of(&cells(&[("rayon", BOTH, &[1, 1000])]), speed_up).unwrap();
        assert_eq!(scales(&only, 1), ["1 000"; 2]);
        assert!(figure_of(&cells(&[("rayon", &[2], &[1000])]), speed_up).is_none());
    }

    #[test]
    fn laws_over_workers_are_fitted_at_one_scale_and_who_lacks_it_has_a_reason() {
        let all = cells(&[
            ("rayon", &[1, 2, 4, 8, 16, 32], &[1, 10, 100, 1000]),
            ("tokio", &[1, 2, 4, 8, 16, 32], &[1, 10, 100]),
            ("python-processes", &[1, 2, 4, 8, 16, 32], &[1, 10]),
        ]);
        let all: Vec<&Cell> = all.iter().collect();
        let table = scaling::table("cpu", &lines(&all)).unwrap();
        let of = |model: &str| {
            let rows = table.rows.iter().filter(|row| row[1].text.starts_with("workers"));
            rows.filter(|row| row[0].text == model).collect::<Vec<_>>()
        };
        for model in ["rayon", "tokio"] {
            assert_eq!(of(model)[0][1].text, "workers, at 100 jobs at once");
        }
        let [left_out] = of("python-processes")[..] else { panic!("one row") };
        assert_eq!(left_out.len(), table.head.len());
        assert!(left_out[7].text.contains("a figure at 100 jobs"), "{}", left_out[7].text);
    }

    #[test]
    fn bars_over_the_sequential_program_are_at_one_scale_too() {
        let all = cells(&[
            ("sequential", &[1], &[1, 10, 100, 1000]),
            ("python-sequential", &[1], &[1, 10]),
            ("rayon", BOTH, &[1, 10, 100, 1000]),
            ("asyncio", &[1], &[1, 10]),
            ("python-processes", BOTH, &[1]),
        ]);
        let figure = figure_of(&all, over_sequential).unwrap();
        let scales = scales(&figure, 3);
        assert!(scales.len() >= 3 && scales.iter().all(|scale| *scale == "10"), "{scales:?}");
        assert!(figure.caption.contains("python-processes"), "{}", figure.caption);
        let apart =
            cells(&[("sequential", &[1], &[1]), ("rayon", BOTH, &[1, 10]), ("tokio", BOTH, &[1])]);
        let figure = figure_of(&apart, over_sequential).unwrap();
        assert!(figure.picture.is_none() && figure.caption.starts_with("No chart"));
    }
}

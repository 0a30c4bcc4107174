//! The tables at the end of a run: models down, scales across, and the missing figures with the reason.

mod reasons;
#[cfg(test)]
mod tests;

pub(super) use reasons::{
    both_modes, by_reason, missing, missing_under_load, notes, notes_of_series,
    of_over_half_an_hour, remarks as figure_remarks, was_cut_off, why,
};

use std::{collections::BTreeMap, fmt::Write};

use super::{details::details, unreliable::footnotes};
use crate::{
    output::{
        MatrixField, Tone, count, counted, folded, is_narrow, list_table, matrix, plain_lines, rate,
    },
    plan::next_scale,
    record::{Cell, Estimate, SHORTEST_RANKED_NS, State, leaders},
    stats::FEWEST_TRIALS,
};

/// The amount of detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Figures, and one line for each reason why some are missing.
    Short,
    /// Every interval, reason and detail.
    All,
}

/// What the fields of a table say, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fields {
    /// Figures with their intervals and unusual numbers of trials, and states in words.
    Intervals,
    /// The same without intervals.
    Trials,
    /// Figures alone, for narrow terminals.
    Figures,
}

/// The field of a skipped or refused cell in narrow tables.
const ABSENT: &str = "-";

/// Returns a table for each workload, and below them the meaning of the marks, remarks on the figures, and the reasons
/// for missing ones.
pub fn cells_table<'c>(cells: impl IntoIterator<Item = &'c Cell>, extent: Extent) -> String {
    let cells: &[&Cell] = &cells.into_iter().collect::<Vec<_>>();
    let mut text = String::new();
    let mut least = Fields::Intervals;
    let usual = usual_trials(cells);
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().copied().filter(|c| c.workload == workload).collect();
        let title = format!("{workload}: jobs per second, by jobs at once");
        let _ = writeln!(text, "\n{}", folded(&plain_lines(&title)));
        let (table, fields) = by_scale(&of, usual, extent);
        least = least.max(fields);
        let _ = writeln!(text, "{table}");
        if extent == Extent::All {
            let _ = writeln!(text, "{}", folded(&plain_lines(notes(&of).trim_end())));
        }
        text.push_str(&details(&of, extent));
    }
    let mut under = vec![legend(cells, usual, least)];
    under.extend(figure_remarks(cells, extent));
    if extent == Extent::Short {
        under.extend(missing(cells));
    }
    under.push(footnotes(cells.iter().map(|cell| cell.model.as_str())));
    let _ = write!(text, "\n{}", folded(&plain_lines(&under.join("\n"))));
    text.trim_end().to_owned()
}

/// Returns the tables of `cargo bench`: of several worker counts, the greatest is shown.
pub fn benched_table<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> String {
    let cells: Vec<&Cell> = cells.into_iter().collect();
    let is_widest = |cell: &&Cell| {
        let same = |other: &&&Cell| other.model == cell.model && other.workload == cell.workload;
        cells.iter().filter(same).all(|other| other.workers <= cell.workers)
    };
    let (widest, narrower): (Vec<&Cell>, Vec<&Cell>) = cells.iter().copied().partition(is_widest);
    let mut text = cells_table(widest, Extent::Short);
    let mut line =
        String::from("no latencies: cargo bench times whole batches; `paceline run` has p99");
    if !narrower.is_empty() {
        let fewer = counted(narrower.len(), "cell");
        let _ = write!(
            line,
            ". Shown and ranked with the most workers; the record has {fewer} with fewer"
        );
    }
    let _ = write!(text, "\n{}", folded(&line));
    text
}

/// Returns the number of trials that most cells have.
pub(super) fn usual_trials(cells: &[&Cell]) -> usize {
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok);
    let times = |trials: usize| measured().filter(|cell| cell.trials() == trials).count();
    measured().map(|cell| cell.trials()).max_by_key(|n| (times(*n), *n)).unwrap_or(0)
}

/// Returns the meaning of the marks in the tables of `cells`, or why there are none; `None` where there are not two models
/// to rank.
pub(super) fn marks(cells: &[&Cell]) -> Option<String> {
    let mut rows: BTreeMap<(&str, usize), Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        rows.entry((&cell.workload, cell.scale)).or_default().push(cell);
    }
    let given: Vec<&str> = rows.values().flat_map(|row| ranked(row)).collect();
    let least = SHORTEST_RANKED_NS / 1_000_000;
    let test = "over 0.2 % slower (5 %, Holm over all models)";
    let what = if given.contains(&"=") {
        format!(
            "* fastest at its scale, = tied with it: no test over the passes, paired where both ran, finds it {test}"
        )
    } else if given.contains(&"*") {
        format!(
            "* fastest at its scale: tests over the passes, paired where both ran, find all others {test}"
        )
    } else {
        let measured = cells.iter().filter(|cell| cell.state == State::Ok);
        let models = in_order(measured.map(|cell| cell.model.as_str())).len();
        return (models > 1).then(|| {
            format!(
                "nothing is ranked: that takes two models at one scale, both or neither offered jobs from inside, with at \
                 least {FEWEST_TRIALS} trials and waits of at least {least} ms"
            )
        });
    };
    Some(format!(
        "{what}. Models offered jobs from inside are ranked apart, and one alone has no mark. Not ranked: fewer than \
         {FEWEST_TRIALS} trials (n=1, n=2), waits under {least} ms"
    ))
}

/// Returns the meaning of the marks in the table, and of the suffixes of figures.
fn legend(cells: &[&Cell], usual: usize, fields: Fields) -> String {
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok);
    if measured().next().is_none() {
        return String::new();
    }
    let others = measured().any(|cell| cell.trials() != usual);
    let few = match fields {
        Fields::Figures if others => "; `--all` shows where there are fewer; -: skipped or refused",
        Fields::Figures => "; -: skipped or refused",
        _ if others => "; other numbers in brackets",
        _ => "",
    };
    let of = format!("each figure: {}{few}", counted(usual, "trial"));
    let half = |cell: &Cell| cell.jobs_per_second.and_then(Estimate::half_percent);
    let halves = measured().filter_map(|cell| Some((half(cell)?, *cell)));
    let interval = match halves.max_by(|a, b| a.0.total_cmp(&b.0)) {
        None => String::new(),
        Some(_) if fields == Fields::Intervals => "; ±: half of the 95 % interval".into(),
        Some((half, cell)) => format!(
            "; ±: half of the 95 % interval, the widest: {} ({} {} at {}); `paceline report --format table \
             --all` shows each",
            plus_minus(half),
            cell.workload,
            cell.model,
            count(cell.scale)
        ),
    };
    let marks = marks(cells).map_or_else(String::new, |marks| marks + "\n");
    format!("{marks}{of}{interval}")
}

/// Returns what broke first in each series whose scales were climbed.
pub fn limits_table(cells: &[Cell]) -> String {
    let of = |cell: &Cell| (cell.workload.clone(), cell.model.clone(), cell.workers);
    let rows: Vec<Vec<String>> = in_order(cells.iter().map(of))
        .into_iter()
        .map(|name| {
            let series: Vec<&Cell> = cells.iter().filter(|cell| of(cell) == name).collect();
            let went = series.iter().rev().find(|cell| cell.state == State::Ok);
            let broke = series.iter().find(|cell| cell.state != State::Ok);
            let end = match (broke, went) {
                (Some(cell), _) => {
                    let why = cell.reason.clone().unwrap_or_default();
                    format!("{} {}: {why}", count(cell.scale), word(cell.state))
                }
                (None, Some(went)) if next_scale(went.scale).is_none() => {
                    "nothing, up to the greatest scale there is".into()
                }
                _ => "nothing so far: it was interrupted".into(),
            };
            let went = went.map_or_else(|| "none".into(), |cell| count(cell.scale));
            vec![name.0, series_name(&name.1, name.2), went, end]
        })
        .collect();
    let table = list_table(&["workload", "model", "went to", "what broke first"], &rows);
    let footnotes = footnotes(cells.iter().map(|cell| cell.model.as_str()));
    plain_lines(format!("{table}\n{footnotes}").trim_end())
}

pub(super) fn series_name(model: &str, workers: Option<usize>) -> String {
    workers.map_or_else(|| model.to_owned(), |workers| format!("{model}@{workers}"))
}

/// Returns the number of cells in each state.
pub fn summary<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> String {
    by_state(&cells.into_iter().collect::<Vec<_>>().into_iter())
}

/// Returns the same for any cells.
pub(super) fn by_state<'c>(cells: &(impl ExactSizeIterator<Item = &'c Cell> + Clone)) -> String {
    let states = [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed];
    let some = states.map(|state| {
        let of = cells.clone().filter(|cell| cell.state == state).count();
        (of > 0).then(|| format!("{} {}", count(of), word(state)))
    });
    let some = some.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if cells.len() == 0 {
        return "no cell has ended".into();
    }
    format!("{}: {some}", counted(cells.len(), "cell"))
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Invalid => "invalid",
        State::Refused => "refused",
        State::Skipped => "skipped",
        State::Failed => "failed",
    }
}

/// Returns the name of a series: the model's, with its workers if the workload has several worker counts.
pub(super) fn series(cell: &Cell, several: bool) -> String {
    match cell.workers {
        Some(_) if several => series_name(&cell.model, cell.workers),
        _ => cell.model.clone(),
    }
}

/// Returns models down and scales across, and what its fields say.
fn by_scale(cells: &[&Cell], usual: usize, extent: Extent) -> (String, Fields) {
    let several = several_workers(cells);
    let names = in_order(cells.iter().map(|cell| series(cell, several)));
    let mut scales = in_order(cells.iter().map(|cell| cell.scale));
    scales.sort_unstable();
    let columns: Vec<Vec<(&Cell, &str)>> = scales
        .iter()
        .map(|scale| {
            let at: Vec<&Cell> = cells.iter().copied().filter(|c| c.scale == *scale).collect();
            let marks = ranked(&at);
            at.into_iter().zip(marks).collect()
        })
        .collect();
    let form = |fields: Fields| {
        let field = |name: &String, column: &Vec<(&Cell, &str)>| {
            let of = column.iter().find(|(cell, _)| series(cell, several) == *name);
            of.map_or_else(
                || MatrixField::from(&String::new()),
                |(cell, mark)| MatrixField {
                    text: in_column(cell, mark, fields, usual),
                    tone: tone(cell, mark),
                },
            )
        };
        let row = |name: &String| {
            let fields = columns.iter().map(|column| field(name, column));
            std::iter::once(MatrixField::from(name)).chain(fields).collect()
        };
        let name = if fields == Fields::Figures { brief_count } else { count };
        let head = scales.iter().map(|scale| name(*scale));
        let head = std::iter::once("model".to_owned()).chain(head).collect();
        (head, names.iter().map(row).collect())
    };
    let forms = match extent {
        Extent::All => vec![Fields::Intervals],
        Extent::Short if is_narrow() => vec![Fields::Intervals, Fields::Figures],
        Extent::Short => vec![Fields::Intervals, Fields::Trials],
    };
    let (table, chosen) = matrix(&forms.iter().map(|fields| form(*fields)).collect::<Vec<_>>());
    (table, forms[chosen])
}

/// Formats a scale in few characters: `100`, `10k`, `1M`.
fn brief_count(scale: usize) -> String {
    match scale {
        0 => count(0),
        scale if scale.is_multiple_of(1_000_000) => format!("{}M", scale / 1_000_000),
        scale if scale.is_multiple_of(1000) => format!("{}k", scale / 1000),
        scale => count(scale),
    }
}

/// Returns the mark of each of `cells`, all of one workload and scale: `*` for the fastest of its class, `=` for ties.
pub(super) fn ranked(cells: &[&Cell]) -> Vec<&'static str> {
    let rate = |cell: &Cell| cell.jobs_per_second.map_or(f64::NAN, |jobs| jobs.value);
    let leads = leaders(cells);
    let mark = |(cell, leads_here): (&&Cell, &bool)| {
        let faster = |other: &Cell| other.class() == cell.class() && rate(other) > rate(cell);
        let mut others = cells.iter().zip(&leads);
        match *leads_here {
            false => "",
            true if others.any(|(other, leads)| *leads && faster(other)) => "=",
            true => "*",
        }
    };
    cells.iter().zip(&leads).map(mark).collect()
}

/// Returns jobs a second with its mark and half of the interval; or the state of the cell.
pub(super) fn figure(cell: &Cell, mark: &str) -> String {
    match cell.jobs_per_second {
        Some(jobs) if cell.state == State::Ok => {
            format!("{mark}{} {}", rate(jobs.value), spread(cell)).trim_end().to_owned()
        }
        _ => word(cell.state).to_owned(),
    }
}

/// Returns the same with its interval, and with the number of trials if it is not the `usual` one.
pub(super) fn figure_of_trials(cell: &Cell, mark: &str, usual: usize) -> String {
    in_column(cell, mark, Fields::Intervals, usual)
}

/// Returns the same for a column, with the number of trials if it is unusual.
fn in_column(cell: &Cell, mark: &str, fields: Fields, usual: usize) -> String {
    let with_interval = fields == Fields::Intervals;
    if fields == Fields::Figures && matches!(cell.state, State::Skipped | State::Refused) {
        return ABSENT.into();
    }
    let trials = cell.trials();
    let few = match cell.state {
        State::Ok if trials != usual && trials >= FEWEST_TRIALS && fields != Fields::Figures => {
            format!(" ({trials})")
        }
        State::Ok if !with_interval && trials < FEWEST_TRIALS => format!(" n={trials}"),
        _ => String::new(),
    };
    let figure = figure(cell, mark);
    if with_interval || cell.state != State::Ok {
        return figure + &few;
    }
    let value = figure.split(' ').next().unwrap_or_default();
    format!("{value}{few}")
}

fn tone(cell: &Cell, mark: &str) -> Tone {
    match (cell.state, mark) {
        (State::Ok, "*") => Tone::Best,
        (State::Ok, "=") => Tone::Tied,
        (State::Ok, _) => Tone::Plain,
        (State::Invalid | State::Failed, _) => Tone::Wrong,
        (State::Refused | State::Skipped, _) => Tone::Absent,
    }
}

/// Returns "±1.2%", or "n=1" with too few trials.
pub(super) fn spread(cell: &Cell) -> String {
    let half = cell.jobs_per_second.and_then(Estimate::half_percent);
    match half {
        _ if (1..FEWEST_TRIALS).contains(&cell.trials()) => format!("n={}", cell.trials()),
        Some(half) => plus_minus(half),
        None => String::new(),
    }
}

/// Formats half of an interval, in percent, in one way wherever it is told.
fn plus_minus(half: f64) -> String {
    format!("±{half:.*}%", usize::from(half < 9.95))
}

pub(super) fn several_workers(cells: &[&Cell]) -> bool {
    let models = in_order(cells.iter().map(|cell| &cell.model));
    models.iter().any(|model| {
        let of = cells.iter().filter(|cell| cell.model == **model);
        in_order(of.map(|cell| cell.workers)).len() > 1
    })
}

/// Returns the distinct values, in the order of their first appearance.
pub(super) fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

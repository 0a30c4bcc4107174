//! Two runs side by side: every change, and what its interval is computed from.

use super::{
    charts,
    parts::{Data, Figure, Picture, Table, name, reason},
};
use crate::{
    compare::{Basis, Comparison, Pair, Shift},
    output::{capital, count},
    record::{Metric, State},
    report::{
        gate::{figure, share},
        table::{in_order, series_name, word},
    },
};

/// Why the page cannot show small changes.
pub(super) const PLAINLY: &str = "Separate runs cannot show small changes: measured one after the other instead of \
     interleaved, the same program varies about 15 times as much (variance, measured on shared virtual machines of 2 \
     CPUs). paceline gate interleaves both, and gives verdicts.";

/// The most changes in the chart; the greatest come first.
const SHOWN: usize = 30;

/// Returns a chart for each metric: changes of different metrics cannot be ranked together.
pub(super) fn figures(comparison: &Comparison, id: &str) -> Vec<Figure> {
    let mut rows: Vec<(&Pair, &Shift)> = comparison
        .cells
        .iter()
        .flat_map(|pair| pair.shifts.iter().map(move |shift| (pair, shift)))
        .collect();
    rows.sort_by(|(_, a), (_, b)| b.share.abs().total_cmp(&a.share.abs()));
    let of = |(place, metric): (usize, Metric)| {
        let rows = rows.iter().copied().filter(|(_, shift)| shift.metric == metric);
        figure_of(metric, &rows.collect::<Vec<_>>(), format!("{id}-{place}"))
    };
    in_order(rows.iter().map(|(_, shift)| shift.metric)).into_iter().enumerate().map(of).collect()
}

/// The greatest changes as a chart, and all as a table.
fn figure_of(metric: Metric, rows: &[(&Pair, &Shift)], id: String) -> Figure {
    let bars: Vec<charts::Change> = rows
        .iter()
        .take(SHOWN)
        .map(|(pair, shift)| charts::Change {
            name: cell_name(pair),
            share: shift.share,
            interval: shift.lower.zip(shift.upper),
            verdict: "",
        })
        .collect();
    let mut table = Table::new(
        format!("{} that both runs have, the greatest change first", capital(metric.label())),
        "cell | base | head | change | interval | it follows from",
    );
    for (pair, shift) in rows {
        let interval = match (shift.lower, shift.upper) {
            (Some(lower), Some(upper)) => format!("{} to {}", share(lower), share(upper)),
            _ => String::new(),
        };
        let basis = match shift.basis {
            Basis::Processes => "processes of both, 95 %",
            Basis::Intervals => "as far as both intervals allow",
            Basis::Figures => "one figure each",
        };
        table.rows.push(vec![
            cell_name(pair).into(),
            figure(metric, Some(shift.base)).into(),
            figure(metric, Some(shift.head)).into(),
            share(shift.share).into(),
            interval.into(),
            Data::of(basis).class("l"),
        ]);
    }
    let shown = bars.len();
    let some = if rows.len() > shown {
        format!(" The {shown} greatest of {} changes.", rows.len())
    } else {
        String::new()
    };
    Figure {
        id,
        title: format!("What changed: {}", metric.label()),
        kind: "changes",
        picture: Some(Picture::Bars(charts::changes(
            &format!("{}, from base to head", metric.label()),
            &bars,
            None,
        ))),
        caption: format!(
            "How much more {}. Lines are intervals.{some}",
            if metric.is_rate() {
                "the head answers than the base: + is better, − is worse"
            } else {
                "the head takes than the base: + is worse, − is better"
            }
        ),
        table,
        open: false,
    }
}

/// Returns the cells without a change, and the reasons.
pub(super) fn without(comparison: &Comparison) -> Table {
    let mut table =
        Table::new("Cells without a change", "cell | base | head | why").with_prose(&[3]);
    for pair in comparison.cells.iter().filter(|pair| pair.shifts.is_empty()) {
        let of = |state: Option<State>| Data::of(state.map_or("absent", word)).class("l");
        let why = reason(pair.reason.as_deref());
        table.rows.push(vec![
            cell_name(pair).into(),
            of(pair.base_state),
            of(pair.head_state),
            why.into(),
        ]);
    }
    table
}

fn cell_name(pair: &Pair) -> String {
    name(&format!(
        "{}/{}/{}",
        pair.workload,
        series_name(&pair.model, pair.workers),
        count(pair.scale)
    ))
}

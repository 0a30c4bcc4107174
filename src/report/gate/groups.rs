//! Groups the cells of a gate, each in exactly one group, and summarises them in lines.

use super::{crashes, detectable, figure, interval_of, needed, share, why};
use crate::{
    compare::far_slower,
    output::cut,
    record::{Gate, GateCell, Presence, State, Verdict},
    report::unreliable::{model_of, remarks},
};

/// The most names in a line.
const NAMES: usize = 5;

/// The longest reason, in characters.
pub(super) const REASON: usize = 200;

/// The columns of a table of a group.
pub(in super::super) struct Columns {
    /// The first two are the cell's name and its metric.
    pub(in super::super) head: &'static [&'static str],
    /// The other columns.
    pub(in super::super) row: fn(&GateCell) -> Vec<String>,
}

/// The columns of cells with a verdict.
pub(in super::super) const CHANGED: Columns = Columns {
    head: &["cell", "metric", "base", "head", "change", "95 % interval", "trials"],
    row: |cell| {
        let [change, interval] = change(cell);
        let [base, head] = [cell.base, cell.head].map(|value| figure(cell.metric, value));
        vec![base, head, change, interval, cell.trials.to_string()]
    },
};

/// The columns of inconclusive cells.
pub(in super::super) const UNSEEN: Columns = Columns {
    head: &[
        "cell",
        "metric",
        "change",
        "95 % interval",
        "would be found",
        "trials",
        "trials needed",
    ],
    row: |cell| {
        let [change, interval] = change(cell);
        vec![change, interval, detectable(cell), cell.trials.to_string(), needed(cell)]
    },
};

/// The columns of cells with one side or none.
pub(in super::super) const LONE: Columns = Columns {
    head: &["cell", "metric", "figure", "why"],
    row: |cell| vec![figure(cell.metric, cell.head.or(cell.base)), why(cell, REASON)],
};

/// Returns the change and its interval.
fn change(cell: &GateCell) -> [String; 2] {
    let change = match cell.change {
        Some(of) => share(of.share),
        // From 0 on, a count rises by no share.
        None if cell.verdict.is_some() && cell.counts.is_some() => "from 0".into(),
        None => String::new(),
    };
    [change, interval_of(cell)]
}

/// The cells of a gate, each in exactly one group, the greatest change first.
#[derive(Default)]
pub(in super::super) struct Groups<'a> {
    pub(in super::super) regressed: Vec<&'a GateCell>,
    pub(in super::super) improved: Vec<&'a GateCell>,
    pub(in super::super) inconclusive: Vec<&'a GateCell>,
    pub(in super::super) not_regressed: Vec<&'a GateCell>,
    pub(in super::super) new: Vec<&'a GateCell>,
    pub(in super::super) removed: Vec<&'a GateCell>,
    /// Cells that failed, are invalid, were refused or skipped.
    pub(in super::super) without: Vec<&'a GateCell>,
}

impl<'a> Groups<'a> {
    /// Groups the cells of `gate`.
    pub(in super::super) fn of(gate: &'a Gate) -> Self {
        let mut groups = Groups::default();
        for cell in &gate.cells {
            groups.group(cell).push(cell);
        }
        // A count that rose from 0 rose most.
        let unknown = |cell: &GateCell| if cell.counts.is_some() { f64::INFINITY } else { 0.0 };
        let size = |cell: &&GateCell| {
            cell.change.map_or_else(|| unknown(cell), |change| change.share.abs())
        };
        for group in [&mut groups.regressed, &mut groups.improved, &mut groups.inconclusive] {
            group.sort_by(|a, b| size(b).total_cmp(&size(a)));
        }
        groups
    }

    fn group(&mut self, cell: &GateCell) -> &mut Vec<&'a GateCell> {
        match (cell.presence, cell.state, cell.verdict) {
            (Presence::Head, ..) => &mut self.new,
            (Presence::Base, ..) => &mut self.removed,
            (Presence::Both, State::Ok, Some(verdict)) => match verdict {
                Verdict::Regressed => &mut self.regressed,
                Verdict::Improved => &mut self.improved,
                Verdict::NotRegressed => &mut self.not_regressed,
                Verdict::Inconclusive => &mut self.inconclusive,
            },
            (Presence::Both, ..) => &mut self.without,
        }
    }

    /// Returns the closing sentences: cells that are not regressed unless `shown`, the null arm, the dropped trials.
    pub(in super::super) fn closing(&self, gate: &Gate, shown: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !shown && !self.not_regressed.is_empty() {
            let count = self.not_regressed.len();
            lines.push(format!(
                "not regressed: {count}; in each, its clear margin would have been seen"
            ));
        }
        lines.push(null_arm(gate));
        lines.extend(again(gate));
        let (counted, mut timed): (Vec<&GateCell>, Vec<&GateCell>) =
            gate.cells.iter().partition(|cell| cell.metric.is_count());
        // All metrics of a cell are of the same trials.
        timed.dedup_by_key(|cell| &cell.cell);
        let dropped: u32 = timed.iter().map(|cell| cell.dropped).sum();
        let all: u32 = dropped + timed.iter().map(|cell| cell.trials).sum::<u32>();
        lines.push(format!("trials dropped: {dropped} of {all}"));
        lines.extend(slow_at_times(gate));
        let exact = counted.iter().filter(|cell| cell.verdict.is_some()).count();
        let all = counted.iter().filter(|cell| cell.counts.is_some()).count();
        if all > 0 {
            lines.push(format!(
                "counts of calls, in processes that are not timed: {exact} of {all} exact"
            ));
        }
        lines.extend(crashed(gate));
        lines.push(
            "a change says how much more the head takes than the base: + is worse, − is better"
                .into(),
        );
        lines.extend(remarks(gate.cells.iter().map(|cell| model_of(&cell.cell))));
        lines
    }
}

/// Returns the cells that were measured twice.
fn again(gate: &Gate) -> Option<String> {
    let mut cells: Vec<&GateCell> = gate.cells.iter().filter(|cell| cell.again).collect();
    cells.dedup_by_key(|cell| &cell.cell);
    let names: Vec<String> = cells.iter().map(|cell| cut(&cell.cell, 60)).collect();
    let names = first(&names)?;
    Some(format!("measured again by themselves, for their null arm fired at first: {names}"))
}

/// Returns the cells whose head is far slower in some of its processes.
fn slow_at_times(gate: &Gate) -> Option<String> {
    let of = |cell: &GateCell| {
        let slow = far_slower(&cell.log_ratios, &cell.null_log_ratios, cell.clear_margin);
        let (name, metric) = (cut(&cell.cell, 60), cell.metric.label());
        (slow > 0).then(|| format!("{name} {metric}, in {slow} of {} trials", cell.trials))
    };
    let lines: Vec<String> = gate.cells.iter().filter_map(of).collect();
    let names = first(&lines)?;
    Some(format!(
        "the head is far slower in some of its processes, which a mean may not show: {names}"
    ))
}

/// Returns the cells with crashed processes, once each over all metrics.
fn crashed(gate: &Gate) -> Option<String> {
    let mut cells: Vec<&GateCell> = gate.cells.iter().collect();
    cells.dedup_by_key(|cell| &cell.cell);
    let of = |cell: &&GateCell| {
        let said = crashes(cell.crashes);
        (!said.is_empty()).then(|| format!("{}, {said}", cut(&cell.cell, 60)))
    };
    let lines: Vec<String> = cells.iter().filter_map(of).collect();
    Some(format!("crashes: {}", first(&lines)?))
}

/// Returns whether the base differed from its own copy.
fn null_arm(gate: &Gate) -> String {
    let had = gate.cells.iter().filter(|cell| cell.null.is_some()).count();
    let fired: Vec<&GateCell> = gate.cells.iter().filter(|cell| cell.null_fired).collect();
    let name = |cell: &&GateCell| {
        let change = cell.null.map_or_else(String::new, |null| format!(" {}", share(null.share)));
        format!("{} {}{change}", cut(&cell.cell, 60), cell.metric.label())
    };
    match first(&fired.iter().map(name).collect::<Vec<_>>()) {
        None if had == 0 => "null arm, base against its copy: not measured".into(),
        None => format!("null arm, base against its copy: no change in {had}"),
        Some(names) => format!(
            "null arm, base against its copy: a change in {} of {had}, void and without a verdict: {names}",
            fired.len()
        ),
    }
}

/// Joins the first [`NAMES`] of `all`, and adds the number of the others; `None` if there is none.
fn first(all: &[String]) -> Option<String> {
    let (shown, others) = all.split_at(NAMES.min(all.len()));
    let more = (!others.is_empty()).then(|| format!("; and {} more", others.len()));
    (!shown.is_empty()).then(|| shown.join("; ") + &more.unwrap_or_default())
}

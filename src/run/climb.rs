//! `--to-the-limit`: doubles the scale of a series until its model refuses, fails or leaves the budget.

use std::time::Duration;

use super::{Order, cell::CellInProgress};
use crate::{
    output::{Progress, long},
    plan::{Planned, cells, next_scale},
    record::{Cell, Record, State, Writer},
    session::Session,
};
use paceline_core::{clock::now, interrupt::interrupted};

/// Climbs every series of the plan from its smallest scale.
pub(super) fn climb(
    order: &Order,
    session: &mut Session,
    writer: &mut Writer,
    unfinished: Option<&Record>,
    left: &dyn Fn() -> Duration,
) -> Result<Vec<Cell>, String> {
    let planned = cells(&order.workloads, &order.models, &order.choice);
    let series: Vec<&Planned<'_>> = planned
        .chunk_by(|a, b| {
            a.workload.name == b.workload.name
                && a.entry.info.name == b.entry.info.name
                && a.workers == b.workers
        })
        .map(|of_series| &of_series[0])
        .collect();
    let mut progress = Progress::start(series.len() as u64);
    let mut all = Vec::new();
    for (index, first) in series.iter().enumerate() {
        let mut scale = first.scale;
        let mut last = None;
        // The series after this one have as much.
        let end = now() + left() / u32::try_from(series.len() - index).unwrap_or(u32::MAX);
        while !interrupted() {
            let cell = Planned { scale, ..**first };
            let share = end.saturating_duration_since(now());
            progress.show(&cell.label(), left());
            let mut going = CellInProgress::new(&cell, 0..1, unfinished);
            let ended = match over(&cell, session, last, share) {
                Some((predicted, why)) if going.ended.is_none() => {
                    let ended = cell.cell_without_time(predicted, why);
                    writer.write(&ended)?;
                    Some(ended)
                }
                _ => {
                    going.refuse(session, share, writer)?;
                    if going.needs(0) {
                        going.trial(session, 0, share, writer)?;
                    }
                    going.ended
                }
            };
            let Some(ended) = ended else { break };
            last = ended.batch_ns.map(|trial| (scale, Duration::from_nanos(trial.value as u64)));
            let broke = ended.state != State::Ok;
            all.push(ended);
            match next_scale(scale) {
                Some(next) if !broke => scale = next,
                _ => break,
            }
        }
        progress.left((series.len() - index - 1) as u64);
    }
    progress.end();
    Ok(all)
}

/// Returns the time of a trial of this scale, after one of half the scale, and why it does not fit into the time left for
/// the series; `None` if it does.
fn over(
    cell: &Planned<'_>,
    session: &Session,
    last: Option<(usize, Duration)>,
    share: Duration,
) -> Option<(Duration, String)> {
    let predicted = cell.predict(session.compute_ns, last).saturating_mul(3);
    (last.is_some() && predicted > share).then(|| {
        let (needs, has) = (long(predicted), long(share));
        let why = "what is left of the budget for them is";
        (predicted, format!("3 batches would take {needs}, and {why} {has}"))
    })
}

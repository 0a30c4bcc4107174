//! The verdict on a whole run from the verdicts on its cells, and the sentence that gives the reason.

use crate::output::{count, counted, listed, signed};
use crate::record::{GateCell, Overall, Presence, SameProgram, State, Verdict};

/// The most cells that a sentence names.
const NAMED: usize = 3;

/// Returns the verdict on all `cells` and the reason, in a sentence with counts and the worst cell. `enough` says
/// whether the machine was quiet for enough trials. `same` is the reason why base and head are the same program, if
/// they are: nothing was compared then, so the run does not pass. A cell that regressed is reported even then, because
/// files that are read at run time may differ.
///
/// The first of these that applies counts. The run failed if a cell failed or is invalid: a crash of the head is not
/// the machine's fault. It regressed if a cell did. The environment is invalid if a null arm fired, which voids only
/// its cell, or if too few trials count. Nothing was compared if no cell has a verdict. The run is inconclusive if a cell
/// is, or if a cell of both sides lacks the figure that it should have. Otherwise it passed.
pub fn overall(cells: &[GateCell], enough: bool, same: Option<&SameProgram>) -> (Overall, String) {
    let of = |verdict: Verdict| -> Vec<&GateCell> {
        cells.iter().filter(|cell| cell.verdict == Some(verdict)).collect()
    };
    let failed: Vec<&GateCell> = cells.iter().filter(|cell| is_wrong(cell)).collect();
    let unseen: Vec<&GateCell> = cells.iter().filter(|cell| is_unseen(cell)).collect();
    let void: Vec<&GateCell> = cells.iter().filter(|cell| cell.null_fired).collect();
    let regressed = of(Verdict::Regressed);
    let inconclusive = of(Verdict::Inconclusive);
    let judged = cells.iter().filter(|cell| cell.verdict.is_some()).count();
    let refused = cells.iter().filter(|cell| cell.state == State::Refused).count();
    let only = |side: Presence| {
        cells.iter().filter(|cell| cell.presence == side && !is_wrong(cell)).count()
    };
    let counts = counts(&[
        (failed.len(), "failed"),
        (regressed.len(), "regressed"),
        (of(Verdict::Improved).len(), "improved"),
        (of(Verdict::NotRegressed).len(), "not regressed"),
        (inconclusive.len(), "inconclusive"),
        (unseen.len(), "without a figure"),
        (void.len(), "void"),
        (refused, "refused"),
        (only(Presence::Base), "removed"),
        (only(Presence::Head), "new"),
    ]);
    if let Some(first) = failed.first() {
        let why = first.reason.as_deref().unwrap_or("no reason is known");
        return (Overall::Failed, format!("{counts}; {}: {}", name(first), brief(why)));
    }
    if !regressed.is_empty() {
        let worst = format!("worst {}", figures(worst(&regressed)));
        let same = if same.is_some() {
            "; base and head are the same program, so the machine, or files that are read at run time, differ"
        } else {
            ""
        };
        return (Overall::Regressed, format!("{counts}; {worst}{same}"));
    }
    if !void.is_empty() {
        let sentence = format!(
            "{counts}; the base differs from its own copy in {}: this machine cannot tell now; try again when it is quiet",
            names(&void)
        );
        return (Overall::EnvironmentInvalid, sentence);
    }
    if !enough {
        let sentence = "the machine disturbed too many trials: try again when it is quiet";
        return (Overall::EnvironmentInvalid, sentence.into());
    }
    if let Some(same) = same {
        let counted = if cells.is_empty() { String::new() } else { format!("; {counts}") };
        return (Overall::Nothing, format!("{}{counted}", same.why));
    }
    if !inconclusive.is_empty() {
        let worst = least_visible(&inconclusive);
        return (Overall::Inconclusive, format!("{counts}; least visible {}", needs(worst)));
    }
    if judged == 0 || !unseen.is_empty() {
        let verdict = if judged == 0 { Overall::Nothing } else { Overall::Inconclusive };
        let why = if unseen.is_empty() {
            "no cell has figures of both sides".into()
        } else {
            format!("no figure of {}", names(&unseen))
        };
        return (verdict, format!("{counts}; {why}"));
    }
    let all: Vec<&GateCell> = cells.iter().filter(|cell| cell.verdict.is_some()).collect();
    let worst = worst(&all);
    let rose = worst.change.is_none_or(|change| change.share > 0.0);
    let which = if rose { "the greatest rise is" } else { "nothing rose, and the least fall is" };
    (Overall::Passed, format!("{counts}; {which} {}", figures(worst)))
}

/// Returns whether the cell could not run, or ran and was not what its label says.
fn is_wrong(cell: &GateCell) -> bool {
    matches!(cell.state, State::Failed | State::Invalid)
}

/// Returns whether the cell should have been gated and has no verdict. A refused cell cannot run here on either side.
fn is_unseen(cell: &GateCell) -> bool {
    let both = cell.presence == Presence::Both && cell.state != State::Refused;
    both && cell.verdict.is_none() && !is_wrong(cell) && !cell.null_fired
}

/// Returns the beginning of a reason: a process may print a lot before it ends.
fn brief(why: &str) -> String {
    const MOST: usize = 300;
    let cut: String = why.chars().take(MOST).collect();
    if cut.len() < why.len() { format!("{cut}…") } else { cut }
}

fn counts(counts: &[(usize, &str)]) -> String {
    let all: usize = counts.iter().map(|(count, _)| count).sum();
    if all == 0 {
        return "there is no cell".into();
    }
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some.map(|(of, word)| format!("{} {word}", count(*of))).collect();
    format!("of {}, {}", counted(all, "cell"), some.join(", "))
}

/// Returns the cell that rose most.
fn worst<'a>(cells: &[&'a GateCell]) -> &'a GateCell {
    let share = |cell: &GateCell| match cell.change {
        Some(change) => change.share,
        // A count that rose from 0.
        None if cell.counts.is_some() => f64::INFINITY,
        None => f64::NEG_INFINITY,
    };
    most(cells, share)
}

/// Returns the cell with the greatest least detectable change, or one for which that is unknown.
fn least_visible<'a>(cells: &[&'a GateCell]) -> &'a GateCell {
    most(cells, |cell| cell.detectable.unwrap_or(f64::INFINITY))
}

/// # Panics
///
/// Panics if there are no cells.
fn most<'a>(cells: &[&'a GateCell], by: impl Fn(&GateCell) -> f64) -> &'a GateCell {
    cells.iter().max_by(|one, other| by(one).total_cmp(&by(other))).expect("there is one")
}

/// Returns the figures of a cell, such as "echo/tokio/10 time per job +6.1 % (+4.0 to +8.3 %)".
fn figures(cell: &GateCell) -> String {
    match cell.change {
        Some(change) => {
            if cell.counts.is_some() {
                return format!("{} {:+.1} % (exact)", name(cell), change.share * 100.0);
            }
            let [share, lower, upper] =
                [change.share, change.lower, change.upper].map(|share| share * 100.0);
            format!("{} {share:+.1} % ({lower:+.1} to {upper:+.1} %)", name(cell))
        }
        None if cell.counts.is_some() => format!("{} from 0 on (exact)", name(cell)),
        None => name(cell),
    }
}

fn needs(cell: &GateCell) -> String {
    let seen = match cell.detectable {
        Some(share) => {
            format!("{}, where a change is found from {:.1} % on", figures(cell), share * 100.0)
        }
        None => format!("{}, of which too few trials count", name(cell)),
    };
    match cell.trials_needed {
        Some(trials) => format!(
            "{seen}: {} are needed, {} count",
            counted(trials as usize, "trial"),
            count(cell.trials as usize)
        ),
        None if cell.detectable.is_some() => {
            format!("{seen}: more trials do not help, a quieter machine does")
        }
        None => seen,
    }
}

fn name(cell: &GateCell) -> String {
    format!("{} {}", cell.cell, cell.metric.label())
}

fn names(cells: &[&GateCell]) -> String {
    listed(&cells.iter().map(|cell| figures_of_null(cell)).collect::<Vec<_>>(), NAMED)
}

/// Returns the figures of a cell with those of its null arm if that fired.
fn figures_of_null(cell: &GateCell) -> String {
    match cell.null {
        Some(null) if cell.null_fired => {
            format!("{} ({})", name(cell), signed(null.share))
        }
        _ => name(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::tests::gated,
        record::{Change, Counts},
    };

    fn unseen(name: &str) -> GateCell {
        GateCell { state: State::Skipped, ..gated(name, None, 0.0) }
    }

    #[test]
    fn three_cells_are_named_and_the_others_counted() {
        let of = |count: usize| {
            let cells: Vec<GateCell> = (0..count).map(|n| unseen(&format!("c{n}"))).collect();
            overall(&cells, true, None).1
        };
        assert!(
            of(3).ends_with("no figure of c0 latency p99, c1 latency p99, c2 latency p99"),
            "{}",
            of(3)
        );
        assert!(of(4).ends_with("c1 latency p99, c2 latency p99 and 1 more"), "{}", of(4));
        assert!(of(6).ends_with("c2 latency p99 and 3 more"), "{}", of(6));
        // The copy's figures are those of a null arm that fired.
        let null = gated("c", Some(Verdict::NotRegressed), 0.1).change;
        let (_, why) = overall(&[GateCell { null, ..unseen("c") }], true, None);
        assert!(why.ends_with("no figure of c latency p99"), "{why}");
    }

    #[test]
    fn a_long_reason_is_cut_and_a_short_one_is_not() {
        let of = |letters: usize| {
            let reason = Some("é".repeat(letters));
            let failed = GateCell { state: State::Failed, reason, ..gated("a", None, 0.0) };
            overall(&[failed], true, None).1
        };
        assert!(of(300).ends_with(&format!(": {}", "é".repeat(300))), "{}", of(300));
        assert!(of(301).ends_with(&format!(": {}…", "é".repeat(300))), "{}", of(301));
    }

    #[test]
    fn a_count_from_0_is_worse_than_any_share_and_an_exact_one_has_no_interval() {
        let counts = Some(Counts { calls: 1, base: vec![0; 3], head: vec![9; 3] });
        let slower = gated("b", Some(Verdict::Regressed), 0.5);
        let from_0 = GateCell { counts: counts.clone(), change: None, ..slower.clone() };
        let without = GateCell { change: None, ..slower.clone() };
        let why = |cells: &[&GateCell]| {
            overall(&cells.iter().map(|cell| (*cell).clone()).collect::<Vec<_>>(), true, None).1
        };
        let named = |cell: &GateCell| GateCell { cell: "named".into(), ..cell.clone() };
        assert!(
            why(&[&named(&from_0), &slower]).ends_with("worst named latency p99 from 0 on (exact)")
        );
        assert!(
            why(&[&slower, &named(&from_0)]).ends_with("worst named latency p99 from 0 on (exact)")
        );
        assert!(why(&[&named(&slower), &without]).contains("worst named latency p99 +50.0 %"));
        assert!(why(&[&without]).ends_with("worst b latency p99"), "{}", why(&[&without]));
        let exact = GateCell { counts, ..slower };
        assert!(
            why(&[&exact]).ends_with("worst b latency p99 +50.0 % (exact)"),
            "{}",
            why(&[&exact])
        );
    }

    #[test]
    fn what_an_inconclusive_cell_needs_is_trials_a_quieter_machine_or_both_sides() {
        let unclear = gated("a", Some(Verdict::Inconclusive), 0.02);
        let why = |cell: &GateCell| overall(std::slice::from_ref(cell), true, None).1;
        assert!(why(&unclear).ends_with("more trials do not help, a quieter machine does"));
        let few = GateCell { detectable: None, change: None, ..unclear.clone() };
        assert!(why(&few).ends_with("least visible a latency p99, of which too few trials count"));
        let change: Option<Change> = unclear.change;
        let more = GateCell { trials_needed: Some(70), change, ..unclear };
        assert!(why(&more).ends_with("from 8.1 % on: 70 trials are needed, 40 count"));
    }
}

//! Which verdicts of one look the next does not take back.

use crate::record::{GateCell, State};

/// Returns the cells of the last look, and in place of those that still work and of which `stands` is true the same of the
/// look before.
pub(super) fn standing(
    before: &[GateCell],
    last: Vec<GateCell>,
    stands: impl Fn(&GateCell, &GateCell) -> bool,
) -> Vec<GateCell> {
    let of =
        |is: &GateCell| before.iter().find(|was| (&was.cell, was.metric) == (&is.cell, is.metric));
    let one = |is: GateCell| match of(&is) {
        Some(was) if is.state == State::Ok && stands(was, &is) => was.clone(),
        _ => is,
    };
    last.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::tests::gated,
        record::Verdict::{self, Inconclusive, NotRegressed, Regressed},
    };

    #[test]
    fn what_stands_is_of_the_look_before_unless_the_cell_crashed_since() {
        let of = |name: &str, verdict: Verdict| gated(name, Some(verdict), 0.1);
        let before = [of("a", Regressed), of("b", Regressed), of("c", Inconclusive)];
        let crashed = GateCell { state: State::Failed, verdict: None, ..of("b", Regressed) };
        let last = vec![of("a", Inconclusive), crashed, of("c", NotRegressed), of("d", Regressed)];
        let found = standing(&before, last, |was, _| was.verdict == Some(Regressed));
        let found: Vec<_> = found.iter().map(|cell| (cell.state, cell.verdict)).collect();
        let ok = |verdict| (State::Ok, Some(verdict));
        assert_eq!(found, [ok(Regressed), (State::Failed, None), ok(NotRegressed), ok(Regressed)]);
    }
}

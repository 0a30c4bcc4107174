//! What happens to child tasks that are no longer awaited.

use super::{
    Kind,
    experiment::{Experiment, NoFigures, Sample, all, unexpected},
};
use crate::record::ClaimVerdict;
use paceline_core::perform::{CHILDREN, Probe, Probed};

const BEGUN: &str = "children under way";
const ENDED: &str = "ran to their end";

pub(super) const CANCEL: Experiment = Experiment {
    name: "cancel",
    sentence: "Cancelling a job cancels the children that it waits for.",
    method: "A job starts 3 children that sleep for 40 ms, and after 20 ms is left where it waits for them, as a \
             cancelled one is: how many children had begun, and how many ran to their end within 80 ms more.",
    slow: false,
    workers: &[Some(2)],
    measure: |runner| {
        if runner.kind() != Kind::Loop {
            let why = "what waits holds its stack, and cannot be cancelled from outside";
            return Err(NoFigures::As(ClaimVerdict::DoesNotApply, why.into()));
        }
        match runner.probe(Probe::Cancelled)? {
            Probed::Cancelled { begun, ended } => Ok(vec![
                Sample::new(BEGUN, "children", f64::from(begun)).ideally(f64::from(CHILDREN)),
                Sample::new(ENDED, "children", f64::from(ended)).ideally(0.0),
            ]),
            other => Err(unexpected(other)),
        }
    },
    judge: |figures| {
        // Children that had not begun could not be seen to end.
        let begun = figures.at_least(BEGUN, f64::from(CHILDREN)).filter(|all| *all);
        let why = "a handle that is dropped lets its task run on: cancel it, or keep it in a group that does";
        all(&[begun, figures.at_most(ENDED, 0.0)], why)
    },
};

const CANCELS: &str = "a group is over after";
const LEFT: &str = "children left behind";
const WAITS: &str = "one that waits is over after";

/// A child that fails after 5 ms, among others that sleep for 60 ms.
fn failing(on_failure: &str) -> String {
    let every = "{ nth = 3, job = [{ sleep = \"5ms\" }, { fail = \"error\" }] }";
    format!(
        "name = \"failing\"\njob = [{{ group = {{ width = 3, of = [{{ sleep = \"60ms\" }}], every = {every}, \
         on_failure = \"{on_failure}\" }} }}]"
    )
}

pub(super) const GROUP: Experiment = Experiment {
    name: "group",
    sentence: "A task group cancels the rest when one of its children fails, and one that waits lets them run on.",
    method: "A job has 3 children, of which the first fails after 5 ms and the others sleep for 60 ms, in a group that \
             cancels and in one that waits: how long after the failure each was over, and how many children the first \
             left behind.",
    slow: false,
    workers: &[Some(2)],
    measure: |runner| {
        let cancels = runner.attest(&failing("cancel"), 1)?;
        let waits = runner.attest(&failing("wait"), 1)?;
        let none = || NoFigures::As(ClaimVerdict::Failed, "the host saw no group fail".into());
        let milliseconds = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e6).ok_or_else(none);
        let left = cancels.children_left.ok_or_else(none)?;
        Ok(vec![
            Sample::new(CANCELS, "ms", milliseconds(cancels.group_ended_ns_max)?).ideally(0.0),
            Sample::new(LEFT, "children", f64::from(left)).ideally(0.0),
            Sample::new(WAITS, "ms", milliseconds(waits.group_ended_ns_max)?).ideally(55.0),
        ])
    },
    judge: |figures| {
        let why = "its group leaves children to run on";
        all(
            &[
                figures.at_most(CANCELS, 30.0),
                figures.at_most(LEFT, 0.0),
                figures.at_least(WAITS, 50.0),
            ],
            why,
        )
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::experiment::made;

    #[test]
    fn a_group_that_is_over_late_or_leaves_children_behind_contradicts() {
        let judge = |cancels: f64, left: f64, waits: f64| {
            let figures = [(CANCELS, [cancels; 3]), (LEFT, [left; 3]), (WAITS, [waits; 3])];
            made(Kind::Loop, 2, &figures).by(&GROUP)
        };
        assert_eq!(judge(0.1, 0.0, 55.1), ClaimVerdict::Holds);
        assert_eq!(judge(55.0, 0.0, 55.1), ClaimVerdict::Contradicted);
        assert_eq!(judge(0.1, 2.0, 55.1), ClaimVerdict::Contradicted);
    }

    #[test]
    fn children_that_ran_on_contradict_and_those_that_never_began_say_nothing() {
        let judge = |begun: f64, ended: f64| {
            made(Kind::Loop, 2, &[(BEGUN, [begun; 3]), (ENDED, [ended; 3])]).by(&CANCEL)
        };
        assert_eq!(judge(3.0, 0.0), ClaimVerdict::Holds);
        assert_eq!(judge(3.0, 3.0), ClaimVerdict::Contradicted);
        assert_eq!(judge(0.0, 0.0), ClaimVerdict::Inconclusive);
    }
}

//! What becomes of children when nobody waits for them any more.

use super::{
    Kind,
    experiment::{Ended, Experiment, Sample, all, unexpected},
};
use crate::{
    perform::{CHILDREN, Probe, Probed},
    record::ClaimVerdict,
};

const BEGUN: &str = "children under way";
const ENDED: &str = "ran to their end";

pub(super) const CANCEL: Experiment = Experiment {
    name: "cancel",
    sentence: "Cancelling a job cancels the children that it waits for.",
    method: "A job starts 3 children that sleep for 40 ms, and after 20 ms is left where it waits for them, as a \
             cancelled one is: how many children had begun, and how many ran to their end within 80 ms more.",
    workers: &[Some(2)],
    measure: |lab| {
        if lab.kind() != Kind::Loop {
            let why = "what waits holds its stack, and cannot be cancelled from outside";
            return Err(Ended::As(ClaimVerdict::DoesNotApply, why.into()));
        }
        match lab.probe(Probe::Cancelled)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::experiment::made;

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

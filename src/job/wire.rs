//! Jobs as JSON: what interpreters in other languages are given, so that none of them needs to read TOML.
//!
//! `docs/protocol.md` publishes this form. A new step gets its arm in [`step`] and its row there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Step, Workload};
use std::time::Duration;

impl Workload {
    /// Its jobs: `{"usual":[..],"every":{"nth":n,"job":[..]}}`, with `null` for no `every`.
    #[must_use]
    pub fn jobs_as_json(&self) -> Value {
        let every = self.every.as_ref().map(|(nth, job)| json!({ "nth": nth, "job": steps(job) }));
        json!({ "usual": steps(&self.job), "every": every })
    }

    /// The names of all its steps, at any depth.
    #[must_use]
    pub fn step_names(&self) -> BTreeSet<&'static str> {
        fn within(steps: &[Step], names: &mut BTreeSet<&'static str>) {
            for step in steps {
                names.insert(step.name());
                if let Step::Offload(of) | Step::Gather { of, .. } = step {
                    within(of, names);
                }
            }
        }
        let mut names = BTreeSet::new();
        within(&self.job, &mut names);
        self.every.iter().for_each(|(_, job)| within(job, &mut names));
        names
    }
}

fn steps(list: &[Step]) -> Value {
    list.iter().map(step).collect()
}

/// A step, as an object with one key. Every number in it is below 2^53: `bounds` sees to that.
fn step(step: &Step) -> Value {
    match step {
        Step::Sleep(wait) => json!({ "sleep_ns": nanoseconds(*wait) }),
        Step::Block(wait) => json!({ "block_ns": nanoseconds(*wait) }),
        Step::Compute(rounds) => json!({ "compute": rounds }),
        Step::Offload(of) => json!({ "offload": steps(of) }),
        Step::Connect => json!({ "connect": "echo" }),
        Step::Exchange { bytes, times } => {
            json!({ "exchange": { "bytes": bytes, "times": times } })
        }
        Step::Hop(times) => json!({ "hop": times }),
        Step::Yield(times) => json!({ "yield": times }),
        Step::Gather { width, of } => json!({ "gather": { "width": width, "of": steps(of) } }),
    }
}

fn nanoseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_the_form_that_the_protocol_page_publishes() {
        let text = r#"
name = "all"
job = [
    { sleep = "2ms" }, { block = "1us" }, { compute = 3 }, { offload = [{ compute = 4 }] },
    { connect = "echo" }, { exchange = { bytes = 8, times = 5 } }, { hop = 6 }, { yield = 7 },
    { gather = { width = 8, of = [{ sleep = "1ns" }] } },
]
every = { nth = 9, job = [{ compute = 0 }] }"#;
        let workload = Workload::parse("all", text).unwrap();
        let wanted = json!({
            "usual": [
                { "sleep_ns": 2_000_000 }, { "block_ns": 1_000 }, { "compute": 3 },
                { "offload": [{ "compute": 4 }] }, { "connect": "echo" },
                { "exchange": { "bytes": 8, "times": 5 } }, { "hop": 6 }, { "yield": 7 },
                { "gather": { "width": 8, "of": [{ "sleep_ns": 1 }] } },
            ],
            "every": { "nth": 9, "job": [{ "compute": 0 }] },
        });
        assert_eq!(workload.jobs_as_json(), wanted);
        assert_eq!(workload.step_names().len(), 9);
    }

    #[test]
    fn steps_of_children_and_of_the_other_jobs_are_named_too() {
        let text = "name = \"deep\"\njob = [{ gather = { width = 1, of = [{ offload = [{ block = \"1ms\" }] }] } }]\nevery = { nth = 2, job = [{ yield = 1 }] }";
        let names = Workload::parse("deep", text).unwrap().step_names();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["block", "gather", "offload", "yield"]);
    }
}

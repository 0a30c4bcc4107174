//! Jobs as JSON, for interpreters in other languages, which then need no TOML parser.
//!
//! `docs/protocol.md` defines this format. A new step needs its arm in [`step`] and its row there.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{Gather, Group, Join, Messages, Pool, Server, Step, Steps, Workload};

impl Workload {
    /// Returns the jobs as `{"usual":[..],"every":{"nth":n,"job":[..]}}`, with `null` if there is no `every`.
    pub fn jobs_as_json(&self) -> Value {
        json!({ "usual": steps(&self.job), "every": every_as_json(self.every.as_ref()) })
    }

    /// Returns the names of all steps at any depth, and of those variants that not every model supports.
    pub fn step_names(&self) -> BTreeSet<&'static str> {
        fn within(steps: &[Step], names: &mut BTreeSet<&'static str>) {
            for step in steps {
                names.insert(step.name());
                names.extend(step.variant());
                step.inner().into_iter().for_each(|of| within(of, names));
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

/// Returns a step as an object with one key. All numbers are below 2^53, which `bounds` ensures.
fn step(step: &Step) -> Value {
    match step {
        Step::Sleep(wait) => json!({ "sleep_ns": nanoseconds(*wait) }),
        Step::Block(wait) => json!({ "block_ns": nanoseconds(*wait) }),
        Step::Compute(rounds) => json!({ "compute": rounds }),
        Step::Offload(of) => json!({ "offload": steps(of) }),
        Step::Connect(server) => json!({ "connect": server_as_json(*server) }),
        Step::Pool(Pool { size, server, .. }) => {
            json!({ "connect": { "pool": size, "to": server_as_json(*server) } })
        }
        Step::Say(messages) => json!({ "say": messages_of(*messages) }),
        Step::Hear(messages) => json!({ "hear": messages_of(*messages) }),
        Step::Exchange { bytes, times } => {
            json!({ "exchange": { "bytes": bytes, "times": times } })
        }
        Step::Hop(times) => json!({ "hop": times }),
        Step::Yield(times) => json!({ "yield": times }),
        Step::Gather(gather) => json!({ "gather": gather_as_json(gather) }),
        Step::Group(group) => {
            let Group { width, of, every, cancels } = group.as_ref();
            json!({ "group": {
                "width": width, "of": steps(of), "every": every_as_json(every.as_ref()), "cancels": cancels,
            } })
        }
        Step::Fail => json!({ "fail": "error" }),
        Step::Park => json!({ "park": "all" }),
    }
}

fn server_as_json(server: Server) -> Value {
    match server {
        Server::Echo => "echo".into(),
        Server::Slow(after) => json!({ "slow_ns": nanoseconds(after) }),
        Server::Room => "room".into(),
    }
}

fn gather_as_json(Gather { width, of, join }: &Gather) -> Value {
    match (&of[..], join) {
        ([of], Join::Tasks) => json!({ "width": width, "of": steps(of) }),
        ([of], Join::Future) => json!({ "width": width, "of": steps(of), "join": "future" }),
        (each, _) => each.iter().map(|of| steps(of)).collect(),
    }
}

fn messages_of(Messages { bytes, times }: Messages) -> Value {
    json!({ "bytes": bytes, "times": times })
}

fn every_as_json(every: Option<&(usize, Steps)>) -> Value {
    every.map(|(nth, job)| json!({ "nth": nth, "job": steps(job) })).into()
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
    { gather = { width = 2, of = [], join = "future" } },
    { gather = [[{ yield = 1 }], []] },
    { group = { width = 3, of = [], every = { nth = 2, job = [{ fail = "error" }] }, on_failure = "wait" } },
    { connect = { slow = "3ms" } }, { connect = { pool = 5, to = "echo" } },
    { connect = { pool = 2, to = { slow = "1us" } } }, { connect = "room" },
    { hear = { bytes = 9, times = 2 } },
]
every = { nth = 9, job = [{ connect = "room" }, { say = { bytes = 9, times = 2 } }] }"#;
        let workload = Workload::parse("all", text).unwrap();
        let wanted = json!({
            "usual": [
                { "sleep_ns": 2_000_000 }, { "block_ns": 1_000 }, { "compute": 3 },
                { "offload": [{ "compute": 4 }] }, { "connect": "echo" },
                { "exchange": { "bytes": 8, "times": 5 } }, { "hop": 6 }, { "yield": 7 },
                { "gather": { "width": 8, "of": [{ "sleep_ns": 1 }] } },
                { "gather": { "width": 2, "of": [], "join": "future" } },
                { "gather": [[{ "yield": 1 }], []] },
                { "group": {
                    "width": 3, "of": [], "every": { "nth": 2, "job": [{ "fail": "error" }] }, "cancels": false,
                } },
                { "connect": { "slow_ns": 3_000_000 } }, { "connect": { "pool": 5, "to": "echo" } },
                { "connect": { "pool": 2, "to": { "slow_ns": 1_000 } } }, { "connect": "room" },
                { "hear": { "bytes": 9, "times": 2 } },
            ],
            "every": { "nth": 9, "job": [{ "connect": "room" }, { "say": { "bytes": 9, "times": 2 } }] },
        });
        assert_eq!(workload.jobs_as_json(), wanted);
        let variants =
            ["connect.pool", "connect.room", "connect.slow", "gather.each", "gather.future"];
        let names = workload.step_names();
        assert!(variants.iter().all(|variant| names.contains(variant)), "{names:?}");
        assert_eq!(names.len(), 13 + variants.len());
    }

    #[test]
    fn waiting_for_all_jobs_has_the_form_that_the_protocol_page_publishes() {
        let park = Workload::parse("park", "name = \"park\"\njob = [{ park = \"all\" }]").unwrap();
        assert_eq!(park.jobs_as_json(), json!({ "usual": [{ "park": "all" }], "every": null }));
    }

    #[test]
    fn steps_of_children_and_of_the_other_jobs_are_named_too() {
        let text = "name = \"deep\"\njob = [{ gather = { width = 1, of = [{ offload = [{ block = \"1ms\" }] }] } }]\nevery = { nth = 2, job = [{ yield = 1 }] }";
        let names = Workload::parse("deep", text).unwrap().step_names();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["block", "gather", "offload", "yield"]);
    }
}

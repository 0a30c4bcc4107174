//! What is compared: jobs as data, and the sum of the outputs of the plain programs that do the same work.

use crate::Mode;
use paceline_core::{
    job::{Workload, compute, is_chosen},
    models::{self, Entry, Task},
};

/// The same work as data and in the plain programs, how many jobs of it, and in how many batches after the warm-up.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// The steps, and `every` if there is one.
    job: &'static str,
    pub(crate) jobs: usize,
    pub(crate) batches: usize,
    /// The output of a plain job: its index after as many rounds of mixing as the job has, and what its children add.
    output: fn(u64) -> u64,
}

const EXCHANGE: &str = r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 16 } }]"#;
const SERVICE: &str = r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 4 } }, { sleep = "5ms" }, { offload = [{ compute = 20_000 }] }]"#;
const FANOUT: &str = "[{ gather = { width = 8, of = [{ compute = 500 }, { gather = { width = 4, of = [{ compute = 500 }] } }] } }]";
const STALL: &str = r#"[{ sleep = "5ms" }, { compute = 1_000 }, { sleep = "5ms" }]
every = { nth = 20, job = [{ sleep = "5ms" }, { block = "20ms" }] }"#;

#[rustfmt::skip]
pub(crate) static WORK: [Work; 14] = [
    Work { name: "sleep", job: r#"[{ sleep = "1ms" }]"#, jobs: 10_000, batches: 20, output: |index| index },
    Work { name: "exchange", job: EXCHANGE, jobs: 64, batches: 40, output: |index| compute(index, 16) },
    Work { name: "hop", job: "[{ hop = 100 }]", jobs: 100, batches: 40, output: |index| compute(index, 100) },
    Work { name: "offload", job: "[{ offload = [{ compute = 100 }] }]", jobs: 100, batches: 200, output: |index| compute(index, 100) },
    Work { name: "gather", job: "[{ gather = { width = 10, of = [{ compute = 500 }] } }]", jobs: 1_000, batches: 40, output: |index| plus(index, 10, |child| compute(index + child, 500)) },
    Work { name: "compute", job: "[{ compute = 2500 }]", jobs: 10_000, batches: 8, output: |index| compute(index, 2_500) },
    // Their futures box each wait, for they wait for more than one kind of thing or for children.
    Work { name: "service", job: SERVICE, jobs: 1_000, batches: 10, output: |index| compute(index, 20_004) },
    Work { name: "fanout", job: FANOUT, jobs: 200, batches: 20, output: fanned },
    Work { name: "stall", job: STALL, jobs: 200, batches: 2, output: |index| if is_chosen(index as usize, 20) { index } else { compute(index, 1_000) } },
    Work { name: "join", job: "[{ gather = { width = 100, of = [{ yield = 1 }, { compute = 100 }] } }]", jobs: 100, batches: 40, output: |index| plus(index, 100, |child| compute(index + child, 100)) },
    // Smaller than what the limits are for: what a job costs by itself.
    Work { name: "compute-50", job: "[{ compute = 50 }]", jobs: 100_000, batches: 12, output: |index| compute(index, 50) },
    Work { name: "empty", job: "[]", jobs: 100_000, batches: 12, output: |index| index },
    Work { name: "exchange-1", job: EXCHANGE, jobs: 1, batches: 1_000, output: |index| compute(index, 16) },
    MILLION,
];
/// A mode of its own; its only batch is the first.
#[rustfmt::skip]
const MILLION: Work = Work { name: "million", job: r#"[{ sleep = "1s" }]"#, jobs: 1_000_000, batches: 0, output: |index| index };

/// The jobs that a claim is about: the six kinds, and those that box every wait.
const CLAIMED: usize = 10;
/// A thread for each of more jobs and children than that says nothing more.
const THREADS: usize = 2_000;

fn plus(value: u64, width: u64, child: impl Fn(u64) -> u64) -> u64 {
    (0..width).map(child).fold(value, u64::wrapping_add)
}

fn fanned(index: u64) -> u64 {
    plus(index, 8, |child| {
        let value = compute(index + child, 500);
        plus(value, 4, |below| compute(value ^ below, 500))
    })
}

impl Work {
    pub(crate) fn workload(&self) -> Workload {
        Workload::parse(self.name, &self.source()).expect("a built-in job")
    }

    /// The workload as a file.
    pub(crate) fn source(&self) -> String {
        format!("name = \"{}\"\njob = {}", self.name, self.job)
    }

    /// What the outputs of a plain program's batch of `jobs` jobs add up to.
    pub(crate) fn sum(&self, jobs: usize) -> u64 {
        plus(0, jobs as u64, self.output)
    }

    /// How many jobs `model` is given.
    pub(crate) fn jobs_on(&self, model: &str) -> usize {
        let children = match self.name {
            "gather" => 10,
            "fanout" => 40,
            "join" => 100,
            _ => 1,
        };
        if model == "threads" { self.jobs.min(THREADS / children) } else { self.jobs }
    }

    pub(crate) fn is_claimed(&self) -> bool {
        WORK[..CLAIMED].iter().any(|claimed| claimed.name == self.name)
    }

    /// Whether the model can do it, and in less than seconds.
    fn suits(&self, entry: &Entry) -> bool {
        let workload = self.workload();
        let waits = ["sleep", "service", "stall", "million"].contains(&self.name);
        let million = self.name == "million" && entry.info.task == Task::Thread;
        let patient = !waits || !entry.info.holds_worker();
        patient && !million && entry.info.unsupported_step(&workload).is_none()
    }
}

/// What the scripts know by the same names, and how much of it: an interpreter does less in the same time.
#[rustfmt::skip]
static SCRIPTED: [Work; 3] = [
    Work { name: "sleep", job: r#"[{ sleep = "10ms" }]"#, jobs: 1_000, batches: 40, output: |index| index },
    Work { name: "exchange", job: r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 20 } }]"#, jobs: 64, batches: 20, output: |index| index },
    Work { name: "compute", job: "[{ compute = 20000 }]", jobs: 20, batches: 60, output: |index| index },
];

/// The models that there are plain programs of, and the program of each: a crate or a script in `benches/cost/plain`.
#[rustfmt::skip]
const MODELS: [(&str, &str); 14] = [
    ("sequential", "std"), ("threads", "std"), ("rayon", "rayon"), ("tokio", "tokio"), ("tokio-current-thread", "tokio"),
    ("tokio-per-core", "tokio"), ("tokio+rayon", "tokio"), ("smol", "smol"), ("smol-per-core", "smol"),
    ("async-std", "async-std"), ("compio", "compio"), ("monoio", "monoio"), ("glommio", "glommio"),
    ("tokio-uring", "tokio-uring"),
];
const SCRIPTS: [(&str, &str); 3] =
    [("asyncio", "plain.py"), ("node", "plain.mjs"), ("go", "plain.go")];

/// A comparison: some work on a model, and the plain program of the same work.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) work: &'static Work,
    pub(crate) model: &'static str,
    pub(crate) program: &'static str,
    /// What it is called: `work/model`.
    pub(crate) id: String,
}

/// The cells of a mode. Models that cannot run here are left out, with a message.
pub(crate) fn cells(mode: Mode) -> Vec<Cell> {
    let (work, models): (&'static [Work], &[_]) = match mode {
        Mode::Time | Mode::Callgrind => (&WORK[..WORK.len() - 1], &MODELS),
        Mode::Million => (&WORK[WORK.len() - 1..], &MODELS),
        Mode::Foreign => (&SCRIPTED, &SCRIPTS),
    };
    let counted = ["empty", "compute-50", "compute", "hop", "gather"];
    let one = |name: &str| ["sequential", "tokio-current-thread"].contains(&name);
    let mut list = Vec::new();
    for work in work {
        for (model, program) in models {
            let there = models::find(model).expect("a model");
            let counted = counted.contains(&work.name) && one(model);
            if work.suits(there) && (mode != Mode::Callgrind || counted) {
                let id = format!("{}/{model}", work.name);
                list.push(Cell { work, model, program, id });
            }
        }
    }
    list
}

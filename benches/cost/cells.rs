//! The comparisons: jobs as data, and the expected sum of the outputs of the plain programs that do the same work.

use crate::Mode;
use paceline_core::{
    job::{Workload, compute, is_chosen},
    models::{self, Entry, Task},
};

/// A kind of work that the suite has as data and the plain programs as code.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// The steps, and `every` if there is one.
    job: &'static str,
    pub(crate) jobs: usize,
    pub(crate) batches: usize,
    /// The output of a plain job by its index: as many rounds of mixing as the job has, and the sum of its children.
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
    // Their futures box each wait, because they wait for several kinds of things or for children.
    Work { name: "service", job: SERVICE, jobs: 1_000, batches: 10, output: |index| compute(index, 20_004) },
    Work { name: "fanout", job: FANOUT, jobs: 200, batches: 20, output: fanned },
    Work { name: "stall", job: STALL, jobs: 200, batches: 2, output: |index| if is_chosen(index as usize, 20) { index } else { compute(index, 1_000) } },
    Work { name: "join", job: "[{ gather = { width = 100, of = [{ yield = 1 }, { compute = 100 }] } }]", jobs: 100, batches: 40, output: |index| plus(index, 100, |child| compute(index + child, 100)) },
    // Too small for the limits: these show the cost of a job itself.
    Work { name: "compute-50", job: "[{ compute = 50 }]", jobs: 100_000, batches: 12, output: |index| compute(index, 50) },
    Work { name: "empty", job: "[]", jobs: 100_000, batches: 12, output: |index| index },
    Work { name: "exchange-1", job: EXCHANGE, jobs: 1, batches: 1_000, output: |index| compute(index, 16) },
    MILLION,
];
/// It has its own mode, and only one batch.
#[rustfmt::skip]
const MILLION: Work = Work { name: "million", job: r#"[{ sleep = "1s" }]"#, jobs: 1_000_000, batches: 0, output: |index| index };

/// How many of [`WORK`], from the first on, have limits: the six kinds of waits, and those that box every wait.
const CLAIMED: usize = 10;
/// The most threads of the model `threads`: more would show nothing new.
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

    /// Returns the text of the workload file.
    pub(crate) fn source(&self) -> String {
        format!("name = \"{}\"\njob = {}", self.name, self.job)
    }

    /// Returns the sum of the outputs of `jobs` plain jobs.
    pub(crate) fn sum(&self, jobs: usize) -> u64 {
        plus(0, jobs as u64, self.output)
    }

    /// Returns the number of jobs for `model`.
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

    /// Returns whether the model supports it, and does not take seconds.
    fn suits(&self, entry: &Entry) -> bool {
        let workload = self.workload();
        let waits = ["sleep", "service", "stall", "million"].contains(&self.name);
        let million = self.name == "million" && entry.info.task == Task::Thread;
        let patient = !waits || !entry.info.holds_worker();
        patient && !million && entry.info.unsupported_step(&workload).is_none()
    }
}

/// The work of the scripts. They have fewer jobs, because an interpreter takes longer.
#[rustfmt::skip]
static SCRIPTED: [Work; 3] = [
    Work { name: "sleep", job: r#"[{ sleep = "10ms" }]"#, jobs: 1_000, batches: 40, output: |index| index },
    Work { name: "exchange", job: r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 20 } }]"#, jobs: 64, batches: 20, output: |index| index },
    Work { name: "compute", job: "[{ compute = 20000 }]", jobs: 20, batches: 60, output: |index| index },
];

/// The models that have a plain program, and the program: a crate or a script in `benches/cost/plain`.
#[rustfmt::skip]
const MODELS: [(&str, &str); 14] = [
    ("sequential", "std"), ("threads", "std"), ("rayon", "rayon"), ("tokio", "tokio"), ("tokio-current-thread", "tokio"),
    ("tokio-per-core", "tokio"), ("tokio+rayon", "tokio"), ("smol", "smol"), ("smol-per-core", "smol"),
    ("async-std", "async-std"), ("compio", "compio"), ("monoio", "monoio"), ("glommio", "glommio"),
    ("tokio-uring", "tokio-uring"),
];
const SCRIPTS: [(&str, &str); 3] =
    [("asyncio", "plain.py"), ("node", "plain.mjs"), ("go", "plain.go")];

/// A comparison: work on a model, and the plain program of the same work.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) work: &'static Work,
    pub(crate) model: &'static str,
    pub(crate) program: &'static str,
    /// Its name, as `work/model`.
    pub(crate) id: String,
}

/// Returns the cells of a mode.
pub(crate) fn cells(mode: Mode) -> Vec<Cell> {
    let (work, models): (&'static [Work], &[_]) = match mode {
        Mode::Time | Mode::Callgrind | Mode::Symbols => (&WORK[..WORK.len() - 1], &MODELS),
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

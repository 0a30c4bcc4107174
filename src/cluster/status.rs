//! How a plan stands: by its files first, then by what the scheduler says of the rest.

use std::{
    collections::BTreeMap,
    fs::File,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Block, Engine, Fault, PlanFolder,
    engine::{Listed, Meaning, NAME_IT_AGAIN, Values},
    jobs::{End, Event, Jobs, Submission},
    pace::{changed, seconds_left},
    part::attempts,
};
use crate::record::CELLS;
use paceline_core::clock::now;

/// The attempts at a block before it is given up.
pub(super) const MOST_ATTEMPTS: u32 = 3;

/// How a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlockState {
    /// Not handed over yet.
    Planned,
    /// The scheduler has it.
    Submitted,
    /// The scheduler has it and says that it will not run as it is.
    Blocked,
    /// It is being measured.
    Running,
    /// The scheduler has it no more, and there is no result. Submitting again is the retry.
    Lost,
    /// The same, and another attempt would end alike, or there were three.
    GaveUp,
    /// It has a complete attempt.
    Done,
}

impl BlockState {
    /// What people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            BlockState::Planned => "planned",
            BlockState::Submitted => "submitted",
            BlockState::Blocked => "blocked",
            BlockState::Running => "running",
            BlockState::Lost => "lost",
            BlockState::GaveUp => "gave up",
            BlockState::Done => "done",
        }
    }

    /// Whether it changes without anybody doing anything.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, BlockState::Submitted | BlockState::Running)
    }
}

/// A plan at one moment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// The plan's name.
    pub id: String,
    /// The engine; `None` where it was handed to none yet.
    pub engine: Option<String>,
    /// How many blocks are done.
    pub done: usize,
    /// About how many seconds are left, by the rate so far; `None` until more blocks are done than run.
    pub seconds_left: Option<f64>,
    /// Why the scheduler gave no answer, where it did not: what is known of it is old.
    pub outage: Option<String>,
    /// All blocks, in the order of the plan.
    pub blocks: Vec<BlockStatus>,
}

/// A block at one moment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BlockStatus {
    /// Its name in the plan.
    pub block: String,
    /// What people call it: `cpu at 100, pass 3`, or by the direction of its load.
    pub label: String,
    /// Its workload.
    pub workload: String,
    /// Its scale.
    pub scale: usize,
    /// Its pass, from 0 on; in a load, which node is the server's.
    pub pass: u32,
    /// How it stands.
    pub state: BlockState,
    /// The scheduler's word or reason.
    pub reason: Option<String>,
    /// Where the scheduler runs it.
    pub node: Option<String>,
    /// How often it was handed over.
    pub submissions: u32,
    /// The file with what its worker printed, if it was lost.
    pub log: Option<String>,
}

impl Status {
    /// How many blocks are in a state.
    #[must_use]
    pub fn count(&self, state: BlockState) -> usize {
        self.blocks.iter().filter(|block| block.state == state).count()
    }

    /// Returns whether all of these blocks are done.
    pub(super) fn has_done(&self, blocks: &[String]) -> bool {
        let mut these = self.blocks.iter().filter(|block| blocks.contains(&block.block));
        these.all(|block| block.state == BlockState::Done)
    }

    /// Whether nothing changes any more without anybody doing anything.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.blocks.iter().any(|block| block.state.is_under_way())
    }
}

/// Looks at a plan, again and again.
pub struct Watch<'a> {
    pub(super) plan: &'a PlanFolder,
    pub(super) engine: Option<Engine>,
    pub(super) jobs: Jobs,
    /// While it is held, what is found out is written down.
    lock: Option<File>,
    /// What the scheduler says of a submission of each block, and since when.
    said: BTreeMap<String, (u32, Meaning, Instant)>,
    /// The blocks that are done, and when each began and ended.
    measured: BTreeMap<String, (f64, f64)>,
    /// Whether no line of the last list could be read.
    unread: bool,
}

impl<'a> Watch<'a> {
    /// Begins to watch. Where another paceline submits or watches, this one writes nothing.
    ///
    /// # Errors
    ///
    /// Returns a fault where the plan's folder cannot be read.
    pub fn open(plan: &'a PlanFolder) -> Result<Self, Fault> {
        Self::with(plan, Jobs::lock(&plan.dir).ok())
    }

    /// Begins to watch, alone.
    pub(super) fn locked(plan: &'a PlanFolder) -> Result<Self, Fault> {
        let lock = Jobs::lock(&plan.dir)?;
        Self::with(plan, Some(lock))
    }

    fn with(plan: &'a PlanFolder, lock: Option<File>) -> Result<Self, Fault> {
        let jobs = Jobs::read(&plan.dir)?;
        let engine = Engine::used(&plan.dir)?;
        let (said, measured) = (BTreeMap::new(), BTreeMap::new());
        Ok(Watch { plan, engine, jobs, lock, said, measured, unread: false })
    }

    /// How long to wait before looking again.
    #[must_use]
    pub fn poll(&self) -> Duration {
        self.engine.as_ref().map_or(Duration::from_secs(1), Engine::poll)
    }

    /// Looks once.
    ///
    /// # Errors
    ///
    /// Returns a fault where what is found out cannot be written, or where blocks are under way and the engine's file is
    /// gone.
    pub fn look(&mut self) -> Result<Status, Fault> {
        if self.lock.is_none() {
            self.jobs = Jobs::read(&self.plan.dir)?;
        }
        let begun = self.read_files();
        let (listed, outage) = match self.list() {
            Ok(listed) => (listed, None),
            // There is no engine to ask, or not even the second list can be read: to wait would not help.
            Err(fault @ Fault::Usage(_)) if self.engine.is_none() || self.unread => {
                return Err(fault);
            }
            Err(fault) => {
                self.unread = matches!(fault, Fault::Usage(_));
                (vec![], Some(fault.why().to_owned()))
            }
        };
        if outage.is_none() {
            self.unread = false;
            // What has ended since the files were read is done, not lost.
            self.read_files();
            self.adopt(&listed)?;
        }
        let mut blocks = Vec::new();
        for block in &self.plan.plan.blocks {
            blocks.push(self.block(block, &listed, outage.as_deref(), &begun)?);
        }
        let done = self.measured.len();
        let running = blocks.iter().filter(|block| block.state == BlockState::Running).count();
        let left = blocks.iter().filter(|block| block.state.is_under_way()).count();
        // Before, some of the places where blocks run have ended none, and the first waited for an unknown time.
        let is_known = done > running.max(1);
        let seconds_left = is_known.then(|| self.seconds_left(left));
        let engine = self.engine.as_ref().map(|engine| engine.name.clone());
        Ok(Status { id: self.plan.plan.id.clone(), engine, done, seconds_left, outage, blocks })
    }

    /// Returns about how long these blocks take, with all that is around their measuring.
    fn seconds_left(&self, blocks: usize) -> f64 {
        let submissions = self.jobs.submissions.iter();
        let submitted: Vec<f64> = submissions.filter_map(|of| self.handed_over(of)).collect();
        seconds_left(self.measured.values().copied().collect(), &submitted, blocks)
    }

    /// Returns when a submission was handed over, by the clock of the plan's folder.
    fn handed_over(&self, of: &Submission) -> Option<f64> {
        changed(&self.plan.dir.join(format!("submissions/{}.blocks", of.number)))
    }

    /// Notes which blocks are done; returns those that somebody has begun since they were last submitted.
    fn read_files(&mut self) -> Vec<String> {
        let mut begun = Vec::new();
        for block in &self.plan.plan.blocks {
            if self.measured.contains_key(&block.id) {
                continue;
            }
            let folder = self.plan.attempts(&block.id);
            let (complete, others) = attempts(self.plan, &block.id);
            if let Some(done) = complete.first() {
                let ended = changed(&folder.join(&done.attempt).join(CELLS)).unwrap_or_default();
                self.measured.insert(block.id.clone(), (ended - done.seconds, ended));
                continue;
            }
            let since = self.jobs.of(&block.id).0.and_then(|of| self.handed_over(of));
            if others.iter().any(|name| changed(&folder.join(name)) >= since) {
                begun.push(block.id.clone());
            }
        }
        begun
    }

    /// The submissions that may have tasks under way.
    fn open_submissions(&self) -> Vec<&Submission> {
        let open = |of: &&Submission| {
            let mut blocks = of.blocks.iter();
            blocks.any(|id| !of.ended.contains_key(id) && !self.measured.contains_key(id))
        };
        self.jobs.submissions.iter().filter(open).collect()
    }

    fn list(&self) -> Result<Vec<Listed>, Fault> {
        let open = self.open_submissions();
        if open.is_empty() {
            return Ok(vec![]);
        }
        let engine = self.engine.as_ref().ok_or_else(|| {
            let dir = self.plan.dir.display();
            Fault::Usage(format!("engine.toml is gone from {dir}; {NAME_IT_AGAIN}"))
        })?;
        let names: Vec<&str> = open.iter().map(|of| of.name.as_str()).collect();
        let jobs: Vec<&str> = open.iter().filter_map(|of| of.job.as_deref()).collect();
        let values =
            Values::of(self.plan).with("names", names.join(",")).with("jobs", jobs.join(","));
        engine.list(&values)
    }

    /// Finds the jobs whose ids were lost between the intent and the answer, by their names. Slurm lists jobs that it has
    /// refused as failed: only what waits or runs was taken, and the files tell what has ended.
    fn adopt(&mut self, listed: &[Listed]) -> Result<(), Fault> {
        if self.lock.is_none() {
            return Ok(());
        }
        let lost: Vec<(u32, String)> = self
            .open_submissions()
            .iter()
            .filter(|of| of.job.is_none())
            .map(|of| (of.number, of.name.clone()))
            .collect();
        for (submission, name) in lost {
            let alive = |task: &&Listed| {
                matches!(task.meaning, Meaning::Pending | Meaning::Running | Meaning::Ending)
            };
            let found = listed.iter().filter(alive).find(|task| {
                task.name.as_ref().map_or(task.job == submission.to_string(), |own| *own == name)
            });
            let event = match found {
                Some(task) => Event::Submitted { submission, job: task.job.clone() },
                None => Event::Refused { submission, why: "the scheduler has no such job".into() },
            };
            self.jobs.write(event)?;
        }
        Ok(())
    }

    fn block(
        &mut self,
        block: &Block,
        listed: &[Listed],
        outage: Option<&str>,
        begun: &[String],
    ) -> Result<BlockStatus, Fault> {
        let (last, submissions) = self.jobs.of(&block.id);
        let (plan, first) = (self.plan, self.engine.as_ref().map_or(0, Engine::first_task));
        let task = last.map(|of| first + of.place(&block.id));
        let status = |state, reason: Option<String>, node: Option<String>| BlockStatus {
            block: block.id.clone(),
            label: plan.plan.label(block),
            workload: block.workload.clone(),
            scale: block.scale,
            pass: block.pass,
            state,
            reason: reason.filter(|reason| !reason.is_empty() && reason != "None"),
            node: node.filter(|node| !node.is_empty()),
            submissions,
            log: last
                .filter(|_| matches!(state, BlockState::Lost | BlockState::GaveUp))
                .and_then(|of| log(plan, of.number, task)),
        };
        if self.measured.contains_key(&block.id) {
            return Ok(status(BlockState::Done, None, None));
        }
        let Some(last) = last else { return Ok(status(BlockState::Planned, None, None)) };
        if let Some(end) = last.ended.get(&block.id) {
            let (state, word) = match end {
                End::Lost(word) => (BlockState::Lost, word.as_str()),
                End::GaveUp(word) => (BlockState::GaveUp, word.as_str()),
                End::Cancelled => (BlockState::Lost, "cancelled by paceline"),
            };
            return Ok(status(state, Some(word.to_owned()), None));
        }
        let (Some(engine), None) = (&self.engine, outage) else {
            return Ok(status(BlockState::Submitted, outage.map(str::to_owned), None));
        };
        let is_its = |of: &&Listed| {
            Some(&of.job) == last.job.as_ref() && of.task.is_none_or(|of| Some(of) == task)
        };
        let task = listed.iter().rfind(is_its);
        let meaning = task.map_or(Meaning::Gone, |task| task.meaning);
        let get = |of: fn(&Listed) -> &String| task.map(of).cloned();
        let of_one = task.is_some_and(|task| task.task.is_some());
        let (reason, node) = (get(|task| &task.reason), get(|task| &task.node));
        // A job that was away for a moment, or that is requeued, has its whole time again.
        let said = self.said.entry(block.id.clone());
        let said = said.or_insert_with(|| (last.number, meaning, now()));
        if (said.0, said.1) != (last.number, meaning) {
            *said = (last.number, meaning, now());
        }
        let since = said.2;
        match meaning {
            Meaning::Pending if engine.never(reason.as_deref().unwrap_or_default()) => {
                return Ok(status(BlockState::Blocked, reason, node));
            }
            Meaning::Pending => return Ok(status(BlockState::Submitted, reason, node)),
            // A job that does all its blocks one after another is seen to be at those that have begun.
            Meaning::Running if !of_one && !begun.contains(&block.id) => {
                return Ok(status(BlockState::Submitted, None, None));
            }
            Meaning::Running => return Ok(status(BlockState::Running, None, node)),
            _ => {}
        }
        let word = match task {
            None => "gone without a result".into(),
            Some(task) if meaning == Meaning::Gone => format!("{} without a result", task.word),
            Some(task) => task.word.clone(),
        };
        if engine.patience(meaning).is_some_and(|patience| now() - since < patience) {
            let gone = meaning == Meaning::Gone;
            let what = if gone { "its files are awaited" } else { "its end is waited for" };
            return Ok(status(BlockState::Running, Some(format!("{word}: {what}")), node));
        }
        let without_result = self.jobs.not_cancelled(&block.id);
        let given_up = meaning == Meaning::Final || without_result >= MOST_ATTEMPTS;
        let state = if given_up { BlockState::GaveUp } else { BlockState::Lost };
        let ended = status(state, Some(word.clone()), None);
        let submission = last.number;
        if self.lock.is_some() {
            let block = block.id.clone();
            self.jobs.write(Event::Ended { submission, block, word, given_up })?;
        }
        Ok(ended)
    }
}

/// Returns where a worker's words are, if the engine's script writes them to `{log}.txt`, or to a file for each task.
fn log(plan: &PlanFolder, submission: u32, task: Option<u32>) -> Option<String> {
    let folder = plan.dir.join("submissions");
    let of_task = task.map(|task| folder.join(format!("{submission}-{task}.txt")));
    let mut files = of_task.into_iter().chain([folder.join(format!("{submission}.txt"))]);
    files.find(|file| file.exists()).map(|file| file.display().to_string())
}

//! Submissions: `jobs.jsonl`. The intent is synced before the scheduler is called, and the job's id after it has
//! answered, so a crash in between loses no job.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Fault, part::AGAIN, unwritable_file};
use crate::record::{append, cut_torn_line, lines};
use paceline_core::clock::utc;

pub(super) const JOBS: &str = "jobs.jsonl";

/// A line of `jobs.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// These blocks are about to be submitted, as tasks of one job, in this order.
    Intent { submission: u32, at: String, name: String, blocks: Vec<String> },
    /// The scheduler has taken them.
    Submitted { submission: u32, job: String },
    /// The scheduler has not taken them, and runs none of them.
    Refused { submission: u32, why: String },
    /// A task has ended without a result. `given_up`: another attempt would end the same way.
    Ended { submission: u32, block: String, word: String, given_up: bool },
    /// Everything under way was cancelled.
    Cancelled { at: String },
}

/// How a task has ended without a result.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// With this word of the scheduler. Another attempt may succeed.
    Lost(String),
    /// With this word of the scheduler. Another attempt would end the same way.
    GaveUp(String),
    /// By `paceline cluster cancel`.
    Cancelled,
}

/// Blocks that were submitted together.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub number: u32,
    /// The job's name.
    pub name: String,
    pub blocks: Vec<String>,
    /// The scheduler's id; `None` while it is not known whether it has taken the job.
    pub job: Option<String>,
    /// The tasks that ended without a result.
    pub ended: BTreeMap<String, End>,
}

impl Submission {
    /// Returns which of its blocks this is, from 0 on.
    pub(super) fn place(&self, block: &str) -> u32 {
        self.blocks.iter().position(|id| id == block).unwrap_or(0) as u32
    }
}

/// All submissions of a plan.
pub(super) struct Jobs {
    path: PathBuf,
    /// The submissions that the scheduler has not refused.
    pub submissions: Vec<Submission>,
    /// The number of the next one.
    pub next: u32,
}

impl Jobs {
    pub(super) fn read(dir: &Path) -> Result<Self, String> {
        let path = dir.join(JOBS);
        let events: Vec<Event> = if path.exists() { lines(&path)? } else { vec![] };
        let mut jobs = Jobs { path, submissions: vec![], next: 1 };
        for event in events {
            jobs.apply(event);
        }
        Ok(jobs)
    }

    /// Locks the file against other submitters while the returned file lives, and cuts off a torn last line.
    pub(super) fn lock(dir: &Path) -> Result<File, Fault> {
        let path = dir.join(JOBS);
        let cannot = |error: std::io::Error| unwritable_file(&path, &error);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(cannot)?;
        if matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            return Err(Fault::Failed(format!(
                "another paceline submits or watches {}: wait for it, or stop it",
                dir.display()
            )));
        }
        cut_torn_line(&path).map_err(cannot)?;
        Ok(file)
    }

    /// Writes an event and syncs it.
    pub(super) fn write(&mut self, event: Event) -> Result<(), String> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file =
            file.map_err(|error| unwritable_file(&self.path, &error).why().to_owned())?;
        append(&mut file, &self.path, AGAIN, &event)?;
        self.apply(event);
        Ok(())
    }

    /// Notes that `blocks` are about to be submitted, and returns their submission.
    pub(super) fn intend(
        &mut self,
        name: String,
        blocks: Vec<String>,
    ) -> Result<Submission, String> {
        let submission = self.next;
        self.write(Event::Intent { submission, at: utc(), name, blocks })?;
        Ok(self.submissions.last().expect("it was just added").clone())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Intent { submission: number, name, blocks, .. } => {
                self.next = self.next.max(number + 1);
                let ended = BTreeMap::new();
                self.submissions.push(Submission { number, name, blocks, job: None, ended });
            }
            Event::Submitted { submission, job } => {
                self.with(submission, |of| of.job = Some(job));
            }
            Event::Refused { submission, .. } => {
                self.submissions.retain(|of| of.number != submission);
            }
            Event::Ended { submission, block, word, given_up } => {
                let end = if given_up { End::GaveUp(word) } else { End::Lost(word) };
                self.with(submission, |of| {
                    of.ended.insert(block, end);
                });
            }
            Event::Cancelled { .. } => {
                for of in &mut self.submissions {
                    for block in of.blocks.clone() {
                        of.ended.entry(block).or_insert(End::Cancelled);
                    }
                }
            }
        }
    }

    fn with(&mut self, number: u32, change: impl FnOnce(&mut Submission)) {
        if let Some(of) = self.submissions.iter_mut().find(|of| of.number == number) {
            change(of);
        }
    }

    /// Returns the last submission of a block, and the number of its submissions.
    pub(super) fn of(&self, block: &str) -> (Option<&Submission>, u32) {
        let has = |of: &&Submission| of.blocks.iter().any(|id| id == block);
        (self.submissions.iter().rfind(has), self.submissions.iter().filter(has).count() as u32)
    }

    /// Returns the number of submissions of a block that the user has not cancelled.
    pub(super) fn not_cancelled(&self, block: &str) -> u32 {
        let counts = |of: &&Submission| {
            let is_cancelled = matches!(of.ended.get(block), Some(End::Cancelled));
            of.blocks.iter().any(|id| id == block) && !is_cancelled
        };
        self.submissions.iter().filter(counts).count() as u32
    }

    /// The blocks whose last attempt was given up, each with the scheduler's word.
    pub(super) fn given_up(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for of in &self.submissions {
            for block in &of.blocks {
                match of.ended.get(block) {
                    Some(End::GaveUp(word)) => words.insert(block.clone(), word.clone()),
                    _ => words.remove(block),
                };
            }
        }
        words
    }
}

//! Attempts at blocks, in `parts/<block>/<attempt>/`. An attempt is complete once it has `done.json`, which is written
//! last and has the hashes of the other files. A complete attempt never changes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Fault, PlanFolder,
    node::{NodeFile, boot_id, host_name},
    random, unwritable_file, write_json_file,
};
use crate::{
    machine::hex,
    output::remedy,
    record::{CELLS, LeftOut, Node, State, TRIALS, Trial, Writer, json, parse_lines},
};
use paceline_core::{clock::utc, perform::Placement};

const NODE: &str = "node.json";
const DONE: &str = "done.json";
/// The `done.json` of the attempt that counts, in the folder of the block's attempts. Its name is hidden, so that
/// attempts that are copied with `*` do not bring another folder's decision.
const COUNTS: &str = ".counts.json";
/// What to do after a block or its submission could not be written.
pub(super) const AGAIN: &str = "go on with paceline cluster submit";

/// What `done.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The SHA-256 of the plan.
    pub plan: String,
    /// The block.
    pub block: String,
    /// The attempt.
    pub attempt: String,
    /// When it ended, in UTC by the node's clock, which may be wrong: nothing is decided by it.
    pub ended: String,
    /// Its duration.
    pub seconds: f64,
    /// The other files, by name.
    pub files: BTreeMap<String, Contents>,
}

/// The expected contents of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Bytes.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// SHA-256.
    pub sha256: String,
}

/// An attempt under way.
pub(super) struct Attempt {
    folder: PathBuf,
    node: NodeFile,
}

impl Attempt {
    /// Makes the folder of a new attempt at `block`, and describes this node in it, by the name `id`, and the nodes of
    /// generators.
    pub(super) fn begin(
        plan: &PlanFolder,
        block: &str,
        id: &str,
        generators: Vec<Node>,
    ) -> Result<Self, Fault> {
        let name = name()?;
        let folder = plan.attempts(block).join(&name);
        let cannot = |error: io::Error| unwritable_file(&folder, &error);
        fs::create_dir_all(folder.parent().unwrap_or(&folder)).map_err(cannot)?;
        fs::create_dir(&folder).map_err(cannot)?;
        let probe = folder.join(CELLS);
        File::create(&probe).map_err(cannot)?;
        let mut node = NodeFile::here(plan, block, (&name, id), &probe);
        node.generators = generators;
        // They were compared with this node's clock, and this node's with the file system's.
        for generator in &mut node.generators {
            let ahead = generator.clock_ahead_seconds.zip(node.node.clock_ahead_seconds);
            generator.clock_ahead_seconds = ahead.map(|(here, there)| here + there);
        }
        write_json_file(&folder.join(NODE), &node)?;
        Ok(Attempt { folder, node })
    }

    pub(super) fn node(&self) -> &NodeFile {
        &self.node
    }

    /// Returns the writer of its cells and trials.
    pub(super) fn writer(&self) -> Result<Writer, String> {
        Writer::part(&self.folder, AGAIN)
    }

    /// Marks it as complete.
    pub(super) fn complete(&self, seconds: f64) -> Result<(), String> {
        let cannot = |error: io::Error| {
            let (folder, remedy) = (self.folder.display(), remedy(&error));
            format!("cannot write to {folder}: {error}; {remedy}, and {AGAIN}")
        };
        let mut files = BTreeMap::new();
        for name in [NODE, CELLS, TRIALS] {
            let bytes = fs::read(self.folder.join(name)).map_err(cannot)?;
            files.insert(name.to_owned(), Contents::of(&bytes));
        }
        let done = Done {
            plan: self.node.plan.clone(),
            block: self.node.block.clone(),
            attempt: self.node.attempt.clone(),
            ended: utc(),
            seconds,
            files,
        };
        write_once(&self.folder, &json(&done)).map_err(cannot)?;
        // The first attempt to come here counts. No clock decides that: clocks of nodes differ, and are set.
        let attempts = self.folder.parent().unwrap_or(&self.folder);
        match fs::hard_link(self.folder.join(DONE), attempts.join(COUNTS)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(cannot(error)),
            _ => Ok(()),
        }
    }
}

/// Writes `done.json` under another name, and links it: it is there whole or not at all, and never replaced.
fn write_once(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = folder.join("done.new");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    fs::hard_link(&aside, folder.join(DONE))?;
    fs::remove_file(&aside)?;
    File::open(folder)?.sync_all()
}

/// Returns a unique name: the scheduler's job, the host, its boot, the process and a random number.
fn name() -> Result<String, String> {
    let job = std::env::var("PACELINE_JOB").unwrap_or_default();
    let job = if job.is_empty() { "by-hand".into() } else { job };
    let nonce = random::<4>().map_err(|error| format!("no random number for a name: {error}"))?;
    let boot: String = boot_id().chars().take(8).collect();
    let name = format!("{job}-{}-{boot}-{}-{nonce}", host_name(), std::process::id());
    Ok(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect())
}

impl Contents {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Contents {
            bytes: bytes.len() as u64,
            lines: bytes.split(|byte| *byte == b'\n').count() as u64 - 1,
            sha256: hex(&Sha256::digest(bytes)),
        }
    }
}

/// A complete attempt, read and checked against what its `done.json` says.
#[derive(Clone, Debug)]
pub struct Part {
    /// The node.
    pub node: NodeFile,
    /// How long it took.
    pub seconds: f64,
    /// How each cell ended.
    pub ends: Vec<End>,
    /// The trials.
    pub trials: Vec<Trial>,
    /// `cells.jsonl`, as its node wrote it.
    pub(super) cells: Vec<u8>,
}

/// How a cell ended in one block.
#[derive(Clone, Debug, Deserialize)]
pub struct End {
    /// Its workload.
    pub workload: String,
    /// Its model.
    pub model: String,
    /// Its scale.
    pub scale: usize,
    /// Its workers.
    pub workers: Option<usize>,
    /// Where its jobs were offered from.
    pub placement: Placement,
    /// How it ended.
    pub state: State,
    /// The reason, unless it is `ok`.
    pub reason: Option<String>,
    /// What no model can exceed on this node.
    pub bound_jobs_per_second: Option<f64>,
}

/// Makes `done` the attempt that counts from now on: attempts that arrive later do not change a record.
fn keep(plan: &PlanFolder, done: &Done) -> io::Result<()> {
    let attempts = plan.attempts(&done.block);
    if counting(&attempts).is_some_and(|counts| counts.attempt == done.attempt) {
        return Ok(());
    }
    let aside = attempts.join(".counts.new");
    let _ = fs::remove_file(&aside);
    fs::hard_link(attempts.join(&done.attempt).join(DONE), &aside)?;
    fs::rename(&aside, attempts.join(COUNTS))?;
    File::open(&attempts)?.sync_all()
}

/// The attempt that was the first to complete, or that was collected.
fn counting(attempts: &Path) -> Option<Done> {
    serde_json::from_slice(&fs::read(attempts.join(COUNTS)).ok()?).ok()
}

/// The attempts at a block that say that they are complete, and the names of those that do not. In front is the one that
/// counts: the first to complete, or the one that was collected before. The others, and those that were copied here,
/// are in the order of their names.
pub(super) fn attempts(plan: &PlanFolder, block: &str) -> (Vec<Done>, Vec<String>) {
    let folder = plan.attempts(block);
    let counts = counting(&folder).map(|done| done.attempt);
    let names = fs::read_dir(&folder).into_iter().flatten().flatten();
    let (mut complete, mut begun) = (Vec::new(), Vec::new());
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.filter(|name| !name.starts_with('.')) {
        let attempt = folder.join(&name);
        let bytes = fs::read(attempt.join(DONE)).ok();
        let done = bytes.and_then(|bytes| serde_json::from_slice::<Done>(&bytes).ok());
        // A part that was torn on its way, or is of another plan, is not complete, so that its block is open.
        let is_whole = |(file, of): (&String, &Contents)| {
            fs::metadata(attempt.join(file)).is_ok_and(|found| found.len() == of.bytes)
        };
        let is_its =
            |done: &Done| done.plan == plan.hash && done.attempt == name && done.block == block;
        match done.filter(|done| is_its(done) && done.files.iter().all(is_whole)) {
            Some(done) => complete.push(done),
            None => begun.push(name),
        }
    }
    complete.sort_by_cached_key(|done: &Done| {
        (counts.as_ref() != Some(&done.attempt), done.attempt.clone())
    });
    begun.sort();
    (complete, begun)
}

/// Returns the attempt at `block` that counts, as `check` has it: the first to complete of those that are whole. It is
/// kept: later attempts do not replace it. The others go to `left_out`. If none counts, the inner error says why.
pub(super) fn counted<T>(
    plan: &PlanFolder,
    block: &str,
    left_out: &mut Vec<LeftOut>,
    check: impl Fn(Part) -> Result<T, String>,
) -> Result<Result<T, String>, Fault> {
    let mut leave_out = |attempt: String, reason: String| {
        left_out.push(LeftOut { block: block.to_owned(), attempt, reason });
    };
    let (complete, begun) = attempts(plan, block);
    let mut counted = Err("no attempt has begun".to_owned());
    for attempt in begun {
        counted = Err(format!("the attempt {attempt} is not complete"));
        leave_out(attempt, "it is not complete".into());
    }
    for done in complete {
        if counted.is_ok() {
            leave_out(done.attempt, "superseded: another counts".into());
            continue;
        }
        match Part::read(plan, &done).and_then(&check) {
            Ok(found) => {
                keep(plan, &done).map_err(|error| format!("{}: {error}", plan.dir.display()))?;
                counted = Ok(found);
            }
            Err(why) => {
                let path = plan.attempts(block).join(&done.attempt);
                counted = Err(format!("{why}: remove {}", path.display()));
                leave_out(done.attempt, format!("damaged: {why}"));
            }
        }
    }
    Ok(counted)
}

impl Part {
    /// Reads an attempt of this plan, and checks its files against its `done.json`.
    ///
    /// # Errors
    ///
    /// Returns why it does not count.
    pub fn read(plan: &PlanFolder, done: &Done) -> Result<Self, String> {
        let folder = plan.attempts(&done.block).join(&done.attempt);
        let read = |name: &str| {
            let bytes = fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
            if done.files.get(name) != Some(&Contents::of(&bytes)) {
                return Err(format!("{name} is not what its {DONE} says"));
            }
            Ok(bytes)
        };
        let (node, cells, trials) = (read(NODE)?, read(CELLS)?, read(TRIALS)?);
        let node: NodeFile =
            serde_json::from_slice(&node).map_err(|error| format!("{NODE}: {error}"))?;
        if node.program != plan.plan.build.program {
            return Err("it was measured by another program than the plan's".into());
        }
        let ends = parse_lines(&folder.join(CELLS), &cells)?;
        let trials = parse_lines(&folder.join(TRIALS), &trials)?;
        Ok(Part { node, seconds: done.seconds, ends, trials, cells })
    }
}

//! The only writer of a cluster's record: proves that it is complete, and writes the same bytes each time.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    mem,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Block, Fault, PlanFolder,
    beside::{Span, beside},
    collect_load,
    jobs::Jobs,
    merge::{Measured, Row, check},
    node::NodeFile,
    part::counted,
};
use crate::{
    output::{self, remedy},
    plan::cells_on,
    record::{CELLS, LeftOut, NODES, Nodes, RUN, Run, TRIALS, write_json},
};
use paceline_core::histogram::Distribution;

/// The result of collecting.
#[derive(Debug)]
pub struct Collected {
    /// The records: one, or one for each kind of machine.
    pub folders: Vec<PathBuf>,
    /// The number of cells, and of those that failed or are invalid.
    pub cells: (usize, usize),
    /// The blocks without a complete attempt, each with the reason.
    pub missing: Vec<(String, String)>,
    /// Warnings about the nodes.
    pub warnings: Vec<String>,
}

/// A record under construction: what ran on machines of one kind.
struct Group {
    folder: PathBuf,
    cells: BufWriter<File>,
    trials: BufWriter<File>,
    first: NodeFile,
    floors: Vec<Distribution>,
    nodes: Nodes,
    counts: (usize, usize),
}

/// Collects `plan` into `results`. If blocks are missing it writes nothing, unless `partial`. Machines of different
/// fingerprints have separate records, and do not share a load, unless `any_machine`.
///
/// # Errors
///
/// Returns a fault if parts contradict the plan, a histogram cannot be read, or a file cannot be read or written.
pub fn collect(
    plan: &PlanFolder,
    results: &Path,
    partial: bool,
    any_machine: bool,
) -> Result<Collected, Fault> {
    let lock = plan.dir.join("collect.lock");
    let lock = File::create(&lock).map_err(|error| {
        Fault::Failed(format!(
            "cannot write {}, which keeps two from collecting at once: {error}; let it write there, or collect a copy of the plan's folder",
            lock.display()
        ))
    })?;
    if matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)) {
        return Err(Fault::Failed("another paceline collects this plan: wait for it".into()));
    }
    let aside = results.join(format!(".{}.new", plan.plan.id));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(unwritable(&aside))?;
    }
    let given_up = Jobs::read(&plan.dir)?.given_up();
    let done = if let Some(load) = &plan.plan.load {
        collect_load::collect(plan, load, &given_up, (results, &aside), (partial, any_machine))
    } else {
        let collector = Collector {
            plan,
            aside: aside.clone(),
            any_machine,
            given_up,
            groups: BTreeMap::new(),
            left_out: vec![],
            missing: vec![],
            unmeasured: vec![],
            spans: vec![],
        };
        collector.collect(results, partial)
    };
    let _ = fs::remove_dir_all(&aside);
    let mut done = done?;
    done.warnings.extend(outdated(&done.folders, results, &plan.plan.id));
    Ok(done)
}

/// Warns of other records of the same plan: it was collected before, when its blocks made other records.
fn outdated(folders: &[PathBuf], results: &Path, id: &str) -> Vec<String> {
    let is_other = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The id ends with a number, with which that of another plan may begin.
        let is_of_plan =
            name.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        is_of_plan && path.join(RUN).exists() && !folders.is_empty() && !folders.contains(path)
    };
    let entries = fs::read_dir(results).into_iter().flatten().flatten();
    let mut others: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_other).collect();
    others.sort();
    let all = others.iter().map(|path| path.display());
    all.map(|path| {
        format!("{path} is an earlier record of this plan: delete it, or its cells count twice.")
    })
    .collect()
}

struct Collector<'a> {
    plan: &'a PlanFolder,
    aside: PathBuf,
    any_machine: bool,
    given_up: BTreeMap<String, String>,
    groups: BTreeMap<String, Group>,
    left_out: Vec<LeftOut>,
    missing: Vec<(String, String)>,
    /// A block of each workload and scale that has no complete attempt at all.
    unmeasured: Vec<&'a Block>,
    /// When blocks were measured on their machines.
    spans: Vec<Span>,
}

impl<'a> Collector<'a> {
    fn collect(mut self, results: &Path, partial: bool) -> Result<Collected, Fault> {
        let mut rows: BTreeMap<(usize, usize), Vec<&Block>> = BTreeMap::new();
        let place = |block: &Block| {
            self.plan.plan.workloads.iter().position(|defined| defined.name == block.workload)
        };
        for block in &self.plan.plan.blocks {
            rows.entry((place(block).unwrap_or(usize::MAX), block.scale)).or_default().push(block);
        }
        let mut homeless = Vec::new();
        for blocks in rows.values() {
            homeless.extend(self.row(blocks)?);
        }
        let incomplete = !self.missing.is_empty() && !partial;
        if incomplete || self.groups.is_empty() {
            self.missing.extend(
                homeless.iter().flatten().map(|(block, word)| (block.id.clone(), word.clone())),
            );
            return Ok(Collected {
                folders: vec![],
                cells: (0, 0),
                missing: self.missing,
                warnings: vec![],
            });
        }
        for given_up in homeless {
            let Some(group) = self.groups.values_mut().next() else { break };
            let row = Row { plan: self.plan, parts: vec![], given_up, missing: 0 };
            group.write(row)?;
        }
        self.install(results)
    }

    /// Reads the blocks of one workload at one scale, in the order of their passes, and writes their cells. If none is
    /// complete, returns those that were given up: it is not known whose record they belong to.
    fn row(&mut self, blocks: &[&'a Block]) -> Result<Option<Vec<(&'a Block, String)>>, Fault> {
        let mut by_kind: BTreeMap<String, Vec<(&Block, Measured)>> = BTreeMap::new();
        let (mut given_up, mut missing) = (Vec::new(), 0);
        for block in blocks {
            match self.counted(block)? {
                Some(part) => {
                    self.spans.extend(part.node.span(part.seconds));
                    let hash = &part.node.node.fingerprint.hash;
                    let kind = if self.any_machine { String::new() } else { hash.clone() };
                    by_kind.entry(kind).or_default().push((block, part));
                }
                None => match self.given_up.get(&block.id) {
                    Some(word) => given_up.push((*block, word.clone())),
                    None => missing += 1,
                },
            }
        }
        if by_kind.is_empty() {
            if given_up.is_empty() {
                self.unmeasured.extend(blocks.first());
            }
            return Ok((!given_up.is_empty()).then_some(given_up));
        }
        for (kind, parts) in by_kind {
            if !self.groups.contains_key(&kind) {
                let group = Group::create(self.aside.join(&kind), self.plan, &parts[0].1.node)?;
                self.groups.insert(kind.clone(), group);
            }
            let group = self.groups.get_mut(&kind).expect("it was made above");
            for (_, part) in &parts {
                group.take(part)?;
            }
            group.write(Row { plan: self.plan, parts, given_up: given_up.clone(), missing })?;
        }
        Ok(None)
    }

    /// Returns the attempt at `block` that counts.
    fn counted(&mut self, block: &Block) -> Result<Option<Measured>, Fault> {
        let plan = self.plan;
        let counted =
            counted(plan, &block.id, &mut self.left_out, |part| check(plan, block, part))?;
        if let Err(why) = &counted
            && !self.given_up.contains_key(&block.id)
        {
            self.missing.push((block.id.clone(), format!("{}: {why}", plan.plan.label(block))));
        }
        Ok(counted.ok())
    }

    /// Moves the new records to their places, `run.json` last: a folder without it is not a record.
    fn install(mut self, results: &Path) -> Result<Collected, Fault> {
        let alone = self.groups.len() == 1;
        let missing = self.missing.len();
        let unmeasured = mem::take(&mut self.unmeasured);
        let mut beside = beside(mem::take(&mut self.spans));
        let mut done =
            Collected { folders: vec![], cells: (0, 0), missing: self.missing, warnings: vec![] };
        for (kind, mut group) in self.groups {
            let short: String = kind.chars().take(8).collect();
            let id = &self.plan.plan.id;
            let id = if alone { id.clone() } else { format!("{id}-{short}") };
            group.nodes.left_out.clone_from(&self.left_out);
            for of in &mut group.nodes.counted {
                of.beside = beside.remove(&of.block);
            }
            group.nodes.counted.sort_by(|a, b| a.block.cmp(&b.block));
            group.nodes.nodes.sort_by(|a, b| a.id.cmp(&b.id));
            let folder = results.join(&id);
            let planned = group.counts.0 + group.would_have(self.plan, &unmeasured);
            let run =
                group.run(self.plan, id, planned, [missing.into(), self.any_machine.into()])?;
            done.warnings.extend(group.nodes.warnings());
            done.cells.0 += group.counts.0;
            done.cells.1 += group.counts.1;
            write_json(&group.folder.join(NODES), &group.nodes)?;
            write_json(&group.folder.join(RUN), &run)?;
            for file in [&mut group.cells, &mut group.trials] {
                file.flush()
                    .and_then(|()| file.get_ref().sync_all())
                    .map_err(unwritable(&folder))?;
            }
            put(&group.folder, &folder).map_err(unwritable(&folder))?;
            done.folders.push(folder);
        }
        if !alone {
            done.warnings.push(format!(
                "The nodes are machines of {} kinds, each with a record of its own; --any-machine makes one of them.",
                done.folders.len()
            ));
        }
        Ok(done)
    }
}

/// Moves the files of a record. A reader finds the old record, none, or the new one, never a mixture.
pub(super) fn put(from: &Path, to: &Path) -> std::io::Result<()> {
    let same = |name: &str| {
        let (old, new) = (fs::read(to.join(name)), fs::read(from.join(name)));
        matches!((old, new), (Ok(old), Ok(new)) if old == new)
    };
    if [NODES, CELLS, TRIALS, RUN].into_iter().all(same) {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    if to.join(RUN).exists() {
        fs::remove_file(to.join(RUN))?;
    }
    for name in [NODES, CELLS, TRIALS, RUN] {
        fs::rename(from.join(name), to.join(name))?;
    }
    File::open(to)?.sync_all()
}

impl Group {
    fn create(folder: PathBuf, plan: &PlanFolder, first: &NodeFile) -> Result<Self, Fault> {
        fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
        let file = |name| File::create(folder.join(name)).map(BufWriter::new);
        let cells = file(CELLS).map_err(unwritable(&folder))?;
        let trials = file(TRIALS).map_err(unwritable(&folder))?;
        let nodes = Nodes::of_plan(&plan.hash);
        let first = first.clone();
        Ok(Group { folder, cells, trials, first, floors: vec![], nodes, counts: (0, 0) })
    }

    /// Notes where a block ran.
    fn take(&mut self, part: &Measured) -> Result<(), Fault> {
        let NodeFile { node, cores, timer_floor, .. } = &part.node;
        if *cores != self.first.cores {
            let cores = output::counted(*cores, "CPU");
            return Err(Fault::Usage(format!(
                "{} has {cores} and {} has {}: settings that follow them make other cells, so leave --any-machine out",
                node.id, self.first.node.id, self.first.cores
            )));
        }
        self.nodes.counted.push(part.node.counted());
        if self.nodes.add(node) {
            self.floors.extend(timer_floor.clone());
        }
        Ok(())
    }

    /// Writes the cells of a row and their trials, and checks that no trial is lost.
    fn write(&mut self, row: Row<'_>) -> Result<(), Fault> {
        let read: usize = row.parts.iter().map(|(_, part)| part.trials()).sum();
        let mut written = 0;
        row.cells(self.first.cores, |cell, trials| {
            self.counts.0 += 1;
            self.counts.1 += usize::from(cell.is_wrong());
            written += trials.len();
            line(&mut self.cells, cell).map_err(unwritable(&self.folder))?;
            for trial in trials {
                line(&mut self.trials, trial).map_err(unwritable(&self.folder))?;
            }
            Ok(())
        })?;
        if read != written {
            return Err(Fault::Failed(format!("{read} trials were read and {written} written")));
        }
        Ok(())
    }

    /// Returns the number of cells that the blocks would have on this kind of machine.
    fn would_have(&self, plan: &PlanFolder, blocks: &[&Block]) -> usize {
        let count = |block: &&Block| {
            let (workloads, choice) = plan.cells_of(block);
            cells_on(self.first.cores, workloads, &plan.models, &choice).len()
        };
        blocks.iter().map(count).sum()
    }

    fn run(
        &self,
        plan: &PlanFolder,
        id: String,
        planned: usize,
        [missing, any_machine]: [serde_json::Value; 2],
    ) -> Result<Run, String> {
        let plan = &plan.plan;
        let floors = (0..).zip(&self.floors);
        let settings = [
            ("trials", plan.passes.into()),
            ("pin", plan.pin.into()),
            ("to_the_limit", false.into()),
            ("cluster", true.into()),
            ("blocks", plan.blocks.len().into()),
            ("blocks_missing", missing),
            ("any_machine", any_machine),
        ];
        Ok(Run {
            id,
            planned: Some(planned),
            timer_floor: Distribution::merged("the lateness of wake-ups", floors)?,
            ..self.first.run(plan, "trials", settings)
        })
    }
}

fn line(file: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, value)?;
    file.write_all(b"\n")
}

pub(super) fn unwritable(folder: &Path) -> impl Fn(std::io::Error) -> Fault + '_ {
    move |error| {
        let (folder, remedy) = (folder.display(), remedy(&error));
        Fault::Failed(format!(
            "cannot write the record to {folder}: {error}; {remedy}, and collect again"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_moved_in_part_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (place, text) in [(&from, "new"), (&to, "old")] {
            fs::create_dir_all(place).unwrap();
            for name in [NODES, CELLS, TRIALS, RUN] {
                fs::write(place.join(name), text).unwrap();
            }
        }
        // Nothing can be moved over a folder, so it stops here.
        fs::remove_file(to.join(TRIALS)).unwrap();
        fs::create_dir_all(to.join(TRIALS).join("x")).unwrap();
        assert!(put(&from, &to).is_err());
        assert!(!to.join(RUN).exists(), "old and new files are one record");
        fs::remove_dir_all(to.join(TRIALS)).unwrap();
        for name in [NODES, CELLS] {
            fs::write(from.join(name), "new").unwrap();
        }
        put(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join(RUN)).unwrap(), "new");
        // It is no earlier record of a plan whose number its own begins with.
        let warned = |id| outdated(&["other".into()], folder.path(), id).len();
        assert_eq!((warned("to"), warned("t")), (1, 0));
    }
}

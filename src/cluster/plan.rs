//! The plan: which blocks there are. It is written once and never changes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Fault,
    hosts::{LoadPlan, write_token},
    jobs::JOBS,
    unwritable_file, write_json_file,
};
use crate::{
    load::{self, CONNECTIONS},
    machine::{Build, build, hex},
    plan::Choice,
    record::{Definition, parse, roles},
    run::{Order, shuffled},
    start::commit,
};
use paceline_core::{
    clock::utc,
    job::{Workload, mix},
    models::{self, Entry},
    perform::Placement,
};

/// The version of the plan's shape.
const SCHEMA: u32 = 1;
const PLAN: &str = "plan.json";
const PARTS: &str = "parts";

/// What is to be measured. Symbolic settings, such as one worker per core, are resolved on each node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format.
    pub schema: u32,
    /// The name of its record.
    pub id: String,
    /// When it was made, in UTC.
    pub started: String,
    /// The command line.
    pub command: Vec<String>,
    /// The program that must measure all of it.
    pub build: Build,
    /// The commit of the repository that it was made in.
    pub commit: Option<String>,
    /// The seed that shuffles blocks, and the models in each.
    pub seed: u64,
    /// The trials of each cell, each in another block.
    pub passes: u32,
    /// Whether each model is pinned to its own CPUs.
    pub pin: bool,
    /// The time for each block, in seconds.
    pub budget_seconds: f64,
    /// The models, in the order of tables.
    pub models: Vec<String>,
    /// The definitions, word for word.
    pub workloads: Vec<Definition>,
    /// Worker counts; if empty, those of each definition.
    pub workers: Vec<usize>,
    /// Where jobs are offered from; `None` is each model's default.
    pub placement: Option<Placement>,
    /// The load between nodes, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadPlan>,
    /// The blocks, in the order of their submission.
    pub blocks: Vec<Block>,
}

/// One trial of every model on one workload at one scale, on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its name in the plan.
    pub id: String,
    /// The workload.
    pub workload: String,
    /// The scale.
    pub scale: usize,
    /// The pass, from 0 on; in a load, which node is the server's.
    pub pass: u32,
    /// The seed that shuffles its models.
    pub seed: u64,
}

impl Plan {
    /// What people call a block: `cpu at 100, pass 3`, or by the direction of its load.
    pub(super) fn label(&self, block: &Block) -> String {
        let Block { workload, scale, pass, .. } = block;
        let which = match &self.load {
            None => format!("pass {}", pass + 1),
            Some(load) => {
                let LoadPlan { server, generators, .. } = load.of(block);
                let generators: Vec<&str> = generators.iter().map(|node| &*node.id).collect();
                roles(&server.id, &generators)
            }
        };
        format!("{workload} at {scale}, {which}")
    }

    /// The time that a scheduler should give each block.
    #[must_use]
    pub(super) fn block_seconds(&self) -> f64 {
        let load = self.load.as_ref().map(|load| load.block_time(self.models.len(), self.passes));
        self.budget_seconds.max(load.unwrap_or_default().as_secs_f64())
    }
}

/// A plan with its folder, read.
#[derive(Clone)]
pub struct PlanFolder {
    /// The folder, as an absolute path.
    pub dir: PathBuf,
    /// The plan.
    pub plan: Plan,
    /// The SHA-256 of its file.
    pub hash: String,
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The models.
    pub models: Vec<&'static Entry>,
}

/// Writes the plan of `order` to `dir`: pass by pass, each in an order that the seed decides.
///
/// # Errors
///
/// Returns a fault if the folder has a plan or what is left of one, or cannot be written.
pub fn make(order: &Order, load: Option<LoadPlan>, dir: &Path) -> Result<PlanFolder, Fault> {
    // Jobs and parts of another plan would be taken for this one's.
    if let Some(name) = [PLAN, JOBS, PARTS].into_iter().find(|name| dir.join(name).exists()) {
        return Err(Fault::Usage(format!(
            "{} has {name}, and a plan never changes: submit it, or name another folder with --out",
            dir.display()
        )));
    }
    let started = utc();
    let define = |w: &Workload| Definition { name: w.name.clone(), source: w.source.clone() };
    let plan = Plan {
        schema: SCHEMA,
        id: format!("{}-cluster-{}", started.replace(':', "-"), std::process::id()),
        started,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        build: build(),
        commit: commit(),
        seed: order.seed,
        passes: order.passes.len() as u32,
        pin: order.pin,
        budget_seconds: order.budget.as_secs_f64(),
        models: order.models.iter().map(|entry| entry.info.name.to_owned()).collect(),
        workloads: order.workloads.iter().map(define).collect(),
        workers: order.choice.workers.clone(),
        placement: order.choice.placement,
        blocks: load.as_ref().map_or_else(|| blocks(order), |load| load_blocks(order, load)),
        load,
    };
    if plan.load.is_some() {
        fs::create_dir_all(dir).map_err(|error| unwritable_file(dir, &error))?;
        write_token(dir)?;
    }
    write_json_file(&dir.join(PLAN), &plan)?;
    PlanFolder::read(dir)
}

fn blocks(order: &Order) -> Vec<Block> {
    let scales = |workload: &Workload| {
        let asked = &order.choice.scales;
        if asked.is_empty() { workload.scales.clone() } else { asked.clone() }
    };
    let of = |workload: &Workload| -> Vec<(String, usize)> {
        scales(workload).into_iter().map(|scale| (workload.name.clone(), scale)).collect()
    };
    let rows: Vec<(String, usize)> = order.workloads.iter().flat_map(of).collect();
    let mut blocks = Vec::new();
    for pass in order.passes.clone() {
        for index in shuffled(rows.len(), order.seed.wrapping_add(u64::from(pass))) {
            let (workload, scale) = rows[index].clone();
            let number = blocks.len() as u64;
            let id = format!("{number:04}");
            blocks.push(Block { id, workload, scale, pass, seed: mix(order.seed ^ mix(number)) });
        }
    }
    blocks
}

/// A block for each server that all models are: one workload, or a URL. All trials are in it, so that the nodes meet once.
/// Where roles are swapped, there is one for each node that is the server's.
fn load_blocks(order: &Order, load: &LoadPlan) -> Vec<Block> {
    let names: Vec<String> = match &load.url {
        Some(url) => vec![url.to_string()],
        None => order.workloads.iter().map(|workload| workload.name.clone()).collect(),
    };
    let passes = |name: String| (0..load.passes()).map(move |pass| (name.clone(), pass));
    let block = |(number, (workload, pass)): (usize, (String, u32))| Block {
        id: format!("{number:04}"),
        workload,
        scale: load.connections.unwrap_or(CONNECTIONS),
        pass,
        seed: order.seed,
    };
    names.into_iter().flat_map(passes).enumerate().map(block).collect()
}

impl PlanFolder {
    /// Returns what a load block measures on a server's node with `cores` CPUs.
    #[must_use]
    pub(super) fn load_order(&self, load: &LoadPlan, block: &Block, cores: usize) -> load::Order {
        let workload = self.workloads.iter().find(|workload| workload.name == block.workload);
        let workers = self.plan.workers.first().copied();
        load.order(workload, &self.models, (workers, cores), (self.plan.passes, block.seed))
    }

    /// Reads the plan in `dir`.
    ///
    /// # Errors
    ///
    /// Returns a fault if there is none, or it is of another version.
    pub fn read(dir: &Path) -> Result<Self, Fault> {
        let path = dir.join(PLAN);
        let bytes = fs::read(&path).map_err(|error| {
            let place = dir.display();
            Fault::Usage(match error.kind() {
                io::ErrorKind::NotFound => {
                    format!(
                        "{place} has no plan: make one with paceline cluster plan --out {place}"
                    )
                }
                _ => format!("{} cannot be read: {error}", path.display()),
            })
        })?;
        let plan: Plan = parse(&path, &bytes, SCHEMA).map_err(Fault::Usage)?;
        let parse = |defined: &Definition| {
            Workload::parse(&format!("{}.toml", defined.name), &defined.source)
                .map_err(|error| Fault::Usage(error.to_string()))
        };
        let workloads = plan.workloads.iter().map(parse).collect::<Result<_, _>>()?;
        let find = |name: &String| models::find(name).map_err(Fault::Usage);
        let models = plan.models.iter().map(find).collect::<Result<_, _>>()?;
        let dir = fs::canonicalize(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(PlanFolder { dir, plan, hash: hex(&Sha256::digest(&bytes)), workloads, models })
    }

    /// Checks that this program is the one that the plan was made by: figures of two builds do not mix.
    ///
    /// # Errors
    ///
    /// Returns a fault if it is another program.
    pub fn check_build(&self) -> Result<(), Fault> {
        if build().program == self.plan.build.program {
            return Ok(());
        }
        let short = |build: &Build| build.program.chars().take(12).collect::<String>();
        Err(Fault::Environment(format!(
            "{} was planned by another build of paceline (program {}, here {}): use that program, or make a new plan",
            self.plan.id,
            short(&self.plan.build),
            short(&build())
        )))
    }

    /// The block of this name.
    ///
    /// # Errors
    ///
    /// Returns a fault if the plan has none.
    pub fn block(&self, id: &str) -> Result<&Block, Fault> {
        let blocks = &self.plan.blocks;
        blocks.iter().find(|block| block.id == id).ok_or_else(|| {
            let last = blocks.last().map_or("none", |block| block.id.as_str());
            Fault::Usage(format!("the plan has no block {id:?}: its blocks are 0000 to {last}"))
        })
    }

    /// The folder of the attempts at a block.
    #[must_use]
    pub fn attempts(&self, block: &str) -> PathBuf {
        self.dir.join(PARTS).join(block)
    }

    /// The workload and the choice that make the cells of a block.
    ///
    /// # Panics
    ///
    /// Panics if the block is of another plan.
    #[must_use]
    pub fn cells_of(&self, block: &Block) -> (&[Workload], Choice) {
        let at = self.workloads.iter().position(|workload| workload.name == block.workload);
        let at = at.expect("a block's workload is in its plan");
        let choice = Choice {
            scales: vec![block.scale],
            workers: self.plan.workers.clone(),
            placement: self.plan.placement,
            in_one_class: false,
        };
        (&self.workloads[at..=at], choice)
    }
}

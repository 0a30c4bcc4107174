//! `node.json`: the node that measures a block, its name, and its claim on the machine.

use std::{
    env, fs, io,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Block, Fault, Plan, PlanFolder, beside::Span};
use crate::{
    machine::{Exclusive, build, cores, fingerprint, hex, sysctl},
    output::print_note,
    record::{Counted, ModelRecord, Node, Run, SCHEMA},
    start::model_info,
};
use paceline_core::{
    clock::{Clocks, now},
    fitness::wake_errors,
    histogram::Distribution,
    interrupt::interrupted,
};

/// How often a worker looks whether its node is free. Looking costs the other worker something.
const LOOK: Duration = Duration::from_millis(500);

/// Facts recorded before the first trial of an attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeFile {
    /// The SHA-256 of the plan.
    pub plan: String,
    /// The SHA-256 of the program.
    pub program: String,
    /// The block.
    pub block: String,
    /// The attempt.
    pub attempt: String,
    /// The node.
    pub node: Node,
    /// The number of CPUs, which is the value of the setting `cores`.
    pub cores: usize,
    /// The models, as they are on this node.
    pub models: Vec<ModelRecord>,
    /// How late `thread::sleep` wakes on this node.
    pub timer_floor: Option<Distribution>,
    /// The generators' nodes, if this is the server's node of a load.
    #[serde(default)]
    pub generators: Vec<Node>,
    /// When the attempt began, in seconds since the machine started.
    #[serde(default)]
    pub began_seconds: Option<f64>,
}

impl NodeFile {
    /// Returns the metadata of a record of `plan` that describes this node.
    pub(super) fn run<const N: usize>(
        &self,
        plan: &Plan,
        instrument: &str,
        settings: [(&str, serde_json::Value); N],
    ) -> Run {
        Run {
            schema: SCHEMA,
            id: plan.id.clone(),
            started: plan.started.clone(),
            instrument: instrument.into(),
            command: plan.command.clone(),
            budget_seconds: plan.budget_seconds,
            seed: Some(plan.seed),
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            fingerprint: self.node.fingerprint.clone(),
            build: plan.build.clone(),
            commit: plan.commit.clone(),
            models: self.models.clone(),
            workloads: plan.workloads.clone(),
            planned: None,
            timer_floor: self.timer_floor.clone(),
        }
    }

    /// Describes this node as `id` at the start of `attempt` at `block`. `probe` is a file just created in the plan's
    /// folder.
    #[must_use]
    pub fn here(
        folder: &PlanFolder,
        block: &str,
        (attempt, id): (&str, &str),
        probe: &Path,
    ) -> Self {
        let node = Node { clock_ahead_seconds: clock_ahead(probe), ..here(id) };
        NodeFile {
            generators: vec![],
            plan: folder.hash.clone(),
            program: build().program,
            block: block.into(),
            attempt: attempt.into(),
            node,
            cores: cores(),
            models: folder.models.iter().map(|entry| model_info(entry)).collect(),
            timer_floor: wake_errors(Duration::from_millis(1), 50).distribution(),
            began_seconds: Some(Clocks::now().boot.as_secs_f64()),
        }
    }

    /// Returns the attempt as one that counts.
    pub(super) fn counted(&self) -> Counted {
        let (block, attempt) = (self.block.clone(), self.attempt.clone());
        Counted { block, attempt, node: self.node.id.clone(), beside: None }
    }

    /// Returns when the attempt was measured, given that it took `seconds`; `None` if its machine is not known.
    pub(super) fn span(&self, seconds: f64) -> Option<Span> {
        let (block, boot_id) = (self.block.clone(), self.node.boot_id.clone());
        let began = self.began_seconds.filter(|_| !boot_id.is_empty())?;
        Some(Span { block, boot_id, began, ended: began + seconds })
    }
}

/// Describes this node as `id`.
pub(super) fn here(id: &str) -> Node {
    Node {
        id: id.to_owned(),
        host: host_name(),
        boot_id: boot_id(),
        other_boot_ids: vec![],
        fingerprint: fingerprint(),
        clock_ahead_seconds: None,
    }
}

/// Returns the name that this node was given, by `--node` or by the scheduler.
pub(super) fn given_name(node: Option<&str>) -> Option<String> {
    let scheduler = || env::var("PACELINE_NODE_NAME").ok().filter(|id| !id.is_empty());
    node.map(str::to_owned).or_else(scheduler)
}

/// Returns the host name and the start of an id of the machine: hosts may share a name.
pub(super) fn unique_name() -> String {
    // It stays when the machine restarts. Its manual says to publish it hashed.
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = if id.trim().len() == 32 { id.trim().to_owned() } else { boot_id() };
    let short: String = hex(&Sha256::digest(format!("paceline {id}"))).chars().take(6).collect();
    format!("{}-{short}", host_name())
}

pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the kernel's boot id; empty if the system has none. Nodes with the same boot id are one machine.
pub(super) fn boot_id() -> String {
    if cfg!(target_os = "macos") {
        return sysctl("kern.bootsessionuuid");
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Waits for `limit` at most until no other block is measured on this machine, whatever the name of its node: two at the
/// same time spoil each other's figures. An attempt that was lost may still go on, and two plans may name one host. Roles
/// of one `load` share the machine, as the record then says. A second process of the role `name` does not wait. The
/// machine is kept while the returned locks live; there are none after an interrupt.
pub(super) fn claim(
    name: &str,
    load: Option<(&PlanFolder, &Block)>,
    limit: Duration,
) -> Result<Vec<Exclusive>, Fault> {
    // Tests run in parallel, each with a machine of its own.
    let machine = env::var("PACELINE_TEST_MACHINE").unwrap_or_default();
    let lock = |what: &str| {
        let hash = hex(&Sha256::digest(format!("{machine} {what}")));
        format!("cluster-{}", &hash[..32])
    };
    let cannot = |error: io::Error| {
        format!("whether another paceline measures on {name} cannot be found out: {error}")
    };
    let load = load.map(|(plan, block)| (lock(&format!("{} {}", plan.hash, block.id)), block));
    let mut taken = Vec::new();
    if let Some((load, block)) = &load {
        let role = Exclusive::take(&lock(&format!("{load} {name}"))).map_err(cannot)?;
        taken.push(role.ok_or_else(|| {
            let id = &block.id;
            format!("another process already runs block {id} as {name}: wait for it, or end it")
        })?);
    }
    let (deadline, mut looks) = (now() + limit, 0_u32);
    loop {
        if let Some(machine) = Exclusive::take(&lock("")).map_err(cannot)? {
            taken.push(machine);
            if let Some((load, _)) = &load {
                taken.extend(Exclusive::take(load).map_err(cannot)?);
            }
            return Ok(taken);
        }
        if let Some((load, _)) = &load
            && Exclusive::is_taken(load).map_err(cannot)?
        {
            return Ok(taken);
        }
        if interrupted() {
            return Ok(vec![]);
        }
        if now() > deadline {
            return Err(Fault::Failed(format!(
                "another paceline still measures on {name}: wait for it or end it, and submit again"
            )));
        }
        looks += 1;
        // After one look, another role of this load may be about to say that it is here.
        if looks == 2 {
            print_note(&format!("another paceline measures on {name}: this one waits for it"));
        }
        thread::sleep(LOOK);
    }
}

/// Returns the whole seconds by which this node's wall clock is ahead of the file system's, which may be on another host.
fn clock_ahead(probe: &Path) -> Option<f64> {
    let theirs = fs::metadata(probe).ok()?.modified().ok()?;
    let theirs = theirs.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    // Adding 0 turns -0 into 0.
    Some((Clocks::now().wall.as_secs_f64() - theirs.as_secs_f64()).round() + 0.0)
}

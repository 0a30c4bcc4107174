//! Submitting blocks to a scheduler, and cancelling them. To retry, submit again.

use std::{fs, path::Path, thread, time::Duration};

use super::{
    BlockState, Engine, Fault, PlanFolder, Status, Watch,
    engine::{SubmitError, Values},
    jobs::{Event, Submission},
    unwritable_file, write_file,
};
use paceline_core::interrupt::pause;

/// What was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The scheduler's ids of the jobs.
    pub jobs: Vec<String>,
    /// The number of blocks.
    pub blocks: usize,
    /// The number of other blocks that the scheduler has and will never run as they are.
    pub blocked: usize,
}

/// How often the scheduler is asked whether it has taken a job, after a call that gave no id.
const ASKED: u32 = 3;

/// Submits every block of `plan` that has no complete attempt and is not under way. `again` selects by state.
///
/// # Errors
///
/// Returns a fault if the scheduler does not take them, or if it is not known whether it has.
pub fn submit(
    plan: &PlanFolder,
    engine: Option<Engine>,
    again: fn(BlockState) -> bool,
) -> Result<Submitted, Fault> {
    plan.check_build()?;
    if let (Some(engine), Err(_)) = (&engine, Engine::used(&plan.dir)) {
        // The engine before can no longer be asked.
        engine.leave_copy(&plan.dir)?;
    }
    let mut watch = Watch::locked(plan)?;
    let used = watch.engine.take();
    let engine = match (engine, used) {
        (Some(asked), Some(used)) if asked.name != used.name => {
            watch.engine = Some(used);
            let status = settled(&mut watch)?;
            if !status.is_settled() || status.count(BlockState::Blocked) > 0 {
                let name = status.engine.unwrap_or_default();
                return Err(match status.outage {
                    Some(why) => Fault::Environment(format!(
                        "the engine {name} does not answer, so it may have blocks of this plan: wait until it \
                         answers, or make another plan with paceline cluster plan; {why}"
                    )),
                    None => Fault::Usage(format!(
                        "the engine {name} still has blocks of this plan: wait for them, or cancel them first"
                    )),
                });
            }
            asked
        }
        (Some(engine), _) | (None, Some(engine)) => engine,
        (None, None) => {
            return Err(Fault::Usage(
                "name an engine with --engine: local, slurm, ssh or a file".into(),
            ));
        }
    };
    engine.leave_copy(&plan.dir)?;
    watch.engine = Some(engine.clone());
    let status = settled(&mut watch)?;
    if let Some(why) = status.outage {
        return Err(Fault::Environment(format!(
            "the scheduler does not answer, so nothing was submitted: {why}"
        )));
    }
    let open = status.blocks.iter().filter(|block| again(block.state));
    let open: Vec<String> = open.map(|block| block.block.clone()).collect();
    let blocked = status.count(BlockState::Blocked);
    let mut done = Submitted { jobs: vec![], blocks: 0, blocked };
    for blocks in open.chunks(engine.most_tasks()) {
        let short: String = plan.hash.chars().take(10).collect();
        let name = format!("pl-{short}-{}", watch.jobs.next);
        let submission = watch.jobs.intend(name, blocks.to_vec())?;
        done.jobs.push(hand_over(plan, &engine, &mut watch, &submission)?);
        done.blocks += blocks.len();
    }
    Ok(done)
}

/// Waits until every job that is gone is known to have left a result or none.
fn settled(watch: &mut Watch<'_>) -> Result<Status, Fault> {
    loop {
        let status = watch.look()?;
        let awaits = |reason: &String| reason.ends_with("are awaited");
        // The scheduler is asked no more often than by `--wait`.
        let time = watch.poll().max(Duration::from_millis(500));
        if !status.blocks.iter().any(|block| block.reason.as_ref().is_some_and(awaits))
            || pause(time)
        {
            return Ok(status);
        }
    }
}

/// Submits blocks once. Returns the scheduler's id of the job, or the job's name if the id was lost and the job's files
/// show that it has run.
fn hand_over(
    plan: &PlanFolder,
    engine: &Engine,
    watch: &mut Watch<'_>,
    of: &Submission,
) -> Result<String, Fault> {
    let folder = plan.dir.join("submissions");
    fs::create_dir_all(&folder).map_err(|error| unwritable_file(&folder, &error))?;
    let (script, blocks) = (format!("{}.sh", of.number), format!("{}.blocks", of.number));
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let values = Values::of(plan)
        .with("name", &of.name)
        .with("submission", of.number.to_string())
        .with("last", (of.blocks.len() - 1 + engine.first_task() as usize).to_string())
        .with("count", of.blocks.len().to_string())
        .with("blocks", path(&blocks))
        .with("claims", path(&format!("{}.claims", of.number)))
        .with("log", path(&of.number.to_string()))
        .with("script", path(&script));
    let write =
        |name: &str, text: String| write_file(&folder.join(Path::new(name)), text.as_bytes());
    write(&blocks, of.blocks.join("\n") + "\n")?;
    write(&script, engine.script(&values, plan.plan.load.is_some())?)?;
    let submission = of.number;
    let why = match engine.submit(&values) {
        Ok(job) => {
            watch.jobs.write(Event::Submitted { submission, job: job.clone() })?;
            return Ok(job);
        }
        Err(SubmitError::Refused(fault)) => {
            let why = format!("{fault:?}");
            watch.jobs.write(Event::Refused { submission, why })?;
            return Err(fault);
        }
        Err(SubmitError::Unknown(why)) => why,
    };
    // The scheduler may have taken it all the same: ask.
    for _ in 0..ASKED {
        let status = watch.look()?;
        let job = watch.jobs.submissions.iter().find(|of| of.number == submission);
        match (&status.outage, job.map(|of| of.job.clone())) {
            (None, Some(Some(job))) => return Ok(job),
            // A job that has ended may not be in the scheduler's list, but its files are there.
            (None, _) if status.has_done(&of.blocks) => {
                let job = of.name.clone();
                watch.jobs.write(Event::Submitted { submission, job: job.clone() })?;
                return Ok(job);
            }
            (None, _) => {
                return Err(Fault::Usage(format!(
                    "the engine {} lists no job of this submission: {why}",
                    engine.name
                )));
            }
            (Some(_), _) => thread::sleep(Duration::from_secs(1)),
        }
    }
    Err(Fault::Environment(format!(
        "it is not known whether the engine {} took the job: {why}; submit again once it answers, which finds out",
        engine.name
    )))
}

/// Cancels what is under way, and returns the number of jobs.
///
/// # Errors
///
/// Returns a fault if the scheduler refuses.
pub fn cancel(plan: &PlanFolder) -> Result<usize, Fault> {
    let mut watch = Watch::locked(plan)?;
    let status = watch.look()?;
    if let Some(why) = status.outage {
        return Err(Fault::Environment(format!(
            "the scheduler does not answer, so nothing was cancelled: try again once it answers, or leave this plan \
             and make another with paceline cluster plan; {why}"
        )));
    }
    let Some(engine) = watch.engine.clone() else {
        return Err(Fault::Usage(
            "nothing of this plan was submitted: there is nothing to cancel".into(),
        ));
    };
    let open = |state: BlockState| state.is_under_way() || state == BlockState::Blocked;
    let open: Vec<&str> =
        status.blocks.iter().filter(|b| open(b.state)).map(|b| b.block.as_str()).collect();
    let mut jobs: Vec<String> = Vec::new();
    for block in open {
        let (last, _) = watch.jobs.of(block);
        jobs.extend(last.and_then(|of| of.job.clone()).filter(|job| !jobs.contains(job)));
    }
    // All of them, though the first may just have ended.
    let goes_on = |job: &String| {
        let why = engine.cancel(&Values::of(plan).with("job", job)).err()?;
        Some(format!("job {job} goes on: {why}"))
    };
    let going_on: Vec<String> = jobs.iter().filter_map(goes_on).collect();
    if !going_on.is_empty() {
        return Err(Fault::Failed(going_on.join("; ")));
    }
    watch.jobs.write(Event::Cancelled { at: paceline_core::clock::utc() })?;
    Ok(jobs.len())
}

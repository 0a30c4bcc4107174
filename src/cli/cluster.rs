//! `paceline cluster`: a run in blocks, on the nodes that some scheduler has.

mod arguments;
mod planning;

pub(super) use arguments::ClusterCommand;

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use arguments::{
    Collecting, EngineArguments, Folder, StatusArguments, WholeArguments, WorkArguments,
};
use planning::planned;

use super::{
    CELLS, CliError, ENVIRONMENT, Format, internal, leave_page, ready, say, say_json, say_text,
    usage,
};
use crate::{
    cluster::{
        self, BlockState, Collected, Engine, Fault, PlanFolder, Status, Watch, Worked, cancel,
        collect, manifest, submit, work,
    },
    output::{Progress, count, counted, list_table, long, noun, print_note},
    start::refuse_debug_build,
};
use paceline_core::interrupt;

pub(super) fn run(command: &ClusterCommand) -> Result<u8, CliError> {
    let read = |folder: &Folder| PlanFolder::read(&folder.dir).map_err(fault);
    match command {
        ClusterCommand::Plan(asked) => {
            let plan = planned(asked)?;
            let dir = plan.dir.display();
            say(&format!("{}: submit with paceline cluster submit {dir}", described(&plan)))
        }
        ClusterCommand::Submit(asked) => {
            let plan = read(&asked.folder)?;
            let done = submit(&plan, engine(&asked.engine, plan.plan.load.is_some())?, |state| {
                !state.is_under_way() && ![BlockState::Done, BlockState::Blocked].contains(&state)
            });
            said_submitted(&done.map_err(fault)?, &plan)
        }
        ClusterCommand::Status(asked) => status(asked, &read(&asked.folder)?),
        ClusterCommand::Collect(asked) => collected(&read(&asked.folder)?, &asked.how),
        ClusterCommand::Cancel(folder) => {
            let jobs = cancel(&read(folder)?).map_err(fault)?;
            let jobs = counted(jobs, "job");
            say(&format!(
                "cancelled {jobs}; what is done stays, and submit hands over the rest again"
            ))
        }
        ClusterCommand::Run(asked) => whole(asked),
        ClusterCommand::Work(asked) => worked(asked, &read(&asked.folder)?),
        ClusterCommand::Manifest(asked) => {
            let plan = read(&asked.folder)?;
            if plan.plan.load.is_some() {
                return Err(usage(
                    "a load between nodes has addresses of its own for each role, which pods have not: submit this plan to \
                     Slurm or over SSH"
                        .into(),
                ));
            }
            say(manifest(&plan, &asked.image, &asked.claim, asked.cpus).trim_end())
        }
    }
}

fn fault(fault: Fault) -> CliError {
    match fault {
        Fault::Usage(why) => usage(why),
        Fault::Environment(why) => CliError(ENVIRONMENT, why),
        Fault::Failed(why) => internal(why),
    }
}

/// Returns what was planned, and where.
fn described(plan: &PlanFolder) -> String {
    let (blocks, models) = (plan.plan.blocks.len(), plan.models.len());
    let (blocks, models) = (counted(blocks, "block"), counted(models, "model"));
    let what = match plan.plan.load.as_ref().and_then(|load| load.url.as_ref()) {
        Some(url) => format!("{blocks} on {url}"),
        None => format!("{blocks} of {models} each"),
    };
    format!("planned {what} in {}", plan.dir.display())
}

fn engine(asked: &EngineArguments, is_load: bool) -> Result<Option<Engine>, CliError> {
    match &asked.engine {
        Some(name) => Engine::find(name, &asked.set, is_load).map(Some).map_err(fault),
        None if asked.set.is_empty() => Ok(None),
        None => Err(usage("--set goes with --engine".into())),
    }
}

fn said_submitted(done: &cluster::Submitted, plan: &PlanFolder) -> Result<u8, CliError> {
    if done.blocked > 0 {
        print_note(&format!(
            "{} will never run: cancel what is blocked, and submit with other options",
            counted(done.blocked, "block")
        ));
    }
    if done.jobs.is_empty() {
        let blocked = if done.blocked > 0 { ", or blocked" } else { "" };
        return say(&format!("nothing to submit: every block is done, or under way{blocked}"));
    }
    say(&format!(
        "submitted {} as {} {}: follow with paceline cluster status {} --wait",
        counted(done.blocks, "block"),
        noun(done.jobs.len(), "job"),
        done.jobs.join(", "),
        plan.dir.display()
    ))
}

fn worked(asked: &WorkArguments, plan: &PlanFolder) -> Result<u8, CliError> {
    refuse_debug_build().map_err(usage)?;
    match work(plan, &asked.block, asked.node.as_deref(), ready()?).map_err(fault)? {
        Worked::Done(cells) => {
            let wrong = cells.iter().filter(|cell| cell.is_wrong()).count();
            say(&format!(
                "block {} is done: {}, {wrong} failed or invalid",
                asked.block,
                counted(cells.len(), "cell")
            ))
        }
        Worked::Generated => {
            say(&format!("block {} is done: the server's node has the results", asked.block))
        }
        Worked::Before => say(&format!("block {} was done before", asked.block)),
        Worked::Interrupted => {
            let message =
                format!("interrupted: nothing of this attempt at block {} counts", asked.block);
            Err(CliError(interrupt::EXIT_CODE, message))
        }
    }
}

fn status(asked: &StatusArguments, plan: &PlanFolder) -> Result<u8, CliError> {
    let mut watch = Watch::open(plan).map_err(fault)?;
    let found = if asked.wait {
        interrupt::watch().map_err(|error| internal(error.to_string()))?;
        wait(&mut watch, |_| false)?
    } else {
        watch.look().map_err(fault)?
    };
    match asked.format {
        Format::Json => say_json(&found)?,
        Format::Table => say_text(&shown(&found))?,
    };
    let short = found.done < found.blocks.len();
    Ok(if asked.wait && short { CELLS } else { 0 })
}

/// Looks until nothing is under way, `enough` says so, or Ctrl-C comes.
fn wait(watch: &mut Watch<'_>, enough: fn(&Status) -> bool) -> Result<Status, CliError> {
    let mut progress: Option<Progress> = None;
    let mut pause = watch.poll();
    loop {
        let status = watch.look().map_err(fault)?;
        if status.outage.is_none() && (status.is_settled() || enough(&status)) {
            progress.into_iter().for_each(Progress::end);
            return Ok(status);
        }
        let all = status.blocks.len();
        let bar = progress.get_or_insert_with(|| Progress::start(all as u64));
        bar.left((all - status.done) as u64);
        bar.say(status.outage.clone().unwrap_or_else(|| counts(&status) + &left(&status)));
        // A scheduler that does not answer is asked less and less often.
        pause = if status.outage.is_some() {
            (pause * 2).min(Duration::from_mins(2))
        } else {
            watch.poll()
        };
        if interrupt::pause(pause) {
            progress.into_iter().for_each(Progress::end);
            let message = "interrupted; the blocks go on: see paceline cluster status, or end them with cancel";
            return Err(CliError(interrupt::EXIT_CODE, message.into()));
        }
    }
}

fn counts(status: &Status) -> String {
    let all = [
        BlockState::Done,
        BlockState::Running,
        BlockState::Submitted,
        BlockState::Blocked,
        BlockState::Planned,
        BlockState::Lost,
        BlockState::GaveUp,
    ];
    let counted = all.map(|state| (status.count(state), state.word()));
    let some = counted.iter().filter(|(count, _)| *count > 0);
    some.map(|(of, word)| format!("{} {word}", count(*of))).collect::<Vec<_>>().join(", ")
}

/// Says about how long the rest takes; empty if that is not known, or nothing is under way.
fn left(status: &Status) -> String {
    let left = status.seconds_left.filter(|left| *left > 0.0);
    let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
    left.map_or_else(String::new, |left| format!("; about {} left", long(left)))
}

fn shown(status: &Status) -> String {
    const MOST: usize = 20;
    let engine = status.engine.as_deref().unwrap_or("no engine yet");
    let blocks = counted(status.blocks.len(), "block");
    let (counts, left) = (counts(status), left(status));
    let mut text = format!("{} ({engine}): {counts} of {blocks}{left}", status.id);
    if let Some(why) = &status.outage {
        let _ = write!(
            text,
            "\nthe scheduler does not answer, so what is under way is not known: {why}"
        );
    }
    let open: Vec<_> =
        status.blocks.iter().filter(|block| block.state != BlockState::Done).collect();
    let row = |block: &&cluster::BlockStatus| {
        vec![
            block.block.clone(),
            block.label.clone(),
            block.state.word().to_owned(),
            block.node.clone().unwrap_or_default(),
            block.submissions.to_string(),
            block.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = open.iter().take(MOST).map(row).collect();
    if !rows.is_empty() {
        let head = ["block", "what", "state", "node", "submitted", "reason"];
        let _ = write!(text, "\n{}", list_table(&head, &rows));
    }
    if open.len() > MOST {
        let _ = write!(text, "\n… and {} more; --format json has all", open.len() - MOST);
    }
    text + &logs(status)
}

/// Names the files with what the workers of lost blocks printed, on a line of its own; empty if there are none.
fn logs(status: &Status) -> String {
    const MOST: usize = 5;
    let logs = status.blocks.iter().filter_map(|block| block.log.as_deref());
    let all: BTreeSet<&str> = logs.collect();
    if all.is_empty() {
        return String::new();
    }
    let named = all.iter().copied().take(MOST).collect::<Vec<_>>().join(", ");
    let more = if all.len() > MOST { ", …" } else { "" };
    format!("\nlogs of lost blocks: {named}{more}")
}

fn collected(plan: &PlanFolder, how: &Collecting) -> Result<u8, CliError> {
    let done = collect(plan, &how.results, how.partial, how.any_machine).map_err(fault)?;
    said_collected(plan, &done, how.partial)
}

fn said_collected(plan: &PlanFolder, done: &Collected, partial: bool) -> Result<u8, CliError> {
    const MOST: usize = 5;
    for warning in &done.warnings {
        print_note(warning);
    }
    let mut left = 0;
    for folder in &done.folders {
        say(&format!("record: {}", folder.display()))?;
        left = left.max(leave_page(folder)?);
    }
    let (cells, wrong) = done.cells;
    if !done.missing.is_empty() {
        let named: Vec<String> =
            done.missing.iter().take(MOST).map(|(id, why)| format!("{id} ({why})")).collect();
        let more = done.missing.len().saturating_sub(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = match (done.folders.is_empty(), partial) {
            (false, _) => "the record says that it is partial",
            (true, false) => {
                "nothing was recorded: submit again, or take what there is with --partial"
            }
            (true, true) => "nothing was recorded, because no block has a result: submit again",
        };
        return Err(CliError(
            CELLS,
            format!(
                "no result of {} of {}: {}{more}; {what}",
                count(done.missing.len()),
                counted(plan.plan.blocks.len(), "block"),
                named.join(", ")
            ),
        ));
    }
    say(&format!(
        "{}, {}: every planned block counts exactly once; failed or invalid: {wrong}",
        counted(plan.plan.blocks.len(), "block"),
        counted(cells, "cell")
    ))?;
    for folder in done.folders.iter().filter(|_| wrong > 0) {
        let folder = folder.display();
        say(&format!("why: paceline report {folder} --format table"))?;
    }
    Ok(if wrong > 0 { CELLS } else { left })
}

fn whole(asked: &WholeArguments) -> Result<u8, CliError> {
    let Some(engine) = engine(&asked.engine, asked.plan.load.server.is_some())? else {
        return Err(usage("name an engine with --engine: local, slurm, ssh or a file".into()));
    };
    let plan = planned(&asked.plan)?;
    say(&described(&plan))?;
    interrupt::watch().map_err(|error| internal(error.to_string()))?;
    let mut engine = Some(engine);
    let again = |state| matches!(state, BlockState::Planned | BlockState::Lost);
    loop {
        let done = submit(&plan, engine.take(), again).map_err(fault)?;
        said_submitted(&done, &plan)?;
        let mut watch = Watch::open(&plan).map_err(fault)?;
        let status = wait(&mut watch, |status| status.count(BlockState::Lost) > 0)?;
        let open = [BlockState::Lost, BlockState::GaveUp, BlockState::Blocked];
        if open.iter().any(|state| status.count(*state) > 0) {
            print_note(&(counts(&status) + &logs(&status)));
        }
        if status.count(BlockState::Lost) == 0 {
            break;
        }
    }
    collected(&plan, &asked.how)
}

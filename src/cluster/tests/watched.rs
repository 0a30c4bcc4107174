//! Plans that are watched: what is made of a scheduler's words from one look to the next, and who looks.

use std::{fs::File, thread, time::Duration};

use super::*;

/// A scheduler that says what is in the file `list`, and counts its calls in the file `calls`.
fn engine(folder: &Path, name: &str, more: &str) -> Engine {
    let at = folder.display();
    let text = format!(
        r#"name = "{name}"
submit = ["echo", "1"]
id = '^(\d+)$'
list = ["sh", "-c", 'cd "$0"; echo >>calls; cat list', "{at}"]
line = '^(?<job>\d+) (?<state>\w+) ?(?<reason>\w*)$'
cancel = ["true"]
script = ""
never = ["Stuck"]
{more}
[states]
WAITING = "pending"
RUNNING = "running"
ENDING = "ending"
ENDED = "gone"
"#
    );
    let path = folder.join("mine.toml");
    fs::write(&path, text).unwrap();
    Engine::find(&path.to_string_lossy(), &[], false).unwrap()
}

/// Submits. Processes that another test starts hold this one's locks until they have become their programs.
fn submitted(
    plan: &PlanFolder,
    engine: Option<&Engine>,
    again: fn(BlockState) -> bool,
) -> Result<Submitted, Fault> {
    loop {
        match submit(plan, engine.cloned(), again) {
            Err(Fault::Failed(why)) if why.contains("another paceline submits") => {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

#[test]
fn a_job_that_ends_for_ever_is_lost_and_one_that_is_away_for_a_moment_has_its_time_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let engine = engine(folder.path(), "mine", "grace_seconds = 1\nending_seconds = 1");
    submitted(&plan, Some(&engine), |_| true).unwrap();
    let mut watch = Watch::open(&plan).unwrap();
    let mut look = |says: &str, wanted: BlockState, reason: &str| {
        fs::write(folder.path().join("list"), says).unwrap();
        let found = watch.look().unwrap().blocks.swap_remove(0);
        let why = found.reason.unwrap_or_default();
        assert!(found.state == wanted && why.contains(reason), "{says}: {:?}, {why}", found.state);
    };
    let a_while = || thread::sleep(Duration::from_millis(1100));
    look("", BlockState::Running, "its files are awaited");
    // A block of a job for all blocks that nobody has begun.
    look("1 RUNNING\n", BlockState::Submitted, "");
    a_while();
    look("", BlockState::Running, "its files are awaited");
    look("1 ENDING\n", BlockState::Running, "ENDING: its end is waited for");
    a_while();
    look("1 ENDED\n", BlockState::Running, "its files are awaited");
    look("1 ENDING\n", BlockState::Running, "its end is waited for");
    a_while();
    look("1 ENDING\n", BlockState::Lost, "ENDING");
}

#[test]
fn to_submit_again_does_not_ask_the_scheduler_more_often_than_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let engine = engine(folder.path(), "mine", "poll_seconds = 2\ngrace_seconds = 2");
    fs::write(folder.path().join("list"), "1 ENDED\n").unwrap();
    submitted(&plan, Some(&engine), |_| true).unwrap();
    assert!(!folder.path().join("calls").exists(), "nothing was under way");
    let again = submitted(&plan, None, |state| state == BlockState::Lost).unwrap();
    assert_eq!(again.blocks, 2);
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls.lines().count(), 2);
}

#[test]
fn a_plan_goes_to_another_engine_once_the_first_has_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let [mine, other] =
        ["mine", "other"].map(|name| engine(folder.path(), name, "grace_seconds = 0"));
    submitted(&plan, Some(&mine), |_| true).unwrap();
    let to_other = |says: &str| {
        fs::write(folder.path().join("list"), says).unwrap();
        submitted(&plan, Some(&other), |state| state == BlockState::Lost)
    };
    for says in ["1 RUNNING\n", "1 WAITING\n", "1 WAITING Stuck\n"] {
        let Err(Fault::Usage(why)) = to_other(says) else { panic!("two engines have it: {says}") };
        assert!(why.starts_with("the engine mine still has blocks of this plan"), "{why}");
    }
    fs::remove_file(folder.path().join("list")).unwrap();
    let Err(Fault::Environment(why)) = submitted(&plan, Some(&other), |_| true) else {
        panic!("nobody knows what the first engine has")
    };
    assert!(
        why.starts_with("the engine mine does not answer") && why.contains("another plan"),
        "{why}"
    );
    let why = cancel(&plan).unwrap_err();
    assert!(why.why().contains("another with paceline cluster plan"), "{why:?}");
    assert_eq!(to_other("").unwrap().blocks, 2);
}

#[test]
fn the_time_left_is_said_once_more_blocks_are_done_than_run() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    let engine = engine(folder.path(), "mine", "");
    let plant = |block| plant(&plan, &Planted { block, ended: 1, node: 1, tag: 7, fault: None });
    plant(0);
    submitted(&plan, Some(&engine), |state| state != BlockState::Done).unwrap();
    fs::write(folder.path().join("list"), "1 RUNNING\n").unwrap();
    let mut watch = Watch::open(&plan).unwrap();
    assert_eq!(watch.look().unwrap().seconds_left, None);
    plant(1);
    // Both took a second, perhaps at the same time, and four are left.
    let left = watch.look().unwrap().seconds_left.unwrap();
    assert!(left > 1.9, "{left}");
}

#[test]
fn a_block_runs_if_an_attempt_has_begun_since_it_was_last_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let engine = engine(folder.path(), "mine", "");
    let begin = |tag| {
        let fault = Some(Torn::NoDone);
        plant(&plan, &Planted { block: 0, ended: 1, node: 1, tag, fault });
    };
    begin(7);
    // The clock of a file system goes by ticks.
    thread::sleep(Duration::from_millis(100));
    submitted(&plan, Some(&engine), |_| true).unwrap();
    fs::write(folder.path().join("list"), "1 RUNNING\n").unwrap();
    let mut watch = Watch::open(&plan).unwrap();
    assert_eq!(watch.look().unwrap().blocks[0].state, BlockState::Submitted);
    begin(8);
    assert_eq!(watch.look().unwrap().blocks[0].state, BlockState::Running);
}

#[test]
fn an_attempt_that_the_user_has_cancelled_does_not_count_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let mut jobs = jobs::Jobs::read(&plan.dir).unwrap();
    for _ in 0..2 {
        let blocks = plan.plan.blocks.iter().map(|block| block.id.clone()).collect();
        jobs.intend("name".into(), blocks).unwrap();
        jobs.write(jobs::Event::Cancelled { at: String::new() }).unwrap();
    }
    let engine = engine(folder.path(), "mine", "grace_seconds = 0");
    submitted(&plan, Some(&engine), |_| true).unwrap();
    fs::write(folder.path().join("list"), "").unwrap();
    let status = Watch::open(&plan).unwrap().look().unwrap();
    assert_eq!((status.count(BlockState::Lost), status.count(BlockState::GaveUp)), (2, 0));
}

#[test]
fn an_attempt_is_cancelled_by_an_event_of_its_own_and_by_no_word_of_a_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let mut jobs = jobs::Jobs::read(&plan.dir).unwrap();
    let block = plan.plan.blocks[0].id.clone();
    let submission = jobs.intend("name".into(), vec![block.clone()]).unwrap().number;
    let word = "cancelled by paceline".to_owned();
    let ended = jobs::Event::Ended { submission, block: block.clone(), word, given_up: false };
    jobs.write(ended).unwrap();
    assert_eq!(jobs.not_cancelled(&block), 1);
}

#[test]
fn a_plan_whose_engine_is_gone_is_not_waited_for_and_goes_on_with_one_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let engine = engine(folder.path(), "mine", "grace_seconds = 0");
    submitted(&plan, Some(&engine), |_| true).unwrap();
    fs::write(folder.path().join("list"), "").unwrap();
    let file = plan.dir.join("engine.toml");
    let cases: [(Option<&[u8]>, &str); 3] = [
        (None, "engine.toml is gone from "),
        (Some(b"name = 1"), "engine.toml is not an engine file: "),
        (Some(b"\xff"), "engine.toml: cannot be read: "),
    ];
    for (left, why) in cases {
        fs::remove_file(&file).unwrap();
        if let Some(left) = left {
            fs::write(&file, left).unwrap();
        }
        let looked = Watch::open(&plan).and_then(|mut watch| watch.look());
        let Err(Fault::Usage(said)) = looked else { panic!("it is waited for: {why}") };
        let what_to_do = "; name the engine again with paceline cluster submit --engine";
        assert!(said.contains(why) && said.ends_with(what_to_do), "{said}");
        let again = submitted(&plan, Some(&engine), |state| state != BlockState::Done).unwrap();
        assert_eq!(again.blocks, 2);
    }
}

#[test]
fn a_plan_is_submitted_and_collected_by_one_at_a_time_and_a_torn_line_of_its_jobs_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let jobs = plan.dir.join("jobs.jsonl");
    fs::write(&jobs, "{\"event\":\"inte").unwrap();
    let _held = jobs::Jobs::lock(&plan.dir).unwrap();
    assert_eq!(fs::read(&jobs).unwrap(), b"");
    let Err(Fault::Failed(why)) = jobs::Jobs::lock(&plan.dir) else { panic!("two submit at once") };
    assert!(why.starts_with("another paceline submits or watches "), "{why}");
    let collecting = File::create(plan.dir.join("collect.lock")).unwrap();
    collecting.lock().unwrap();
    let results = folder.path().join("results");
    let Err(Fault::Failed(why)) = crate::cluster::collect(&plan, &results, false, false) else {
        panic!("two collect at once")
    };
    assert_eq!(why, "another paceline collects this plan: wait for it");
}

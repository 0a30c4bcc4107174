//! Engine files, and the words of their schedulers.

use super::*;

#[test]
fn every_engine_file_that_is_shipped_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/engines");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files: Vec<String> = files.map(|file| file.to_string_lossy().into_owned()).collect();
    assert!(files.len() > 1, "{files:?}");
    let settings = ["user=me".to_owned()];
    for file in files {
        let needs: &[String] = if file.ends_with("pbs.toml") { &settings } else { &[] };
        assert!(Engine::find(&file, needs, false).is_ok(), "{file}");
    }
    for (name, text) in BUILT_IN {
        assert_eq!(Engine::parse(name, text).unwrap().name, name);
    }
}

#[test]
fn a_setting_that_is_not_used_is_refused() {
    let find = |is_load| Engine::find("ssh", &["hosts=box1".to_owned()], is_load);
    assert!(find(false).is_ok());
    let Err(Fault::Usage(why)) = find(true) else { panic!("a load is on the nodes of its plan") };
    assert_eq!(
        why,
        "the engine ssh does not use `hosts` for a load between nodes: leave --set hosts=… out"
    );
}

#[test]
fn the_words_of_slurm_are_understood_and_one_that_is_new_is_waited_out() {
    let slurm = Engine::find("slurm", &[], false).unwrap();
    let said =
        "12_0|PENDING|Resources||pl-1\n12_1|NODE_FAIL|None|n1|pl-1\n12_2|SHINY|None|n2|pl-1\n";
    let read = slurm.read(said).unwrap();
    let meanings: Vec<Meaning> = read.iter().map(|task| task.meaning).collect();
    assert_eq!(meanings, [Meaning::Pending, Meaning::Retry, Meaning::Running]);
    assert_eq!((read[2].task, read[2].node.as_str()), (Some(2), "n2"));
    assert!(slurm.never("PartitionConfig") && !slurm.never("Resources"));
    assert!(slurm.never("AssocMaxWallDurationPerJobLimit"));
    assert!(!slurm.never("AssocGrpCpuLimit"), "it runs once others of the group have ended");
    assert!(slurm.never("JobHoldMaxRequeue"), "only an administrator releases it");
    assert!(slurm.never("job requeued in held state"), "it is written with spaces");
    assert_eq!(slurm.read("").unwrap(), []);
    assert!(slurm.read("slurm_load_jobs error\n").is_err(), "an error is no empty queue");
}

/// The states of squeue's manual, by what becomes of a block without a result.
#[test]
fn every_state_of_slurm_has_its_meaning() {
    let slurm = Engine::find("slurm", &[], false).unwrap();
    let pending = "PENDING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT";
    let running = "CONFIGURING RUNNING SUSPENDED STAGE_OUT SIGNALING RESIZING STOPPED";
    let all = [
        (Meaning::Pending, pending),
        (Meaning::Running, running),
        (Meaning::Ending, "COMPLETING"),
        (Meaning::Gone, "COMPLETED"),
        (Meaning::Retry, "NODE_FAIL BOOT_FAIL PREEMPTED REVOKED CANCELLED"),
        (Meaning::Final, "TIMEOUT OUT_OF_MEMORY DEADLINE FAILED"),
    ];
    let all = all.iter().flat_map(|(meaning, words)| words.split(' ').map(move |w| (w, *meaning)));
    let wanted: BTreeMap<String, Meaning> = all.map(|(word, of)| (word.to_owned(), of)).collect();
    assert_eq!(slurm.states, wanted);
}

#[test]
fn paths_in_scripts_are_quoted_and_braces_of_the_shell_stay() {
    let values = Values(BTreeMap::from([("dir", "/a b/it's".to_owned())]));
    let filled = values.fill("x {dir} ${HOME} {more}", &BTreeMap::new(), true);
    assert_eq!(filled, r"x '/a b/it'\''s' ${HOME} {more}");
}

/// The table is what `hq` 0.26.2 printed for a job one of whose workers was killed, and whose rest was cancelled.
#[test]
fn a_task_of_hyperqueue_whose_worker_was_lost_is_done_again_and_one_that_failed_is_not() {
    const TABLE: &str = "\
+---------+----------+--------+----------+-------+
| Task ID | State    | Worker | Makespan | Error |
+---------+----------+--------+----------+-------+
|       0 | FINISHED | vm     | 3s 306ms |       |
|       1 | FAILED   | vm     | 2ms      | Program terminated with exit code 6. |
|       2 | FAILED   |        |          | Task was running on a worker that was lost; the task has occurred 1 times in this situation and limit was reached. |
|       3 | RUNNING  | vm     | 1s 737ms |       |
|      10 | WAITING  |        |          |       |
|      11 | CANCELED |        |          |       |
+---------+----------+--------+----------+-------+
";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("table"), TABLE).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines/hyperqueue.toml");
    let engine = Engine::find(path, &[], false).unwrap();
    // `hq` by a function of the shell, in the place of the program.
    let list =
        format!("hq() {{ [ \"$*\" = 'task list -v 7' ] && cat table; }}; {}", engine.list[2]);
    let mut shell = std::process::Command::new("sh");
    let listed = shell.args(["-c", &list, "7"]).current_dir(folder.path()).output().unwrap();
    let read = engine.read(&String::from_utf8(listed.stdout).unwrap()).unwrap();
    let of = |task: &Listed| (task.job.clone(), task.task.unwrap(), task.meaning);
    let wanted = [
        (0, Meaning::Gone),
        (1, Meaning::Final),
        (2, Meaning::Retry),
        (3, Meaning::Running),
        (10, Meaning::Pending),
        (11, Meaning::Retry),
    ];
    let read: Vec<_> = read.iter().map(of).collect();
    assert_eq!(read, wanted.map(|(task, meaning)| ("7".to_owned(), task, meaning)));
    assert_eq!(engine.states["ABORTED"], Meaning::Retry);
}

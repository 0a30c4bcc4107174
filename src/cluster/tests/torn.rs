//! Parts that are torn or damaged, and what is said of them.

use super::*;

#[test]
fn a_block_whose_part_is_torn_is_open_again_and_a_damaged_part_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    for (block, fault) in [Torn::HalfALine, Torn::Flipped].into_iter().enumerate() {
        plant(&plan, &Planted { block, ended: 1, node: 1, tag: 7, fault: Some(fault) });
    }
    let complete = |plan: &PlanFolder, block: &str| part::attempts(plan, block).0.len();
    assert_eq!((complete(&plan, "0000"), complete(&plan, "0001")), (0, 1), "a torn part is done");
    let other = PlanFolder { hash: "another".into(), ..plan.clone() };
    assert_eq!(complete(&other, "0001"), 0, "a part of another plan is done");
    let missing = collected(&plan).missing;
    let why = &missing.iter().find(|(block, _)| block == "0001").unwrap().1;
    assert!(why.contains("is not what its done.json says: remove "), "{why}");
    assert!(why.ends_with("parts/0001/job-7-1"), "{why}");
}

#[test]
fn a_histogram_that_cannot_be_read_is_an_error_that_names_the_attempt_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    all_blocks(&plan);
    let block = &plan.plan.blocks[2];
    let attempt = plan.attempts(&block.id).join("job-2-0");
    let text = fs::read_to_string(attempt.join("trials.jsonl")).unwrap();
    let text = text.replacen("\"hdr_v2\":\"", "\"hdr_v2\":\"AAAA", 1);
    rewrite(&attempt, "trials.jsonl", &text);
    let results = folder.path().join("results");
    let Err(Fault::Failed(why)) = collect(&plan, &results, false, false) else {
        panic!("a histogram was left out")
    };
    let found = why.contains("parts/0002/job-2-0: a trial of") && why.contains("not a histogram");
    assert!(found && why.ends_with("remove that folder, and submit again"), "{why}");
    assert_eq!(fs::read_dir(&results).unwrap().count(), 0);
    // Its trials are written too where another pass was given up, so that its cells have failed.
    let mut others = plan.plan.blocks.iter().enumerate();
    let (_, other) = others.find(|(at, of)| *at != 2 && of.workload == block.workload).unwrap();
    fs::remove_dir_all(plan.attempts(&other.id)).unwrap();
    let mut jobs = jobs::Jobs::read(&plan.dir).unwrap();
    jobs.intend("name".into(), vec![other.id.clone()]).unwrap();
    let (block, word) = (other.id.clone(), "TIMEOUT".into());
    jobs.write(jobs::Event::Ended { submission: 1, block, word, given_up: true }).unwrap();
    let Err(Fault::Failed(again)) = collect(&plan, &results, false, false) else {
        panic!("a histogram was left out")
    };
    assert_eq!(again, why);
    fs::remove_dir_all(attempt).unwrap();
    assert_eq!(collected(&plan).missing.len(), 1);
}

#[test]
fn a_part_that_does_not_have_exactly_its_cells_does_not_count_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    all_blocks(&plan);
    let attempt = plan.attempts("0000").join("job-0-0");
    let without_first: fn(&str) -> String =
        |text| text.lines().skip(1).map(|line| line.to_owned() + "\n").collect();
    for (name, change, says) in [
        ("cells.jsonl", without_first, "it has 0 ends of "),
        ("cells.jsonl", |text| text.repeat(2), "it has 2 ends of "),
        (
            "cells.jsonl",
            |text| text.replacen("\"state\":\"ok\"", "\"state\":\"failed\"", 1),
            "is to have 0 trials of its pass, and has 1",
        ),
        (
            "cells.jsonl",
            |text| text.replacen("\"model\":\"pool\"", "\"model\":\"rayon\"", 1),
            "it has cells that are not in the plan",
        ),
        ("trials.jsonl", without_first, "is to have 1 trials of its pass, and has 0"),
        ("trials.jsonl", |text| text.repeat(2), "is to have 1 trials of its pass, and has 2"),
        (
            "trials.jsonl",
            |text| text.replacen("\"trial\":0", "\"trial\":1", 1),
            "is to have 1 trials of its pass, and has 1",
        ),
        (
            "trials.jsonl",
            |text| text.replacen("\"model\":\"pool\"", "\"model\":\"rayon\"", 1),
            "it has cells that are not in the plan",
        ),
    ] {
        let whole = fs::read_to_string(attempt.join(name)).unwrap();
        let changed = change(&whole);
        assert_ne!(whole, changed, "{says}");
        rewrite(&attempt, name, &changed);
        let missing = collected(&plan).missing;
        assert_eq!(missing.len(), 1, "{says}: {missing:?}");
        assert!(missing[0].1.contains(says) && missing[0].1.contains(": remove "), "{missing:?}");
        rewrite(&attempt, name, &whole);
    }
    assert!(collected(&plan).missing.is_empty());
}

#[test]
fn an_attempt_counts_only_in_its_block_and_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    plant(&plan, &Planted { block: 0, ended: 1, node: 1, tag: 7, fault: None });
    let copied = |block: &str, attempt: &str| {
        let to = plan.attempts(block).join(attempt);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(plan.attempts("0000").join("job-7-1")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        part::attempts(&plan, block)
    };
    let (complete, others) = copied("0001", "job-7-1");
    assert!(complete.is_empty() && others == ["job-7-1"], "{complete:?}");
    let (complete, others) = copied("0000", "job-8-1");
    assert!(complete.len() == 1 && others == ["job-8-1"], "one attempt counts twice");
}

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

//! Verdicts on planted trials, whose answers are known.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    record::{
        Change, Crashes, GateCell, Metric, Overall, Presence, SameProgram, Sameness, State, Verdict,
    },
    stats::simulated::normal,
};

/// Returns trials spread evenly around `mean`, up to `spread` on either side.
fn around(mean: f64, spread: f64, trials: usize) -> Vec<f64> {
    let place = |trial: usize| 2.0 * (trial as f64 + 0.5) / trials as f64 - 1.0;
    (0..trials).map(|trial| mean + spread * place(trial)).collect()
}

fn sample<'a>(log_ratios: &'a [f64], null: &'a [f64]) -> Sample<'a> {
    Sample { log_ratios, null, margin: 0.03, clear_margin: 0.05, layout_sd: 0.0 }
}

fn verdict(log_ratios: &[f64]) -> Verdict {
    judge(&[sample(log_ratios, &[])], 0.05)[0].verdict.unwrap()
}

#[test]
fn the_four_verdicts_follow_the_margins() {
    assert_eq!(verdict(&around(0.06, 0.05, 40)), Verdict::Regressed);
    assert_eq!(verdict(&around(-0.06, 0.05, 40)), Verdict::Improved);
    assert_eq!(verdict(&around(0.0, 0.05, 40)), Verdict::NotRegressed);
    // Significantly slower, but by less than the margin.
    assert_eq!(verdict(&around(0.02, 0.01, 40)), Verdict::NotRegressed);
    assert_eq!(verdict(&around(-0.02, 0.01, 40)), Verdict::NotRegressed);
    assert_eq!(verdict(&around(0.0, 0.5, 40)), Verdict::Inconclusive);
    // Slower by more than the margin, not significantly, and perhaps by more than the clear margin.
    assert_eq!(verdict(&around(0.06, 0.5, 40)), Verdict::Inconclusive);
}

#[test]
fn a_head_that_is_far_slower_in_a_few_of_its_processes_does_not_pass() {
    let null = around(0.0, 0.05, 40);
    let with = |slow: usize, by: f64| {
        let mut trials = around(0.01, 0.05, 40);
        trials.iter_mut().rev().take(slow).for_each(|trial| *trial += by);
        judge(&[sample(&trials, &null)], 0.05)[0]
    };
    assert_eq!(with(3, 0.7).verdict, Some(Verdict::NotRegressed), "3 of 40 may be chance");
    for slow in 4..=6 {
        let judged = with(slow, 0.7);
        assert!(judged.change.unwrap().share < 0.03, "the mean of {slow} does not show it");
        assert_eq!(judged.verdict, Some(Verdict::Inconclusive), "{slow}");
        assert_eq!(judged.trials_needed, None);
    }
    assert_eq!(with(30, 0.7).verdict, Some(Verdict::Regressed));
    // Not where the copy, or the head the other way, differs as much.
    let [mut copy, mut head] = [null.clone(), around(0.0, 0.05, 40)];
    head.iter_mut().take(6).for_each(|trial| *trial += 0.7);
    assert_eq!(far_slower(&head, &copy, 0.05), 6);
    assert_eq!(far_slower(&head, &[], 0.05), 6);
    copy[20] = -0.8;
    assert_eq!(far_slower(&head, &copy, 0.05), 0);
    head[20] = -0.8;
    assert_eq!(far_slower(&head, &null, 0.05), 0);
}

#[test]
fn equal_programs_are_seldom_far_slower_in_some_trials() {
    for trials in [12, 20, 40, 100] {
        let cells = 4000;
        let noise = normal(trials as u64, 3 * trials * cells);
        // As heavy tails as the worst kind of job has: a cube.
        let times: Vec<f64> = noise.iter().map(|z| 0.05 * z * z * z).collect();
        let slow = times.chunks_exact(3 * trials).filter(|cell| {
            let ratios = |side: usize| -> Vec<f64> {
                (0..trials).map(|trial| cell[side * trials + trial] - cell[trial]).collect()
            };
            far_slower(&ratios(1), &ratios(2), 0.05) > 0
        });
        let share = slow.count() as f64 / cells as f64;
        assert!(share <= 0.0015, "{trials}: {share}");
    }
}

#[test]
fn a_change_whose_interval_holds_no_change_is_none_however_few_tests_there_are() {
    // Like +6.2 % (−0.3 to +13.1 %), which a gate of one cell once called regressed: p is below 0.05.
    let trials = around(0.06, 0.26, 40);
    let judged = judge(&[sample(&trials, &[])], 0.05)[0];
    let change = judged.change.unwrap();
    assert!(change.p_slower < 0.05 && change.lower < 0.0, "{change:?}");
    assert_eq!(judged.verdict, Some(Verdict::Inconclusive));
    assert!(judged.trials_needed.unwrap() > 40, "{judged:?}");
    let judged = judge(&[sample(&around(0.06, 0.15, 40), &[])], 0.05)[0];
    assert_eq!(judged.verdict, Some(Verdict::Regressed));
    assert!(judged.change.unwrap().lower > 0.0, "{judged:?}");
}

#[test]
fn tests_against_half_of_the_margin_find_less() {
    let trials = around(0.035, 0.1, 40);
    let at = |part| judge_against(&[sample(&trials, &[])], 0.05, part)[0].verdict.unwrap();
    assert_eq!([at(0.0), at(0.5)], [Verdict::Regressed, Verdict::Inconclusive]);
}

#[test]
fn at_two_looks_the_bound_is_as_strict_as_the_tests() {
    let trials = around(0.025, 0.105, 40);
    let at = |rate| judge(&[sample(&trials, &[])], rate)[0].verdict.unwrap();
    assert_eq!([at(0.05), at(0.03)], [Verdict::NotRegressed, Verdict::Inconclusive]);
}

#[test]
fn a_layout_that_may_explain_it_is_no_regression() {
    let trials = around(0.06, 0.05, 40);
    let sure = sample(&trials, &[]);
    let judged = judge(&[Sample { layout_sd: 0.05, ..sure }], 0.05)[0];
    assert_eq!(judged.verdict, Some(Verdict::Inconclusive));
    assert_eq!(judged.trials_needed, None, "no number of trials moves the code");
}

#[test]
fn what_is_a_discovery_alone_may_be_none_among_many() {
    let (one, other) = (around(0.09, 0.3, 60), around(0.0, 0.3, 60));
    let alone = judge(&[sample(&one, &[])], 0.05)[0];
    let p = alone.change.unwrap().p_slower;
    assert!(p < 0.05 / 2.0 && p > 0.05 / 80.0, "{p}");
    let mut among = vec![sample(&other, &[]); 39];
    among.push(sample(&one, &[]));
    let among = judge(&among, 0.05)[39];
    assert_eq!(alone.verdict, Some(Verdict::Regressed));
    assert_ne!(among.verdict, Some(Verdict::Regressed));
    assert!(among.detectable > alone.detectable);
}

#[test]
fn a_change_against_the_base_alone_and_not_against_its_copy_is_none() {
    let slower = around(0.06, 0.05, 40);
    let judged = |copy: f64| {
        let copy = around(copy, 0.05, 40);
        judge(&[sample(&slower, &copy)], 0.05)[0]
    };
    assert_eq!(judged(0.0).verdict, Some(Verdict::Regressed));
    // The base was fast by chance: its copy differs from the head by less than the margin.
    let odd = judged(0.0294);
    assert!(!odd.null_fired);
    assert_eq!(odd.verdict, Some(Verdict::Regressed), "0.0306 is over the margin, 0.0296");
    let slower = around(0.055, 0.05, 40);
    let copy = around(0.0294, 0.05, 40);
    let odd = judge(&[sample(&slower, &copy)], 0.05)[0];
    assert!(!odd.null_fired);
    assert_ne!(odd.verdict, Some(Verdict::Regressed));
    let faster = around(-0.06, 0.05, 40);
    let copy = around(-0.04, 0.2, 40);
    let judged = judge(&[sample(&faster, &copy)], 0.001)[0];
    assert!(!judged.null_fired);
    assert_ne!(judged.verdict, Some(Verdict::Improved));
}

#[test]
fn the_null_arm_fires_by_the_same_rule_in_either_direction() {
    let quiet = around(0.0, 0.05, 40);
    for (mean, fires) in [(0.06, true), (-0.06, true), (0.02, false), (0.0, false)] {
        let null = around(mean, 0.05, 40);
        let judged = judge(&[sample(&quiet, &null)], 0.05)[0];
        assert_eq!(judged.null_fired, fires, "{mean}");
        assert!((judged.null.unwrap().share - mean.exp_m1()).abs() < 1e-9);
        assert_eq!(judged.verdict, (!fires).then_some(Verdict::NotRegressed));
    }
    assert!(!judge(&[sample(&quiet, &[])], 0.05)[0].null_fired);
}

#[test]
fn the_test_of_a_void_cell_eases_none_of_the_others() {
    let (one, far, quiet) = (around(0.07, 0.3, 60), around(0.5, 0.05, 60), around(0.0, 0.05, 60));
    let of = |null: &[f64]| {
        let samples = [vec![sample(&one, &quiet)], vec![sample(&far, null); 9]].concat();
        judge(&samples, 0.05)[0].verdict
    };
    assert_eq!(of(&quiet), Some(Verdict::Regressed), "among nine discoveries");
    assert_ne!(of(&far), Some(Verdict::Regressed), "among nine void cells");
}

#[test]
fn a_null_arm_that_fires_voids_its_cell_and_no_regression_of_another() {
    let (slower, quiet, odd) =
        (around(0.2, 0.05, 40), around(0.0, 0.05, 40), around(0.06, 0.05, 40));
    let judged = judge(&[sample(&slower, &quiet), sample(&slower, &odd)], 0.05);
    assert_eq!((judged[0].verdict, judged[0].null_fired), (Some(Verdict::Regressed), false));
    assert_eq!((judged[1].verdict, judged[1].null_fired), (None, true));
    assert!(judged[1].change.is_some(), "what was measured is shown");
}

#[test]
fn too_few_trials_are_inconclusive_and_none_at_all_have_no_verdict() {
    let judged = judge(&[sample(&[0.5; 4], &[]), sample(&[], &[])], 0.05);
    assert_eq!(judged[0].verdict, Some(Verdict::Inconclusive));
    assert_eq!((judged[0].change, judged[0].detectable), (None, None));
    assert_eq!(judged[1].verdict, None);
    let broken = [0.5, 0.5, 0.5, f64::NAN, 0.5, 0.5];
    assert_eq!(verdict(&broken), Verdict::Inconclusive);
    assert!(judge(&[], 0.05).is_empty());
}

#[test]
fn what_is_detectable_is_never_less_than_the_margin() {
    let judged = judge(&[sample(&[0.0; 40], &[])], 0.05)[0];
    assert!((judged.detectable.unwrap() - 0.03).abs() < 1e-9, "{judged:?}");
    assert!(judge(&[sample(&around(0.0, 0.1, 40), &[])], 0.05)[0].detectable.unwrap() > 0.03);
}

#[test]
fn a_discovery_alone_among_many_needs_a_p_value_below_its_part_of_the_rate() {
    for (samples, tests) in [(0, 2.0), (1, 2.0), (10, 20.0)] {
        assert!((bar(0.05, samples, 0.03).alpha - 0.05 / tests).abs() < 1e-15, "{samples}");
    }
}

#[test]
fn the_trials_needed_settle_what_was_inconclusive() {
    for mean in [0.0, 0.03, 0.06] {
        let few = around(mean, 0.3, 40);
        let judged = judge(&[sample(&few, &[])], 0.05)[0];
        assert_eq!(judged.verdict, Some(Verdict::Inconclusive), "{mean}");
        let needed = judged.trials_needed.unwrap();
        assert!(needed > 40, "{mean}: {needed}");
        let settled = judge(&[sample(&around(mean, 0.3, needed as usize + 10), &[])], 0.05)[0];
        assert_ne!(settled.verdict, Some(Verdict::Inconclusive), "{mean}: {needed}");
        assert_eq!(settled.trials_needed, None);
    }
}

proptest! {
    #[test]
    fn swapping_the_sides_swaps_the_verdicts(
        cells in vec((-0.15..0.15_f64, vec(-0.2..0.2_f64, 5..40)), 1..20),
    ) {
        let trials: Vec<Vec<f64>> = cells
            .iter()
            .map(|(mean, noise)| noise.iter().map(|noise| mean + noise).collect())
            .collect();
        let swapped: Vec<Vec<f64>> =
            trials.iter().map(|trials| trials.iter().map(|trial| -trial).collect()).collect();
        let of = |trials: &[Vec<f64>]| {
            let samples: Vec<Sample> = trials.iter().map(|of| sample(of, of)).collect();
            judge(&samples, 0.05)
        };
        for (one, other) in of(&trials).iter().zip(of(&swapped)) {
            prop_assert_eq!(
                one.verdict == Some(Verdict::Regressed),
                other.verdict == Some(Verdict::Improved)
            );
            prop_assert_eq!(
                one.verdict == Some(Verdict::Improved),
                other.verdict == Some(Verdict::Regressed)
            );
            prop_assert_eq!(one.null_fired, other.null_fired);
            // The interval that is shown fits the verdict.
            let lower = one.change.unwrap().lower;
            prop_assert!(one.verdict != Some(Verdict::Regressed) || lower > 0.0, "{lower}");
        }
    }
}

pub(crate) fn gated(name: &str, verdict: Option<Verdict>, share: f64) -> GateCell {
    let change =
        Change { share, lower: share - 0.02, upper: share + 0.02, p_slower: 0.5, p_faster: 0.5 };
    GateCell {
        cell: name.into(),
        metric: Metric::P99,
        presence: Presence::Both,
        state: State::Ok,
        reason: None,
        verdict,
        margin: 0.03,
        clear_margin: 0.05,
        layout_sd: 0.0,
        base: None,
        head: None,
        change: verdict.map(|_| change),
        detectable: verdict.map(|_| 0.081),
        trials: 40,
        dropped: 0,
        crashes: Crashes::default(),
        trials_needed: None,
        slices: 1,
        iterations: 1,
        null: None,
        null_fired: false,
        again: false,
        counts: None,
        log_ratios: vec![],
        null_log_ratios: vec![],
    }
}

#[test]
fn the_sentence_has_the_counts_and_the_worst_cell() {
    let mut cells = vec![
        gated("a/tokio/1", Some(Verdict::NotRegressed), 0.01),
        gated("b/tokio/1", Some(Verdict::Improved), -0.1),
    ];
    assert_eq!(
        overall(&cells, true, None),
        (
            Overall::Passed,
            "of 2 cells, 1 improved, 1 not regressed; the greatest rise is a/tokio/1 latency p99 +1.0 % (-1.0 to +3.0 %)"
                .into()
        )
    );
    let (_, why) = overall(&cells[1..], true, None);
    assert!(
        why.contains("nothing rose, and the least fall is b/tokio/1 latency p99 -10.0 %"),
        "{why}"
    );
    let mut unclear = gated("c/tokio/1", Some(Verdict::Inconclusive), 0.02);
    unclear.trials_needed = Some(90);
    cells.push(unclear);
    let (verdict, why) = overall(&cells, true, None);
    assert_eq!(verdict, Overall::Inconclusive);
    assert!(
        why.contains("least visible c/tokio/1 latency p99") && why.contains("from 8.1 % on"),
        "{why}"
    );
    assert!(why.contains("90 trials are needed, 40 count"), "{why}");
    cells.push(gated("d/tokio/1", Some(Verdict::Regressed), 0.07));
    cells.push(gated("e/tokio/1", Some(Verdict::Regressed), 0.09));
    let (verdict, why) = overall(&cells, true, None);
    assert_eq!(verdict, Overall::Regressed);
    assert!(
        why.contains("2 regressed") && why.contains("worst e/tokio/1 latency p99 +9.0 %"),
        "{why}"
    );
}

#[test]
fn a_null_arm_that_fired_is_named() {
    let mut void = gated("a/tokio/1", Some(Verdict::NotRegressed), 0.1);
    (void.null_fired, void.null, void.verdict) = (true, void.change, None);
    let cells = [void, gated("b/tokio/1", Some(Verdict::NotRegressed), 0.0)];
    let (verdict, why) = overall(&cells, true, None);
    assert!(why.starts_with("of 2 cells, 1 not regressed, 1 void; "), "{why}");
    assert_eq!(verdict, Overall::EnvironmentInvalid);
    assert!(why.contains("a/tokio/1 latency p99 (+10.0 %)"), "{why}");
}

#[test]
fn failed_comes_before_regressed_before_an_unfit_machine_before_the_rest() {
    let mut fired = gated("a/tokio/1", None, 0.1);
    fired.null_fired = true;
    let why = Some("the head crashed".to_owned());
    let failed = GateCell { state: State::Failed, reason: why, ..gated("b/tokio/1", None, 0.0) };
    let invalid = GateCell { state: State::Invalid, ..failed.clone() };
    let regressed = gated("c/tokio/1", Some(Verdict::Regressed), 0.1);
    let unclear = gated("d/tokio/1", Some(Verdict::Inconclusive), 0.02);
    for enough in [true, false] {
        for worst in [&failed, &invalid] {
            let cells = [&fired, &unclear, &regressed, worst].map(Clone::clone);
            let (verdict, why) = overall(&cells, enough, None);
            assert_eq!(verdict, Overall::Failed);
            assert!(why.contains("1 failed, 1 regressed"), "{why}");
            assert!(why.ends_with("b/tokio/1 latency p99: the head crashed"), "{why}");
        }
        let cells = [&fired, &unclear, &regressed].map(Clone::clone);
        assert_eq!(overall(&cells, enough, None).0, Overall::Regressed);
        let cells = [&fired, &unclear].map(Clone::clone);
        assert_eq!(overall(&cells, enough, None).0, Overall::EnvironmentInvalid);
    }
    assert_eq!(overall(std::slice::from_ref(&unclear), false, None).0, Overall::EnvironmentInvalid);
    assert_eq!(overall(&[unclear], true, None).0, Overall::Inconclusive);
    // A new cell that cannot run also fails the head.
    let new = GateCell { presence: Presence::Head, ..failed };
    assert_eq!(overall(&[new], true, None).0, Overall::Failed);
}

#[test]
fn a_cell_of_both_sides_without_a_figure_does_not_pass_unseen() {
    let passed = gated("a/tokio/1", Some(Verdict::NotRegressed), 0.0);
    let unseen = GateCell { state: State::Skipped, ..gated("b/tokio/1", None, 0.0) };
    let (verdict, why) = overall(&[passed.clone(), unseen.clone()], true, None);
    assert_eq!(verdict, Overall::Inconclusive);
    assert!(why.contains("no figure of b/tokio/1 latency p99"), "{why}");
    // With no other cell, nothing was compared.
    let (verdict, why) = overall(std::slice::from_ref(&unseen), true, None);
    assert_eq!(verdict, Overall::Nothing);
    assert!(why.contains("no figure of b/tokio/1 latency p99"), "{why}");
    // A cell that cannot run on this machine, or exists on one side only, is not gated.
    let refused = GateCell { state: State::Refused, ..unseen.clone() };
    let new = GateCell { presence: Presence::Head, ..unseen };
    let (verdict, why) = overall(&[passed, refused.clone(), new.clone()], true, None);
    assert_eq!(verdict, Overall::Passed);
    assert!(why.starts_with("of 3 cells, 1 not regressed, 1 refused, 1 new; "), "{why}");
    assert_eq!(overall(&[refused, new.clone()], true, None).0, Overall::Nothing);
    // A cell that the head lacks or has renamed is counted.
    let removed = GateCell { presence: Presence::Base, state: State::Ok, ..new.clone() };
    let cells = [gated("a/tokio/1", Some(Verdict::NotRegressed), 0.0), removed, new];
    let (verdict, why) = overall(&cells, true, None);
    assert_eq!(verdict, Overall::Passed);
    assert!(why.starts_with("of 3 cells, 1 not regressed, 1 removed, 1 new; "), "{why}");
    assert_eq!(overall(&[], true, None).0, Overall::Nothing);
}

#[test]
fn the_same_program_never_passes_and_what_is_found_all_the_same_is_reported() {
    let same = SameProgram { sameness: Sameness::Unreached, why: "they are the same".into() };
    let passed = gated("a/tokio/1", Some(Verdict::NotRegressed), 0.0);
    let unclear = gated("b/tokio/1", Some(Verdict::Inconclusive), 0.02);
    for cells in [vec![], vec![passed.clone()], vec![passed.clone(), unclear]] {
        let (verdict, why) = overall(&cells, true, Some(&same));
        assert_eq!(verdict, Overall::Nothing, "{why}");
        let counted = if cells.is_empty() { "they are the same" } else { "they are the same; " };
        assert!(why.starts_with(counted), "{why}");
    }
    // Files that are read at run time may differ.
    let slower = gated("c/tokio/1", Some(Verdict::Regressed), 0.5);
    let (verdict, why) = overall(&[passed.clone(), slower], true, Some(&same));
    assert_eq!(verdict, Overall::Regressed);
    assert!(why.contains("base and head are the same program"), "{why}");
    assert_eq!(overall(&[passed], false, Some(&same)).0, Overall::EnvironmentInvalid);
}

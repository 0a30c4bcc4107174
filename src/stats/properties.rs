//! Properties that the statistics keep for all values, and their definition where the formulas have none.

use proptest::{collection::vec, prelude::*};

use super::*;

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

fn times(
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<(f64, f64)>> {
    vec((1e3..1e9_f64, 1e3..1e9_f64), count)
}

fn log_ratios(times: &[(f64, f64)], scale: f64) -> Vec<f64> {
    times.iter().map(|(base, head)| ((head * scale) / (base * scale)).ln()).collect()
}

proptest! {
    #[test]
    fn swapping_the_sides_flips_the_sign_and_swaps_the_chances(times in times(5..60)) {
        let swapped: Vec<(f64, f64)> = times.iter().map(|(base, head)| (*head, *base)).collect();
        let found = Trimmed::of(&log_ratios(&times, 1.0)).unwrap();
        let other = Trimmed::of(&log_ratios(&swapped, 1.0)).unwrap();
        prop_assert!(near(found.mean, -other.mean) && near(found.se, other.se));
        prop_assert!(near(found.p_above(), other.p_below()) && near(found.p_below(), other.p_above()));
        let (lower, upper) = found.interval(0.95);
        prop_assert!(near(lower, -other.interval(0.95).1) && near(upper, -other.interval(0.95).0));
    }

    #[test]
    fn scaling_all_times_of_both_sides_changes_nothing(times in times(5..60), scale in 1e-3..1e3_f64) {
        let found = Trimmed::of(&log_ratios(&times, 1.0)).unwrap();
        let scaled = Trimmed::of(&log_ratios(&times, scale)).unwrap();
        prop_assert!(near(found.mean, scaled.mean) && near(found.se, scaled.se));
        prop_assert!(near(found.p_above(), scaled.p_above()));
    }

    #[test]
    fn the_chances_of_both_directions_are_1_together(values in vec(-1.0..1.0_f64, 5..60)) {
        let found = Trimmed::of(&values).unwrap();
        prop_assert!(near(found.p_above() + found.p_below(), 1.0));
    }

    #[test]
    fn adding_a_constant_moves_the_mean_and_nothing_else(values in vec(-1.0..1.0_f64, 5..60), by in -3.0..3.0_f64) {
        let moved: Vec<f64> = values.iter().map(|value| value + by).collect();
        let (found, moved) = (Trimmed::of(&values).unwrap(), Trimmed::of(&moved).unwrap());
        prop_assert!(near(found.mean + by, moved.mean) && near(found.se, moved.se));
        prop_assert!(near(found.df, moved.df));
    }

    #[test]
    fn the_order_of_trials_and_what_the_outermost_are_do_not_matter(mut values in vec(-1.0..1.0_f64, 5..60)) {
        let found = Trimmed::of(&values).unwrap();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        (values[0], values[last]) = (-1e6, 1e6);
        prop_assert!(near(found.mean, Trimmed::of(&values).unwrap().mean));
        prop_assert!(near(found.se, Trimmed::of(&values).unwrap().se));
    }

    #[test]
    fn a_lesser_chance_is_found_wherever_a_greater_one_is(p in vec(0.0..0.2_f64, 1..60), rate in 0.01..0.3_f64) {
        let found = discoveries(&p, rate);
        let more = discoveries(&p, rate * 1.5);
        for one in 0..p.len() {
            prop_assert!(!found[one] || more[one]);
            for other in 0..p.len() {
                prop_assert!(!(found[other] && p[one] <= p[other]) || found[one]);
            }
        }
        let least: Vec<f64> = p.iter().map(|p| p / 2.0).collect();
        let found_less = discoveries(&least, rate);
        prop_assert!(found.iter().zip(found_less).all(|(found, less)| !found || less));
    }

    #[test]
    fn as_many_trials_as_are_needed_suffice_and_one_less_does_not(
        effect in 0.02..0.2_f64, sd in 0.01..0.3_f64, layout in 0.0..0.005_f64, margin in 0.0..0.01_f64,
    ) {
        let bar = Bar { alpha: 0.001, power: 0.8, margin };
        let at = |trials: u32| {
            let kept = f64::from(trials - 2 * (trials / 5));
            bar.detectable((sd / f64::from(trials).sqrt()).hypot(layout), kept - 1.0)
        };
        match bar.trials_needed(effect, sd, layout) {
            Some(5) => prop_assert!(at(5) <= effect),
            Some(trials) => prop_assert!(at(trials) <= effect && at(trials - 1) > effect),
            None => prop_assert!(at(MOST_TRIALS) > effect),
        }
    }
}

#[test]
fn without_spread_the_sign_decides() {
    for (value, above) in [(0.1, 0.0), (0.0, 0.5), (-0.0, 0.5), (-0.1, 1.0)] {
        let found = Trimmed::of(&[value; 7]).unwrap();
        assert_eq!((found.mean, found.se), (value, 0.0));
        assert_eq!((found.p_above(), found.p_below()), (above, 1.0 - above));
        assert_eq!(found.interval(0.95), (value, value));
        assert_eq!((found.upper(0.95), found.se), (value, 0.0));
        let both = difference(&[0.0; 7], &[value; 9]).unwrap();
        assert_eq!((both.p_above(), both.df), (above, 6.0));
    }
}

#[test]
fn too_few_values_or_one_that_is_no_number_have_no_trimmed_mean() {
    assert_eq!(Trimmed::of(&[0.1, 0.2, 0.3, 0.4]), None);
    assert_eq!(Trimmed::of(&[]), None);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let values = [0.1, 0.2, bad, 0.3, 0.4, 0.5];
        assert_eq!(Trimmed::of(&values), None);
        assert_eq!(difference(&values, &[0.1; 5]), None);
        assert_eq!(difference(&[0.1; 5], &values), None);
    }
    assert_eq!(difference(&[0.1; 2], &[0.1; 5]), None);
    assert_eq!(difference(&[0.1; 5], &[0.1; 2]), None);
    assert_eq!(Trimmed::of(&[-1e308, 1e308, -1e308, 1e308, 0.0, 1e308]), None);
}

#[test]
fn the_layout_widens_the_error_in_quadrature_and_moves_nothing() {
    let found = Trimmed { mean: 0.05, se: 0.03, df: 23.0 };
    let with = found.with_layout(0.04);
    assert!(near(with.se, 0.05));
    assert_eq!((with.mean, with.df), (found.mean, found.df));
    assert!(with.p_above() > found.p_above());
}

#[test]
fn a_test_that_could_not_be_made_is_no_discovery_and_counts() {
    assert_eq!(discoveries(&[f64::NAN, 0.001, 0.04], 0.05), [false, true, false]);
    assert_eq!(discoveries(&[0.001, 0.04], 0.05), [true, true]);
    assert_eq!(discoveries(&[f64::NAN], 0.05), [false]);
    assert!(discoveries(&[], 0.05).is_empty());
}

#[test]
fn a_layout_that_hides_the_effect_is_not_outvoted_by_trials() {
    let bar = Bar { alpha: 0.001, power: 0.8, margin: 0.0 };
    assert_eq!(bar.trials_needed(0.05, 0.1, 0.02), None);
    assert!(bar.trials_needed(0.05, 0.1, 0.0).is_some());
    assert_eq!(bar.trials_needed(0.05, 0.0, 0.0), Some(5));
    // If the effect equals the margin, half of all runs exceed the margin: 8 of 10 is out of reach.
    assert_eq!(Bar { margin: 0.05, ..bar }.trials_needed(0.05, 0.1, 0.0), None);
}

#[test]
fn slices_follow_the_formula_and_its_ends_are_defined() {
    assert_eq!(slices(4.0, 1.0, 9.0, 1.0, 100), 6);
    assert_eq!(slices(4.0, 1.0, 9.1, 1.0, 100), 7);
    assert_eq!(slices(4.0, 1.0, 9.0, 1.0, 5), 5);
    assert_eq!(slices(4.0, 1.0, 0.01, 1.0, 100), 1);
    assert_eq!(slices(4.0, 2.0, 9.0, 1.0, 100), 5);
    assert_eq!(slices(4.0, 1.0, 9.0, 4.0, 100), 3);
    for (var_slice, var_trial, k) in [
        (1.0, 0.0, 100),
        (1.0, -1.0, 100),
        (0.0, 1.0, 1),
        (-1.0, 1.0, 1),
        (0.0, 0.0, 1),
        (-1.0, -1.0, 1),
    ] {
        assert_eq!(slices(1.0, 1.0, var_slice, var_trial, 100), k, "{var_slice}, {var_trial}");
    }
    assert_eq!(slices(0.0, 1.0, 1.0, 1.0, 100), 1);
    assert_eq!(slices(1.0, 0.0, 1.0, 1.0, 100), 100);
    assert_eq!(slices(1.0, 0.0, 1.0, 1.0, 0), 1);
    assert_eq!(slices(1.0, 1.0, f64::NAN, 1.0, 100), 1);
    assert_eq!(slices(1.0, 1.0, 1.0, f64::NAN, 100), 1);
}

#[test]
fn variance_is_parted_between_slices_and_trials() {
    // By hand: three trials with means 2, 6 and 4; 2 within each, 12 between, with three slices in each.
    let trials = [vec![1.0, 2.0, 3.0], vec![5.0, 6.0, 7.0], vec![3.0, 4.0, 5.0]];
    let (slice, trial) = variance_parts(&trials);
    assert!(near(slice, 1.0) && near(trial, (12.0 - 1.0) / 3.0), "{slice} {trial}");
    // By hand: 3 and 2 slices; 4 within both with 3 degrees of freedom, (3 · 2 / 5) · 6² between, 2.4 typical slices.
    let (slice, trial) = variance_parts(&[vec![0.0, 1.0, 2.0], vec![6.0, 8.0], vec![]]);
    assert!(near(slice, 4.0 / 3.0) && near(trial, (43.2 - 4.0 / 3.0) / 2.4), "{slice} {trial}");
    // Equal means: the estimate between trials is negative.
    let (slice, trial) = variance_parts(&[vec![0.0, 2.0], vec![2.0, 0.0]]);
    assert!(near(slice, 2.0) && near(trial, -1.0));
    assert!(variance_parts(&[vec![1.0], vec![2.0]]).0.is_nan());
    let (slice, trial) = variance_parts(&[vec![1.0, 3.0]]);
    assert!(near(slice, 2.0) && trial.is_nan());
}

#[test]
fn a_share_without_trials_may_be_anything() {
    assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
}

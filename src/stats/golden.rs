//! Compares the statistics with scipy's results for the same values, from `tests/golden/stats.py`.

use serde_json::Value;

use super::{
    Passes, Trimmed, best, clopper_pearson, difference, discoveries, estimate, in_order, most_loss,
    standard_error, t::t_quantile, usl,
};

/// Returns the vectors of one kind.
fn vectors(kind: &str) -> Vec<Value> {
    let text = include_str!("../../tests/golden/stats.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    let Value::Array(vectors) = all[kind].take() else { panic!("no {kind}") };
    assert!(vectors.len() >= 3);
    vectors
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
fn same(ours: f64, theirs: &Value) {
    let theirs = number(theirs);
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3), "{ours}, scipy {theirs}");
}

#[test]
fn a_trimmed_mean_and_all_that_follows_from_it_are_those_of_scipy() {
    for vector in vectors("one") {
        let found = Trimmed::of(&numbers(&vector["values"])).unwrap();
        same(found.mean, &vector["mean"]);
        same(found.se, &vector["se"]);
        same(found.df, &vector["df"]);
        same(found.p_above(), &vector["p_above"]);
        same(found.p_below(), &vector["p_below"]);
        let (lower, upper) = found.interval(0.95);
        same(lower, &vector["interval_95"][0]);
        same(upper, &vector["interval_95"][1]);
        same(found.upper(0.95), &vector["upper_95"]);
    }
}

#[test]
fn the_difference_of_two_means_is_that_of_scipy() {
    for vector in vectors("two") {
        let found = difference(&numbers(&vector["base"]), &numbers(&vector["head"])).unwrap();
        same(found.mean, &vector["mean"]);
        same(found.se, &vector["se"]);
        same(found.df, &vector["df"]);
        same(found.p_above(), &vector["p_above"]);
    }
}

#[test]
fn discoveries_are_those_of_scipy() {
    for vector in vectors("discoveries") {
        let found = discoveries(&numbers(&vector["p"]), number(&vector["rate"]));
        let theirs = vector["found"].as_array().unwrap();
        assert!(theirs.iter().any(|found| found == true) && theirs.iter().any(|f| f == false));
        assert_eq!(found.len(), theirs.len());
        assert!(found.iter().zip(theirs).all(|(ours, theirs)| theirs == ours), "{found:?}");
    }
}

#[test]
fn the_interval_of_a_share_is_that_of_scipy() {
    for vector in vectors("exact") {
        let [hits, trials] = ["hits", "trials"].map(|of| vector[of].as_u64().unwrap());
        let (low, high) = clopper_pearson(hits, trials, number(&vector["level"]));
        same(low, &vector["low"]);
        same(high, &vector["high"]);
    }
}

#[test]
fn the_quantiles_of_t_are_those_of_scipy() {
    for vector in vectors("quantiles") {
        // statrs inverts iteratively and stops at 8 digits.
        let (ours, theirs) =
            (t_quantile(number(&vector["p"]), number(&vector["df"])), number(&vector["t"]));
        assert!((ours / theirs - 1.0).abs() < 1e-8, "{ours}, scipy {theirs}");
    }
}

#[test]
fn the_scalability_law_is_that_of_scipy() {
    for vector in vectors("usl") {
        let points = vector["points"].as_array().unwrap().iter().map(numbers);
        let found = usl(&points.map(|point| (point[0], point[1])).collect::<Vec<_>>()).unwrap();
        // Two iterations that reach one minimum agree to the square root of the precision of the sum of squares.
        let near = |ours: f64, of: &str, least: f64| {
            let theirs = number(&vector[of]);
            assert!((ours - theirs).abs() <= 1e-4 * theirs.max(least), "{ours}, scipy {theirs}");
        };
        near(found.lambda.value, "lambda", 0.0);
        near(found.sigma.value, "sigma", 0.01);
        near(found.kappa.value, "kappa", 1e-5);
    }
}

#[test]
fn the_estimate_of_trials_is_that_of_scipy() {
    for vector in vectors("estimates") {
        let (value, lower, upper) = estimate(&numbers(&vector["trials"]), 1.0).unwrap();
        // The quantile has 8 digits, as above.
        for (ours, of) in [(value, "value"), (lower, "lower"), (upper, "upper")] {
            assert!((ours / number(&vector[of]) - 1.0).abs() < 1e-8, "{of}: {ours}");
        }
        let logs: Vec<f64> = numbers(&vector["trials"]).iter().map(|figure| figure.ln()).collect();
        same(standard_error(&logs).unwrap(), &vector["se"]);
    }
}

#[test]
fn what_is_behind_the_best_and_by_how_much_at_most_is_that_of_scipy() {
    let (mut behind, mut tied) = (0, 0);
    for vector in vectors("best") {
        let models = vector["models"].as_array().unwrap();
        let models: Vec<Passes> = models.iter().map(|of| in_order(numbers(of))).collect();
        let found = best(&models).unwrap();
        assert_eq!(serde_json::json!(found.best), vector["best"]);
        assert_eq!(serde_json::json!(found.behind), vector["behind"]);
        behind += found.behind.iter().filter(|behind| **behind).count();
        tied += found.behind.iter().filter(|behind| !**behind).count() - 1;
        for loss in vector["loss"].as_array().unwrap() {
            let model = loss["model"].as_u64().unwrap() as usize;
            let ours = most_loss(&models[model], &models[found.best]).unwrap();
            assert!((ours - number(&loss["most"])).abs() < 1e-8, "{ours}, scipy {loss}");
        }
    }
    assert!(behind > 2 && tied > 2, "{behind} behind, {tied} tied");
}

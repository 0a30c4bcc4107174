//! Tests published fits, planted laws, and points without a law.

use proptest::prelude::*;

use super::*;

/// SPEC SDM91 on a Sun `SPARCcenter` 2000: scripts per hour over simulated users (Gunther, "Guerrilla Capacity
/// Planning", 2007, from results that SPEC published in 1994).
const SDM91: [(f64, f64); 7] = [
    (1.0, 64.9),
    (18.0, 995.9),
    (36.0, 1652.4),
    (72.0, 1853.2),
    (108.0, 1828.9),
    (144.0, 1775.0),
    (216.0, 1702.2),
];

/// Ray tracing on an SGI Origin 2000: intersections a second over processors (the same book, from BRL-CAD).
const RAYTRACER: [(f64, f64); 11] = [
    (1.0, 20.0),
    (4.0, 78.0),
    (8.0, 130.0),
    (12.0, 170.0),
    (16.0, 190.0),
    (20.0, 200.0),
    (24.0, 210.0),
    (28.0, 230.0),
    (32.0, 260.0),
    (48.0, 280.0),
    (64.0, 310.0),
];

/// Throughput of 1 to 32 clients of a Cisco benchmark (Schwartz, "Practical Scalability Analysis with the Universal
/// Scalability Law", 2015).
const CISCO: [f64; 32] = [
    955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61,
    8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52,
    11151.43, 11518.63, 11806.0, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27,
    12118.04, 12140.4, 12074.39,
];

#[track_caller]
fn near(found: f64, published: f64, digits: f64) {
    assert!((found / published - 1.0).abs() < digits, "{found}, published {published}");
}

/// Figures: README of the R package `usl` 3.0.4 (S. Möding), and its test `peak-scalability.R`.
#[test]
fn the_fit_of_sdm91_is_the_published_one() {
    let law = usl(&SDM91).unwrap();
    near(law.lambda.value, 89.995_233_0, 1e-6);
    near(law.sigma.value, 0.027_728_5, 1e-5);
    near(law.kappa.value, 0.000_104_4, 1e-3);
    let peak = law.peak.unwrap();
    near(peak.at.value, 96.51956, 1e-6);
    near(peak.throughput.value, 1884.0, 5e-4);
    near(law.lambda.value / law.sigma.value, 3246.0, 5e-4);
}

/// Figures: `confint.R` of the same package, on the first six rows.
#[test]
fn the_fit_of_the_ray_tracer_is_the_published_one() {
    let law = usl(&RAYTRACER[..6]).unwrap();
    near(law.lambda.value, 20.85605, 1e-6);
    near(law.sigma.value, 0.02444, 5e-4);
    near(law.kappa.value, 0.00163, 5e-3);
}

/// The vignette of the same package finds no coherency in all rows, and no peak.
#[test]
fn a_law_at_the_bound_of_coherency_has_no_peak() {
    let law = usl(&RAYTRACER).unwrap();
    assert!(law.kappa.value.abs() < 1e-12 && law.peak.is_none(), "{law:?}");
    assert!(law.kappa.upper > 0.0, "and the true one might be above 0");
}

/// Figures: the tests of `usl4j` and of the crate `usl` (C. Hale).
#[test]
fn the_fit_of_the_cisco_benchmark_is_the_published_one() {
    let points: Vec<(f64, f64)> = (1..=32).map(f64::from).zip(CISCO).collect();
    let law = usl(&points).unwrap();
    near(law.lambda.value, 995.6486, 1e-5);
    near(law.sigma.value, 0.026_715_91, 1e-5);
    near(law.kappa.value, 7.690_945e-4, 1e-5);
    near(law.throughput(20.0), 11_063.633_101_824_058, 1e-5);
}

#[test]
fn the_same_points_give_the_same_intervals_in_any_unit() {
    let found = usl(&SDM91).unwrap();
    assert_eq!(found, usl(&SDM91).unwrap());
    let faster = usl(&SDM91.map(|(n, x)| (n, 1024.0 * x))).unwrap();
    near(faster.sigma.upper, found.sigma.upper, 1e-6);
    near(faster.peak.unwrap().at.upper, found.peak.unwrap().at.upper, 1e-6);
    near(faster.lambda.upper, 1024.0 * found.lambda.upper, 1e-6);
}

/// Returns a law at 8 loads with noise, of constant size or proportional.
fn noisy(seed: u64, in_proportion: bool) -> Vec<(f64, f64)> {
    let truth = Law { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
    let noise = super::super::series(super::super::Kind::White, 8, seed);
    let loads = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
    let point = |(n, noise): (f64, f64)| {
        let x = truth.throughput(n);
        (n, x + noise * if in_proportion { 0.03 * x } else { 20.0 })
    };
    loads.into_iter().zip(noise).map(point).collect()
}

#[test]
fn intervals_cover_the_truth_about_as_often_as_they_say() {
    for in_proportion in [false, true] {
        let mut covered = [0; 4];
        let mut fitted = 0;
        for seed in 0..100 {
            let Ok(law) = usl(&noisy(seed, in_proportion)) else { continue };
            fitted += 1;
            let peak = law.peak.unwrap().at;
            let truths = [
                (law.lambda, 100.0),
                (law.sigma, 0.05),
                (law.kappa, 0.001),
                (peak, 0.95_f64.sqrt() / 0.001_f64.sqrt()),
            ];
            for (covered, (of, truth)) in covered.iter_mut().zip(truths) {
                *covered += u32::from(of.lower <= truth && truth <= of.upper);
            }
        }
        // Of 300: 292, 295, 281 and 285 with noise of constant size; 299, 294, 288 and 289 with proportional noise.
        assert!(fitted >= 95, "{fitted}");
        assert!(
            covered.iter().all(|covered| *covered * 100 >= 88 * fitted),
            "{covered:?} of {fitted}"
        );
        assert!(
            covered.iter().any(|covered| *covered < fitted),
            "intervals that always cover say nothing"
        );
    }
}

#[test]
fn what_has_no_law_is_refused_with_the_reason() {
    let refused = |points: &[(f64, f64)]| usl(points).unwrap_err();
    assert!(refused(&SDM91[..5]).starts_with("5 distinct loads are too few"));
    let twice: Vec<(f64, f64)> = SDM91[..4].iter().chain(&SDM91[..4]).copied().collect();
    assert!(
        refused(&twice).starts_with("4 distinct loads are too few"),
        "the same load twice is one"
    );
    for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        let mut points = SDM91;
        points[3].1 = bad;
        assert!(refused(&points).contains("must be positive numbers"));
        points[3] = (bad, 1.0);
        assert!(refused(&points).contains("must be positive numbers"));
    }
    let zigzag: Vec<(f64, f64)> =
        (1..12).map(|n| (f64::from(n), if n % 2 == 0 { 900.0 } else { 100.0 })).collect();
    assert!(refused(&zigzag).contains("% of how throughput varies"));
    let falling: Vec<(f64, f64)> = (1..10).map(|n| (f64::from(n), 100.0 / f64::from(n))).collect();
    assert!(refused(&falling).starts_with("throughput does not rise"), "{}", refused(&falling));
    let flat: Vec<(f64, f64)> = (1..10).map(|n| (f64::from(n), 100.0)).collect();
    assert!(usl(&flat).is_err());
    let huge: Vec<(f64, f64)> = SDM91.iter().map(|(n, x)| (*n, x * 1e305)).collect();
    assert!(usl(&huge).is_err(), "squares past what floats hold");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_planted_law_is_found(lambda in 1e-3..1e7_f64, sigma in 0.0..0.6_f64, kappa in 1e-6..0.05_f64) {
        let truth = Law { lambda, sigma, kappa };
        let points: Vec<Point> =
            (0..10).map(|power| 2_f64.powi(power)).map(|n| (n, truth.throughput(n), 1.0)).collect();
        let law = fit::best(&points, None).unwrap();
        prop_assert!((law.lambda / lambda - 1.0).abs() < 1e-4, "{law:?}");
        prop_assert!((law.sigma - sigma).abs() < 1e-4 && (law.kappa / kappa - 1.0).abs() < 1e-2, "{law:?}");
    }

    #[test]
    fn whatever_the_points_a_law_is_within_its_bounds_or_refused(
        points in proptest::collection::vec((1.0..1e4_f64, 1e-3..1e9_f64), 0..14)
    ) {
        if let Ok(law) = usl(&points) {
            for of in [law.lambda, law.sigma, law.kappa] {
                prop_assert!(of.lower <= of.value && of.value <= of.upper && of.value.is_finite(), "{law:?}");
            }
            prop_assert!(law.lambda.value > 0.0 && law.sigma.lower >= 0.0 && law.sigma.upper <= 1.0);
            prop_assert!(law.kappa.lower >= 0.0 && law.r_squared >= 0.9 && law.r_squared <= 1.0);
        }
    }
}

#[test]
fn points_of_little_throughput_weigh_as_much_as_they_are_certain() {
    // Over four decades, with 2 % of noise each.
    let law = |n: f64| 100.0 * n / (1.0 + 0.001 * (n - 1.0) + 1e-7 * n * (n - 1.0));
    let [mut plain, mut weighted] = [0.0; 2];
    for seed in 0..10 {
        let noise = crate::stats::simulated::normal(seed, 9);
        let n = |step: usize| 10_f64.powf(step as f64 / 2.0);
        let points: Vec<(f64, f64, f64)> = noise
            .iter()
            .enumerate()
            .map(|(step, noise)| {
                (n(step), law(n(step)) * (1.0 + 0.02 * noise), 0.02 * law(n(step)))
            })
            .collect();
        let miss = |law: Usl| (law.lambda.value / 100.0 - 1.0).powi(2);
        weighted += miss(usl_by_variance(&points).unwrap());
        plain += miss(usl(&points.iter().map(|(n, x, _)| (*n, *x)).collect::<Vec<_>>()).unwrap());
    }
    assert!(weighted * 4.0 < plain, "{weighted}, without weights {plain}");
}

#[test]
fn a_law_that_misses_a_point_by_a_quarter_is_not_shown() {
    let mut points: Vec<(f64, f64, f64)> = SDM91.iter().map(|(n, x)| (*n, *x, 0.02 * x)).collect();
    assert!(usl_by_variance(&points).is_ok_and(|law| law.r_squared > 0.9));
    points[0].1 *= 0.5;
    points[0].2 = 50.0;
    assert!(usl_by_variance(&points).unwrap_err().contains("misses the throughput at 1 by"));
}

#[test]
fn a_law_that_explains_too_little_says_how_much() {
    let points: Vec<(f64, f64)> = SDM91
        .iter()
        .enumerate()
        .map(|(i, (n, x))| (*n, x * if i % 2 == 0 { 0.6 } else { 1.3 }))
        .collect();
    let weighted: Vec<Point> = points.iter().map(|(n, x)| (*n, *x, 1.0)).collect();
    let explained = r_squared(&weighted, fit::best(&weighted, None).unwrap());
    assert!((0.05..0.9).contains(&explained), "{explained}");
    let why = usl(&points).unwrap_err();
    assert!(
        why.starts_with(&format!("the law explains {:.0} % of", 100.0 * explained - 0.5)),
        "{why}"
    );
}

#[test]
fn an_interval_is_the_middle_of_the_samples_widened_about_its_value() {
    let samples: Vec<f64> = (0..=400).rev().map(f64::from).collect();
    let of = |value, spread, least, most| {
        let found = interval(value, &samples, spread, least, most);
        (found.value, found.lower.round(), found.upper.round())
    };
    let free = (f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!(of(200.0, 1.0, free.0, free.1), (200.0, 10.0, 390.0));
    assert_eq!(of(200.0, 1.5, free.0, free.1), (200.0, -85.0, 485.0));
    assert_eq!(of(200.0, 1.5, 0.0, 450.0), (200.0, 0.0, 450.0));
    // The value is within its interval even if all samples are beside it.
    assert_eq!(of(-50.0, 1.0, free.0, free.1), (-50.0, -50.0, 390.0));
    assert_eq!(of(900.0, 1.0, free.0, free.1), (900.0, 10.0, 900.0));
    // scipy: t.ppf(0.975, [3, 7]) / norm.ppf(0.975).
    // The quantile of Student's t is an approximation.
    near(spread(6), 1.623_726, 1e-4);
    near(spread(10), 1.206_462, 1e-4);
}

#[test]
fn the_share_explained_is_that_of_the_weighted_variance() {
    let law = Law { lambda: 10.0, sigma: 0.0, kappa: 0.0 };
    // Residuals of 1 and -1 with weights of 3 and 1: 4 are unexplained.
    let points = [(1.0, 11.0, 3.0), (4.0, 39.0, 1.0), (2.0, 20.0, 0.5)];
    let mean = (33.0 + 39.0 + 10.0) / 4.5;
    let all = 3.0 * (11.0_f64 - mean).powi(2)
        + (39.0_f64 - mean).powi(2)
        + 0.5 * (20.0_f64 - mean).powi(2);
    near(r_squared(&points, law), 1.0 - 4.0 / all, 1e-12);
    near(r_squared(&[(1.0, 10.0, 1.0), (2.0, 20.0, 1.0)], law), 1.0, 1e-12);
}

#[test]
fn samples_vary_as_much_as_residuals_and_leverages_say() {
    type Parameter = (fn(&Law) -> f64, f64);
    let law = Law { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
    // So little noise that the law is a plane: the sandwich of HC3 is then the variance of each parameter.
    let off = [1.0, -2.0, 1.5, -0.5, 2.0, -1.0, 0.5, -1.5];
    let points: Vec<Point> = off
        .iter()
        .enumerate()
        .map(|(step, off)| {
            let n = f64::from(1 << step);
            (n, law.throughput(n) * (1.0 + 1e-4 * off), 1.0 + step as f64)
        })
        .collect();
    let found = fit::best(&points, None).unwrap();
    let all = samples(&points, found);
    assert_eq!(all.len(), SAMPLES);
    let of = |get: fn(&Law) -> f64| {
        let values: Vec<f64> = all.iter().map(get).collect();
        crate::stats::mean_and_variance(&values)
    };
    let leverages = found.leverages(&points);
    let mut variance = [0.0; 3];
    for ((point, leverage), (n, x, _)) in points.iter().zip(&leverages).zip(&points) {
        let moved = (x - found.throughput(*n)) / (1.0 - leverage);
        // How far the law moves if this point alone does.
        let mut others: Vec<Point> =
            points.iter().map(|(n, _, w)| (*n, found.throughput(*n), *w)).collect();
        let at = points.iter().position(|other| other == point).unwrap();
        others[at].1 += moved;
        let then = fit::best(&others, Some(found)).unwrap();
        let by = [then.lambda - found.lambda, then.sigma - found.sigma, then.kappa - found.kappa];
        (0..3).for_each(|i| variance[i] += by[i].powi(2));
    }
    let parameters: [Parameter; 3] = [
        (|law| law.lambda, found.lambda),
        (|law| law.sigma, found.sigma),
        (|law| law.kappa, found.kappa),
    ];
    for ((get, centre), variance) in parameters.into_iter().zip(variance) {
        let (mean, seen) = of(get);
        assert!((mean - centre).abs() < 0.2 * variance.sqrt(), "{mean}, {centre}");
        assert!((seen / variance - 1.0).abs() < 0.2, "{seen}, {variance}");
    }
}

#[test]
fn a_law_is_settled_if_nine_tenths_of_the_samples_have_one() {
    assert_eq!([0, 359, 360, 400].map(settles), [false, false, true, true]);
}

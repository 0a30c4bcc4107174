//! A record of claims with a verdict of every kind, for the tests of what is shown.
#![allow(dead_code, reason = "each test uses what it needs of it")]

use paceline::{
    machine::{Fingerprint, build},
    record::{
        CLAIMS_SCHEMA, Claim, ClaimFigure, ClaimResult, ClaimVerdict, Claims, Estimate, ModelRecord,
    },
};

fn figure(name: &str, unit: &str, ideal: Option<f64>, values: &[f64]) -> ClaimFigure {
    ClaimFigure::new(name, unit, ideal, values.to_vec())
}

/// What a model answered, and why; with one worker, or two where it has several.
fn result(model: &str, verdict: ClaimVerdict, why: &str, figures: Vec<ClaimFigure>) -> ClaimResult {
    ClaimResult {
        model: model.into(),
        workers: match model {
            "sequential" => Some(1),
            "threads" => None,
            _ => Some(2),
        },
        verdict,
        why: (!why.is_empty()).then(|| why.into()),
        repetitions: figures.first().map_or(0, |figure| figure.values.len() as u32),
        figures,
    }
}

/// The claim that three sleeps overlap, with every verdict that there is.
pub(crate) fn sleeps() -> Claim {
    use ClaimVerdict::{Contradicted, Failed, Holds, Inconclusive, Invalid, Refused, Skipped};
    let times = |at_once: &[f64], in_turn: &[f64]| {
        vec![
            figure("three at once", "×", Some(1.0), at_once),
            figure("three in sequence", "×", Some(3.0), in_turn),
        ]
    };
    let three = [2.99, 3.0, 3.0, 3.01, 3.02];
    let results = vec![
        result("sequential", Contradicted, "it does one job after another", times(&three, &three)),
        result("threads", Holds, "", times(&[1.0, 1.0, 1.01, 1.02, 1.02], &three)),
        result(
            "rayon",
            Contradicted,
            "a sleep holds its worker, and the third waits for one of two",
            times(&[2.0, 2.0, 2.0, 2.01, 2.01], &three),
        ),
        result(
            "tokio",
            Inconclusive,
            "the interval reaches from 1.00 to 1.71",
            times(&[1.0, 1.0, 1.01, 1.02, 1.71], &three),
        ),
        result("smol", Invalid, "job 0 returned 1 units, its definition says 2", vec![]),
        result("async-std", Skipped, "the budget was used up before it", vec![]),
        result("compio", Refused, "io_uring cannot be used: it is switched off", vec![]),
        result("may", Failed, "the process of the cell ended: signal 11", vec![]),
    ];
    Claim {
        name: "sleeps".into(),
        sentence: "Three sleeps overlap; in sequence they do not.".into(),
        method: "Batches of one sleep of 20 ms, of three at once, and of one job that sleeps three times; the time of \
                 each as a multiple of the first."
            .into(),
        results,
    }
}

/// A record of two claims.
pub(crate) fn sample() -> Claims {
    let inert = Claim {
        name: "inert".into(),
        sentence: "A coroutine is inert until it is driven.".into(),
        method: "A job is made and left alone for 20 ms, then driven.".into(),
        results: vec![result(
            "pool",
            ClaimVerdict::DoesNotApply,
            "a plain function has no coroutine",
            vec![figure("begun before it was driven", "jobs", Some(0.0), &[0.0; 5])],
        )],
    };
    let model = |name: &str| ModelRecord {
        name: name.into(),
        family: "threads".into(),
        version: "1.0".into(),
        tag: "idiomatic".into(),
        available: true,
        note: "a sample".into(),
        ..ModelRecord::default()
    };
    Claims {
        schema: CLAIMS_SCHEMA,
        id: "2026-11-25T05-00-00Z-claims-1".into(),
        started: "2026-11-25T05:00:00Z".into(),
        command: vec!["paceline".into(), "claims".into()],
        budget_seconds: 180.0,
        seconds: 97.5,
        repetitions: 5,
        interval: Estimate::interval_of(5),
        fingerprint: Fingerprint::default(),
        build: build(),
        models: ["sequential", "threads", "rayon", "tokio"].map(model).to_vec(),
        interrupted: false,
        claims: vec![inert, sleeps()],
    }
}

//! A gate with a cell of every kind, for the tests of what is shown and exported.
#![allow(dead_code, reason = "each test uses what it needs of it")]

use paceline::{
    machine::Fingerprint,
    record::{
        Change, Crashes, GATE_SCHEMA, Gate, GateCell, Metric, Overall, Presence, Side, State,
        Verdict,
    },
};

/// A name that breaks what does not escape.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>|a\nb\r\t\u{202e}rtl\u{7}\u{1b}[31m `x` *y* @user \"q\" \\| ]]> &amp; {}, =1+1 www.example.com";

pub(crate) fn cell(name: &str, metric: Metric, verdict: Option<Verdict>, share: f64) -> GateCell {
    let change =
        Change { share, lower: share - 0.01, upper: share + 0.02, p_slower: 0.25, p_faster: 0.75 };
    GateCell {
        cell: name.into(),
        metric,
        presence: Presence::Both,
        state: State::Ok,
        reason: None,
        verdict,
        margin: 0.03,
        clear_margin: 0.05,
        layout_sd: 0.0,
        base: Some(2000.0),
        head: Some(2000.0 * (1.0 + share)),
        change: Some(change),
        detectable: Some(0.021),
        trials: 40,
        dropped: 1,
        crashes: Crashes::default(),
        trials_needed: None,
        slices: 6,
        iterations: 50,
        null: Some(Change { share: 0.001, ..change }),
        null_fired: false,
        again: false,
        counts: None,
        log_ratios: vec![share.ln_1p(); 3],
        null_log_ratios: vec![0.001; 3],
    }
}

/// A cell that has no figures of both sides.
pub(crate) fn lone(name: &str, presence: Presence, state: State, reason: Option<&str>) -> GateCell {
    let figure = (state == State::Ok).then_some(1234.5);
    GateCell {
        presence,
        state,
        reason: reason.map(Into::into),
        base: figure.filter(|_| presence == Presence::Base),
        head: figure.filter(|_| presence == Presence::Head),
        change: None,
        detectable: None,
        null: None,
        log_ratios: vec![],
        null_log_ratios: vec![],
        ..cell(name, Metric::Throughput, None, 0.0)
    }
}

fn side(name: &str, commit: &str) -> Side {
    Side {
        name: name.into(),
        about: "built with the release profile".into(),
        commit: Some(commit.into()),
        uncommitted: name == HOSTILE,
        dependencies: vec![],
        program_sha256: "ab".repeat(32),
    }
}

/// A gate whose null arm did not fire, and which found something.
pub(crate) fn sample() -> Gate {
    use Verdict::{Improved, Inconclusive, NotRegressed, Regressed};
    let failed = Some("the head ended in mid-trial: <b>killed</b> | by signal 9\nand more");
    let mut needs = cell("echo/smol/10", Metric::P99, Some(Inconclusive), 0.02);
    needs.trials_needed = Some(160);
    let mut absent = cell("cpu/pool/1", Metric::Cpu, Some(NotRegressed), 0.004);
    (absent.head, absent.detectable) = (Some(f64::NAN), Some(f64::INFINITY));
    Gate {
        schema: GATE_SCHEMA,
        id: "gate-2026-11-25T02-00-00Z".into(),
        started: "2026-11-25T02:00:00Z".into(),
        base: side("main", &"0123456789".repeat(4)),
        head: side(HOSTILE, &"abcdef0123".repeat(4)),
        fingerprint: Fingerprint::default(),
        seed: 7,
        pinned: false,
        false_discovery_rate: 0.05,
        seconds: 481.25,
        interrupted: false,
        same_program: None,
        verdict: Overall::Regressed,
        summary: "2 of 8 cells take more than their margin allows".into(),
        notes: vec![format!("the head has other margins, which do not count: {HOSTILE} 90 %")],
        cells: vec![
            cell("echo/tokio/10", Metric::Throughput, Some(Regressed), 0.052),
            cell("echo/tokio/10", Metric::P50, Some(NotRegressed), 0.001),
            cell(HOSTILE, Metric::P99, Some(Regressed), 0.11),
            cell("sleep/threads/100", Metric::Cpu, Some(Improved), -0.083),
            needs,
            cell("cpu/rayon/2", Metric::Memory, Some(NotRegressed), 0.0),
            absent,
            cell(&"n".repeat(10_000), Metric::Memory, Some(Inconclusive), 0.01),
            cell(&format!("{}2", "n".repeat(10_000)), Metric::Memory, Some(Inconclusive), 0.01),
            lone("new/tokio/1", Presence::Head, State::Ok, None),
            lone("removed/tokio/1", Presence::Base, State::Ok, None),
            lone("switch/may/10", Presence::Both, State::Failed, failed),
            lone("switch/pool/10", Presence::Both, State::Invalid, Some("a receipt is wrong")),
            lone("switch/rayon/10", Presence::Both, State::Refused, Some("would deadlock")),
        ],
    }
}

/// The same with a null arm that fired: the run says nothing of the change.
pub(crate) fn unfit() -> Gate {
    let mut gate = sample();
    gate.cells[0].null_fired = true;
    gate.cells[0].verdict = None;
    gate.cells[0].again = true;
    gate.cells[0].reason = Some("void: the base differs from its own copy by +4.4 %".into());
    gate.cells[0].null = Some(Change { share: 0.044, ..gate.cells[0].change.expect("it has one") });
    gate.verdict = Overall::EnvironmentInvalid;
    gate.summary = "the base differs from its own copy in 1 cell".into();
    gate
}

/// A gate of `count` cells with hostile names, all regressed.
pub(crate) fn large(count: usize) -> Gate {
    let mut gate = sample();
    let name = |i: usize| format!("{HOSTILE}{i}");
    gate.cells = (0..count)
        .map(|i| cell(&name(i), Metric::P99, Some(Verdict::Regressed), 0.05 + i as f64 / 1e6))
        .collect();
    gate
}

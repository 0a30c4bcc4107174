//! The results of `paceline selftest`, as tables.

use crate::{
    output::{columns, figures_table},
    record::{Equal, Planted, SelfTest, Share},
};

/// Returns all results, with the number of cases behind each share.
pub fn selftest_text(done: &SelfTest) -> String {
    let seconds = done.gate_seconds;
    let pinned = if done.pinned { ", pinned" } else { "" };
    let mut parts = vec![
        format!("Planted slowdowns, a gate of one cell and {seconds:.0} s each{pinned}:"),
        planted_table(&done.planted),
        format!("Equal programs{pinned}:"),
        equal_table(&[
            ("alone", &done.equal),
            ("beside a neighbour", &done.equal_beside_neighbour),
        ]),
    ];
    if !done.planted_beside_neighbour.is_empty() {
        parts.push("Planted slowdowns beside a neighbour that computes in bursts:".into());
        parts.push(planted_table(&done.planted_beside_neighbour));
    }
    parts.push("The step detector of history, on simulated series:".into());
    parts.push(steps_table(done));
    parts.push(
        "Intervals are Clopper and Pearson's. Those of drawn gates and suites say how exactly the recorded trials were drawn \
         from, and not how far another run would differ."
            .into(),
    );
    parts.push(format!(
        "200 cells of 200 trials are judged in {:.1} ms. All of it took {:.0} s.",
        done.judged_ms, done.seconds
    ));
    parts.join("\n\n")
}

/// Stands for what the budget had no room for.
const NOT: &str = "not measured";

/// Formats hits, cases, and the 95 % interval: `3/20 [3.2, 37.9 %]`.
fn share(share: Share) -> String {
    if share.of == 0 {
        return NOT.into();
    }
    let (lower, upper) = (100.0 * share.lower, 100.0 * share.upper);
    format!("{}/{} [{lower:.1}, {upper:.1} %]", share.hits, share.of)
}

fn planted_table(rows: &[Planted]) -> String {
    let head = columns(
        "kind | planted | found | said | trials | detectable | found of drawn | against half the margin | as one of 48 | truth in interval",
    );
    let row = |row: &Planted| {
        vec![
            row.kind.clone(),
            format!("{} %", row.percent),
            share(row.found),
            format!("{:+.1} %", row.said_percent),
            row.trials.to_string(),
            format!("{:.1} %", row.detectable_percent),
            share(row.drawn_found),
            share(row.drawn_found_against_half),
            share(row.drawn_found_of_48),
            share(row.covered),
        ]
    };
    figures_table(&head, &rows.iter().map(row).collect::<Vec<_>>())
}

fn equal_table(columns: &[(&str, &Equal)]) -> String {
    let mut head = vec!["figure"];
    head.extend(columns.iter().map(|(name, _)| *name));
    let line = |name: &str, of: &dyn Fn(&Equal) -> String| {
        let mut line = vec![name.to_owned()];
        line.extend(columns.iter().map(|(_, equal)| of(equal)));
        line
    };
    let rows = [
        line("cells judged in a suite", &|equal| equal.cells.to_string()),
        line("trials of a cell", &|equal| equal.trials.to_string()),
        line("seconds of a suite", &|equal| match equal.seconds {
            seconds if seconds.is_finite() && equal.cells > 0 => format!("{seconds:.0}"),
            _ => NOT.into(),
        }),
        line("suites falsely regressed", &|equal| share(equal.false_regressed)),
        line("suites with an invalid environment", &|equal| share(equal.environment)),
        line("drawn suites falsely regressed", &|equal| share(equal.drawn_false_regressed)),
        line("the same, tested against half the margin", &|equal| {
            share(equal.drawn_false_regressed_against_half)
        }),
        line("cells not regressed", &|equal| share(equal.not_regressed)),
        line("no change in the interval", &|equal| share(equal.covered)),
        line("trials dropped", &|equal| share(equal.dropped)),
    ];
    figures_table(&head, &rows)
}

fn steps_table(done: &SelfTest) -> String {
    let rows: Vec<Vec<String>> = done
        .steps
        .iter()
        .map(|rates| {
            let of = rates.series as u64;
            let (what, hits) = match rates.found {
                Some(found) => ("step found", found),
                None => ("false step", rates.with_false_steps),
            };
            vec![rates.kind.clone(), what.into(), share(Share::new(hits as u64, of))]
        })
        .collect();
    figures_table(&columns("series | figure | share"), &rows)
}

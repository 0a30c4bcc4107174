//! What `paceline claims` found: a block for each claim, with its figures by model, and under it why.

use std::fmt::Write;

use super::{
    table::{in_order, series_name},
    unreliable::footnotes,
};
use crate::{
    output::{count, figures_table, list_table, long, plain_lines, rate, width},
    record::{Claim, ClaimFigure, ClaimResult, ClaimVerdict, Claims},
};

/// All claims, and how many models each holds on.
#[must_use]
pub fn claims_table(claims: &Claims) -> String {
    let mut text: String = claims.claims.iter().map(block).collect();
    let _ = writeln!(text, "\n{}", summary(&claims.claims));
    let models = claims.claims.iter().flat_map(|claim| &claim.results);
    text.push_str(&footnotes(models.map(|result| result.model.as_str())));
    let took = long(std::time::Duration::from_secs_f64(claims.seconds.max(0.0)));
    let _ = writeln!(
        text,
        "\nfigures: {}; ideal in parentheses where the claim names one; took {took}",
        claims.interval
    );
    plain_lines(text.trim_end())
}

fn block(claim: &Claim) -> String {
    let mut text = format!("\n{}: {}\n  {}\n", claim.name, claim.sentence, claim.method);
    for table in tables(claim) {
        let _ = writeln!(text, "\n{table}");
    }
    let why = |result: &ClaimResult| result.why.clone().map(|why| (result.verdict, why));
    for (verdict, why) in in_order(claim.results.iter().filter_map(why)) {
        let same =
            |result: &&ClaimResult| result.verdict == verdict && result.why.as_ref() == Some(&why);
        let models: Vec<String> =
            claim.results.iter().filter(same).map(|r| name(claim, r)).collect();
        let _ = writeln!(text, "  {} {}: {why}", verdict.word(), models.join(", "));
    }
    text
}

/// Its figures by model, as many side by side as there is room for.
fn tables(claim: &Claim) -> Vec<String> {
    let figures = claim.results.iter().flat_map(|result| &result.figures);
    let head = |figure: &ClaimFigure| (figure.name.clone(), figure.unit.clone());
    let heads = in_order(figures.map(head));
    let column = |(name, unit): &(String, String)| {
        let mut column = vec![format!("{name}, {unit}{}", ideal(claim, name))];
        column.extend(claim.results.iter().map(|result| {
            let figure = result.figures.iter().find(|figure| figure.name == *name);
            figure.map_or_else(String::new, |figure| shown(figure, ideal(claim, name).is_empty()))
        }));
        column
    };
    let label = |result: &ClaimResult| vec![name(claim, result), result.verdict.word().to_owned()];
    let labels: Vec<Vec<String>> = claim.results.iter().map(label).collect();
    let widest = |column: &[String]| column.iter().map(|cell| cell.chars().count()).max();
    let mut blocks: Vec<(usize, Vec<Vec<String>>)> = vec![];
    for column in heads.iter().map(column) {
        let wide = widest(&column).unwrap_or(0) + 2;
        match blocks.last_mut() {
            Some((used, columns)) if *used + wide <= width() => {
                *used += wide;
                columns.push(column);
            }
            _ => blocks.push((LABELS + wide, vec![column])),
        }
    }
    if blocks.is_empty() {
        blocks.push((0, vec![]));
    }
    let table = |(_, columns): &(usize, Vec<Vec<String>>)| {
        let mut head = vec!["model", "verdict"];
        head.extend(columns.iter().map(|column| column[0].as_str()));
        let row = |(index, label): (usize, &Vec<String>)| {
            let cells = columns.iter().map(|column| column[index + 1].clone());
            label.iter().cloned().chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = labels.iter().enumerate().map(row).collect();
        figures_table(&head, &rows)
    };
    blocks.iter().map(table).collect()
}

/// What the names of models and the verdicts take of a line.
const LABELS: usize = 42;

/// The model's name, with its workers where the claim was put to it with several numbers of them.
pub(super) fn name(claim: &Claim, result: &ClaimResult) -> String {
    let of = claim.results.iter().filter(|other| other.model == result.model);
    if of.count() > 1 { series_name(&result.model, result.workers) } else { result.model.clone() }
}

/// ` (1)`: the ideal of a figure, where it is the same for all models.
pub(super) fn ideal(claim: &Claim, name: &str) -> String {
    let figures = claim.results.iter().flat_map(|result| &result.figures);
    let ideals = in_order(figures.filter(|f| f.name == name).map(|figure| figure.ideal));
    match ideals[..] {
        [Some(ideal)] => format!(" ({})", number(ideal, "")),
        _ => String::new(),
    }
}

/// `2.00 [1.98, 2.10] (1)`: the figure, its interval where that is wider than what is shown, and its ideal where models
/// have different ones.
pub(super) fn shown(figure: &ClaimFigure, with_ideal: bool) -> String {
    let in_unit = |value| number(value, &figure.unit);
    let [value, lower, upper] = [figure.value, figure.lower, figure.upper].map(in_unit);
    let interval = if lower == upper { String::new() } else { format!(" [{lower}, {upper}]") };
    let ideal = figure.ideal.filter(|_| with_ideal).map(|ideal| format!(" ({})", in_unit(ideal)));
    let ideal = ideal.unwrap_or_default();
    format!("{value}{interval}{ideal}")
}

fn number(value: f64, unit: &str) -> String {
    // What is counted is shown whole, what is measured to three digits.
    let counted = value.fract() == 0.0 && (0.0..1e9).contains(&value);
    if counted && !["bytes", "ms", "×"].contains(&unit) {
        return count(value as usize);
    }
    rate(value)
}

fn summary(claims: &[Claim]) -> String {
    let seen = |verdict: &ClaimVerdict| {
        claims.iter().flat_map(|claim| &claim.results).any(|result| result.verdict == *verdict)
    };
    let verdicts: Vec<ClaimVerdict> = ClaimVerdict::ALL.into_iter().filter(seen).collect();
    let mut head = vec!["models on which a claim …"];
    head.extend(verdicts.iter().map(|verdict| verdict.word()));
    let row = |claim: &Claim| {
        let mut row = vec![claim.name.clone()];
        row.extend(verdicts.iter().map(|verdict| {
            let of = claim.results.iter().filter(|result| result.verdict == *verdict);
            let of = in_order(of.map(|result| result.model.as_str())).len();
            if of == 0 { String::new() } else { of.to_string() }
        }));
        row
    };
    list_table(&head, &claims.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::{Fingerprint, build},
        record::CLAIMS_SCHEMA,
    };

    fn result(
        model: &str,
        workers: usize,
        verdict: ClaimVerdict,
        why: Option<&str>,
        values: &[f64],
    ) -> ClaimResult {
        let figure = || ClaimFigure::new("three at once", "×", Some(1.0), values.to_vec());
        ClaimResult {
            model: model.into(),
            workers: Some(workers),
            verdict,
            why: why.map(Into::into),
            figures: if values.is_empty() { vec![] } else { vec![figure()] },
            repetitions: values.len() as u32,
        }
    }

    fn shown_of(results: Vec<ClaimResult>) -> String {
        let claim = Claim {
            name: "sleeps".into(),
            sentence: "Three sleeps overlap.".into(),
            method: "They are timed.".into(),
            results,
        };
        claims_table(&Claims {
            schema: CLAIMS_SCHEMA,
            id: String::new(),
            started: String::new(),
            command: vec![],
            budget_seconds: 180.0,
            seconds: 1.5,
            repetitions: 3,
            interval: "95 %".into(),
            fingerprint: Fingerprint::default(),
            build: build(),
            models: vec![],
            interrupted: false,
            claims: vec![claim],
        })
    }

    #[test]
    fn every_figure_has_its_interval_and_every_verdict_its_reason_once() {
        let why = Some("a sleep holds its worker");
        let shown = shown_of(vec![
            result("pool", 2, ClaimVerdict::Contradicted, why, &[2.0, 2.25, 2.5]),
            result("rayon", 2, ClaimVerdict::Contradicted, why, &[2.0; 3]),
            result("tokio", 2, ClaimVerdict::Holds, None, &[1.0, 1.0, 1.25]),
            result("may", 2, ClaimVerdict::Failed, Some("signal 11"), &[]),
        ]);
        assert!(shown.contains("2.24 [1.70, 2.96]"), "{shown}");
        assert!(shown.contains("contradicted pool, rayon: a sleep holds its worker"), "{shown}");
        assert!(shown.contains("three at once, × (1)"), "{shown}");
        assert_eq!(shown.matches("a sleep holds its worker").count(), 1, "{shown}");
        assert!(shown.contains("failed may: signal 11"), "{shown}");
        let summary = shown.lines().find(|line| line.trim_start().starts_with("sleeps  ")).unwrap();
        assert_eq!(summary.split_whitespace().collect::<Vec<_>>(), ["sleeps", "1", "2", "1"]);
    }

    #[test]
    fn workers_are_named_where_there_are_several() {
        let shown = shown_of(vec![
            result("tokio", 1, ClaimVerdict::Holds, None, &[1.0; 3]),
            result("tokio", 2, ClaimVerdict::Holds, None, &[1.0; 3]),
            result("smol", 2, ClaimVerdict::Holds, None, &[1.0; 3]),
        ]);
        assert!(shown.contains("tokio@1") && shown.contains("tokio@2"), "{shown}");
        assert!(!shown.contains("smol@2"), "{shown}");
    }
}

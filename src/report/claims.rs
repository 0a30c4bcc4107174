//! The results of `paceline claims`: a matrix of models and claims with a line for each reason, or every figure.

use std::{fmt::Write, time::Duration};

use super::{
    table::{Extent, in_order, series_name},
    unreliable::footnotes,
};
use crate::{
    claims::{BUDGET, REPETITIONS},
    output::{
        MatrixField, Tone, count, counted, figures_table, folded, for_option, listed, long, matrix,
        plain_lines, rate,
    },
    record::{Claim, ClaimFigure, ClaimResult, ClaimVerdict, Claims},
    start::parse_budget,
    stats::FEWEST_TRIALS,
};

/// Returns the verdicts by model and claim with their reasons, or every claim with its figures.
pub fn claims_table(claims: &Claims, extent: Extent) -> String {
    let mut text = match extent {
        Extent::Short if let Some(sentence) = too_short(claims) => {
            return folded(&plain_lines(&sentence));
        }
        Extent::Short => {
            let under = [claimed(&claims.claims), reasons(&claims.claims)].concat();
            format!("\n{}\n\n{}", verdicts(&claims.claims), folded(&plain_lines(under.trim_end())))
                + "\n"
        }
        Extent::All => {
            let blocks = claims.claims.iter().map(block).collect::<String>();
            format!("{}\n{}\n", folded(&plain_lines(&blocks)), verdicts(&claims.claims))
        }
    };
    let models = claims.claims.iter().flat_map(|claim| &claim.results);
    let mut under = footnotes(models.map(|result| result.model.as_str()));
    let took = long(Duration::from_secs_f64(claims.seconds.max(0.0)));
    let _ = match extent {
        Extent::Short => writeln!(under, "\ntook {took}; --all shows the figures"),
        Extent::All => writeln!(
            under,
            "\nintervals: {}; ideal in parentheses where the claim names one; took {took}",
            claims.interval
        ),
    };
    text.push_str(&folded(&plain_lines(under.trim_end())));
    text
}

/// Returns the sentence that replaces the matrix if the budget was used up before there was a single verdict.
fn too_short(claims: &Claims) -> Option<String> {
    let results = || claims.claims.iter().flat_map(|claim| &claim.results);
    let is_cut = |result: &&ClaimResult| {
        matches!(result.verdict, ClaimVerdict::Skipped | ClaimVerdict::Inconclusive)
            && (result.repetitions as usize) < FEWEST_TRIALS
    };
    let is_settled = |result: &ClaimResult| {
        matches!(
            result.verdict,
            ClaimVerdict::DoesNotApply | ClaimVerdict::ByDefinition | ClaimVerdict::Refused
        )
    };
    let open = results().filter(is_cut).count();
    if claims.interrupted || open == 0 || !results().all(|of| is_cut(&of) || is_settled(of)) {
        return None;
    }
    // At the pace so far, which includes the start of the processes.
    let ran: u32 = results().map(|result| result.repetitions).sum();
    let each = if ran == 0 { f64::INFINITY } else { claims.seconds / f64::from(ran) };
    let most = parse_budget(BUDGET).map_or(f64::INFINITY, |most| most.as_secs_f64());
    let enough = (each * (open * FEWEST_TRIALS) as f64).min(most);
    let enough = enough.max(claims.budget_seconds * 2.0).clamp(1.0, 86_400.0);
    Some(format!(
        "no verdict: {} ended within {}, and each experiment needs {FEWEST_TRIALS}; {} open: \
         give about --budget {}, or name claims and models, such as paceline claims sleeps --model tokio",
        counted(ran as usize, "repetition"),
        long(Duration::from_secs_f64(claims.budget_seconds)),
        if open == 1 { "1 is".into() } else { format!("{} are", count(open)) },
        for_option(Duration::from_secs_f64(enough - 1.0))
    ))
}

/// Returns the verdict in a column of the matrix.
fn short(verdict: ClaimVerdict) -> &'static str {
    match verdict {
        ClaimVerdict::Holds => "yes",
        ClaimVerdict::Contradicted => "no",
        ClaimVerdict::ByDefinition => "def",
        ClaimVerdict::DoesNotApply => "-",
        ClaimVerdict::Inconclusive => "?",
        ClaimVerdict::Invalid => "inv",
        ClaimVerdict::Refused => "ref",
        ClaimVerdict::Skipped => "skip",
        ClaimVerdict::Failed => "fail",
    }
}

/// Returns a row for each model and a column for each claim: by name if there is room, otherwise by number.
fn verdicts(claims: &[Claim]) -> String {
    let results = || claims.iter().flat_map(|claim| &claim.results);
    let models = in_order(results().map(|result| result.model.as_str()));
    let field = |claim: &Claim, model: &str| {
        let of = claim.results.iter().filter(|result| result.model == model);
        let verdicts = in_order(of.map(|result| result.verdict));
        let tone = match verdicts[..] {
            [ClaimVerdict::Holds] => Tone::Tied,
            [ClaimVerdict::DoesNotApply | ClaimVerdict::Skipped | ClaimVerdict::Refused] => {
                Tone::Absent
            }
            _ if verdicts.iter().any(|verdict| verdict.is_wrong()) => Tone::Wrong,
            _ => Tone::Plain,
        };
        let text = verdicts.iter().map(|verdict| short(*verdict)).collect::<Vec<_>>().join("/");
        MatrixField { text, tone }
    };
    let row = |model: &&str| -> Vec<MatrixField> {
        let fields = claims.iter().map(|claim| field(claim, model));
        std::iter::once(MatrixField::from(&(*model).to_owned())).chain(fields).collect()
    };
    let rows: Vec<Vec<MatrixField>> = models.iter().map(row).collect();
    let numbers: Vec<String> = (1..=claims.len()).map(|number| number.to_string()).collect();
    let head = std::iter::once("model".to_owned()).chain(numbers).collect();
    let key = |verdict: &ClaimVerdict| format!("{} {}", short(*verdict), verdict.word());
    let seen = |verdict: &ClaimVerdict| results().any(|result| result.verdict == *verdict);
    let mut key: Vec<String> = ClaimVerdict::ALL.iter().filter(|v| seen(v)).map(key).collect();
    if rows.iter().flatten().any(|field| field.text.contains('/')) {
        key.push("a/b: a with fewer workers, b with more".into());
    }
    format!("{}\n\n{}", matrix(&[(head, rows)]).0, folded(&key.join(", ")))
}

/// Returns the meaning of the columns' numbers.
fn claimed(claims: &[Claim]) -> String {
    let line = |(index, claim): (usize, &Claim)| {
        format!("{:>2} {}: {}\n", index + 1, claim.name, claim.sentence)
    };
    claims.iter().enumerate().map(line).chain(["\n".to_owned()]).collect()
}

/// Returns a line for each reason, with the number of results, their claims and their models.
fn reasons(claims: &[Claim]) -> String {
    type Reason = (Option<ClaimVerdict>, String);
    let mut groups: Vec<(Reason, Vec<(&Claim, &ClaimResult)>)> = vec![];
    for (claim, result) in claims.iter().flat_map(|c| c.results.iter().map(move |r| (c, r))) {
        for reason in parts(result) {
            match groups.iter_mut().find(|(of, _)| *of == reason) {
                Some((_, of)) => of.push((claim, result)),
                None => groups.push((reason, vec![(claim, result)])),
            }
        }
    }
    let mut text = String::new();
    for ((verdict, why), of) in groups {
        let verdict = verdict.map_or("results", ClaimVerdict::word);
        let names = match in_order(of.iter().map(|(claim, _)| claim.name.as_str())) {
            all if all.len() == claims.len() && all.len() > 1 => "all claims".into(),
            some => some.join(", "),
        };
        let remedy =
            if why.contains("the budget was used up") { ": --budget 10m gives more" } else { "" };
        let models =
            listed(&in_order(of.iter().map(|(claim, result)| name(claim, result))), MOST_NAMED);
        let _ = writeln!(text, "{} {verdict}, {names} ({models}): {why}{remedy}", of.len());
    }
    text
}

/// Returns the reasons of a result: the verdict's, and that fewer repetitions ran than planned, for any verdict.
fn parts(result: &ClaimResult) -> Vec<(Option<ClaimVerdict>, String)> {
    let Some(why) = &result.why else { return vec![] };
    // The time of a repetition is only in the record.
    let long = why.split_once(" repetitions of ");
    let long = long.and_then(|(cut, rest)| Some((cut, rest.split_once(", and ")?.1)));
    if let Some((cut, fewest)) = long {
        return vec![(Some(result.verdict), format!("{cut} repetitions, and {fewest}"))];
    }
    let cut_short = |why: &str| why.ends_with(" repetitions") && why.contains(" after ");
    match why.rsplit_once("; ") {
        Some((judged, cut)) if cut_short(cut) => {
            vec![(Some(result.verdict), judged.to_owned()), (None, cut.to_owned())]
        }
        _ if cut_short(why) => vec![(None, why.clone())],
        _ => vec![(Some(result.verdict), why.clone())],
    }
}

/// The most models that a reason names.
const MOST_NAMED: usize = 8;

fn block(claim: &Claim) -> String {
    let mut text = format!("\n{}: {}\n  {}\n", claim.name, claim.sentence, claim.method);
    let _ = writeln!(text, "\n{}", figures(claim));
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

/// Returns its figures by model.
fn figures(claim: &Claim) -> String {
    let figures = claim.results.iter().flat_map(|result| &result.figures);
    let heads = in_order(figures.map(|figure| (figure.name.clone(), figure.unit.clone())));
    let label = |(name, unit): &(String, String)| format!("{name}, {unit}{}", ideal(claim, name));
    let labels: Vec<String> = heads.iter().map(label).collect();
    let mut head = vec!["model", "verdict"];
    head.extend(labels.iter().map(String::as_str));
    let row = |result: &ClaimResult| {
        let cell = |(head, _): &(String, String)| {
            let figure = result.figures.iter().find(|figure| figure.name == *head);
            figure.map_or_else(String::new, |f| shown(f, ideal(claim, head).is_empty()))
        };
        let label = [name(claim, result), result.verdict.word().to_owned()];
        label.into_iter().chain(heads.iter().map(cell)).collect()
    };
    figures_table(&head, &claim.results.iter().map(row).collect::<Vec<_>>())
}

/// Returns the model's name, with its workers if the claim was tested with several worker counts.
pub(super) fn name(claim: &Claim, result: &ClaimResult) -> String {
    let of = claim.results.iter().filter(|other| other.model == result.model);
    if of.count() > 1 { series_name(&result.model, result.workers) } else { result.model.clone() }
}

/// Returns the ideal of a figure, such as ` (1)`, if it is the same for all models.
pub(super) fn ideal(claim: &Claim, name: &str) -> String {
    let figures = claim.results.iter().flat_map(|result| &result.figures);
    let ideals = in_order(figures.filter(|f| f.name == name).map(|figure| figure.ideal));
    match ideals[..] {
        [Some(ideal)] => format!(" ({})", number(ideal, "")),
        _ => String::new(),
    }
}

/// Returns the figure, such as `2.00 [1.98, 2.10] (1)`, with its interval if that is wider than the digits shown, its
/// ideal if models have different ones, and the number of its processes if some are missing: `n=1`.
pub(super) fn shown(figure: &ClaimFigure, with_ideal: bool) -> String {
    let in_unit = |value| number(value, &figure.unit);
    let [value, lower, upper] = [figure.value, figure.lower, figure.upper].map(in_unit);
    let interval = if lower == upper { String::new() } else { format!(" [{lower}, {upper}]") };
    let ideal = figure.ideal.filter(|_| with_ideal).map(|ideal| format!(" ({})", in_unit(ideal)));
    let ideal = ideal.unwrap_or_default();
    let processes = figure.values.len();
    let few =
        if processes < REPETITIONS as usize { format!(" n={processes}") } else { String::new() };
    format!("{value}{interval}{ideal}{few}")
}

fn number(value: f64, unit: &str) -> String {
    // Counts are shown whole, measurements with three digits.
    let counted = value.fract() == 0.0 && (0.0..1e9).contains(&value);
    if counted && !["bytes", "ms", "×"].contains(&unit) {
        return count(value as usize);
    }
    rate(value)
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

    fn shown_of(results: Vec<ClaimResult>, extent: Extent) -> String {
        let claim = Claim {
            name: "sleeps".into(),
            sentence: "Three sleeps overlap.".into(),
            method: "They are timed.".into(),
            results,
        };
        let claims = Claims {
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
        };
        claims_table(&claims, extent)
    }

    #[test]
    fn every_figure_has_its_interval_and_every_reason_stands_once() {
        let why = Some("a sleep holds its worker");
        let results = vec![
            result("pool", 2, ClaimVerdict::Contradicted, why, &[2.0, 2.25, 2.5]),
            result("rayon", 2, ClaimVerdict::Contradicted, why, &[2.0; 3]),
            result("tokio", 2, ClaimVerdict::Holds, None, &[1.0, 1.0, 1.25]),
            result("may", 2, ClaimVerdict::Failed, Some("signal 11"), &[]),
        ];
        let all = shown_of(results.clone(), Extent::All);
        assert!(all.contains("2.24 [1.70, 2.96] n=3"), "{all}");
        let five = result("pool", 2, ClaimVerdict::Contradicted, why, &[2.0, 2.25, 2.5, 2.2, 2.3]);
        assert!(!shown_of(vec![five], Extent::All).contains("n="));
        assert!(all.contains("contradicted pool, rayon: a sleep holds its worker"), "{all}");
        assert!(all.contains("three at once, × (1)"), "{all}");
        let short = shown_of(results, Extent::Short);
        for shown in [all, short] {
            assert_eq!(shown.matches("a sleep holds its worker").count(), 1, "{shown}");
            assert_eq!(shown.matches("signal 11").count(), 1, "{shown}");
            let row = |model: &str, verdict: &str| {
                let wanted = [model, verdict];
                shown.lines().any(|line| line.split_whitespace().eq(wanted))
            };
            assert!(row("pool", "no") && row("tokio", "yes") && row("may", "fail"), "{shown}");
        }
    }

    #[test]
    fn a_budget_that_was_used_up_is_said_once_for_all_verdicts_and_claims() {
        let cut = "the budget was used up after 4 of 5 repetitions";
        let and_more = format!("a sleep holds its worker; {cut}");
        let shown = shown_of(
            vec![
                result("pool", 2, ClaimVerdict::Contradicted, Some(&and_more), &[2.0; 4]),
                result("tokio", 2, ClaimVerdict::Holds, Some(cut), &[1.0; 4]),
                result("smol", 2, ClaimVerdict::Holds, Some(cut), &[1.0; 4]),
            ],
            Extent::Short,
        );
        assert_eq!(shown.matches("the budget was used up").count(), 1, "{shown}");
        assert!(
            shown.contains(&format!("3 results, sleeps (pool, tokio, smol): {cut}: --budget")),
            "{shown}"
        );
        assert!(shown.contains("1 contradicted, sleeps (pool): a sleep holds"), "{shown}");
    }

    #[test]
    fn a_budget_without_room_for_a_verdict_is_one_sentence_with_one_that_has_room() {
        let skipped = |model| {
            result(model, 2, ClaimVerdict::Skipped, Some("the budget was used up before it"), &[])
        };
        let cut = "the budget was used up after 1 of 5 repetitions of 1 s, and 3 are the fewest";
        let once = result("tokio", 2, ClaimVerdict::Inconclusive, Some(cut), &[1.0]);
        let shown = shown_of(vec![once.clone(), skipped("pool"), skipped("smol")], Extent::Short);
        assert!(shown.starts_with("no verdict: 1 repetition ended within 3.00 min"), "{shown}");
        assert!(shown.contains("each experiment needs 3; 3 are open"), "{shown}");
        assert!(shown.contains("--budget 6m") && !shown.contains("skip "), "{shown}");
        let judged = result("rayon", 2, ClaimVerdict::Holds, None, &[1.0; 5]);
        let shown = shown_of(vec![once, skipped("pool"), judged], Extent::Short);
        assert!(!shown.contains("no verdict") && shown.contains("skip "), "{shown}");
    }

    #[test]
    fn workers_are_named_where_there_are_several() {
        let shown = shown_of(
            vec![
                result("tokio", 1, ClaimVerdict::Contradicted, Some("one"), &[1.0; 3]),
                result("tokio", 2, ClaimVerdict::Holds, None, &[1.0; 3]),
                result("smol", 2, ClaimVerdict::Holds, Some("more"), &[1.0; 3]),
            ],
            Extent::Short,
        );
        assert!(shown.contains("no/yes") && shown.contains("(tokio@1): one"), "{shown}");
        assert!(shown.contains("(smol): more") && shown.contains("b with more"), "{shown}");
    }
}

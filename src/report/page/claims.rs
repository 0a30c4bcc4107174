//! The claims of the tutorial: each with its sentence, its method, and a verdict on every model.

use askama::Template;

use super::parts::{Data, Table, name, reason};
use crate::{
    output::shorten,
    record::{Claim, ClaimResult, ClaimVerdict, Claims},
    report::{
        claims::{self, ideal, shown},
        table::in_order,
        unreliable::remarks,
    },
};

/// The section of all claims.
#[derive(Template)]
#[template(path = "claims.html")]
pub(super) struct Section {
    interval: String,
    /// A sentence for each unreliable model.
    remarks: Vec<String>,
    overview: Table,
    claims: Vec<ClaimSection>,
}

/// One claim.
struct ClaimSection {
    id: String,
    name: String,
    sentence: String,
    method: String,
    verdicts: String,
    table: Table,
}

impl Section {
    pub(super) fn of(claims: &Claims, id: &str) -> Self {
        let one = |(index, claim): (usize, &Claim)| ClaimSection {
            id: format!("{id}-{index}"),
            name: name(&claim.name),
            sentence: shorten(&claim.sentence, 400),
            method: shorten(&claim.method, 600),
            verdicts: by_verdict(&claim.results),
            table: table(claim),
        };
        let results = claims.claims.iter().flat_map(|claim| &claim.results);
        Section {
            interval: shorten(&claims.interval, 200),
            remarks: remarks(results.map(|result| result.model.as_str())),
            overview: overview(&claims.claims),
            claims: claims.claims.iter().enumerate().map(one).collect(),
        }
    }
}

/// Returns the number of each verdict, such as `12 hold, 2 contradict`.
fn by_verdict(results: &[ClaimResult]) -> String {
    let counted = ClaimVerdict::ALL.into_iter().filter_map(|verdict| {
        let count = results.iter().filter(|result| result.verdict == verdict).count();
        (count > 0).then(|| format!("{}: {count}", verdict.word()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// Returns a matrix of claims and models, with a mark for each verdict.
fn overview(claims: &[Claim]) -> Table {
    let results = || claims.iter().flat_map(|claim| &claim.results);
    let models = in_order(results().map(|result| result.model.as_str()));
    let mut table = Table::new("Every claim on every model", "claim")
        .with_columns(models.iter().map(|model| name(model)));
    for claim in claims {
        let field = |model: &&str| {
            let of = claim.results.iter().filter(|result| result.model == **model);
            // Several numbers of workers may answer differently: the table of the claim says which.
            let of: Vec<ClaimVerdict> = in_order(of.map(|result| result.verdict));
            let marks: Vec<&str> = of.iter().map(|verdict| mark(*verdict)).collect();
            let words: Vec<&str> = of.iter().map(|verdict| verdict.word()).collect();
            let class = if let [one] = &of[..] { class(*one) } else { "" };
            let marked = Data::of(marks.join("/")).class(format!("l {class}"));
            Data { title: words.join(" / "), ..marked }
        };
        table.rows.push(
            std::iter::once(name(&claim.name).into()).chain(models.iter().map(field)).collect(),
        );
    }
    table
}

/// Returns the mark of a verdict.
fn mark(verdict: ClaimVerdict) -> &'static str {
    match verdict {
        ClaimVerdict::Holds => "✓",
        ClaimVerdict::Contradicted => "✗",
        ClaimVerdict::ByDefinition => "=",
        ClaimVerdict::DoesNotApply => "·",
        ClaimVerdict::Inconclusive => "?",
        unmeasured => unmeasured.word(),
    }
}

/// Returns the style of a verdict. A claim that does not hold on a model is a finding, not a failure.
fn class(verdict: ClaimVerdict) -> &'static str {
    match verdict {
        ClaimVerdict::Holds => "holds",
        ClaimVerdict::Contradicted => "not",
        ClaimVerdict::Invalid | ClaimVerdict::Failed => "failed",
        ClaimVerdict::Refused | ClaimVerdict::Skipped => "refused",
        ClaimVerdict::ByDefinition | ClaimVerdict::DoesNotApply | ClaimVerdict::Inconclusive => "",
    }
}

fn table(claim: &Claim) -> Table {
    let figures = in_order(
        claim
            .results
            .iter()
            .flat_map(|result| &result.figures)
            .map(|figure| (figure.name.as_str(), figure.unit.as_str())),
    );
    let titles = figures
        .iter()
        .map(|(figure, unit)| format!("{}, {}{}", name(figure), name(unit), ideal(claim, figure)));
    let mut table = Table::new(
        format!("{}: figures and verdict by model", name(&claim.name)),
        "model | verdict",
    )
    .with_columns(titles.chain(["why".into()]))
    .with_prose(&[figures.len() + 2]);
    for result in &claim.results {
        let field = |(of, _): &(&str, &str)| -> Data {
            let figure = result.figures.iter().find(|figure| figure.name == *of);
            figure
                .map_or_else(String::new, |figure| shown(figure, ideal(claim, of).is_empty()))
                .into()
        };
        let mut row = vec![
            name(&claims::name(claim, result)).into(),
            Data::of(result.verdict.word()).class(format!("l {}", class(result.verdict))),
        ];
        row.extend(figures.iter().map(field));
        row.push(reason(result.why.as_deref()).into());
        table.rows.push(row);
    }
    table
}

//! A summary of the advice in a few sentences.

use std::fmt::Write;

use super::{
    phrases::{Names, at, enough, everywhere, jobs, ranks, recommended},
    title,
    trust::{apart, trust},
};
use crate::{
    advice::{Advice, AtScale, Broke, Crossing, Measure, Recommended, Series, Unranked},
    output::{capital, count, long_ns_f64, noun, rate},
    report::{table::word, unreliable::remarks},
};

/// Returns the advice in sentences: what to use up to which scale, where the best model changes, what broke and why,
/// and how reliable this is. `partial` says whether requested cells are missing.
pub fn advice_in_short(advice: &Advice, partial: bool) -> Vec<String> {
    let names = Names::of(advice);
    let mut sentences = Vec::new();
    if partial {
        sentences.push("Interrupted: this advice covers only finished cells.".to_owned());
    }
    if advice.scales.is_empty() {
        sentences.push("No cell had ended: there is nothing to say yet.".into());
    }
    sentences.extend(plan(advice, &names));
    let ranked: Vec<&AtScale> =
        advice.scales.iter().filter(|scale| scale.unranked.is_none()).collect();
    sentences.extend(apart(&ranked, &names));
    let both = [Measure::Throughput, Measure::P99];
    sentences.extend(both.into_iter().filter_map(|by| crossed(advice, by, &names)));
    sentences.extend(no_crossing(advice, &ranked));
    sentences.extend(broke(advice, &names));
    let figures = advice.scales.iter().flat_map(|scale| &scale.throughput);
    let models = remarks(figures.map(|figure| figure.series.model.as_str()));
    sentences.extend(models.iter().map(|remark| format!("{}.", capital(remark))));
    sentences.extend(trust(advice, &ranked, &names));
    sentences
}

/// Returns what to use, in a sentence for each stretch of scales with the same answer.
fn plan(advice: &Advice, names: &Names) -> Vec<String> {
    let answer = |scale: &AtScale| -> (Option<Unranked>, Vec<(Series, Vec<Measure>)>) {
        let of = scale.recommended.iter().map(|one| (one.series.clone(), one.by.clone()));
        (scale.unranked, of.collect())
    };
    let stretches: Vec<&[AtScale]> =
        advice.scales.chunk_by(|a, b| answer(a) == answer(b)).collect();
    let count_of = stretches.len();
    let mut sentences: Vec<String> = stretches
        .iter()
        .enumerate()
        .map(|(place, stretch)| {
            let range = range(stretch, place == 0, place + 1 == count_of);
            format!("{}: {}{}.", capital(&range), take(stretch, names), figures(stretch))
        })
        .collect();
    let several = stretches.iter().filter(|stretch| stretch[0].unranked.is_none()).count() > 1;
    if several {
        sentences.push(format!("{}.", capital(&everywhere(advice, names))));
    }
    sentences
}

/// Returns "up to 100 jobs at once", "from 1 000 jobs at once on, measured up to 10 000".
fn range(stretch: &[AtScale], first: bool, last: bool) -> String {
    let (from, to) = (stretch[0].scale, stretch[stretch.len() - 1].scale);
    match (first, last) {
        _ if from == to => at(from),
        (true, false) => format!("up to {}", jobs(to)),
        (false, true) => format!("from {} on, measured up to {}", jobs(from), count(to)),
        _ => format!("from {} to {}", count(from), jobs(to)),
    }
}

fn take(stretch: &[AtScale], names: &Names) -> String {
    let last = &stretch[stretch.len() - 1];
    let one = |one: &Recommended| {
        let all = stretch.iter().flat_map(|scale| &scale.recommended);
        let mut same = all.filter(|other| other.series == one.series);
        let bimodal = same.any(|other| other.bimodal);
        let modes = if bimodal { " (its batches fall into two modes, see below)" } else { "" };
        format!("{}{modes}", enough(one, last.scale, names))
    };
    recommended(last, names, one)
}

/// Returns "; at 1 000 it does 48.2k jobs a second with a p99 latency of 12.1 ms", for a single recommended model at
/// the greatest of these scales.
fn figures(stretch: &[AtScale]) -> String {
    let at = &stretch[stretch.len() - 1];
    let [one] = &at.recommended[..] else { return String::new() };
    let of = |by: Measure| {
        let figure = at.figures(by).iter().find(|figure| figure.series == one.series)?;
        Some(figure.estimate.value).filter(|value| value.is_finite())
    };
    let Some(jobs) = of(Measure::Throughput) else { return String::new() };
    let p99 = of(Measure::P99).map(|ns| format!(" with a p99 latency of {}", long_ns_f64(ns)));
    let p99 = p99.unwrap_or_default();
    let unit = noun(if jobs < 1.5 { 1 } else { 2 }, "job");
    let place = if stretch.len() == 1 { String::new() } else { format!("at {} ", count(at.scale)) };
    format!("; {place}it does {} {unit} a second{p99}", rate(jobs))
}

/// Returns "By throughput sequential is ahead at 1 job at once, threads at 20, tokio from 1 000 on."
fn crossed(advice: &Advice, by: Measure, names: &Names) -> Option<String> {
    let crossings: Vec<&Crossing> =
        advice.crossings.iter().filter(|crossing| crossing.by == by).collect();
    let first = crossings.first()?;
    let is = if first.ahead.len() == 1 { "is" } else { "are" };
    let began = advice.scales.iter().find(|scale| scale.unranked.is_none())?.scale;
    let range =
        if began == first.up_to { at(began) } else { format!("up to {}", jobs(first.up_to)) };
    let mut text = format!("By {} {} {is} ahead {range}", title(by), names.all(&first.ahead));
    for (place, crossing) in crossings.iter().enumerate() {
        if !crossing.overtaken {
            let has = if crossing.ahead.len() == 1 { "has" } else { "have" };
            let _ = write!(text, " ({has} no figure at {})", count(crossing.from));
        }
        let from = count(crossing.from);
        let range = match crossings.get(place + 1) {
            Some(next) if next.up_to == crossing.from => format!("at {from}"),
            Some(next) => format!("from {from} to {}", count(next.up_to)),
            None => format!("from {from} on"),
        };
        let _ = write!(text, ", {} {range}", names.all(&crossing.then));
    }
    Some(text + ".")
}

/// Returns that the best never changes hands, by each measure that ranks models at several scales; `None` if it does.
fn no_crossing(advice: &Advice, ranked: &[&AtScale]) -> Option<String> {
    if !advice.crossings.is_empty() {
        return None;
    }
    let at_several = |by: &Measure| ranked.iter().filter(|at| ranks(at, *by)).count() > 1;
    let by = [Measure::Throughput, Measure::P99].into_iter().filter(at_several);
    let by: Vec<&str> = by.map(title).collect();
    let hands = match &by[..] {
        [] => return None,
        [one] => format!("does not change hands by {one}"),
        more => format!("changes hands neither by {}", more.join(" nor by ")),
    };
    Some(format!("Between these scales the best {hands}, as far as the tests tell."))
}

/// Returns a sentence for each reason, with all models that it stopped at the same scales.
fn broke(advice: &Advice, names: &Names) -> Vec<String> {
    let mut groups: Vec<(&Broke, Vec<Series>)> = Vec::new();
    for one in &advice.broke {
        let same = |(other, _): &&mut (&Broke, Vec<Series>)| {
            (other.state, &other.scales, &other.reason) == (one.state, &one.scales, &one.reason)
        };
        match groups.iter_mut().find(same) {
            Some((_, series)) => series.push(one.series.clone()),
            None => groups.push((one, vec![one.series.clone()])),
        }
    }
    let sentence = |(one, series): (&Broke, Vec<Series>)| {
        let scales = if one.scales.len() == advice.scales.len() {
            "every scale".to_owned()
        } else {
            one.scales.iter().map(|scale| count(*scale)).collect::<Vec<_>>().join(", ")
        };
        let (names, state) = (names.all(&series), word(one.state));
        format!("{names}: {state} at {scales}: {}.", one.reason.trim_end_matches('.'))
    };
    groups.into_iter().map(sentence).collect()
}

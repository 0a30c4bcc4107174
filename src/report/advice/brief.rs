//! A summary of the advice in at most four sentences, of which the first can stand alone. Facts about every workload
//! are left out: the page states them once.

use super::{
    phrases::{Names, everywhere},
    title,
    trust::{caveats, timers_apart, two_modes},
};
use crate::{
    advice::{Advice, AtScale, Measure, Recommended, Series, Standing},
    output::{count, counted, noun, rate},
};

/// The least factor that is worth a sentence.
const WORTH: f64 = 1.1;

/// Returns up to four sentences: which model to use from which scale; one for all scales; what tail latency or memory
/// suggests instead; and the most important caveat. All are `None` if nothing is ranked.
pub fn advice_in_brief(advice: &Advice) -> [Option<String>; 4] {
    let names = Names::of(advice);
    let ranked: Vec<&AtScale> =
        advice.scales.iter().filter(|scale| scale.unranked.is_none()).collect();
    let Some(last) = ranked.last() else { return [const { None }; 4] };
    [
        Some(take(&ranked, &names)),
        (stretches(&ranked).len() > 1).then(|| everywhere(advice, &names)),
        otherwise(last, &names),
        caveat(advice, &ranked, &names),
    ]
}

/// Returns the recommendations and, if there are several, their measures: of one alone the sentence does not say them.
fn answer(scale: &AtScale) -> Vec<(&Series, &[Measure])> {
    match &scale.recommended[..] {
        [one] => vec![(&one.series, &[])],
        each => each.iter().map(|one| (&one.series, &one.by[..])).collect(),
    }
}

fn stretches<'s, 'a>(ranked: &'s [&'a AtScale]) -> Vec<&'s [&'a AtScale]> {
    ranked.chunk_by(|a, b| answer(a) == answer(b)).collect()
}

/// Returns "Take a sequential program at 1 job at once, tokio from 10 to 1 000."
fn take(ranked: &[&AtScale], names: &Names) -> String {
    let stretches = stretches(ranked);
    let part = |(place, of): (usize, &&[&AtScale])| {
        let (from, to) = (of[0].scale, of[of.len() - 1].scale);
        let range = if from == to {
            format!("at {}", count(from))
        } else {
            format!("from {} to {}", count(from), count(to))
        };
        let unit = if place == 0 { format!(" {}", noun(to, "job at once")) } else { String::new() };
        format!("{} {range}{unit}", what(of[0], names))
    };
    let parts: Vec<String> = stretches.iter().enumerate().map(part).collect();
    format!("Take {}.", parts.join(", "))
}

fn what(scale: &AtScale, names: &Names) -> String {
    match &scale.recommended[..] {
        [] => "none of these".into(),
        [one] => model_in_words(one, names),
        each => {
            let of = each
                .iter()
                .map(|of| format!("{} for {}", model_in_words(of, names), title(of.by[0])));
            of.collect::<Vec<_>>().join(" or ")
        }
    }
}

/// Returns what the model's user would write.
fn model_in_words(one: &Recommended, names: &Names) -> String {
    match one.series.model.as_str() {
        "sequential" => "a sequential program".into(),
        "threads" => "a thread for each job".into(),
        "pool" => format!("a pool of {}", counted(one.series.workers.unwrap_or(1), "thread")),
        _ => names.name(&one.series),
    }
}

/// Returns how far the recommended model is behind by p99 latency or memory at the greatest ranked scale.
fn otherwise(at: &AtScale, names: &Names) -> Option<String> {
    let one = at.recommended.first()?;
    [Measure::P99, Measure::Memory].into_iter().find_map(|by| {
        let figures = at.figures(by);
        let best = figures.iter().find(|figure| figure.standing == Standing::Best)?;
        let own = figures.iter().find(|figure| figure.series == one.series)?;
        let times = by.times_worse(own.estimate, best.estimate);
        (own.standing == Standing::Behind && times >= WORTH).then(|| {
            format!(
                "At {} the {} of {} is {} times that of {}, the least.",
                count(at.scale),
                title(by),
                names.name(&one.series),
                rate(times),
                names.name(&best.series)
            )
        })
    })
}

fn caveat(advice: &Advice, ranked: &[&AtScale], names: &Names) -> Option<String> {
    if ranked.iter().flat_map(|scale| &scale.recommended).any(|one| one.bimodal) {
        return two_modes(advice, names);
    }
    let known = caveats(ranked, names).into_iter().next();
    known.or_else(|| timers_apart(ranked, names).map(|(_, apart)| apart + "."))
}

//! What advice comes to: a few sentences.

use super::{
    phrases::{Names, at, capital, enough, jobs, why_unranked},
    title,
};
use crate::{
    advice::{
        Advice, AtScale, Broke, Crossing, Figure, Measure, Series, Standing, Unranked,
        is_discontinued,
    },
    report::{count, table::word},
};

/// The advice in sentences: what to take up to which scale and from where on another, where the best changes hands,
/// what broke and why, and how far all this is to be trusted. `partial` is whether cells are missing that were asked
/// for.
#[must_use]
pub fn advice_in_short(advice: &Advice, partial: bool) -> Vec<String> {
    let names = Names::of(advice);
    let mut sentences = Vec::new();
    if partial {
        sentences.push(
            "Interrupted: this is partial, advice on those cells only that had ended by then."
                .to_owned(),
        );
    }
    sentences.extend(plan(advice, &names));
    sentences.extend(advice.crossings.iter().map(|crossing| crossed(crossing, &names)));
    let ranked: Vec<&AtScale> =
        advice.scales.iter().filter(|scale| scale.unranked.is_none()).collect();
    if ranked.len() > 1 && advice.crossings.is_empty() {
        sentences.push(
            "Between these scales the best changes hands neither by throughput nor by p99 latency, as far as the \
             intervals tell."
                .into(),
        );
    }
    sentences.extend(discontinued(&ranked, &names));
    sentences.extend(two_modes(advice, &names));
    sentences.extend(broke(advice, &names));
    sentences.extend(trust(&ranked));
    sentences
}

/// What to take, a sentence for each stretch of scales with the same answer.
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
            format!("{}: {}.", capital(&range), take(stretch, names))
        })
        .collect();
    let several = stretches.iter().filter(|stretch| stretch[0].unranked.is_none()).count() > 1;
    if several {
        sentences.push(match &advice.everywhere {
            Some(one) => {
                format!("One model for all of these scales: {} keeps up at each.", names.name(one))
            }
            None => "No model keeps up at all of these scales.".into(),
        });
    }
    sentences
}

/// "up to 100 jobs at once", "from 1 000 jobs at once on, measured up to 10 000".
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
    if let Some(why) = last.unranked {
        return format!("nothing is ranked, for {}", why_unranked(why, last, names));
    }
    let one = |one: &crate::advice::Recommended| {
        let bimodal = stretch.iter().any(|scale| {
            scale.recommended.iter().any(|other| other.series == one.series && other.bimodal)
        });
        let mut text = enough(one, last.scale, names);
        if bimodal {
            text.push_str(" (its rounds fall into two modes, see below)");
        }
        if one.caveat.is_some() {
            text.push_str(" (beware of what is known of it, see above)");
        }
        text
    };
    match &last.recommended[..] {
        [] => "nothing that was measured is to be recommended".into(),
        [both] => one(both),
        each => {
            let of = each.iter().map(|of| format!("for {}, {}", title(of.by[0]), one(of)));
            format!("no model keeps up in both: {}", of.collect::<Vec<_>>().join("; "))
        }
    }
}

fn crossed(crossing: &Crossing, names: &Names) -> String {
    let (ahead, then) = (names.all(&crossing.ahead), names.all(&crossing.then));
    let (by, up_to) = (title(crossing.by), jobs(crossing.up_to));
    let verb = |of: &[Series]| if of.len() == 1 { "is" } else { "are" };
    let (is, has) = (verb(&crossing.ahead), if crossing.ahead.len() == 1 { "has" } else { "have" });
    if crossing.overtaken {
        format!(
            "By {by} {ahead} {is} ahead up to {up_to}, {then} from {} on.",
            count(crossing.from)
        )
    } else {
        let from = count(crossing.from);
        let is_then = verb(&crossing.then);
        format!(
            "By {by} {ahead} {is} ahead up to {up_to} and {has} no figure at {from}, where {then} {is_then} best."
        )
    }
}

fn discontinued(ranked: &[&AtScale], names: &Names) -> Option<String> {
    let leads = |figure: &&Figure| {
        matches!(figure.standing, Standing::Best | Standing::Tied)
            && is_discontinued(&figure.series.model)
    };
    let figures = ranked.iter().flat_map(|scale| scale.throughput.iter().chain(&scale.p99));
    let leader = figures.into_iter().find(leads)?;
    let name = names.name(&leader.series);
    Some(format!(
        "{name} is among the best somewhere, but it is discontinued and never recommended."
    ))
}

fn two_modes(advice: &Advice, names: &Names) -> Option<String> {
    let of = advice.scales.iter().flat_map(|scale| {
        scale
            .bimodal
            .iter()
            .map(|one| format!("{} at {}", names.name(&one.series), count(scale.scale)))
    });
    let of: Vec<String> = of.collect();
    (!of.is_empty()).then(|| {
        format!("In two modes, so that no single figure stands for them: {}.", of.join(", "))
    })
}

/// A sentence for each reason, with all whom it stopped at the same scales.
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

/// How far the intervals are to be trusted.
fn trust(ranked: &[&AtScale]) -> Vec<String> {
    let fewest = ranked.iter().filter_map(|scale| scale.processes).filter(|n| *n > 1).min();
    let mut sentences: Vec<String> = fewest.map(chance).into_iter().collect();
    if !ranked.is_empty() {
        sentences.push("This holds for this job on this machine: measure again on the one that it will run on.".into());
    }
    sentences
}

/// The ranges of two equal models, of `processes` each, lie apart in 2 of (2n over n) orders of their values: that
/// is how often chance alone tells them apart.
fn chance(processes: usize) -> String {
    const ENOUGH: usize = 5;
    let orders = |n: usize| (1..=n).fold(1.0, |all, k| all * (n + k) as f64 / k as f64) / 2.0;
    let one_of = |n: usize| count(orders(n).round() as usize);
    let more = if processes < ENOUGH {
        format!("; --rounds {ENOUGH} makes that 1 of {}", one_of(ENOUGH))
    } else {
        String::new()
    };
    format!(
        "Intervals run from the least to the greatest of {processes} processes, which tell two equal models apart by \
         chance in 1 of {} comparisons{more}.",
        one_of(processes)
    )
}

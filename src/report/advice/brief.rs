//! A summary of the advice on one workload in at most four sentences, of which the first can stand alone. Facts about
//! every workload or about a model are left out: the page states them once.

use super::{
    phrases::{Names, everywhere, percent},
    title,
    trust::{timers_apart, two_modes},
};
use crate::{
    advice::{Advice, AtScale, MARGIN, Measure, Recommended, Series, Standing, is_discontinued},
    output::{capital, count, counted, cut, noun, rate, uncapital},
};
use paceline_core::perform::Placement;

/// The least factor that is worth a sentence.
const WORTH: f64 = 1.1;
/// The most characters that a sentence has on one placement.
const MOST: usize = 600;

/// The models of one placement, which are ranked among themselves only.
struct Class<'a> {
    placement: Placement,
    advice: &'a Advice,
    ranked: Vec<&'a AtScale>,
    names: Names,
    /// Whether no other placement has a figure, so that sentences need not name this one.
    alone: bool,
}

/// What a sentence says on one placement, without its full stop; `None` for nothing.
type Say = fn(&Class<'_>) -> Option<String>;

/// Which model to use from which scale; one for all scales; what tail latency or memory suggests instead.
const SENTENCES: [Say; 3] = [take, for_all_scales, otherwise];
/// The caveats, of which the first that applies to any placement is the last sentence. A recommended model whose figure
/// represents nothing matters more than a difference that is partly one of timers.
const CAVEATS: [Say; 2] = [bimodal, timers];

/// Returns up to four sentences on a workload: which model to use from which scale; one for all scales; what tail
/// latency or memory suggests instead; and the most important caveat. A sentence covers all placements that it applies
/// to, and compares none with another. Returns none if nothing is ranked.
pub fn advice_in_brief(placements: &[(Placement, Advice)]) -> Vec<String> {
    let classes: Vec<Class<'_>> = placements
        .iter()
        .map(|(placement, advice)| Class {
            placement: *placement,
            advice,
            ranked: advice.scales.iter().filter(|scale| scale.unranked.is_none()).collect(),
            names: Names::of(advice),
            alone: placements.len() == 1,
        })
        .collect();
    let said = |say: &Say| sentence(&classes, *say);
    SENTENCES.iter().filter_map(said).chain(CAVEATS.iter().find_map(said)).collect()
}

/// Returns "Inside: tokio at 1 job at once; outside: compio from 1 to 100 jobs at once."
fn sentence(classes: &[Class<'_>], say: Say) -> Option<String> {
    let parts: Vec<(&Class<'_>, String)> =
        classes.iter().filter_map(|class| Some((class, cut(&say(class)?, MOST)))).collect();
    let text = match &parts[..] {
        [] => return None,
        [(class, text)] if class.alone => text.clone(),
        [(one, text), (other, same)] if text == same => {
            format!("{} and {}: {text}", one.placement, other.placement)
        }
        each => {
            let of = each.iter().map(|(class, text)| format!("{}: {text}", class.placement));
            of.collect::<Vec<_>>().join("; ")
        }
    };
    Some(format!("{}.", capital(&text)))
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

/// Returns "take a sequential program at 1 job at once, tokio from 10 to 1 000", or the same without "take" if the
/// sentence names the placement.
fn take(class: &Class<'_>) -> Option<String> {
    let at = if class.advice.of_loads { "connection" } else { "job at once" };
    let part = |(place, of): (usize, &&[&AtScale])| {
        let (from, to) = (of[0].scale, of[of.len() - 1].scale);
        let range = if from == to {
            format!("at {}", count(from))
        } else {
            format!("from {} to {}", count(from), count(to))
        };
        let unit = if place == 0 { format!(" {}", noun(to, at)) } else { String::new() };
        let behind = behind_discontinued(of, &class.names).unwrap_or_default();
        format!("{} {range}{unit}{behind}", what(of[0], &class.names))
    };
    let parts: Vec<String> = stretches(&class.ranked).iter().enumerate().map(part).collect();
    let verb = if class.alone { "take " } else { "" };
    (!parts.is_empty()).then(|| format!("{verb}{}", parts.join(", ")))
}

/// Returns how far the recommended models are behind a discontinued one, at most over these scales, if that counts: the
/// rest of the sentence is about the best of the others.
fn behind_discontinued(of: &[&AtScale], names: &Names) -> Option<String> {
    let gaps = || of.iter().flat_map(|at| &at.recommended).flat_map(|one| &one.gaps);
    let most = |by: Measure| {
        let far = gaps().filter(|gap| gap.by == by && gap.share >= MARGIN);
        let far = far.filter(|gap| is_discontinued(&gap.best.model));
        far.max_by(|a, b| a.share.total_cmp(&b.share))
    };
    let gap = most(Measure::Throughput).or_else(|| most(Measure::P99))?;
    let up_to = if of.len() == 1 { "" } else { "up to " };
    let (by, share, best) = (title(gap.by), percent(gap.share), names.name(&gap.best));
    Some(format!(" (in {by} {up_to}{share} behind {best}, which is discontinued)"))
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

/// Returns the one model for all ranked scales, unless `take` already names a single one.
fn for_all_scales(class: &Class<'_>) -> Option<String> {
    (stretches(&class.ranked).len() > 1).then(|| everywhere(class.advice, &class.names))
}

/// Returns how far the recommended model is behind by p99 latency or memory at the greatest ranked scale.
fn otherwise(class: &Class<'_>) -> Option<String> {
    let at = class.ranked.last()?;
    let one = at.recommended.first()?;
    [Measure::P99, Measure::Memory].into_iter().find_map(|by| {
        let figures = at.figures(by);
        let best = figures.iter().find(|figure| figure.standing == Standing::Best)?;
        let own = figures.iter().find(|figure| figure.series == one.series)?;
        let times = by.times_worse(own.estimate, best.estimate);
        (own.standing == Standing::Behind && times >= WORTH).then(|| {
            format!(
                "at {} the {} of {} is {} times that of {}, the least",
                count(at.scale),
                title(by),
                class.names.name(&one.series),
                rate(times),
                class.names.name(&best.series)
            )
        })
    })
}

/// Returns the recommended models whose times fall into two modes.
fn bimodal(class: &Class<'_>) -> Option<String> {
    let of = class.ranked.iter().flat_map(|at| {
        let bimodal = at.recommended.iter().filter(|one| one.bimodal);
        bimodal.map(move |one| (&one.series, at.scale))
    });
    two_modes(of, &class.names)
}

fn timers(class: &Class<'_>) -> Option<String> {
    timers_apart(&class.ranked, &class.names).map(|(_, apart)| uncapital(&apart))
}

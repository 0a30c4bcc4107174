//! The reliability of the advice: the evidence for it, and what may mislead.

use super::phrases::{Names, at, percent, ranks, the_best};
use crate::{
    advice::{
        APART, Advice, AtScale, Figure, MARGIN, Measure, Series, Standing, Timer, is_discontinued,
    },
    output::{capital, count, long_ns},
    record::State,
    report::table::in_order,
};

/// The share of the time in which other programs used the CPUs from which a warning is given.
const BUSY: f64 = 0.1;

/// Returns what to know before following the advice, one sentence each.
pub(super) fn trust(advice: &Advice, ranked: &[&AtScale], names: &Names) -> Vec<String> {
    let mut sentences: Vec<String> = [discontinued(ranked, names), bimodal(advice, names)]
        .into_iter()
        .chain([timers(ranked, names)])
        .flatten()
        .collect();
    sentences.extend(caveats(ranked, names));
    sentences.extend(busy(advice.other_load_share));
    sentences.extend(without_p99(ranked));
    let pairs = ranked.iter().filter_map(|scale| scale.pairs).min();
    sentences.extend(pairs.map(|pairs| keeps_up(pairs, the_best(ranked.iter().copied()))));
    if !ranked.is_empty() {
        sentences.push(
            "This holds for this job on this machine: measure again on the one that it will run on.".into(),
        );
    }
    sentences
}

/// Returns the CPU use of other programs if it is worth a warning.
pub(in crate::report) fn busy(share: Option<f64>) -> Option<String> {
    share.filter(|share| *share >= BUSY).map(|share| {
        format!(
            "Something else used the CPUs: tasks waited for one in {} of the time while sequential ran, which needs \
             only one. Figures from so busy a machine mislead: measure again when it is quiet.",
            percent(share)
        )
    })
}

/// Returns the models that were measured in a different way than the ranked ones.
pub(super) fn apart(ranked: &[&AtScale], names: &Names) -> Option<String> {
    let others = ranked.iter().flat_map(|scale| &scale.without);
    let others = others.filter(|one| one.state == State::Ok && one.reason.starts_with(APART));
    let reason = others.clone().next()?.reason.clone();
    let series = in_order(others.map(|one| one.series.clone()));
    let names = names.all(&series);
    Some(format!(
        "Not compared with these: {names}, {reason}: waking the pool is in the time of only one of both, and they may \
         be faster: see their figures in the table. paceline run --placement outside measures alike all that can be \
         offered jobs so."
    ))
}

fn discontinued(ranked: &[&AtScale], names: &Names) -> Option<String> {
    let leads = |figure: &&Figure| {
        matches!(figure.standing, Standing::Best | Standing::Tied)
            && is_discontinued(&figure.series.model)
    };
    let leader =
        ranked.iter().find_map(|scale| scale.throughput.iter().chain(&scale.p99).find(leads))?;
    let name = names.name(&leader.series);
    Some(format!(
        "{name} is among the best somewhere, but it is discontinued and never recommended."
    ))
}

fn bimodal(advice: &Advice, names: &Names) -> Option<String> {
    let scales = advice.scales.iter();
    let of = scales.flat_map(|at| at.bimodal.iter().map(move |one| (&one.series, at.scale)));
    Some(format!("{}.", capital(&two_modes(of, names)?)))
}

/// Returns "no single figure represents tokio at 1 000, whose times fall into two modes"; `None` if there are no models.
pub(super) fn two_modes<'a>(
    of: impl Iterator<Item = (&'a Series, usize)>,
    names: &Names,
) -> Option<String> {
    let name = |(of, scale): (&Series, usize)| format!("{} at {}", names.name(of), count(scale));
    let of: Vec<String> = of.map(name).collect();
    (!of.is_empty()).then(|| {
        format!("no single figure represents {}, whose times fall into two modes", of.join(", "))
    })
}

/// Returns the first scale at which the timers of the least late and the latest ranked model differ by more than the
/// margin, as a share of the shortest wait of its jobs, and says how much. The lateness is that of all sleeps of a job, as
/// if each began when another ended; of sleeps at the same time it is too much.
pub(super) fn timers_apart<'a>(
    ranked: &[&'a AtScale],
    names: &Names,
) -> Option<(&'a AtScale, String)> {
    ranked.iter().find_map(|scale| {
        let is_ranked = |timer: &&Timer| {
            let mut figures = scale.throughput.iter().chain(&scale.p99);
            figures.any(|of| of.series == timer.series && of.standing != Standing::Unranked)
        };
        let timers = || scale.timers.iter().filter(is_ranked);
        let least = timers().min_by_key(|timer| timer.late_ns_per_job)?;
        let most = timers().max_by_key(|timer| timer.late_ns_per_job)?;
        let apart = (most.late_ns_per_job - least.late_ns_per_job) as f64;
        let rate = |timer: &Timer| {
            let mut figures = scale.throughput.iter();
            Some(figures.find(|figure| figure.series == timer.series)?.estimate.value)
        };
        // Sleeps are late in a crowd, too: those of the quicker model are no part of what it is ahead by.
        let explains = rate(least).zip(rate(most)).is_none_or(|(least, most)| most <= least * (1.0 + MARGIN));
        let counts = scale.floor_ns > 0 && apart > MARGIN * scale.floor_ns as f64 && explains;
        let several = most.late_ns_per_job > most.late_ns_p50;
        let said = || {
            let [one, other] = [least, most].map(|timer| long_ns(timer.late_ns_per_job));
            let all = format!(", over all sleeps of a job at most {one} and {other}");
            format!(
                "Timers are a part of these differences, because {} the median sleep ended {} late on {} and {} late \
                 on {}{}",
                at(scale.scale),
                long_ns(least.late_ns_p50),
                names.name(&least.series),
                long_ns(most.late_ns_p50),
                names.name(&most.series),
                if several { all } else { String::new() }
            )
        };
        counts.then(|| (*scale, said()))
    })
}

/// Returns a remark on such timers: it is a real difference, but does not apply to jobs that wait for something other
/// than a timer.
fn timers(ranked: &[&AtScale], names: &Names) -> Option<String> {
    let (scale, apart) = timers_apart(ranked, names)?;
    Some(format!(
        "{apart}, and a job waits {} in all. A job that in truth waits for a network or a database does not have this \
         part: describe it with connect and exchange instead of sleep.",
        long_ns(scale.floor_ns)
    ))
}

/// Returns the caveats of the recommended models, once each.
fn caveats(ranked: &[&AtScale], names: &Names) -> Vec<String> {
    let mut sentences = Vec::new();
    for one in ranked.iter().flat_map(|scale| &scale.recommended) {
        let Some(caveat) = &one.caveat else { continue };
        let sentence = format!("Beware of {}: {caveat}.", names.name(&one.series));
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

/// Returns where throughput alone decides, because not every model has a p99 latency.
fn without_p99(ranked: &[&AtScale]) -> Option<String> {
    let without =
        ranked.iter().filter(|at| ranks(at, Measure::Throughput) && !ranks(at, Measure::P99));
    let scales: Vec<String> = without.map(|at| count(at.scale)).collect();
    (!scales.is_empty()).then(|| {
        format!(
            "At {} throughput alone decides: no model is ranked by p99 latency unless each has one, and that takes 1 000 \
             latencies in each of its trials.",
            scales.join(", ")
        )
    })
}

/// Returns the definition of keeping up.
fn keeps_up(pairs: usize, best: &str) -> String {
    format!(
        "A model keeps up that is less than {} behind {best} with 95 % confidence, by {pairs} paired differences; one that \
         is only tied with it does not.",
        percent(MARGIN)
    )
}

//! How far advice is to be trusted: what stands behind its words, and what may mislead.

use std::time::Duration;

use super::phrases::{Names, at, percent};
use crate::{
    advice::{Advice, AtScale, Figure, MARGIN, Recommended, Standing, is_discontinued},
    report::{count, long},
};

/// From this share of the time on, what others took of the CPUs is worth a warning.
const BUSY: f64 = 0.1;

/// What to know before the advice is followed, a sentence each.
pub(super) fn trust(advice: &Advice, ranked: &[&AtScale], names: &Names) -> Vec<String> {
    let mut sentences: Vec<String> = [discontinued(ranked, names), two_modes(advice, names)]
        .into_iter()
        .chain([timers(ranked, names)])
        .flatten()
        .collect();
    sentences.extend(caveats(ranked, names));
    let mut recommended = ranked.iter().flat_map(|scale| &scale.recommended);
    if recommended.any(Recommended::is_tentative) {
        sentences.push(format!(
            "\"May be enough\" stands where the median is more than {} behind the best and only wide intervals do not \
             tell them apart: more trials on a quieter machine would.",
            percent(MARGIN)
        ));
    }
    if let Some(share) = advice.other_load_share.filter(|share| *share >= BUSY) {
        sentences.push(format!(
            "Something else used the CPUs: tasks waited for one in {} of the time while sequential ran, which needs \
             only one. Figures from so busy a machine mislead: measure again when it is quiet.",
            percent(share)
        ));
    }
    let fewest = ranked.iter().filter_map(|scale| scale.processes).filter(|n| *n > 1).min();
    sentences.extend(fewest.map(chance));
    if !ranked.is_empty() {
        sentences.push(
            "This holds for this job on this machine: measure again on the one that it will run on.".into(),
        );
    }
    sentences
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

fn two_modes(advice: &Advice, names: &Names) -> Option<String> {
    let of_scale = |scale: &AtScale| -> Vec<String> {
        let name = |series| format!("{} at {}", names.name(series), count(scale.scale));
        scale.bimodal.iter().map(|one| name(&one.series)).collect()
    };
    let of: Vec<String> = advice.scales.iter().flat_map(of_scale).collect();
    (!of.is_empty()).then(|| {
        format!("In two modes, so that no single figure stands for them: {}.", of.join(", "))
    })
}

/// Where the timers of the models differ by more than what counts, of the shortest time that its jobs wait: it is a
/// difference, but not one that a job has that waits for something else than a timer.
fn timers(ranked: &[&AtScale], names: &Names) -> Option<String> {
    ranked.iter().find_map(|scale| {
        let least = scale.timers.iter().min_by_key(|timer| timer.late_ns_p50)?;
        let most = scale.timers.iter().max_by_key(|timer| timer.late_ns_p50)?;
        let apart = (most.late_ns_p50 - least.late_ns_p50) as f64;
        let ns = |ns: u64| long(Duration::from_nanos(ns));
        (scale.floor_ns > 0 && apart > MARGIN * scale.floor_ns as f64).then(|| {
            format!(
                "Timers are a part of these differences: {} the median sleep ended {} late on {} and {} late on {}, \
                 and a job waits {} in all. A job that in truth waits for a network or a database does not have this \
                 part: describe it with connect and exchange instead of sleep.",
                at(scale.scale),
                ns(least.late_ns_p50),
                names.name(&least.series),
                ns(most.late_ns_p50),
                names.name(&most.series),
                ns(scale.floor_ns),
            )
        })
    })
}

/// What is known against the models that are recommended, once each.
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

/// The ranges of two equal models, of `processes` each, lie apart in 2 of (2n over n) orders of their values: that
/// is how often chance alone tells them apart.
fn chance(processes: usize) -> String {
    const WELL: usize = 5;
    let orders = |n: usize| (1..=n).fold(1.0, |all, k| all * (n + k) as f64 / k as f64) / 2.0;
    let one_of = |n: usize| count(orders(n).round() as usize);
    let more = if processes < WELL {
        format!(
            " (with {WELL}: 1 of {}; give --trials {WELL} and the --budget for it)",
            one_of(WELL)
        )
    } else {
        String::new()
    };
    format!(
        "A model keeps up that is at most {} behind the best, or whose interval overlaps the best one's. Intervals run \
         from the least to the greatest of {processes} processes: they tell two equal models apart by chance in 1 of \
         {} comparisons{more}.",
        percent(MARGIN),
        one_of(processes)
    )
}

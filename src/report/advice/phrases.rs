//! The phrases of the advice.

use super::title;
use crate::{
    advice::{
        Advice, AtScale, Gap, Measure, Recommended, Series, Standing, Unranked, is_discontinued,
    },
    output::{count, counted, long_ns},
    record::SHORTEST_RANKED_NS,
    report::table::series_name,
    stats::FEWEST_TRIALS,
};

/// The most threads that are called a handful.
const HANDFUL: usize = 32;

/// The names of series: with workers only if a model has several worker counts.
pub(super) struct Names {
    several: bool,
}

impl Names {
    pub(super) fn of(advice: &Advice) -> Self {
        let mut seen: Vec<&Series> = Vec::new();
        for at in &advice.scales {
            seen.extend(at.throughput.iter().map(|figure| &figure.series));
            seen.extend(at.without.iter().map(|without| &without.series));
        }
        let other = |a: &Series, b: &Series| a.model == b.model && a.workers != b.workers;
        Names { several: seen.iter().any(|a| seen.iter().any(|b| other(a, b))) }
    }

    pub(super) fn name(&self, series: &Series) -> String {
        let workers = series.workers.filter(|_| self.several);
        series_name(&series.model, workers)
    }

    pub(super) fn all(&self, series: &[Series]) -> String {
        let names: Vec<String> = series.iter().map(|one| self.name(one)).collect();
        match &names[..] {
            [init @ .., last] if !init.is_empty() => format!("{} and {last}", init.join(", ")),
            _ => names.join(""),
        }
    }
}

/// Returns "20 jobs at once".
pub(super) fn jobs(scale: usize) -> String {
    counted(scale, "job at once")
}

/// Returns "at 20 jobs at once".
pub(super) fn at(scale: usize) -> String {
    format!("at {}", jobs(scale))
}

/// Returns the recommendations of a scale, each in the words of `one`, or why there are none.
pub(super) fn recommended(
    scale: &AtScale,
    names: &Names,
    one: impl Fn(&Recommended) -> String,
) -> String {
    if let Some(why) = scale.unranked {
        return format!("nothing is ranked, for {}", why_unranked(why, scale, names));
    }
    match &scale.recommended[..] {
        [] => "nothing that was measured is to be recommended".into(),
        [both] => one(both),
        each => {
            let by = |of: &Recommended| of.by.iter().map(|by| title(*by)).collect::<Vec<_>>();
            let of = each.iter().map(|of| format!("for {}, {}", by(of).join(" and "), one(of)));
            format!("no model keeps up in both: {}", of.collect::<Vec<_>>().join("; "))
        }
    }
}

/// Returns the one model for all ranked scales, if there is one, in a sentence without capital and full stop.
pub(super) fn everywhere(advice: &Advice, names: &Names) -> String {
    let best = the_best(&advice.scales);
    match &advice.everywhere {
        Some(one) => format!(
            "one model for all ranked scales is {}, less than 5 % behind {best} at each",
            names.name(one)
        ),
        None => format!("no model is less than 5 % behind {best} at all ranked scales"),
    }
}

/// Returns whether models are ranked by this measure there.
pub(super) fn ranks(at: &AtScale, by: Measure) -> bool {
    at.figures(by).iter().any(|figure| figure.standing != Standing::Unranked)
}

/// Returns what models that keep up are compared with at these scales. A discontinued model may be faster.
pub(super) fn the_best<'a>(scales: impl IntoIterator<Item = &'a AtScale>) -> &'static str {
    let leads = |at: &AtScale| {
        let firsts = [at.throughput.first(), at.p99.first()].into_iter().flatten();
        let mut ranked = firsts.filter(|figure| figure.standing != Standing::Unranked);
        ranked.any(|figure| is_discontinued(&figure.series.model))
    };
    if scales.into_iter().any(leads) { "the best that is not discontinued" } else { "the best" }
}

/// Returns what to use up to `scale`: what is enough.
pub(super) fn enough(one: &Recommended, scale: usize, names: &Names) -> String {
    let workers = one.series.workers.unwrap_or(0);
    let (what, more) = match one.series.model.as_str() {
        "sequential" => ("a plain sequential program".into(), String::new()),
        "threads" if scale == 1 => ("a thread for the job".into(), String::new()),
        "threads" if scale <= HANDFUL => {
            ("a handful of threads".into(), ", one for each job".to_owned())
        }
        "threads" => ("a plain thread for each job".into(), String::new()),
        "pool" if workers == 1 => ("a single thread behind a queue".into(), String::new()),
        "pool" if workers <= HANDFUL => {
            ("a handful of threads".into(), format!(", a pool of {}", count(workers)))
        }
        "pool" => (format!("a pool of {}", counted(workers, "thread")), String::new()),
        _ => return format!("take {}", names.name(&one.series)),
    };
    format!("{what} is enough{more}")
}

/// Returns why it is recommended: its standing, and known problems.
pub(super) fn because(one: &Recommended, scale: &AtScale, names: &Names) -> String {
    let others = match (scale.keeping_up.len(), one.by.len()) {
        (1, 2) => "the only one measured that keeps up in throughput and p99 latency",
        (1, _) => "the only one measured that keeps up",
        _ => "the simplest of those measured that keep up",
    };
    let mut text = format!(" ({others}");
    for gap in &one.gaps {
        text.push_str("; ");
        text.push_str(&behind(gap, names));
    }
    text.push(')');
    if one.bimodal {
        text.push_str(
            ", but its batches fall into two modes, so its figures are not to be trusted",
        );
    }
    if one.caveat.is_some() {
        text.push_str("; beware of what is known of it, see below");
    }
    text
}

fn behind(gap: &Gap, names: &Names) -> String {
    let (best, by) = (names.name(&gap.best), title(gap.by));
    let share = percent(gap.share);
    match gap.at_most {
        Some(at_most) => {
            format!(
                "in {by} {share} behind {best}, with 95 % confidence at most {:.1} %",
                at_most * 100.0
            )
        }
        None => {
            format!("in {by} {share} behind {best}, which is discontinued and never recommended")
        }
    }
}

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 1.0 => "less than 1 %".into(),
        percent => format!("{percent:.0} %"),
    }
}

/// Returns why nothing is ranked, to follow "for".
fn why_unranked(why: Unranked, scale: &AtScale, names: &Names) -> String {
    match why {
        Unranked::ShortWaits => {
            let (waits, shortest) = (long_ns(scale.floor_ns), long_ns(SHORTEST_RANKED_NS));
            format!(
                "its jobs wait for {waits}, and under {shortest} the resolution of each model's timer decides, not the \
                 model"
            )
        }
        Unranked::SharedHost => {
            "its nodes are one machine (shared host), so server and generators shared its cores"
                .into()
        }
        Unranked::ServerBound => {
            "paceline's echo server was busy for over 90 % of the time, so the figures may be its own"
                .into()
        }
        Unranked::TooFewTrials => format!(
            "fewer than {FEWEST_TRIALS} trials have no interval: more --trials or a longer --budget give one"
        ),
        Unranked::OtherPlacement => {
            "its jobs were offered from elsewhere than at the other scales, so the models compare otherwise"
                .into()
        }
        Unranked::Alone => {
            let figures = scale.throughput.iter();
            let of = figures.filter(|figure| {
                figure.standing == Standing::Unranked
                    && !scale.without.iter().any(|without| without.series == figure.series)
            });
            let of: Vec<String> = of.map(|figure| names.name(&figure.series)).collect();
            format!(
                "only {} has figures that could be ranked, and nothing to be compared with",
                of.join(", ")
            )
        }
        Unranked::GivenRate => {
            "a server has errors, or its rate was not its own and its p99 latency is not known: that takes 1 000 latencies \
             in each trial, and a generator that is not late"
                .into()
        }
        Unranked::NoFigure => "no model has a figure".into(),
    }
}

//! Runs two programs by turns until the interval of their ratio is narrow or the time is up, and judges the ratio.

use std::time::Duration;

use paceline::stats::estimate;
use paceline_core::{clock::now, job::Jobs};
use serde_json::json;

use crate::{
    Side,
    cells::Cell,
    median,
    verdict::{ENOUGH, held, is_narrow, overall, word},
};

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// The most pairs of each comparison.
    pub(crate) pairs: usize,
    /// The time after which no pair begins.
    pub(crate) limit: Duration,
    /// Whether each comparison is printed as JSON.
    pub(crate) json: bool,
}

/// A cell with its pairs so far, and the reason if a side failed.
struct Comparison<'a> {
    cell: &'a Cell,
    plain_ns: Vec<f64>,
    ratios: Vec<f64>,
    failed: Option<String>,
    ended: bool,
}

/// Measures both sides of every cell by turns, one pair of each cell in a pass. Returns whether the claims hold. `side`
/// runs a fresh process of the cell with this index: of the suite if its second argument is true.
pub(crate) fn interleave(
    cells: &[Cell],
    effort: Effort,
    side: impl Fn(usize, bool) -> Result<Side, String>,
) -> bool {
    let start = now();
    let new =
        |cell| Comparison { cell, plain_ns: vec![], ratios: vec![], failed: None, ended: false };
    let mut all: Vec<Comparison> = cells.iter().map(new).collect();
    if !effort.json {
        println!("ratio = suite / plain, geometric mean of pairs of fresh processes\n");
        println!("{:32} plain ns/job   ratio  95 % interval   pairs", "cell/model");
    }
    for pass in 0.. {
        for (index, comparison) in all.iter_mut().enumerate().filter(|(_, one)| !one.ended) {
            let late = now() - start >= effort.limit;
            if !late {
                // A fixed seed decides which side is first, so that neither always follows the other.
                let first = Jobs::seed(pass * cells.len() + index) & 1 == 1;
                comparison.add(first, |suite| side(index, suite));
            }
            if late || comparison.is_over(effort.pairs) {
                comparison.ended = true;
                comparison.print(effort.json);
            }
        }
        if all.iter().all(|comparison| comparison.ended) {
            break;
        }
    }
    verdict(&all, effort.json)
}

impl Comparison<'_> {
    /// Measures a pair.
    fn add(&mut self, suite_first: bool, side: impl Fn(bool) -> Result<Side, String>) {
        let pair = side(suite_first).and_then(|first| Ok((first, side(!suite_first)?)));
        match pair {
            Ok((first, second)) => {
                let (suite, plain) = if suite_first { (first, second) } else { (second, first) };
                self.plain_ns.push(plain.batch_ns);
                self.ratios.push(suite.batch_ns / plain.batch_ns);
            }
            Err(why) => self.failed = Some(why),
        }
    }

    fn is_over(&self, pairs: usize) -> bool {
        let enough = self.ratios.len() >= ENOUGH;
        let narrow = self.ratio().is_some_and(is_narrow);
        self.failed.is_some() || self.ratios.len() >= pairs || enough && narrow
    }

    fn ratio(&self) -> Option<(f64, f64, f64)> {
        estimate(&self.ratios, 0.0)
    }

    /// Returns its verdict: `within` the limit, `off`, `open` if its interval crosses the limit, or `few` if there are too
    /// few pairs.
    fn word(&self) -> &'static str {
        match self.ratio() {
            _ if self.failed.is_some() => "failed",
            Some(ratio) if self.ratios.len() >= ENOUGH => word(ratio),
            _ => "few",
        }
    }

    fn print(&self, json: bool) {
        let Cell { work, model, id, .. } = self.cell;
        let none = f64::NAN;
        let (ratio, lower, upper) = self.ratio().unwrap_or((none, none, none));
        let batch_ns = if self.plain_ns.is_empty() { none } else { median(&self.plain_ns) };
        let plain_ns = batch_ns / work.jobs_on(model) as f64;
        let (pairs, word) = (self.ratios.len(), self.word());
        if json {
            println!(
                "{}",
                json!({
                    "cell": work.name, "model": model, "plain_ns_per_job": plain_ns, "ratio": ratio, "lower": lower,
                    "upper": upper, "pairs": pairs, "claimed": work.is_claimed(), "verdict": word,
                    "reason": self.failed,
                })
            );
            return;
        }
        let interval = format!("[{lower:.3}, {upper:.3}]");
        let word = if work.is_claimed() || self.failed.is_some() { word } else { "" };
        println!("{id:32} {plain_ns:>12.1}  {ratio:>6.3}  {interval:16} {pairs:>4}  {word}");
        if let Some(why) = &self.failed {
            println!("    {why}");
        }
        if self.ratios.is_empty() && self.failed.is_none() {
            println!("    no time was left for a pair: give a longer --limit, or fewer cells");
        }
    }
}

/// Prints how many claims hold. Returns whether all do.
fn verdict(all: &[Comparison], json: bool) -> bool {
    let claimed: Vec<&Comparison> = all.iter().filter(|one| one.cell.work.is_claimed()).collect();
    let with = |word: &str| claimed.iter().filter(|one| one.word() == word).collect::<Vec<_>>();
    let failed: Vec<_> = all.iter().filter(|one| one.failed.is_some()).collect();
    let judged = claimed.iter().filter(|one| ["within", "off", "open"].contains(&one.word()));
    let ratios: Vec<&[f64]> = judged.map(|one| &*one.ratios).collect();
    let overall = overall(&ratios);
    let words: Vec<&str> = claimed.iter().map(|one| one.word()).collect();
    let held = held(&words, overall.map_or(1.0, |(mean, ..)| mean)) && failed.is_empty();
    let (within, open, few) = (with("within").len(), with("open").len(), with("few").len());
    let off: Vec<&str> = with("off").iter().map(|one| one.cell.id.as_str()).collect();
    if json {
        println!(
            "{}",
            json!({ "within": within, "off": off, "open": open, "few": few, "failed": failed.len(),
                "geometric_mean": overall.map(|(mean, ..)| mean), "lower": overall.map(|(_, lower, _)| lower),
                "upper": overall.map(|(.., upper)| upper), "held": held })
        );
        return held;
    }
    println!("\n{} comparisons that are claimed to be within 3 %:", claimed.len());
    println!(
        "{within} within, {} off, {open} with an interval over the limit, {few} with fewer than {ENOUGH} pairs",
        off.len()
    );
    if let Some(all) = overall {
        let wide = if is_narrow(all) { "" } else { "; wider than ±0.5 %: give a longer --limit" };
        let (mean, lower, upper) = all;
        println!("geometric mean {mean:.4} [{lower:.4}, {upper:.4}], to be within 1 % of 1{wide}");
    }
    if !off.is_empty() {
        println!("off: {}", off.join(", "));
    }
    println!("{}", if held { "held" } else { "missed" });
    held
}

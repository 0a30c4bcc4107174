//! Limits on the results of a load: `--fail-if 'p99>20ms'` and `--max-errors 1%`.

use std::fmt;

use super::metrics::{METRICS, Metric, MetricUnit};
use crate::{
    output::{count, counted},
    record::{Cell, LoadFigures, Loop},
};
use paceline_core::generator::Loaded;

/// A condition under which a load has failed, such as `p99>20ms`.
#[derive(Clone)]
pub struct Condition {
    text: String,
    metric: &'static Metric,
    operator: &'static str,
    bound: Amount,
}

/// How many requests may be errors.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MaxErrors(Amount);

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Amount {
    /// A value in the unit of the metric.
    Of(f64),
    /// A number of requests, if the metric is a share.
    Number(f64),
}

/// Longer operators come first, because a shorter one may be the beginning of a longer one.
const OPERATORS: [&str; 4] = [">=", "<=", ">", "<"];
/// The units of times, as powers of ten of a nanosecond.
const TIMES: [(&str, i32); 5] = [("ns", 0), ("us", 3), ("µs", 3), ("ms", 6), ("s", 9)];
/// Other names for columns of the table.
const ALIASES: [(&str, &str); 2] = [("rate", "req/s"), ("cpu", "CPU/req")];

impl Condition {
    /// Reads a metric, an operator and a value with its unit.
    ///
    /// # Errors
    ///
    /// Returns a sentence that lists what is possible.
    pub fn parse(text: &str) -> Result<Self, String> {
        let operator = OPERATORS.into_iter().find(|operator| text.contains(operator));
        let (name, operator, value) = operator
            .and_then(|operator| {
                let (name, value) = text.split_once(operator)?;
                Some((name.trim(), operator, value.trim()))
            })
            .ok_or_else(|| {
                format!("{text:?} is not a condition: give a metric, one of > >= < <=, and a bound, such as 'p99>20ms'")
            })?;
        let metric = find(name)?;
        let bound = amount(value, metric.unit).ok_or_else(|| {
            let want = match metric.unit {
                MetricUnit::Time => "a time with its unit: ns, us, ms or s, such as 20ms",
                MetricUnit::Rate => "a number per second without a unit, such as 9900",
                MetricUnit::Count => "a number without a unit",
                MetricUnit::Share if is_errors(metric) => {
                    "a share or a number of requests, such as 0.1% or 5"
                }
                MetricUnit::Share => "a share, such as 80%",
            };
            format!("{} is compared with {want}, not {value:?}", metric.name)
        })?;
        if matches!(bound, Amount::Number(_)) && !is_errors(metric) {
            return Err(format!(
                "{} is compared with a share, such as 80%, not {value:?}",
                metric.name
            ));
        }
        Ok(Condition { text: text.into(), metric, operator, bound })
    }

    /// Returns the limit on errors that it states, if it is about errors: they must then be counted.
    #[must_use]
    pub fn max_errors(&self) -> Option<MaxErrors> {
        is_errors(self.metric).then_some(MaxErrors(self.bound))
    }

    /// Returns a sentence if the condition is true of the cell. It also counts as true if the metric was not measured: the
    /// cell may then be beyond the bound.
    #[must_use]
    pub fn violation(&self, cell: &Cell) -> Option<String> {
        let Condition { text, metric, .. } = self;
        // Errors with a share as their bound are compared as a rate; with a number, as a number.
        let what = match self.bound {
            Amount::Of(_) if is_errors(metric) => "the error rate",
            Amount::Number(_) if is_errors(metric) => "the number of errors",
            _ => metric.name,
        };
        let place = format!("{text}: {what} of {}", cell.server_name());
        let (value, bound) = match self.bound {
            Amount::Of(bound) => (metric.of(cell), bound),
            Amount::Number(bound) => (metric.of(cell).and(failed(cell)), bound),
        };
        let Some(value) = value else {
            let why = cell.reason.as_deref().unwrap_or_else(|| unmeasured(metric, cell));
            return Some(format!("{place} was not measured: {why}"));
        };
        let is_broken = match self.operator {
            ">" => value > bound,
            ">=" => value >= bound,
            "<" => value < bound,
            _ => value <= bound,
        };
        let is_upper = self.operator.starts_with('>');
        // The server may keep more: what is above a bound stays above it.
        if is_broken != is_upper && metric.name == "req/s" && !cell.least_mark().is_empty() {
            let least = self.written(value);
            return Some(format!("{place} was not measured: at least {least}, perhaps more"));
        }
        // Lateness only adds to a latency: what is below a bound with it is below without it.
        if is_broken == is_upper && cell.latencies_of_the_generator().contains(&metric.name) {
            let value = self.written(value);
            return Some(format!(
                "{place} was not measured: over half of its {value} is the generator's own lateness; try again on a \
                 quieter machine"
            ));
        }
        is_broken.then(|| match self.bound {
            Amount::Of(_) => format!("{place} is {}", self.written(value)),
            Amount::Number(_) => format!("{place} is {value}"),
        })
    }

    /// Formats the value without the table's rounding: what the table shows as 20.0 ms may be over 20 ms.
    fn written(&self, value: f64) -> String {
        match self.metric.unit {
            MetricUnit::Time => format!("{} ms", exact(value / 1e6)),
            MetricUnit::Rate => format!("{} per second", exact(value)),
            MetricUnit::Share => format!("{} %", exact(value * 100.0)),
            MetricUnit::Count => format!("{value}"),
        }
    }
}

/// Returns why a cell with figures has none of this metric.
fn unmeasured(metric: &Metric, cell: &Cell) -> &'static str {
    let is_closed = cell.load.as_ref().is_some_and(|load| load.looped == Loop::Closed);
    match metric.name {
        "CPU/req" if cell.resources.is_none() => {
            "the CPU time of a server at a URL is not known; leave the condition out"
        }
        "late p99" if is_closed => "a closed loop has no schedule; leave the condition out",
        "of bound" => "no bound is known, or the figure exceeds it; leave the condition out",
        _ if metric.unit == MetricUnit::Time => {
            "too few requests for the percentile; give a longer time or a higher rate"
        }
        _ => "there is none in this load",
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl MaxErrors {
    /// Any number of errors.
    pub const ALL: MaxErrors = MaxErrors(Amount::Of(1.0));

    /// Reads `1%` or `20`.
    ///
    /// # Errors
    ///
    /// Returns a sentence that says what is possible.
    pub fn parse(text: &str) -> Result<Self, String> {
        match amount(text.trim(), MetricUnit::Share) {
            Some(amount @ Amount::Number(number)) if number.fract() == 0.0 => Ok(MaxErrors(amount)),
            Some(amount @ Amount::Of(share)) if share <= 1.0 => Ok(MaxErrors(amount)),
            _ => Err(format!(
                "it is a share of at most 100% or a whole number of requests, such as 1% or 20, not {text:?}"
            )),
        }
    }

    /// Returns whether this many errors are too many for this many requests.
    pub(super) fn is_passed(self, errors: u64, requests: u64) -> bool {
        match self.0 {
            Amount::Of(share) => errors as f64 / requests as f64 > share,
            Amount::Number(number) => errors as f64 > number,
        }
    }
}

impl fmt::Display for MaxErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Amount::Of(share) => write!(f, "{}%", exact(share * 100.0)),
            Amount::Number(number) => write!(f, "{number}"),
        }
    }
}

fn find(name: &str) -> Result<&'static Metric, String> {
    // Users also type `service-p99`, without a space to quote, or `cpu/req`.
    let plain = |name: &str| {
        let letters = name.chars().filter(|c| !matches!(c, ' ' | '-' | '_'));
        letters.collect::<String>().to_lowercase()
    };
    let name_of = |(alias, name): &(&str, &'static str)| (plain(alias), plain(name));
    let asked = plain(name);
    let asked = ALIASES
        .iter()
        .map(name_of)
        .find(|(alias, _)| *alias == asked)
        .map_or(asked, |(_, name)| name);
    METRICS.iter().find(|metric| plain(metric.name) == asked).ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        let also: Vec<String> =
            ALIASES.iter().map(|(alias, name)| format!("{alias} for {name}")).collect();
        format!(
            "there is no metric {name:?}: choose one of {} ({})",
            names.join(", "),
            also.join(", ")
        )
    })
}

/// Parses a value with its unit.
fn amount(text: &str, unit: MetricUnit) -> Option<Amount> {
    // Times a power of ten, and rounded once: 0.7 / 100 is less than 7 / 1000.
    let scaled = |text: &str, power: i32| {
        let digits = text.trim().replace('_', "");
        let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let (digits, exponent) = digits.split_once(['e', 'E']).unwrap_or((&*digits, "0"));
        let power = exponent.parse::<i32>().ok()?.checked_add(power)?;
        let number = format!("{digits}e{power}").parse::<f64>().ok();
        number.filter(|number| plain && number.is_finite())
    };
    let number = |text: &str| scaled(text, 0);
    match unit {
        MetricUnit::Time => {
            let mut units =
                TIMES.into_iter().filter_map(|(name, ns)| Some((text.strip_suffix(name)?, ns)));
            // All units end in "s": the right one leaves a number.
            units.find_map(|(text, ns)| scaled(text, ns)).map(Amount::Of)
        }
        MetricUnit::Rate | MetricUnit::Count => number(text).map(Amount::Of),
        MetricUnit::Share => match text.strip_suffix('%') {
            Some(percent) => scaled(percent, -2).map(Amount::Of),
            None => number(text).map(Amount::Number),
        },
    }
}

/// Rounds to six decimals: a quotient has more digits than it has precision.
fn exact(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn is_errors(metric: &Metric) -> bool {
    metric.name == "errors"
}

fn failed(cell: &Cell) -> Option<f64> {
    cell.load.as_ref().map(LoadFigures::failed).map(|count| count as f64)
}

/// Returns why the load has too many errors, if it has.
pub(super) fn too_many_errors(loaded: &Loaded, limit: Option<MaxErrors>) -> Option<String> {
    let (failed, all) = (loaded.failed(), loaded.offered);
    let most = limit.filter(|most| most.is_passed(failed, all))?;
    let kinds: Vec<String> =
        loaded.errors.iter().map(|(kind, of)| format!("{} {kind}", count(*of as usize))).collect();
    let (failed_all, of) = (count(failed as usize), counted(all as usize, "request"));
    let (kinds, share) = (kinds.join(", "), 100.0 * failed as f64 / all.max(1) as f64);
    let first = loaded.first_error.as_deref().unwrap_or_default();
    Some(format!(
        "{failed_all} of {of} were errors ({share:.2} %), --max-errors is {most}: {kinds}; the first: {first}"
    ))
}

#[cfg(test)]
mod tests;

//! `paceline load`.

mod advanced;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    CELLS, CliError, Format, Output, THRESHOLD, chosen, extent, finish, internal, leave_page,
    ready, say, say_json, say_text, usage,
    values::{TRIALS, name, number, seed, small, time},
};
use crate::{
    load::{
        Condition, LEAST_RATE, MOST_RATE, MaxErrors, Order, RequestOptions, Target, Url, Urls,
        load, read_body,
    },
    machine::cores,
    output::{count, print_note},
    record::State,
    report::{load_table, summary},
    start::refuse_debug_build,
};
use advanced::AdvancedOptions;
use paceline_core::{
    generator::{Arrivals, Drive, MOST_GENERATORS, check_field, check_method},
    job::{Bound, bounds},
};

#[derive(Args)]
pub(super) struct LoadArguments {
    /// A built-in workload or a .toml file, which each model serves; or the URL of a running server, such as
    /// `http://127.0.0.1:8080/path`.
    #[arg(
        value_name = "WORKLOAD|FILE.toml|URL",
        required_unless_present = "urls",
        conflicts_with = "urls"
    )]
    target: Option<String>,
    /// A file with several URLs of one server: one on each line, optionally with a weight and a method, such as
    /// `3 http://127.0.0.1:8080/a POST`.
    #[arg(long, value_name = "FILE")]
    urls: Option<PathBuf>,
    /// The method of requests to a URL [default: GET, or POST with --body].
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<String>,
    /// A header of requests to a URL, such as 'Accept: text/html'; may be repeated. Host replaces the default from the
    /// URL.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A file with the body of requests to a URL; at most 16 MiB.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The time from its intended start within which a request must be answered [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = |text: &str| time(text, "the timeout", Duration::from_millis(1)))]
    timeout: Option<Duration>,
    /// Count errors, and fail only if a trial has more than this share or number of them, such as 1% or 20. Without it, the
    /// first error ends the load.
    #[arg(long, value_name = "SHARE|N", allow_negative_numbers = true, value_parser = MaxErrors::parse)]
    max_errors: Option<MaxErrors>,
    /// Exit with 7 if this is true of a row of the table, such as 'p99>20ms', 'errors>0.1%' or 'rate<9900'; may be
    /// repeated. A metric that was not measured counts as true. A condition on errors implies --max-errors 100%;
    /// with --p99-limit, its own bound.
    #[arg(long, value_name = "CONDITION", value_parser = Condition::parse)]
    fail_if: Vec<Condition>,
    /// Open loop: the rate at which requests start, per second, whether or not earlier ones have been answered.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// The number of connections. Without --rate, closed loop: each sends its next request after an answer. In an open loop,
    /// requests share them [default: 256, or as many as the model can serve].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, CONNECTIONS))]
    connections: Option<usize>,
    /// The number of generator processes, which share one schedule: for loads that one process cannot make.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, GENERATORS))]
    generators: usize,
    /// How the requests of an open loop are spread over time [default: poisson].
    #[arg(long, value_enum, value_name = "HOW")]
    arrivals: Option<Spread>,
    /// Find the highest rate at which the 99th percentile of latency stays within this limit, such as 10ms.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| time(text, "the limit", Duration::from_micros(10)))]
    p99_limit: Option<Duration>,
    /// The statuses of a URL that count as right answers, such as `200,204` [default: every 2xx].
    #[arg(long, value_delimiter = ',', value_name = "STATUS", value_parser = status)]
    expect: Vec<u16>,
    /// The time in which requests are measured.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = |text: &str| time(text, "the duration", Duration::from_millis(500)))]
    duration: Duration,
    /// The time before that, in which requests are sent but not measured.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = |text: &str| time(text, "the warm-up", Duration::ZERO))]
    warm_up: Duration,
    /// The time to wait for the last answers.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = |text: &str| time(text, "the patience", Duration::from_millis(100)))]
    patience: Duration,
    /// Models, separated by commas [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = name)]
    model: Vec<String>,
    /// The number of workers of each model [default: one for each core].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Option<usize>,
    /// Trials of each server, each in a fresh process [default: 3, or 1 with --p99-limit, or 5 with --against].
    #[arg(long, value_name = "N", value_parser = |text: &str| small(text, Bound { most: 100, ..TRIALS }))]
    trials: Option<u32>,
    /// The seed of random arrivals; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    /// Pin each server to as many CPUs as it has workers, and the echo server to the others.
    #[arg(long)]
    pin: bool,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    advanced: AdvancedOptions,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Spread {
    Uniform,
    Poisson,
    Burst,
}

/// What is wrong with `--arrivals` in a closed loop.
pub(super) const ARRIVALS_WITHOUT_RATE: &str =
    "--arrivals applies to an open loop: add --rate, or leave --arrivals out";
pub(super) const GENERATORS: Bound =
    Bound { what: "the number of generators", least: 1, most: MOST_GENERATORS as u64 };
pub(super) const CONNECTIONS: Bound = Bound { what: "the number of connections", ..bounds::SCALE };

/// The default first rate of a search for the knee.
const FIRST_RATE: f64 = 100.0;

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.replace('_', "").parse().unwrap_or(f64::NAN);
    if (LEAST_RATE..=MOST_RATE).contains(&rate) {
        return Ok(rate);
    }
    let most = count(MOST_RATE as usize);
    Err(format!(
        "a rate is a number of requests per second of at least {LEAST_RATE} and at most {most}"
    ))
}

/// Returns how the requests of an open loop are spread.
pub(super) fn arrivals(spread: Option<Spread>) -> Arrivals {
    match spread {
        Some(Spread::Uniform) => Arrivals::Uniform,
        Some(Spread::Poisson) | None => Arrivals::Poisson,
        Some(Spread::Burst) => Arrivals::Burst,
    }
}

pub(super) fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (200..600).contains(status));
    status.ok_or_else(|| format!("a status is a number from 200 to 599, not {text:?}"))
}

pub(super) fn method(text: &str) -> Result<String, String> {
    check_method(text).map(|()| text.to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it is a name, a colon and a value, such as 'Accept: text/html'")?;
    let value = value.trim_matches([' ', '\t']);
    check_field(name, value).map(|()| (name.to_owned(), value.to_owned()))
}

impl LoadArguments {
    fn request_options(&self) -> Result<RequestOptions, CliError> {
        Ok(RequestOptions {
            method: self.method.clone(),
            headers: self.header.clone(),
            body: self.body.as_deref().map(read_body).transpose().map_err(usage)?,
            urls: self.urls.as_deref().map(Urls::read).transpose().map_err(usage)?,
        })
    }

    pub(super) fn order(&self) -> Result<Order, CliError> {
        let request_options = self.request_options()?;
        let named = self.target.as_deref().unwrap_or_default();
        let target = match (&request_options.urls, Url::parse(named)) {
            (Some(urls), _) => Target::Url(urls.first().clone()),
            (None, Some(url)) => Target::Url(url.map_err(usage)?),
            (None, None) if let Some(url) = Url::meant(named) => {
                return Err(usage(format!(
                    "{named} is not a workload: if it is a server, give {url}"
                )));
            }
            (None, None) => {
                Target::Workload(Box::new(super::values::workload(named).map_err(usage)?))
            }
        };
        if matches!(target, Target::Url(_)) && (!self.model.is_empty() || self.workers.is_some()) {
            return Err(usage(
                "--model and --workers apply to a workload: leave them out with a URL".into(),
            ));
        }
        let arrivals = arrivals(self.arrivals);
        let ramp = self.advanced.ramp();
        let drive = match (self.rate, self.p99_limit, self.connections) {
            _ if let Some(ramp) = ramp => Drive::Ramp { from: ramp.from, to: ramp.to, arrivals },
            (None, None, None) => {
                return Err(usage(
                    "choose a load: --rate 1000 for an open loop, --connections 64 for a closed one, or \
                     --p99-limit 10ms to find the highest rate"
                        .into(),
                ));
            }
            (None, None, Some(_)) if self.arrivals.is_some() => {
                return Err(usage(ARRIVALS_WITHOUT_RATE.into()));
            }
            (None, None, Some(_)) => Drive::Closed,
            (rate, ..) => Drive::Open { rate: rate.unwrap_or(FIRST_RATE), arrivals },
        };
        let mut models = match target {
            Target::Workload(_) => chosen(&self.model)?,
            Target::Url(_) => vec![],
        };
        let other = self.advanced.other(&target, &self.model, &mut models)?;
        let paired = self.advanced.is_paired();
        let trials = if self.p99_limit.is_some() { 1 } else { 3 + 2 * u32::from(paired) };
        let order = Order {
            target,
            models,
            workers: self.workers,
            cores: cores(),
            accept: self.expect.clone(),
            request_options,
            timeout: self.timeout,
            max_errors: self.max_errors.or_else(|| {
                let stated = self.fail_if.iter().find_map(Condition::max_errors)?;
                // A search for the knee would else keep rates at which most requests are refused, and fast.
                Some(if self.p99_limit.is_some() { stated } else { MaxErrors::ALL })
            }),
            drive,
            generators: self.generators,
            connections: self.connections,
            p99_limit: self.p99_limit,
            shares: self.advanced.rates.clone(),
            every: self.advanced.every(),
            interval_format: self.advanced.interval_format(self.output.format)?,
            other,
            paired,
            warm_up: self.warm_up,
            duration: ramp.map_or(self.duration, |ramp| ramp.over),
            patience: self.patience,
            trials: self.trials.unwrap_or(trials),
            seed: self.seed,
            pin: self.pin,
            results: self.output.out.clone(),
        };
        order.check().map_err(usage)?;
        if let Some(timeout) = order.timeout.filter(|timeout| *timeout > order.patience) {
            let (timeout, patience) =
                (humantime::format_duration(timeout), humantime::format_duration(order.patience));
            return Err(usage(format!(
                "the timeout of {timeout} is longer than the patience of {patience}, in which the last requests must be \
                 answered: give --patience {timeout} or more"
            )));
        }
        // With all models, those that cannot honour a setting are shown as refused. For a model named by the user it is an
        // error.
        if !self.model.is_empty()
            && let Some(why) = order.cannot_honour()
        {
            return Err(usage(why));
        }
        Ok(order)
    }
}

pub(super) fn run(arguments: &LoadArguments) -> Result<u8, CliError> {
    refuse_debug_build().map_err(usage)?;
    let order = arguments.order()?;
    let program = ready()?;
    let done = load(&order, program).map_err(internal)?;
    let left = match arguments.output.format {
        _ if arguments.advanced.ndjson => advanced::print_cells(&done.cells)?,
        Format::Json => say_json(&done.cells)?,
        Format::Table => {
            say(&load_table(&done.cells, extent(arguments.all)))?;
            advanced::print_if_not_compared(order.paired, &done.cells)?;
            say_text(&summary(&done.cells))?;
            say(&format!("record: {}", done.folder.display()))?;
            leave_page(&done.folder)?
        }
    };
    let kept = "interrupted; finished trials are kept";
    let code = finish(&done.cells, done.interrupted.then_some(kept), left)?;
    // Where each server is refused, nothing was measured.
    let is_measured = done.cells.iter().any(|cell| cell.state == State::Ok);
    let code = if is_measured { code } else { CELLS };
    let broken = |condition: &Condition| -> Vec<String> {
        done.cells.iter().filter_map(|cell| condition.violation(cell)).collect()
    };
    let broken: Vec<String> = arguments.fail_if.iter().flat_map(broken).collect();
    for line in &broken {
        print_note(&format!("failed: {line}"));
    }
    // The exit code of a failed cell takes precedence: its metrics were not measured.
    Ok(if code != CELLS && !broken.is_empty() { THRESHOLD } else { code })
}

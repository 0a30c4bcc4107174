//! `paceline load`.

mod courses;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    CliError, Format, Output, THRESHOLD, chosen, extent, finish, internal, leave_page, ready, say,
    say_json, usage,
    values::{TRIALS, number, seed, small, time},
};
use crate::{
    load::{Asking, Condition, MOST_RATE, MaxErrors, Order, Target, Url, Urls, load, read_body},
    machine::cores,
    output::{count, print_note},
    report::{load_table, summary},
    start::refuse_debug_build,
};
use courses::Courses;
use paceline_core::{
    generator::{Arrivals, Drive, MOST_GENERATORS, check_field, check_method},
    job::{Bound, bounds},
    workloads,
};

#[derive(Args)]
pub(super) struct LoadArguments {
    /// A built-in workload or a file that ends in .toml, which each model serves; or the URL of a server that
    /// is there already, such as `http://127.0.0.1:8080/path`.
    #[arg(
        value_name = "WORKLOAD|FILE.toml|URL",
        required_unless_present = "urls",
        conflicts_with = "urls"
    )]
    target: Option<String>,
    /// Several URLs of one server, from a file: on each line a URL, beside which its weight and its method may stand,
    /// as in `3 http://127.0.0.1:8080/a POST`.
    #[arg(long, value_name = "FILE")]
    urls: Option<PathBuf>,
    /// The method of the requests to a URL; GET where it is not said, or POST with --body.
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<String>,
    /// A header of the requests to a URL, such as 'Accept: text/html'; repeat it for others. A Host replaces the
    /// one that follows from the URL.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A file whose bytes are the body of the requests to a URL; at most 16 MiB.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// How long after its intended start a request must be answered; for ever where it is not said.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| time(text, "the timeout", Duration::from_millis(1)))]
    timeout: Option<Duration>,
    /// How many requests of a trial may be errors, which are then counted: a share such as 1%, or a number. Where it
    /// is not said, the first error ends the load.
    #[arg(long, value_name = "SHARE|N", allow_negative_numbers = true, value_parser = MaxErrors::parse)]
    max_errors: Option<MaxErrors>,
    /// Exit with 7 if a figure of the table is so, such as 'p99>20ms', 'errors>0.1%' or 'rate<9900'; repeat it for
    /// others. A figure that was not measured counts as so. With a condition on errors they are counted, as with
    /// --max-errors 100%.
    #[arg(long, value_name = "CONDITION", value_parser = Condition::parse)]
    fail_if: Vec<Condition>,
    /// Open loop: so many requests are started in a second, whatever becomes of those before.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Without --rate a closed loop: so many connections, each with one request after another. With it, so many
    /// connections may be under way at once.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, CONNECTIONS))]
    connections: Option<usize>,
    /// How many processes share the load: one schedule, split among them, where one process is not fast enough.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, GENERATORS))]
    generators: usize,
    /// How the requests of an open loop are spread; poisson where it is not said.
    #[arg(long, value_enum, value_name = "HOW")]
    arrivals: Option<Spread>,
    /// Find the highest rate at which the 99th percentile of latency stays within this, such as 10ms.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| time(text, "the limit", Duration::from_micros(10)))]
    p99_limit: Option<Duration>,
    /// The statuses that count as answers of a URL, such as `200,204`; every 2xx where it is not said.
    #[arg(long, value_delimiter = ',', value_name = "STATUS", value_parser = status)]
    expect: Vec<u16>,
    /// How long requests count.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = |text: &str| time(text, "the duration", Duration::from_millis(500)))]
    duration: Duration,
    /// How long requests are sent before they count.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = |text: &str| time(text, "the warm-up", Duration::ZERO))]
    warm_up: Duration,
    /// How long an answer is waited for at the end.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = |text: &str| time(text, "the patience", Duration::from_millis(100)))]
    patience: Duration,
    /// Models, separated by commas; all where none is named.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    model: Vec<String>,
    /// How many workers each model has; as many as there are cores where it is not said.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Option<usize>,
    /// Fresh processes for each figure; 3, or 1 with --p99-limit, or 5 with --against.
    #[arg(long, value_name = "N", value_parser = |text: &str| small(text, Bound { most: 100, ..TRIALS }))]
    trials: Option<u32>,
    /// What random arrivals are made from; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    /// Keep each server on as many CPUs as it has workers, and the echo server on the others.
    #[arg(long)]
    pin: bool,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    courses: Courses,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spread {
    Uniform,
    Poisson,
    Burst,
}

const GENERATORS: Bound =
    Bound { what: "the number of generators", least: 1, most: MOST_GENERATORS as u64 };
pub(super) const CONNECTIONS: Bound = Bound { what: "the number of connections", ..bounds::SCALE };

/// Where a search for the knee begins, unless a rate is given.
const FIRST_RATE: f64 = 100.0;

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.replace('_', "").parse().unwrap_or(f64::NAN);
    if rate > 0.0 && rate <= MOST_RATE {
        return Ok(rate);
    }
    let most = count(MOST_RATE as usize);
    Err(format!("a rate is a number of requests per second over 0 and of at most {most}"))
}

fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (200..600).contains(status));
    status.ok_or_else(|| format!("a status is a number from 200 to 599, not {text:?}"))
}

/// Whether `target` is the address of a server that lacks its `http://`.
fn is_address(target: &str) -> bool {
    let port = target.split('/').next().and_then(|host| host.rsplit_once(':'));
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn method(text: &str) -> Result<String, String> {
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
    fn asking(&self) -> Result<Asking, CliError> {
        Ok(Asking {
            method: self.method.clone(),
            headers: self.header.clone(),
            body: self.body.as_deref().map(read_body).transpose().map_err(usage)?,
            urls: self.urls.as_deref().map(Urls::read).transpose().map_err(usage)?,
        })
    }

    pub(super) fn order(&self) -> Result<Order, CliError> {
        let asking = self.asking()?;
        let named = self.target.as_deref().unwrap_or_default();
        let target = match (&asking.urls, Url::parse(named)) {
            (Some(urls), _) => Target::Url(urls.first().clone()),
            (None, Some(url)) => Target::Url(url.map_err(usage)?),
            (None, None) if is_address(named) => {
                return Err(usage(format!(
                    "{named} is no workload; if it is a server, write http://{named}/"
                )));
            }
            (None, None) => Target::Workload(Box::new(workloads::find(named).map_err(usage)?)),
        };
        if matches!(target, Target::Url(_)) && (!self.model.is_empty() || self.workers.is_some()) {
            return Err(usage(
                "--model and --workers are of a workload: leave them out where a URL is loaded"
                    .into(),
            ));
        }
        let arrivals = match self.arrivals {
            Some(Spread::Uniform) => Arrivals::Uniform,
            Some(Spread::Poisson) | None => Arrivals::Poisson,
            Some(Spread::Burst) => Arrivals::Burst,
        };
        let ramp = self.courses.ramp();
        let drive = match (self.rate, self.p99_limit, self.connections) {
            _ if let Some(ramp) = ramp => Drive::Ramp { from: ramp.from, to: ramp.to, arrivals },
            (None, None, None) => {
                return Err(usage(
                    "say how to load it: --rate 1000 for an open loop, --connections 64 for a closed one, or \
                     --p99-limit 10ms to find the highest rate"
                        .into(),
                ));
            }
            (None, None, Some(_)) if self.arrivals.is_some() => {
                return Err(usage(
                    "--arrivals is of an open loop: add --rate, or leave --arrivals out".into(),
                ));
            }
            (None, None, Some(_)) => Drive::Closed,
            (rate, ..) => Drive::Open { rate: rate.unwrap_or(FIRST_RATE), arrivals },
        };
        let mut models = match target {
            Target::Workload(_) => chosen(&self.model)?,
            Target::Url(_) => vec![],
        };
        let other = self.courses.other(&target, &self.model, &mut models)?;
        let paired = self.courses.is_paired();
        let trials = if self.p99_limit.is_some() { 1 } else { 3 + 2 * u32::from(paired) };
        let order = Order {
            target,
            models,
            workers: self.workers,
            cores: cores(),
            accept: self.expect.clone(),
            asking,
            timeout: self.timeout,
            max_errors: self.max_errors.or_else(|| {
                self.fail_if.iter().any(Condition::is_about_errors).then_some(MaxErrors::ALL)
            }),
            drive,
            generators: self.generators,
            connections: self.connections,
            p99_limit: self.p99_limit,
            shares: self.courses.rates.clone(),
            every: self.courses.every(),
            lines: self.courses.lines(self.output.format)?,
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
        // Of all models those that cannot are shown as refused; one that was named is a mistake.
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
    match arguments.output.format {
        _ if arguments.courses.ndjson => courses::say_cells(&done.cells)?,
        Format::Json => say_json(&done.cells)?,
        Format::Table => {
            say(&load_table(&done.cells, extent(arguments.all)))?;
            courses::say_if_not_compared(order.paired, &done.cells)?;
            say(&summary(&done.cells))?;
            say(&format!("record: {}", done.folder.display()))?;
            leave_page(&done.folder)?
        }
    };
    let kept = "interrupted; the models that had ended are kept";
    let code = finish(&done.cells, done.interrupted.then_some(kept))?;
    let broken = |condition: &Condition| -> Vec<String> {
        done.cells.iter().filter_map(|cell| condition.broken(cell)).collect()
    };
    let broken: Vec<String> = arguments.fail_if.iter().flat_map(broken).collect();
    for line in &broken {
        print_note(&format!("failed: {line}"));
    }
    // A cell without a figure says more than that its figure was not measured.
    Ok(if code == 0 && !broken.is_empty() { THRESHOLD } else { code })
}

//! The neutral load generator: HTTP/1.1 over loopback or between the nodes of a plan, readiness-based on mio, one thread, and none of the models under
//! test.
//!
//! It runs in its own process, which reads an [`Order`] as one line of JSON, opens its connections, is told when to
//! start, prints its result as one line, and ends. Several such processes may share one load. It ends at once if its
//! standard input does, however its parent ended.
//!
//! In the open loop, a latency starts at the intended start of the request, even if no connection is free then: a server
//! that stalls is charged for all requests that it delays. In the closed loop, a request is only intended once the
//! previous one is answered. A stall then affects one request per connection, and the others that it delays are not
//! seen.

pub(crate) mod answer;
mod body;
mod busy_wait;
mod connection;
mod drive;
mod exchange;
mod failing;
mod failure;
mod flight;
mod head;
mod interval;
mod loaded;
mod merge;
mod pace;
mod parent;
mod remote;
mod request;
mod schedule;
mod split;
mod start;
mod tally;

use std::{
    io::{self, BufRead, Write},
    net::{IpAddr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use answer::STATUS;
pub use connection::REFUSED;
pub use interval::{Interval, sum_mismatch};
pub use loaded::{
    LATE, LATE_NS, LEAST_LATE_STARTS, LEAST_MISSED, LEAST_REACHED, Loaded, MOST_CPU_SHARE,
    MOST_GROWTH, MOST_SCHEDULE_ERROR_NS, MOST_TAKEN_SHARE, Part, SATURATED, UNSTEADY,
    is_the_generators,
};
pub use merge::MergedLoad;
pub use remote::{Agent, AgentError, AgentMessage, LeaderMessage, LineConnection};
pub use request::{Request, check_field, check_method};
pub use schedule::{Arrivals, BURST};
pub use split::{MOST_GENERATORS, Share, too_few_connections};

use crate::{network::all_allowed, prepared::Fault, soft_limits::raise_limits};
use interval::Counted;
use loaded::Reply;

/// The time limit for opening all connections.
pub const OPENING: Duration = Duration::from_secs(30);

/// The minimum length of an interval: computing its figures takes about a millisecond.
pub const LEAST_INTERVAL_NS: u64 = 100_000_000;

/// The load that a generator has to produce.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The addresses of the server: on loopback, or of the plan in the options.
    pub addresses: Vec<SocketAddr>,
    /// Whether the addresses belong to one name: all connections then use the first that accepts a connection.
    /// Otherwise connections are assigned to them in turn.
    #[serde(default)]
    pub same_server: bool,
    /// The value of the `Host` field; `None` for the address of the connection.
    #[serde(default)]
    pub host: Option<String>,
    /// The requests, sent in turn, repeatedly.
    pub requests: Vec<Request>,
    /// The requests that replace one in each `nth`, also in turn. [`is_chosen`](crate::job::is_chosen) selects them by
    /// the request's number, so that they are spread evenly over connections.
    pub every: Option<(usize, Vec<Request>)>,
    /// The accepted statuses, each 200 or more; if empty, every 2xx status.
    #[serde(default)]
    pub accept: Vec<u16>,
    /// When requests start.
    pub drive: Drive,
    /// The number of open connections. All are opened before the clock starts, and each has at most one request in
    /// flight.
    pub connections: usize,
    /// How long requests are sent before the window, in nanoseconds.
    pub warm_up_ns: u64,
    /// The length of the measured window, in nanoseconds.
    pub duration_ns: u64,
    /// How long to wait for responses after the window, in nanoseconds. A request that was sent and has then been
    /// unanswered for this long is a fault; one that still waits for a connection is only unfinished.
    pub patience_ns: u64,
    /// The length of the intervals for which figures are also reported, in nanoseconds; `None` to report only the whole
    /// window.
    #[serde(default)]
    pub interval_ns: Option<u64>,
    /// The seed of random arrivals.
    pub seed: u64,
    /// Further options.
    #[serde(default)]
    pub options: Options,
}

/// Further options of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Header fields of every request. A field named `Host` replaces the order's host.
    pub headers: Vec<(String, String)>,
    /// The body of those requests that have one.
    #[serde(with = "in_base64")]
    pub body: Vec<u8>,
    /// The relative frequencies of the requests. A hash of the seed and the request's number selects the request. If
    /// empty, requests are sent in turn.
    pub weights: Vec<u32>,
    /// How long after its intended start a request may take; `None` for no limit.
    pub timeout_ns: Option<u64>,
    /// Whether requests without a correct response are counted. Otherwise the first one ends the load.
    pub counts_errors: bool,
    /// The share of the load that this generator has. The order's connections are already its own; everything else is
    /// of the whole load.
    pub share: Share,
    /// The addresses beyond loopback that may be loaded: those of a cluster's plan.
    pub plan: Vec<IpAddr>,
    /// What each connection begins with, for a server of ours on another node.
    pub token: Option<String>,
}

/// When requests start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drive {
    /// At scheduled times. A request that finds no idle connection waits for one inside the generator.
    Open {
        /// Requests per second.
        rate: f64,
        /// How they are distributed in time.
        arrivals: Arrivals,
    },
    /// At scheduled times, with a rate that changes linearly over the window.
    Ramp {
        /// Requests per second before and at the start of the window.
        from: f64,
        /// Requests per second at the end of the window.
        to: f64,
        /// How they are distributed in time.
        arrivals: Arrivals,
    },
    /// On each connection as soon as the previous response is complete.
    Closed,
}

impl Order {
    /// Returns how long its result may take: its own times and `patience`.
    fn time_limit(&self, patience: Duration) -> Duration {
        [self.warm_up_ns, self.duration_ns, self.patience_ns]
            .into_iter()
            .fold(patience, |sum, time| sum.saturating_add(Duration::from_nanos(time)))
    }

    /// Checks that the order can be carried out.
    ///
    /// # Errors
    ///
    /// Returns a sentence with the reason.
    pub fn check(&self) -> Result<(), String> {
        all_allowed(&self.options.plan, &self.addresses)?;
        for (missing, what) in [
            (self.addresses.is_empty(), "no address"),
            (self.requests.is_empty(), "no request"),
            (self.connections == 0, "no connection"),
            (self.duration_ns == 0, "no time to measure in"),
            (self.patience_ns == 0, "no patience"),
        ] {
            if missing {
                return Err(format!("the load has {what}"));
            }
        }
        if let Some(status) = self.accept.iter().find(|status| **status < 200) {
            return Err(format!("status {status} is not that of a final answer"));
        }
        let rates = match self.drive {
            Drive::Open { rate, .. } => [rate, rate],
            Drive::Ramp { from, to, .. } => [from, to],
            Drive::Closed => [1.0; 2],
        };
        if let Some(rate) = rates.iter().find(|rate| !(rate.is_finite() && **rate > 0.0)) {
            return Err(format!("{rate} requests per second is no rate"));
        }
        if let Some(length) = self.interval_ns.filter(|length| *length < LEAST_INTERVAL_NS) {
            return Err(format!("an interval of {length} ns is under 100 ms"));
        }
        if let Some((nth, others)) = &self.every
            && (*nth == 0 || others.is_empty())
        {
            return Err("the load has no request for its `every`".into());
        }
        self.check_requests()?;
        if self.options.timeout_ns == Some(0) {
            return Err("the load has a timeout of no time".into());
        }
        let Share { index, of } = self.options.share;
        if index >= of {
            return Err(format!("the load has no share {index} of {of}"));
        }
        let ends = self.warm_up_ns.checked_add(self.duration_ns);
        let ends = ends.and_then(|end| end.checked_add(self.patience_ns));
        ends.map(|_| ()).ok_or_else(|| "the load lasts for over 584 years".into())
    }
}

/// Bytes as base64 text in JSON.
mod in_base64 {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(Error::custom)
    }
}

/// Carries out the order on standard input. The `main` of the child process calls this.
///
/// # Errors
///
/// Returns an error if a standard stream is closed.
pub fn serve() -> io::Result<()> {
    raise_limits();
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(());
    }
    let order = serde_json::from_str(&line).map_err(|error| format!("not an order: {error}"));
    let checked = order.and_then(|order: Order| order.check().map(|()| order));
    let (give, over) = mpsc::channel::<Counted>();
    // The thread that drives the load computes no figures and writes nothing.
    let teller = thread::Builder::new().spawn(move || {
        over.into_iter().try_for_each(|one| say(&Reply::Interval(Box::new(one.figures()))))
    })?;
    let loaded = checked.map_err(Fault::Failed).and_then(|order| drive::run(&order, give));
    teller.join().map_err(|_| io::Error::other("the thread that tells intervals panicked"))??;
    say(&loaded.map_or_else(Reply::Fault, |loaded| Reply::Loaded(Box::new(loaded))))
}

fn say(reply: &Reply) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, reply)?;
    writeln!(output)?;
    output.flush()
}

/// Returns the shortest load of a single connection, for tests to change.
#[cfg(test)]
fn shortest(requests: Vec<Request>, drive: Drive) -> Order {
    Order {
        addresses: vec!["127.0.0.1:81".parse().unwrap()],
        same_server: false,
        host: None,
        requests,
        every: None,
        accept: vec![],
        drive,
        connections: 1,
        warm_up_ns: 0,
        duration_ns: 1,
        patience_ns: 1,
        interval_ns: None,
        seed: 1,
        options: Options::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let drive = Drive::Open { rate: 0.5, arrivals: Arrivals::Poisson };
        Order {
            addresses: vec!["127.0.0.2:80".parse().unwrap(), "[::1]:80".parse().unwrap()],
            options: Options { body: vec![0, 255], ..Options::default() },
            ..shortest(vec![Request::get("/a?b", Some("c".into()))], drive)
        }
    }

    #[test]
    fn load_is_sent_to_loopback_only() {
        assert_eq!(order().check(), Ok(()));
        for address in ["192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:10.0.0.1]:80", "8.8.8.8:80"] {
            let addresses = vec!["127.0.0.1:1".parse().unwrap(), address.parse().unwrap()];
            let fault = Order { addresses, ..order() }.check().unwrap_err();
            assert!(fault.contains(address), "{fault}");
        }
        assert_eq!(all_allowed(&[], &["[::ffff:127.0.0.1]:80".parse().unwrap()]), Ok(()));
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_is_refused() {
        let rate = |rate| Drive::Open { rate, arrivals: Arrivals::Uniform };
        let ramp = |from, to| Drive::Ramp { from, to, arrivals: Arrivals::Uniform };
        let path = |path: &str| vec![Request::get(path, None)];
        let with = |options| Order { options, ..order() };
        for wrong in [
            Order { addresses: vec![], ..order() },
            Order { requests: vec![], ..order() },
            Order { connections: 0, ..order() },
            Order { duration_ns: 0, ..order() },
            Order { patience_ns: 0, ..order() },
            Order { warm_up_ns: u64::MAX, ..order() },
            Order { drive: rate(0.0), ..order() },
            Order { drive: rate(-1.0), ..order() },
            Order { drive: rate(f64::INFINITY), ..order() },
            Order { drive: ramp(5.0, 0.0), ..order() },
            Order { drive: ramp(f64::NAN, 5.0), ..order() },
            Order { interval_ns: Some(LEAST_INTERVAL_NS - 1), ..order() },
            Order { accept: vec![200, 103], ..order() },
            Order { host: Some("a\r\nX: y".into()), ..order() },
            Order { host: Some(String::new()), ..order() },
            Order { requests: path("no-slash"), ..order() },
            Order { requests: path("/a b"), ..order() },
            Order { requests: path("/\r\nX: y"), ..order() },
            Order { every: Some((2, vec![])), ..order() },
            Order { every: Some((0, path("/"))), ..order() },
            Order { every: Some((2, path("no-slash"))), ..order() },
            with(Options { timeout_ns: Some(0), ..Options::default() }),
            with(Options { weights: vec![1, 1], ..Options::default() }),
            with(Options { weights: vec![0], ..Options::default() }),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_connection_has_its_share_of_the_other_requests_within_what_chance_allows() {
        let all = |count: usize| vec![Request::get("/", None); count];
        let order = Order { requests: all(16), every: Some((20, all(3))), ..order() };
        let turns = request::Turns::of(&order);
        let turns: Vec<usize> = (0..20_000).map(|number| turns.at(number)).collect();
        for place in 0..19 {
            assert!(turns.contains(&place), "request {place} is never asked for");
        }
        // In a closed loop with requests of equal length, connections take turns. The limits are the 99.9th percentile
        // of chi-squared.
        for (connections, most) in [(2, 10.83), (4, 16.27), (10, 27.88), (20, 43.82)] {
            let mut shares = vec![0.0; connections];
            for (number, _) in turns.iter().enumerate().filter(|(_, turn)| **turn >= 16) {
                shares[number % connections] += 1.0;
            }
            assert!((shares.iter().sum::<f64>() - 1_000.0).abs() < 0.5, "{shares:?}");
            let even = 1_000.0 / connections as f64;
            let found: f64 = shares.iter().map(|share| (share - even).powi(2) / even).sum();
            assert!(found < most, "{connections} connections: {shares:?}");
        }
    }

    #[test]
    fn an_order_survives_the_line_that_it_is_sent_as() {
        let ramp = Drive::Ramp { from: 1.0, to: 2.0, arrivals: Arrivals::Burst };
        for drive in [order().drive, ramp, Drive::Closed] {
            let order = Order { drive, interval_ns: Some(LEAST_INTERVAL_NS), ..order() };
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
    }
}

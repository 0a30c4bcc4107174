//! The neutral load generator: HTTP/1.1 over loopback, readiness-based on mio, one thread, none of the models under
//! test.
//!
//! It runs in a process of its own, which reads an [`Order`] as one line of JSON, prints one line with what came of it,
//! and ends; at once if its standard input does, whatever way its parent went. In the open loop a latency begins when
//! the request was meant to start, not when something became free for it: a server that stalls is charged for all
//! those that it keeps waiting. In the closed loop a request is only meant once the one before it is answered, so that
//! a stall meets one request for each connection and hides the rest.

mod answer;
mod body;
mod connection;
mod drive;
mod exchange;
mod flight;
mod head;
mod loaded;
mod pace;
mod parent;
mod schedule;
mod tally;

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use answer::STATUS;
pub use connection::REFUSED;
pub use loaded::{
    LATE, LATE_NS, LEAST_LATE_STARTS, LEAST_MISSED, LEAST_REACHED, Loaded, MOST_CPU_SHARE,
    MOST_GROWTH, MOST_SCHEDULE_ERROR_NS, SATURATED, UNSTEADY,
};
pub use schedule::{Arrivals, BURST};

use crate::job::is_chosen;
use crate::{prepared::Fault, soft_limits::raise_limits};
use answer::Rendered;
use loaded::Reply;

/// How long opening all connections may take.
pub const OPENING: Duration = Duration::from_secs(30);

/// What a generator is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Where the server listens, on loopback.
    pub addresses: Vec<SocketAddr>,
    /// Whether the addresses are those of one name: the first that can be connected to is taken for all connections.
    /// Otherwise connections are dealt to them in turn.
    #[serde(default)]
    pub same_server: bool,
    /// What the `Host` field says; `None` for the address of the connection.
    #[serde(default)]
    pub host: Option<String>,
    /// What is asked, in turn, over and over.
    pub requests: Vec<Request>,
    /// What one request of each `nth` asks for instead, in turn too. [`is_chosen`] says which by
    /// the request's number, so that no connection has more of them than chance gives it.
    pub every: Option<(usize, Vec<Request>)>,
    /// The statuses that are right, each of 200 and more; every 2xx where there is none.
    #[serde(default)]
    pub accept: Vec<u16>,
    /// When requests start.
    pub drive: Drive,
    /// How many connections are kept open. All are opened before the clock starts, and each has one request under way
    /// at most.
    pub connections: usize,
    /// How long requests are sent before the window, in nanoseconds.
    pub warm_up_ns: u64,
    /// The length of the window that is measured, in nanoseconds.
    pub duration_ns: u64,
    /// How long after the window answers are waited for, in nanoseconds. A request that was sent and has had no answer
    /// for as long at the end is a fault; those that still wait for a connection then are only unfinished.
    pub patience_ns: u64,
    /// What random arrivals are made from.
    pub seed: u64,
}

/// One thing to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The target of the GET, beginning with a slash.
    pub path: String,
    /// The whole body that must be answered; `None` to require nothing but a right status.
    pub expect: Option<String>,
}

/// When requests start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drive {
    /// At times that are set beforehand. One that finds no connection idle waits for one inside the generator.
    Open {
        /// How many per second.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// On each connection as soon as the answer before is whole.
    Closed,
}

/// Says which address is not on loopback, if one is not. Load is sent to no other.
///
/// # Errors
///
/// Returns a sentence that names the address.
pub fn check_loopback(addresses: &[SocketAddr]) -> Result<(), String> {
    match addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
        Some(other) => Err(format!("{other} is not a loopback address: load is sent to no other")),
        None => Ok(()),
    }
}

impl Order {
    /// Says why it cannot be carried out, if it cannot.
    ///
    /// # Errors
    ///
    /// Returns a sentence.
    pub fn check(&self) -> Result<(), String> {
        check_loopback(&self.addresses)?;
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
        if let Drive::Open { rate, .. } = self.drive
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(format!("{rate} requests per second is no rate"));
        }
        if let Some((nth, others)) = &self.every
            && (*nth == 0 || others.is_empty())
        {
            return Err("the load has no request for its `every`".into());
        }
        let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(host) = self.host.as_ref().filter(|host| host.is_empty() || !graphic(host)) {
            return Err(format!("{host:?} is not a host that can be asked for"));
        }
        for Request { path, .. } in self.all_requests() {
            if !path.starts_with('/') || !graphic(path) {
                return Err(format!("{path:?} is not a path that can be asked for"));
            }
        }
        let ends = self.warm_up_ns.checked_add(self.duration_ns);
        let ends = ends.and_then(|end| end.checked_add(self.patience_ns));
        ends.map(|_| ()).ok_or_else(|| "the load lasts for over 584 years".into())
    }

    fn all_requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(self.every.iter().flat_map(|(_, others)| others))
    }

    /// Which of [`Self::all_requests`] the request of this number is.
    fn turn(&self, number: u64) -> usize {
        let (number, usual) = (number as usize, self.requests.len());
        match &self.every {
            Some((nth, others)) if is_chosen(number, *nth) => usual + number / nth % others.len(),
            _ => number % usual,
        }
    }

    /// All requests as bytes, for each address.
    fn render(&self) -> Vec<Rendered> {
        let render = |request: &Request| {
            let path = &request.path;
            let one = |to: &SocketAddr| {
                let host = self.host.clone().unwrap_or_else(|| to.to_string());
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
            };
            let bytes = self.addresses.iter().map(|address| one(address).into_bytes()).collect();
            Rendered::new(request, &self.accept, bytes)
        };
        self.all_requests().map(render).collect()
    }
}

/// Carries out the order on standard input. What `main` of the child process calls.
///
/// # Errors
///
/// Returns an error where a standard stream is gone.
pub fn serve() -> io::Result<()> {
    raise_limits();
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(());
    }
    let order = serde_json::from_str(&line).map_err(|error| format!("not an order: {error}"));
    let checked = order.and_then(|order: Order| order.check().map(|()| order));
    let loaded = checked.map_err(Fault::Failed).and_then(|order| drive::run(&order));
    let reply = loaded.map_or_else(Reply::Fault, |loaded| Reply::Loaded(Box::new(loaded)));
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &reply)?;
    writeln!(output)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            addresses: vec!["127.0.0.2:80".parse().unwrap(), "[::1]:80".parse().unwrap()],
            same_server: false,
            host: None,
            requests: vec![Request { path: "/a?b".into(), expect: Some("c".into()) }],
            every: None,
            accept: vec![],
            drive: Drive::Open { rate: 0.5, arrivals: Arrivals::Poisson },
            connections: 1,
            warm_up_ns: 0,
            duration_ns: 1,
            patience_ns: 1,
            seed: 0,
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
        assert_eq!(check_loopback(&["[::ffff:127.0.0.1]:80".parse().unwrap()]), Ok(()));
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_is_refused() {
        let rate = |rate| Drive::Open { rate, arrivals: Arrivals::Uniform };
        let path = |path: &str| vec![Request { path: path.into(), expect: None }];
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
            Order { accept: vec![200, 103], ..order() },
            Order { host: Some("a\r\nX: y".into()), ..order() },
            Order { host: Some(String::new()), ..order() },
            Order { requests: path("no-slash"), ..order() },
            Order { requests: path("/a b"), ..order() },
            Order { requests: path("/\r\nX: y"), ..order() },
            Order { every: Some((2, vec![])), ..order() },
            Order { every: Some((0, path("/"))), ..order() },
            Order { every: Some((2, path("no-slash"))), ..order() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_connection_has_its_share_of_the_other_requests_within_what_chance_allows() {
        let all = |count: usize| vec![Request { path: "/".into(), expect: None }; count];
        let order = Order { requests: all(16), every: Some((20, all(3))), ..order() };
        let turns: Vec<usize> = (0..20_000).map(|number| order.turn(number)).collect();
        for place in 0..19 {
            assert!(turns.contains(&place), "request {place} is never asked for");
        }
        // In a closed loop whose requests take equally long, connections take turns. 99.9 % of chi-squared.
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
        for drive in [order().drive, Drive::Closed] {
            let order = Order { drive, ..order() };
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
    }
}

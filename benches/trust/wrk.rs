//! Compares the generator with `wrk`: they take turns on the same server, and must have the same speed and latency.

use std::{net::SocketAddr, process::Command, time::Duration};

use paceline::{machine::cores, plan::Planned};
use paceline_core::{
    generator::{Drive, Loaded, Options, Order, Request},
    job::{Jobs, Workload},
    models::{self, Entry, MODELS},
    process::{Host, Program},
    workloads,
};

const SLICE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(40);

/// Returns whether `wrk` is installed. Prints a message if it is not.
pub(crate) fn is_there() -> bool {
    // Without arguments it prints its usage and fails.
    let there = Command::new("wrk").output().is_ok();
    if !there {
        println!("\nwrk: left out, it is not installed (apt-get install wrk)");
    }
    there
}

/// The figures of one of the two.
struct Seen {
    per_second: f64,
    p50_ns: f64,
    p99_ns: f64,
}

/// Checks that the generator is at least as fast as `wrk` if the server is not the limit.
pub(crate) fn speed(pairs: usize) -> bool {
    println!(
        "\nrequests per second of the generator over wrk's, serve-plain, median of {pairs} pairs of 2 s"
    );
    let plain = workloads::find("serve-plain").unwrap();
    let mut off = false;
    for model in ["tokio-current-thread", "tokio", "threads"] {
        for connections in [1, 64] {
            let pairs = turns(models::find(model).unwrap(), &plain, connections, pairs);
            let ratio = middle(pairs.iter().map(|(ours, wrk)| ours.per_second / wrk.per_second));
            let (ours, wrk) = (
                middle(pairs.iter().map(|(ours, _)| ours.per_second)),
                middle(pairs.iter().map(|(_, wrk)| wrk.per_second)),
            );
            let word = if ratio < 1.0 { "  SLOWER" } else { "" };
            println!(
                "{model:22} {connections:>3} connections {ours:>9.0} {wrk:>9.0}  {ratio:.3}{word}"
            );
            off |= ratio < 1.0;
        }
    }
    off
}

/// Checks that both see the same on every model's server if the server is the limit.
pub(crate) fn agreement(pairs: usize) -> bool {
    println!(
        "\nthe generator over wrk, serve-service, closed loop, median of {pairs} pairs of 2 s"
    );
    println!("model                  connections     req/s       p50       p99");
    let service = workloads::find("serve-service").unwrap();
    let mut off = false;
    for entry in MODELS.iter().filter(|entry| (entry.info.available)().is_ok()) {
        let workers = entry.info.workers(&[cores()])[0];
        let connections = entry.info.connections(workers.unwrap_or(1)).unwrap_or(16);
        let pairs = turns(entry, &service, connections, pairs);
        let ratio =
            |of: fn(&Seen) -> f64| middle(pairs.iter().map(|(ours, wrk)| of(ours) / of(wrk)));
        let ratios = [ratio(|s| s.per_second), ratio(|s| s.p50_ns), ratio(|s| s.p99_ns)];
        let apart = ratios.iter().any(|ratio| (ratio - 1.0).abs() > 0.05);
        let [rate, p50, p99] = ratios;
        let word = if apart { "  APART BY MORE THAN 5 %" } else { "" };
        let name = entry.info.name;
        println!("{name:22} {connections:>11} {rate:>9.3} {p50:>9.3} {p99:>9.3}{word}");
        off |= apart;
    }
    off
}

/// Runs both on one server, in turns. The first pair does not count.
fn turns(
    entry: &'static Entry,
    workload: &Workload,
    connections: usize,
    pairs: usize,
) -> Vec<(Seen, Seen)> {
    let program = Program::this().unwrap();
    let echo = program.echo().unwrap();
    let workers = entry.info.workers(&[cores()])[0];
    let placement = entry.info.placements[0];
    let cell = Planned { workload, entry, workers, placement, scale: connections };
    let mut host: Host = program.host(entry, workers).unwrap();
    let address = host.serve(cell.for_host(echo.addresses()), PATIENCE).unwrap();
    let mut pairs: Vec<(Seen, Seen)> = (0..=pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let ours = ours(&program, workload, address, connections);
                (ours, wrk(address, connections))
            } else {
                let wrk = wrk(address, connections);
                (ours(&program, workload, address, connections), wrk)
            }
        })
        .collect();
    pairs.remove(0);
    pairs
}

fn ours(program: &Program, workload: &Workload, address: SocketAddr, connections: usize) -> Seen {
    let order = Order {
        addresses: vec![address],
        same_server: false,
        host: None,
        // Like wrk: one path, and only the status of an answer is checked.
        requests: vec![Request::get("/0", Some(Jobs::load(workload).expected(0).body()))],
        every: None,
        accept: vec![],
        drive: Drive::Closed,
        connections,
        warm_up_ns: 0,
        duration_ns: SLICE.as_nanos() as u64,
        patience_ns: 5_000_000_000,
        interval_ns: None,
        seed: 1,
        options: Options::default(),
    };
    let loaded: Loaded = program.load(&order, PATIENCE).unwrap();
    Seen {
        per_second: loaded.requests_per_second,
        p50_ns: loaded.latency.ns_p50 as f64,
        p99_ns: loaded.latency.ns_p99 as f64,
    }
}

fn wrk(address: SocketAddr, connections: usize) -> Seen {
    let output = Command::new("wrk")
        .args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{}s", SLICE.as_secs())])
        .arg(format!("http://{address}/0"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("wrk said: {text}")).trim().to_owned()
    };
    Seen {
        per_second: after("Requests/sec:").parse().unwrap(),
        p50_ns: time(&after("50%")),
        p99_ns: time(&after("99%")),
    }
}

/// Converts a time such as `5.73ms` to nanoseconds.
fn time(text: &str) -> f64 {
    let at = text.find(|c: char| c.is_alphabetic()).unwrap();
    let (number, unit) = text.split_at(at);
    let times = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        other => panic!("{other} is no unit of wrk's"),
    };
    number.parse::<f64>().unwrap() * times
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    paceline::stats::median_and_range(&values.collect::<Vec<_>>()).0
}

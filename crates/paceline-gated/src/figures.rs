//! The figures that a plain `cargo bench` prints: the time per call, from a few fresh processes of this program.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{cell::Variant, host::HOST};

/// The number of fresh processes per variant.
pub(crate) const TRIALS: usize = 5;
/// The number of timed slices per process; the figure of a process is their median.
const SLICES: usize = 5;
/// The minimum length of a slice.
const SLICE: Duration = Duration::from_millis(20);
/// What is said of a process that did not answer.
const ENDED: &str = "the process of the cell ended";
/// The most calls of a slice.
const MOST_CALLS: u64 = 1 << 30;

/// Measures one variant of the cell called `name`: the time per call in each of the fresh processes, ascending, in
/// nanoseconds.
pub(crate) fn measure(name: &str, variant: Variant) -> Result<[f64; TRIALS], String> {
    let mut trials_ns = [0.0; TRIALS];
    for trial in &mut trials_ns {
        *trial = trial_ns(name, variant)?;
    }
    trials_ns.sort_by(f64::total_cmp);
    Ok(trials_ns)
}

/// Returns the median slice of one fresh process, in nanoseconds per call.
fn trial_ns(name: &str, variant: Variant) -> Result<f64, String> {
    let cannot = |error: io::Error| format!("cannot start this program again: {error}");
    let program = std::env::current_exe().map_err(cannot)?;
    let mut child = Command::new(program)
        .arg(HOST)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let mut requests = child.stdin.take().expect("it is piped");
    let mut replies = BufReader::new(child.stdout.take().expect("it is piped"));
    let measured = (|| {
        let mut ask = |request: Value| -> Result<Value, String> {
            let mut line = String::new();
            let sent = writeln!(requests, "{request}").and_then(|()| replies.read_line(&mut line));
            if sent.is_err() || line.is_empty() {
                return Err(ENDED.into());
            }
            let reply: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            match reply["fault"].as_object().and_then(|fault| fault.values().next()) {
                Some(why) => Err(why.as_str().unwrap_or("failed").to_owned()),
                None => Ok(reply),
            }
        };
        ask(json!({ "custom": { "name": name, "variant": variant.name() } }))?;
        let mut slice = |count: u64| -> Result<f64, String> {
            let reply = ask(json!({ "batches": { "count": count } }))?;
            let ns = reply["batches"]["batch_ns"][0].as_u64();
            ns.map(|ns| ns as f64).ok_or_else(|| "the process gave no time".into())
        };
        // Doubling the calls until a slice is long enough also warms up.
        let mut count = 1;
        while slice(count)? < SLICE.as_nanos() as f64 && count < MOST_CALLS {
            count *= 2;
        }
        let mut slices = [0.0; SLICES];
        for ns in &mut slices {
            *ns = slice(count)? / count as f64;
        }
        slices.sort_by(f64::total_cmp);
        Ok(slices[SLICES / 2])
    })();
    drop(requests);
    if measured.is_err() {
        let _ = child.kill();
    }
    let status = child.wait();
    measured.map_err(|why| match status {
        Ok(status) if why == ENDED => format!("{why}: {status}"),
        _ => why,
    })
}

/// Formats nanoseconds with three digits: `1.23 µs`.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let shown = [0.5, 12.34, 999.0, 1_234.0, 56_700_000.0, 2.5e9].map(time);
        assert_eq!(shown, ["0.50 ns", "12.3 ns", "999 ns", "1.23 µs", "56.7 ms", "2.50 s"]);
    }
}

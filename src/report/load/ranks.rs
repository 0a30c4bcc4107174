//! Which servers lead a column of the table of a load, and which are tied with them.

use crate::{
    load::{METRICS, Metric},
    record::{Cell, RankedBy, SHORTEST_RANKED_NS, State, leaders_by},
    stats::FEWEST_TRIALS,
};

/// Returns the mark of each of `cells`, all of one workload, in the column of `metric`: `*` for the best and `=` for its
/// ties. All are empty where the servers cannot be compared.
pub(in crate::report) fn marks(cells: &[&Cell], metric: &Metric) -> Vec<&'static str> {
    let mut marks = vec![""; cells.len()];
    let by = match metric.name {
        "req/s" => RankedBy::Rate,
        "p50" => RankedBy::P50,
        "p99" => RankedBy::P99,
        _ => return marks,
    };
    if unranked(cells).is_some() {
        return marks;
    }
    // Those that say nothing of their server do not keep the others from a rank.
    let ranked = |(_, cell): &(usize, &&Cell)| {
        let late = cell.latencies_of_the_generator().contains(&metric.name);
        !cell.has_errors() && !late && metric.of(cell).is_some()
    };
    let (places, ranked): (Vec<usize>, Vec<&Cell>) =
        cells.iter().enumerate().filter(ranked).map(|(place, cell)| (place, *cell)).unzip();
    let leads = leaders_by(&ranked, by);
    let leading = ranked.iter().zip(&leads).filter(|(_, leads)| **leads);
    let figures = leading.filter_map(|(cell, _)| metric.of(cell));
    let best =
        if metric.name == "req/s" { figures.reduce(f64::max) } else { figures.reduce(f64::min) };
    for ((place, cell), leads) in places.into_iter().zip(&ranked).zip(leads) {
        if leads {
            marks[place] = if metric.of(cell) == best { "*" } else { "=" };
        }
    }
    marks
}

/// Returns what the marks mean, or why there are none; `None` where there are not two servers to rank.
pub(in crate::report) fn legend(cells: &[&Cell]) -> Option<String> {
    if measured(cells).count() < 2 {
        return None;
    }
    if let Some(why) = unranked(cells) {
        return Some(format!("not ranked: {why}"));
    }
    let given: Vec<&str> = METRICS.iter().flat_map(|metric| marks(cells, metric)).collect();
    let test = "over 0.2 % behind (5 %, Holm over all servers). Ranked:";
    let what = if given.contains(&"=") {
        format!(
            "* best of its column, = tied with it: no paired test over the trials finds it {test}"
        )
    } else if given.contains(&"*") {
        format!(
            "* best of its column: paired tests over the trials find all other ranked servers {test}"
        )
    } else {
        "no server is ranked. What can be:".to_owned()
    };
    Some(format!(
        "{what} p50, p99 and, in a closed loop, req/s, where each of at least {FEWEST_TRIALS} trials has the figure; not \
         servers with errors, nor latencies that are mostly the generator's lateness"
    ))
}

/// Returns why servers cannot be compared, if so.
fn unranked(cells: &[&Cell]) -> Option<String> {
    if measured(cells).any(Cell::is_at_knee) {
        return Some("each server is shown at its own rate; --rate gives all the same".into());
    }
    if measured(cells).any(Cell::is_shared_host) {
        return Some("the nodes are one machine, so server and generators shared its cores".into());
    }
    let fewest = measured(cells).map(Cell::trials).min().unwrap_or(0);
    if fewest < FEWEST_TRIALS {
        let trials = if fewest == 1 {
            "a single trial".into()
        } else {
            crate::output::counted(fewest, "trial")
        };
        return Some(format!("{trials} cannot tell servers apart; --trials 5 can"));
    }
    let brief = measured(cells).any(Cell::waits_too_briefly);
    let least = SHORTEST_RANKED_NS / 1_000_000;
    brief.then(|| format!("the job waits for under {least} ms, which compares timers"))
}

fn measured<'c>(cells: &[&'c Cell]) -> impl Iterator<Item = &'c Cell> {
    cells.iter().copied().filter(|cell| cell.state == State::Ok && cell.load.is_some())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Extent, load_table},
        *,
    };
    use crate::record::{Estimate, LoadFigures, Loop, PerTrial};
    use paceline_core::{histogram::Histogram, perform::Placement};

    /// A server in a closed loop whose trials take around `ms` to answer, `turn` says in which order.
    fn server(model: &str, placement: Placement, ms: f64, turn: usize) -> Cell {
        let mut times: Vec<f64> = [0.99, 1.0, 1.02, 0.98, 1.01].map(|of| of * ms * 1e6).to_vec();
        times.rotate_left(turn);
        let rates: Vec<f64> = times.iter().map(|ns| 1e9 / ns).collect();
        let load = serde_json::json!({
            "loop": "closed", "rate": null, "arrivals": null, "connections": 1, "duration_seconds": 1.0,
            "warm_up_seconds": 0.0, "offered": 9, "completed": 9, "late_starts": 0, "reconnects": 0,
        });
        Cell {
            jobs_per_second: Estimate::of_trials(&rates, 1.0),
            latency_ns_p50: Estimate::of_trials(&times, 1.0),
            load: Some(serde_json::from_value::<LoadFigures>(load).unwrap()),
            per_trial: PerTrial {
                jobs_per_second: rates,
                latency_ns_p50: times,
                ..PerTrial::default()
            },
            ..Cell::new("serve-plain", model, 1, Some(2), placement, State::Ok)
        }
    }

    fn of(cells: &[Cell], column: &str) -> Vec<&'static str> {
        let metric = METRICS.iter().find(|metric| metric.name == column).unwrap();
        marks(&cells.iter().collect::<Vec<_>>(), metric)
    }

    fn legend_of(cells: &[Cell]) -> String {
        legend(&cells.iter().collect::<Vec<_>>()).unwrap_or_default()
    }

    fn three() -> Vec<Cell> {
        vec![
            server("tokio", Placement::Inside, 1.0, 0),
            server("smol", Placement::Inside, 1.001, 2),
            server("pool", Placement::Outside, 2.0, 1),
        ]
    }

    #[test]
    fn servers_are_one_class_and_the_best_is_marked_with_its_ties() {
        assert_eq!(of(&three(), "p50"), ["*", "=", ""]);
        assert_eq!(of(&three(), "req/s"), ["*", "=", ""]);
        assert_eq!(of(&three(), "max"), ["", "", ""]);
        let pair = [server("tokio", Placement::Inside, 1.999, 0), three().remove(2)];
        assert_eq!(of(&pair, "p50"), ["*", "="], "one has jobs inside, and a server has requests");
        assert!(legend_of(&three()).starts_with("* best of its column"));
    }

    #[test]
    fn a_rate_that_all_are_given_ranks_none() {
        let mut cells = three();
        for cell in &mut cells {
            cell.load.as_mut().unwrap().looped = Loop::Open;
        }
        assert_eq!((of(&cells, "req/s"), of(&cells, "p50")), (vec![""; 3], vec!["*", "=", ""]));
    }

    #[test]
    fn a_server_with_errors_has_no_mark() {
        let mut cells = three();
        cells[0].load.as_mut().unwrap().errors.insert("timeout".into(), 1);
        assert_eq!(of(&cells, "p50"), ["", "*", ""]);
    }

    #[test]
    fn only_marks_that_are_in_the_table_are_explained() {
        assert!(legend_of(&three()).starts_with("* best of its column, = tied with it: "));
        let mut cells = vec![three().remove(0), three().remove(2)];
        cells[1].placement = Placement::Inside;
        assert_eq!(of(&cells, "p50"), ["*", ""]);
        let said = legend_of(&cells);
        assert!(said.starts_with("* best of its column: ") && !said.contains('='), "{said}");
        for cell in &mut cells {
            cell.load.as_mut().unwrap().errors.insert("timeout".into(), 1);
        }
        let said = legend_of(&cells);
        assert!(said.starts_with("no server is ranked") && !said.contains('*'), "{said}");
    }

    #[test]
    fn columns_are_explained_only_where_a_server_has_figures() {
        let short = |cells: &[Cell]| load_table(cells, Extent::Short);
        let mut cells = three();
        let mut times = Histogram::default();
        times.record(1_000_000);
        cells[0].latency = times.distribution();
        assert!(short(&cells).contains("late p99: how late"));
        for cell in &mut cells {
            (cell.state, cell.reason) = (State::Refused, Some("for a test".into()));
        }
        let text = short(&cells);
        assert!(text.contains("for a test") && !text.contains("late p99"), "{text}");
        assert!(text.contains("at 1 connection)"), "{text}");
    }

    #[test]
    fn a_latency_that_is_mostly_the_generators_lateness_has_no_mark_and_is_named() {
        let mut cells = three();
        // The median is 1 ms, and 50 of 1 000 take 8 ms.
        let times = |median: u64, slow: u64| {
            let mut times = Histogram::default();
            (0..1_000).for_each(|n| times.record(if n < 950 { median } else { slow }));
            times.distribution()
        };
        let mut late = |median: u64, slow: u64| {
            cells[0].latency = times(1_000_000, 8_000_000);
            cells[0].load.as_mut().unwrap().schedule_error = times(median, slow);
            let text = load_table(&cells, Extent::Short);
            let said = text.split("is the generator's own lateness").count() > 1;
            assert_eq!(said, text.contains(" ?"), "{text}");
            (of(&cells, "p50"), cells[0].latencies_of_the_generator(), said)
        };
        assert_eq!(late(490_000, 3_900_000), (vec!["*", "=", ""], vec![], false));
        assert_eq!(late(600_000, 3_900_000), (vec!["", "*", ""], vec!["p50", "p90"], true));
        assert_eq!(late(40_000, 4_500_000), (vec!["*", "=", ""], vec!["p99", "max"], true));
    }

    #[test]
    fn one_machine_that_passes_for_several_ranks_none_and_says_so() {
        let mut cells = three();
        for (cell, shared) in cells.iter_mut().zip([true, false, false]) {
            let hosts = serde_json::json!({
                "server": "a", "generators": ["b"], "shared_host": shared, "clock_uncertainty_ns": 9,
            });
            cell.load.as_mut().unwrap().hosts = serde_json::from_value(hosts).unwrap();
        }
        assert_eq!(of(&cells, "p50"), ["", "", ""]);
        assert!(legend_of(&cells).contains("the nodes are one machine"));
        assert_eq!(of(&cells[1..], "p50"), ["*", ""]);
    }

    #[test]
    fn a_single_trial_ranks_none_and_says_so() {
        let mut cells = three();
        for cell in &mut cells {
            cell.per_trial.jobs_per_second.truncate(1);
            cell.per_trial.latency_ns_p50.truncate(1);
        }
        assert_eq!(of(&cells, "p50"), ["", "", ""]);
        assert!(legend_of(&cells).contains("a single trial cannot tell servers apart"));
        assert_eq!(legend_of(&cells[..1]), "");
    }
}

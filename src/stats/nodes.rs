//! Figures from several nodes: two nodes of one kind differ, and more trials on one say nothing about the next.

use std::collections::BTreeMap;

/// With fewer nodes, nothing is known of others: intervals are then over the trials on these nodes.
pub const FEWEST_NODES: usize = 3;

/// Returns the independent values among `values`, such as logarithms, one for each trial: the mean on each node, in the
/// order of their names, if there are at least [`FEWEST_NODES`], and otherwise `values`. `nodes` are those of the
/// trials; without nodes, all trials are of one machine.
///
/// Trials on one node share its effect, so the mean on a node is one value, however many trials it has. Student's t over
/// these means covers the mean over all nodes: exactly if each node has as many trials, and nearly so otherwise.
#[must_use]
pub fn over_nodes(values: &[f64], nodes: &[String]) -> Vec<f64> {
    let mut of_node: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (node, value) in nodes.iter().zip(values) {
        of_node.entry(node).or_default().push(*value);
    }
    if nodes.len() != values.len() || of_node.len() < FEWEST_NODES {
        return values.to_vec();
    }
    of_node.into_values().map(|values| mean(&values)).collect()
}

/// Returns the same for figures whose mean is geometric, such as times and rates. If one is 0 or less, it has no
/// logarithm and the plain mean is taken.
#[must_use]
pub fn figures_over_nodes(figures: &[f64], nodes: &[String]) -> Vec<f64> {
    let logs: Vec<f64> = figures.iter().map(|figure| figure.ln()).collect();
    let of_nodes = over_nodes(figures, nodes);
    let is_finite = logs.iter().all(|log| log.is_finite());
    if of_nodes.len() == figures.len() || !is_finite {
        return of_nodes;
    }
    // Equal figures stay what they are: through the logarithm they would differ by rounding.
    if are_equal(figures) {
        return of_nodes;
    }
    over_nodes(&logs, nodes).into_iter().map(f64::exp).collect()
}

fn mean(values: &[f64]) -> f64 {
    if are_equal(values) { values[0] } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn are_equal(values: &[f64]) -> bool {
    values.windows(2).all(|two| two[0].total_cmp(&two[1]).is_eq())
}

#[expect(clippy::print_stdout, reason = "docs/validity.md has what the tests print")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{best, estimate, in_order, simulated::normal};

    const CELLS: usize = 2_000;

    /// Cells with `trials[i]` trials on node i, whose effect has a standard deviation of `between`; within a node it is
    /// 5 %. Each cell has the figures and the nodes.
    fn cells(seed: u64, trials: &[usize], between: f64) -> Vec<(Vec<f64>, Vec<String>)> {
        let draws = trials.iter().sum::<usize>() + trials.len();
        let noise = normal(seed, CELLS * draws);
        let cell = |noise: &[f64]| {
            let (effects, within) = noise.split_at(trials.len());
            let owners = trials.iter().enumerate().flat_map(|(node, count)| vec![node; *count]);
            let of = |(node, z): (usize, &f64)| {
                (5e6 * (between * effects[node] + 0.05 * z).exp(), format!("n{node:02}"))
            };
            owners.zip(within).map(of).unzip()
        };
        noise.chunks(draws).map(cell).collect()
    }

    /// Returns the share of cells whose interval contains the mean over all nodes.
    fn covered(cells: &[(Vec<f64>, Vec<String>)], of: fn(&[f64], &[String]) -> Vec<f64>) -> f64 {
        let covers = cells.iter().filter(|(figures, nodes)| {
            let (_, lower, upper) = estimate(&of(figures, nodes), 1.0).unwrap();
            lower <= 5e6 && 5e6 <= upper
        });
        covers.count() as f64 / cells.len() as f64
    }

    #[test]
    fn intervals_over_nodes_contain_the_mean_over_all_nodes_where_those_over_trials_do_not() {
        let plain = |figures: &[f64], _: &[String]| figures.to_vec();
        let layouts: [(&str, &[usize]); 5] = [
            ("3 nodes of 4 trials", &[4; 3]),
            ("5 nodes of 4 trials", &[4; 5]),
            ("10 nodes of 2 trials", &[2; 10]),
            ("20 nodes of 5 trials", &[5; 20]),
            ("5 nodes of 1 to 5 trials", &[1, 2, 3, 4, 5]),
        ];
        for (seed, (what, trials)) in (70..).zip(layouts) {
            for between in [0.1, 0.0] {
                let cells = cells(seed, trials, between);
                let (over_nodes, over_trials) =
                    (covered(&cells, figures_over_nodes), covered(&cells, plain));
                println!(
                    "{what} that differ by {between}: {:.1} % contain the mean, over trials {:.1} %",
                    over_nodes * 100.0,
                    over_trials * 100.0
                );
                assert!((0.93..=0.97).contains(&over_nodes), "{what}, {between}: {over_nodes}");
                let few = trials.iter().sum::<usize>() < 3 * trials.len();
                assert!(between == 0.0 || few || over_trials < 0.85, "{what}: {over_trials}");
            }
        }
    }

    #[test]
    fn of_equal_models_that_nodes_favour_a_given_one_is_left_out_in_at_most_5_of_100_tables() {
        const MODELS: usize = 4;
        let trials = [4; 5];
        let models: Vec<_> = (0..MODELS as u64).map(|m| cells(900 + m, &trials, 0.1)).collect();
        let left_out = |of: fn(&[f64], &[String]) -> Vec<f64>| {
            let table = |cell: &usize| {
                let logs = models.iter().map(|cells| {
                    let (figures, nodes) = &cells[*cell];
                    let logs: Vec<f64> = figures.iter().map(|figure| figure.ln()).collect();
                    in_order(of(&logs, nodes))
                });
                best(&logs.collect::<Vec<_>>()).unwrap().behind[1]
            };
            (0..CELLS).filter(table).count() as f64 / CELLS as f64
        };
        let (nodes, trials) = (left_out(over_nodes), left_out(|logs, _| logs.to_vec()));
        println!(
            "4 equal models on 5 nodes, each of which favours some: a given one is left out in {:.1} % of tables, over trials in {:.1} %",
            nodes * 100.0,
            trials * 100.0
        );
        assert!(nodes <= 0.05 && trials > 0.1, "over nodes {nodes}, over trials {trials}");
    }

    #[test]
    fn one_or_two_nodes_and_none_have_their_trials_and_three_have_a_value_each() {
        let on = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let figures = [1.0, 100.0, 7.0, 9.0];
        assert_eq!(figures_over_nodes(&figures, &[]), figures);
        assert_eq!(figures_over_nodes(&figures, &on("a a b b")), figures);
        let three = figures_over_nodes(&figures, &on("c c a b"));
        assert_eq!(three[..2], [7.0_f64.ln().exp(), 9.0_f64.ln().exp()]);
        assert!((three[2] - 10.0).abs() < 1e-12, "{three:?}");
        assert_eq!(figures_over_nodes(&[7.0; 4], &on("c c a b")), [7.0; 3]);
        assert_eq!(figures_over_nodes(&[0.0, 2.0, 3.0, 4.0], &on("c c a b")), [3.0, 4.0, 1.0]);
    }
}

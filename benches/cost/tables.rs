//! Measurements without verdicts: a million sleepers, and instructions.

use std::{collections::BTreeMap, process::Command};

use paceline_core::job::Addresses;

use crate::{
    Side,
    cells::Cell,
    command_of, median,
    plain::{Plain, output_of},
};

/// Prints the time and memory of a million jobs: the medians of a few pairs.
pub(crate) fn million(
    cells: &[Cell],
    pairs: usize,
    side: impl Fn(usize, bool) -> Result<Side, String>,
) -> Result<(), String> {
    println!("{pairs} pairs of fresh processes; medians\n");
    println!("{:28} plain s suite s  ratio  plain MiB suite MiB  ratio", "cell/model");
    for (index, cell) in cells.iter().enumerate() {
        let pair = |_| Ok([side(index, false)?, side(index, true)?]);
        let pairs: Vec<[Side; 2]> = (0..pairs).map(pair).collect::<Result<_, String>>()?;
        let of =
            |what: &dyn Fn(&[Side; 2]) -> f64| median(&pairs.iter().map(what).collect::<Vec<_>>());
        let [plain, suite] = [0, 1].map(|side| of(&|pair| pair[side].batch_ns / 1e9));
        let ratio = of(&|[plain, suite]| suite.batch_ns / plain.batch_ns);
        print!("{:28} {plain:>7.3} {suite:>7.3} {ratio:>6.3}   ", cell.id);
        let [plain, suite] = [0, 1].map(|side| of(&|pair| pair[side].memory_kib / 1024.0));
        let ratio = of(&|[plain, suite]| suite.memory_kib / plain.memory_kib);
        println!("{plain:>8.1} {suite:>9.1} {ratio:>6.3}");
    }
    Ok(())
}

/// Prints instructions per job: the slope between 2 and 6 batches, which excludes start-up and checks.
pub(crate) fn callgrind(
    cells: &[Cell],
    built: &BTreeMap<&str, Plain>,
    servers: &Addresses,
) -> Result<(), String> {
    const JOBS: usize = 200;
    println!("instructions per job, 1 worker\n");
    println!("{:34}     plain     suite    more", "cell/model");
    for cell in cells {
        let count = |suite: bool, batches| {
            let numbers = [1, JOBS, batches];
            let child = command_of(cell, suite, numbers, (built, servers))?;
            let mut command = Command::new("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
            command.arg(child.get_program()).args(child.get_args());
            let printed = output_of(cell.model, 1, &mut command)
                .map_err(|why| format!("{why} (apt-get install valgrind, if it is missing)"))?;
            let count = printed.lines().find_map(|line| line.split_once("Collected : "));
            let count = count.and_then(|(_, count)| count.trim().parse::<f64>().ok());
            count.ok_or_else(|| format!("callgrind gave no count: {printed}"))
        };
        let slope =
            |suite| Ok::<f64, String>((count(suite, 5)? - count(suite, 1)?) / (4 * JOBS) as f64);
        let (plain, suite) = (slope(false)?, slope(true)?);
        println!("{:34} {plain:>9.1} {suite:>9.1} {:>7.1}", cell.id, suite - plain);
    }
    Ok(())
}

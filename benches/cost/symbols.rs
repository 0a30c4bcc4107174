//! Where both sides of a comparison spend CPU time, by symbol.

use std::{collections::BTreeMap, process::Command};

use paceline_core::job::Addresses;

use crate::{
    cells::Cell,
    command_of,
    plain::{Plain, output_of},
    workers,
};

/// The CPU time between two samples, in nanoseconds. A period: a rate may be lowered by the kernel.
const PERIOD_NS: usize = 100_000;
/// The symbols shown of each comparison: those that differ most.
const SHOWN: usize = 20;

/// Prints the CPU time per job in the symbols that differ most, from `pairs` pairs of fresh processes. Start-up and the
/// checks of the outputs are in it, too.
pub(crate) fn symbols(
    cells: &[Cell],
    pairs: usize,
    built: &BTreeMap<&str, Plain>,
    servers: &Addresses,
) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join("perf.data");
    let file = file.to_str().ok_or("the path of temporary files is not UTF-8")?;
    let perf = |model, command: &mut Command| {
        output_of(model, workers(), command)
            .map_err(|why| format!("{why} (apt-get install linux-perf, if it is missing)"))
    };
    println!(
        "CPU time per job in ns, {pairs} pairs of fresh processes; the symbols that differ most\n"
    );
    for cell in cells {
        let jobs = cell.work.jobs_on(cell.model);
        let numbers = [workers(), jobs, cell.work.batches];
        let per_sample = PERIOD_NS as f64 / (jobs * (cell.work.batches + 1) * pairs) as f64;
        let mut found: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for side in (0..pairs).flat_map(|_| [0, 1]) {
            let child = command_of(cell, side == 1, numbers, (built, servers))?;
            let mut record = Command::new("perf");
            record.args([
                "record",
                "-q",
                "-e",
                "cpu-clock",
                "-c",
                &PERIOD_NS.to_string(),
                "-o",
                file,
            ]);
            record.arg("--").arg(child.get_program()).args(child.get_args());
            perf(cell.model, &mut record)?;
            let mut report = Command::new("perf");
            report.args([
                "report",
                "-i",
                file,
                "--no-children",
                "--stdio",
                "-n",
                "-F",
                "sample,sym",
            ]);
            for (symbol, samples) in perf(cell.model, &mut report)?.lines().filter_map(line) {
                found.entry(symbol.to_owned()).or_default()[side] += samples * per_sample;
            }
        }
        let total = |side: usize| found.values().map(|times| times[side]).sum::<f64>();
        let (plain, suite) = (total(0), total(1));
        println!("{:30}     plain     suite      more", cell.id);
        println!("{:30} {plain:>9.1} {suite:>9.1} {:>+9.1}", "  all", suite - plain);
        let mut symbols: Vec<_> = found.iter().collect();
        symbols.sort_by(|(_, one), (_, other)| {
            (other[1] - other[0]).abs().total_cmp(&(one[1] - one[0]).abs())
        });
        for (symbol, [plain, suite]) in symbols.into_iter().take(SHOWN) {
            println!("{:30} {plain:>9.1} {suite:>9.1} {:>+9.1}  {symbol}", "", suite - plain);
        }
        println!();
    }
    Ok(())
}

/// Reads a line of `perf report`: a number of samples, then the symbol.
fn line(line: &str) -> Option<(&str, f64)> {
    let (samples, symbol) = line.trim().split_once(' ')?;
    Some((symbol.trim(), samples.parse().ok()?))
}

//! The models and the machine: versions, settings, and what was observed of each model's process.

use std::collections::BTreeMap;

use super::{
    cells::command_of,
    lines::Line,
    overview::nanoseconds,
    parts::{Data, Table, name, reason},
};
use crate::{
    output::count,
    record::{Cell, Hosts, ModelRecord, Node, Nodes, Run},
    report::floor_line,
};
use paceline_core::prepared::Attestation;

/// Returns a row for each model of the run.
pub(super) fn table(models: &[ModelRecord], cells: &[&Cell]) -> Table {
    // Records from before it was measured have no size, and a run of blocking models has none either.
    let futures = cells
        .iter()
        .any(|cell| cell.attest.as_ref().is_some_and(|seen| seen.future_bytes.is_some()));
    let (size, prose) = if futures { (" | bytes of an async job's state", 9) } else { ("", 8) };
    let head = format!(
        "model | family | version | tag | cells | threads that ran jobs | most jobs in flight{size} | waits with | what it is"
    );
    let mut table =
        Table::new("Models: version, set-up, and what their processes were seen to be", &head)
            .with_prose(&[prose]);
    let mut of: BTreeMap<&str, Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        of.entry(&cell.model).or_default().push(cell);
    }
    for model in models {
        let cells = of.get(model.name.as_str()).map_or(&[][..], Vec::as_slice);
        if cells.is_empty() {
            continue;
        }
        let seen: Vec<&Attestation> =
            cells.iter().filter_map(|cell| cell.attest.as_ref()).collect();
        let what = match (&model.reason, &model.unreliable) {
            (Some(why), _) => format!("cannot run here: {}", reason(Some(why))),
            (None, Some(why)) => {
                format!("unreliable: {}; {}", reason(Some(why)), reason(Some(&model.note)))
            }
            (None, None) => reason(Some(&model.note)),
        };
        let mut row: Vec<Data> = vec![
            name(&model.name).into(),
            Data::of(name(&model.family)).class("l"),
            name(&model.version).into(),
            Data::of(name(&model.tag)).class("l"),
            count(cells.len()).into(),
            range(seen.iter().map(|seen| u64::from(seen.job_threads))).into(),
            seen.iter()
                .map(|seen| seen.peak_in_flight)
                .max()
                .map_or_else(String::new, |most| count(most as usize))
                .into(),
        ];
        if futures {
            row.push(range(seen.iter().filter_map(|seen| seen.future_bytes)).into());
        }
        row.extend([Data::of(driver(&seen)).class("l"), what.into()]);
        table.rows.push(row);
    }
    table
}

/// Returns a range, such as `1 to 4`, or the only number.
fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    let grouped = |number: u64| count(number as usize);
    match (numbers.clone().min(), numbers.max()) {
        (Some(least), Some(most)) if least < most => {
            format!("{} to {}", grouped(least), grouped(most))
        }
        (Some(only), _) => grouped(only),
        _ => String::new(),
    }
}

/// Returns what the kernel reported about the process.
fn driver(seen: &[&Attestation]) -> String {
    let has = |of: fn(&Attestation) -> Option<u64>| {
        seen.iter().any(|seen| of(seen).is_some_and(|n| n > 0))
    };
    match (has(|seen| seen.rings), has(|seen| seen.epolls)) {
        (true, _) => "io_uring".into(),
        (false, true) => "epoll".into(),
        // Other systems than Linux do not show it.
        _ if seen.iter().all(|seen| seen.epolls.is_none()) => String::new(),
        _ => "blocking calls".into(),
    }
}

/// Returns how soon task groups with a failed child completed, and what they left behind, in the warm-up batches; empty
/// if no group failed.
pub(super) fn failed_groups(workload: &str, lines: &[Line]) -> Option<Table> {
    let mut table = Table::new(
        format!("{}: groups in which a child failed, in the warm-up trial", name(workload)),
        "model | jobs at once | over after the failure, at most | children left behind",
    );
    for line in lines {
        for cell in &line.cells {
            let Some(seen) = &cell.attest else { continue };
            let (Some(took), Some(left)) = (seen.group_ended_ns_max, seen.children_left) else {
                continue;
            };
            let (scale, left) = (count(cell.scale), count(left as usize));
            let took = nanoseconds(took as f64);
            table.rows.push(vec![name(&line.name).into(), scale.into(), took.into(), left.into()]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns a row for each node of a cluster that ran blocks of the run.
pub(super) fn nodes(nodes: &Nodes, cells: &[Cell]) -> Table {
    let loads: Vec<&Hosts> =
        cells.iter().filter_map(|cell| cell.load.as_ref()?.hosts.as_ref()).collect();
    let role = |node: &Node| {
        let serves = loads.iter().any(|hosts| hosts.server == node.id);
        let generates = loads.iter().any(|hosts| hosts.generators.contains(&node.id));
        match (serves, generates) {
            (true, true) => "server and generator",
            (true, false) => "server",
            (false, true) => "generator",
            (false, false) => "",
        }
    };
    let mut table = Table::new(
        "Nodes: how they differ. Speed is that of the nodes' mean in the cells that ran on all of them",
        "node | host | role | blocks | speed | cells in common | CPUs | processor | fingerprint | boot",
    );
    for (node, (speed, common)) in nodes.nodes.iter().zip(nodes.speeds(cells)) {
        let blocks = nodes.counted.iter().filter(|of| of.node == node.id).count();
        let shown = common > 0 && nodes.nodes.len() > 1;
        let speed = if shown { format!("{speed:.3}×") } else { String::new() };
        let print = &node.fingerprint;
        table.rows.push(vec![
            name(&node.id).into(),
            Data::of(name(&node.host)).class("l"),
            Data::of(role(node)).class("l"),
            count(blocks).into(),
            speed.into(),
            count(common).into(),
            count(print.logical_cpus).into(),
            Data::of(name(&print.cpu_name)).class("l"),
            Data::of(name(&print.hash)).class("l"),
            Data::of(name(&node.boot_id)).class("l"),
        ]);
    }
    table
}

/// Returns the machine, the build and the settings of a run.
pub(super) fn machine(run: &Run) -> Table {
    let mut table = Table::new("Machine, build and settings", "fact | value").with_prose(&[1]);
    let print = &run.fingerprint;
    let mut fact = |what: &str, value: String| {
        if !value.is_empty() {
            table.rows.push(vec![what.into(), Data::of(reason(Some(&value)))]);
        }
    };
    fact("run", run.id.clone());
    fact("began (UTC)", run.started.clone());
    fact("instrument", run.instrument.clone());
    fact("command", command_of(run));
    fact("commit", run.commit.clone().unwrap_or_default());
    fact(
        "seed",
        run.seed.map_or_else(|| "none: the order is fixed".into(), |seed| seed.to_string()),
    );
    fact("budget", format!("{} s", run.budget_seconds));
    for (key, value) in run.settings.iter().filter(|(_, value)| !value.is_null()) {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fact(&name(key), shown);
    }
    fact("fingerprint", print.hash.clone());
    fact("processor", format!("{} ({})", print.cpu_name, print.cpu.join(" ")));
    fact("CPUs", format!("{}, threads per core: {}", print.logical_cpus, print.threads_per_core));
    fact("share of the CPUs", print.cpu_set.clone().unwrap_or_default());
    fact("hypervisor", if print.hypervisor { "yes" } else { "none shows itself" }.into());
    fact("kernel", print.kernel.clone());
    fact("C library", print.libc.clone().unwrap_or_default());
    fact("huge pages", print.huge_pages.clone().unwrap_or_default());
    fact("compiler", run.build.rustc.clone());
    fact("built for", format!("{}, {}", run.build.target, run.build.flags));
    fact("allocator", run.build.allocator.clone());
    fact("allocator settings", print.allocator.clone());
    fact("paceline", run.build.paceline.clone());
    fact("timers", run.timer_floor.as_ref().map(floor_line).unwrap_or_default());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_drivers_are_not_shown_is_not_said_to_block() {
        let of =
            |epolls, rings| driver(&[&Attestation { epolls, rings, ..Attestation::default() }]);
        assert_eq!([of(None, None), of(Some(0), Some(0))], ["", "blocking calls"]);
        assert_eq!([of(Some(1), Some(0)), of(Some(1), Some(1))], ["epoll", "io_uring"]);
        assert_eq!(driver(&[]), "");
    }
}

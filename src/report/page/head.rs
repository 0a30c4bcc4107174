//! What stands above the sections: which runs, on which machine, and what must not be overlooked.

use super::{Sources, name};
use crate::{
    output::cut,
    record::{Cell, Nodes, Record, State},
    report::{gate::overall, summary},
};

pub(super) fn title(sources: &Sources<'_>) -> String {
    match (sources.records, sources.gates) {
        ([one], _) => format!("paceline: {}", name(&one.run.id)),
        ([], [gate]) => format!("paceline gate: {}", overall(gate.verdict)),
        ([], _) if !sources.claims.is_empty() => "paceline claims".into(),
        ([], _) => "paceline".into(),
        (many, _) => format!("paceline: {} runs", many.len()),
    }
}

pub(super) fn lead(sources: &Sources<'_>) -> String {
    let cells: Vec<Cell> = sources.records.iter().flat_map(|record| record.cells.clone()).collect();
    if sources.records.is_empty() {
        return "The same jobs, a number only where every receipt was right.".into();
    }
    format!(
        "The same jobs on every concurrency model; a number only where every receipt was right. {}.",
        summary(&cells)
    )
}

/// What to know of the machine at once.
pub(super) fn facts(sources: &Sources<'_>) -> Vec<String> {
    let runs = sources.records.iter().map(|record| (&record.run.fingerprint, &record.run.started));
    let gates = sources.gates.iter().map(|gate| (&gate.fingerprint, &gate.started));
    let mut facts: Vec<String> = Vec::new();
    let claims = sources.claims.iter().map(|claims| (&claims.fingerprint, &claims.started));
    for (print, started) in runs.chain(gates).chain(claims) {
        let cpus =
            format!("{} CPU{}", print.logical_cpus, if print.logical_cpus == 1 { "" } else { "s" });
        let virtually = if print.hypervisor { ", virtual" } else { "" };
        for fact in [
            format!("{}, {cpus}{virtually}", cut(&print.cpu_name, 80)),
            cut(&print.kernel, 60),
            format!("fingerprint {}", cut(&print.hash, 20)),
            format!("began {} UTC", cut(started, 40)),
        ] {
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        }
    }
    if let [record] = sources.records {
        let run = &record.run;
        facts.push(run.seed.map_or_else(|| "no seed".into(), |seed| format!("seed {seed}")));
        facts.extend(run.commit.as_deref().map(|commit| format!("commit {}", cut(commit, 20))));
    }
    facts
}

/// What must not be overlooked.
pub(super) fn warnings(sources: &Sources<'_>) -> Vec<String> {
    let mut warnings: Vec<String> =
        sources.left_out.iter().map(|why| format!("Left out: {}", cut(why, 400))).collect();
    warnings.extend(sources.records.iter().filter_map(Record::missing));
    let nodes = sources.records.iter().filter_map(|record| record.nodes.as_ref());
    warnings.extend(nodes.flat_map(Nodes::warnings).map(|warning| cut(&warning, 400)));
    if sources.records.iter().any(|record| record.run.build.debug)
        || sources.claims.iter().any(|claims| claims.build.debug)
    {
        warnings
            .push("This was measured with a debug build: no figure of it means anything.".into());
    }
    let mut prints: Vec<&str> =
        sources.records.iter().map(|record| record.run.fingerprint.hash.as_str()).collect();
    prints.sort_unstable();
    prints.dedup();
    if prints.len() > 1 {
        warnings.push("These runs are of different machines or builds: what differs between them may be the machine, not the model.".into());
    }
    let all = || sources.records.iter().flat_map(|record| &record.cells);
    if all().next().is_some() && !all().any(|cell| cell.state == State::Ok) {
        warnings.push("No cell has a figure: the reasons are below.".into());
    }
    warnings
}

pub(super) fn counted(sources: &Sources<'_>) -> String {
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!(
            "{count} {}",
            what.replacen("run", "runs", 1)
                .replacen("gate", "gates", 1)
                .replacen("record", "records", 1)
        ),
    };
    let (runs, gates) = (sources.records.len(), sources.gates.len());
    let kinds = [(runs, "run"), (gates, "gate"), (sources.claims.len(), "record of claims")];
    let parts =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| plural(count, what));
    parts.collect::<Vec<_>>().join(" and ")
}

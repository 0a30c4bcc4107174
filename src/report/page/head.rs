//! The head of the page: runs, machine and warnings.

use super::Sources;
use crate::{
    machine::Fingerprint,
    output::{counted, cut, shorten},
    record::{Cell, Claims, Nodes, Record, State},
    report::{gate::overall, summary, table::in_order},
};

pub(super) fn title(sources: &Sources<'_>) -> String {
    match (sources.records, sources.gates) {
        ([one], _) => run(one),
        ([], [gate]) => format!("paceline gate: {}", overall(gate.verdict)),
        ([], _) if let [one] = sources.claims => claims(one),
        ([], _) => "paceline".into(),
        (many, _) => format!("paceline: {}", counted(many.len(), "run")),
    }
}

/// Returns "9 models on AMD EPYC, 2 CPUs: 267 cells, 26 November 2026".
fn run(record: &Record) -> String {
    let models = in_order(record.cells.iter().map(|cell| cell.model.as_str())).len();
    format!(
        "{} on {}: {}, {}",
        counted(models, "model"),
        machine(&record.run.fingerprint),
        counted(record.cells.len(), "cell"),
        date(&record.run.started)
    )
}

/// Returns "13 claims on 24 models: AMD EPYC, 2 CPUs, 26 November 2026".
fn claims(of: &Claims) -> String {
    let results = of.claims.iter().flat_map(|claim| &claim.results);
    let models = in_order(results.map(|result| result.model.as_str())).len();
    format!(
        "{} on {}: {}, {}",
        counted(of.claims.len(), "claim"),
        counted(models, "model"),
        machine(&of.fingerprint),
        date(&of.started)
    )
}

/// Returns "AMD EPYC, 2 CPUs".
fn machine(print: &Fingerprint) -> String {
    format!("{}, {}", cut(&print.cpu_name, 60), counted(print.logical_cpus, "CPU"))
}

/// Formats a time as its day, "26 November 2026"; other text stays as it is.
fn date(instant: &str) -> String {
    const MONTHS: &str =
        "January February March April May June July August September October November December";
    let parts: Vec<&str> = instant.split('T').next().unwrap_or_default().split('-').collect();
    let known = || {
        let [year, month, day] = parts[..] else { return None };
        let month = month.parse::<usize>().ok()?.checked_sub(1)?;
        let (year, day): (u32, u32) = (year.parse().ok()?, day.parse().ok()?);
        Some(format!("{day} {} {year}", MONTHS.split(' ').nth(month)?))
    };
    known().unwrap_or_else(|| cut(instant, 40))
}

pub(super) fn lead(sources: &Sources<'_>) -> String {
    let cells: Vec<Cell> = sources.records.iter().flat_map(|record| record.cells.clone()).collect();
    if sources.records.is_empty() {
        return "The same jobs, and a number only if the checksum of each job was right.".into();
    }
    // Nothing is known beforehand of what a user's own server answers.
    if sources.records.iter().all(|record| record.run.models.is_empty()) {
        return format!("{}.", summary(&cells));
    }
    format!(
        "{}. A cell is one workload on one model at one scale, with a number only if the checksum of each job was right.",
        summary(&cells)
    )
}

/// Returns facts about the machines of several runs. A single run has them in its title and its section.
pub(super) fn facts(sources: &Sources<'_>) -> Vec<String> {
    if sources.records.len() == 1 {
        return vec![];
    }
    let runs = sources.records.iter().map(|record| (&record.run.fingerprint, &record.run.started));
    let gates = sources.gates.iter().map(|gate| (&gate.fingerprint, &gate.started));
    let mut facts: Vec<String> = Vec::new();
    let claims = sources.claims.iter().map(|claims| (&claims.fingerprint, &claims.started));
    for (print, started) in runs.chain(gates).chain(claims) {
        let cpus = counted(print.logical_cpus, "CPU");
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
    facts
}

/// Returns what must not be overlooked.
pub(super) fn warnings(sources: &Sources<'_>) -> Vec<String> {
    let mut warnings: Vec<String> =
        sources.left_out.iter().map(|why| format!("Left out: {}", shorten(why, 400))).collect();
    warnings.extend(sources.records.iter().filter_map(Record::missing));
    let nodes = sources.records.iter().filter_map(|record| record.nodes.as_ref());
    warnings.extend(nodes.flat_map(Nodes::warnings).map(|warning| shorten(&warning, 400)));
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

/// Returns "2 runs and 1 gate".
pub(super) fn contents(sources: &Sources<'_>) -> String {
    let (runs, gates) = (sources.records.len(), sources.gates.len());
    let kinds = [(runs, "run"), (gates, "gate"), (sources.claims.len(), "record of claims")];
    let some = kinds.into_iter().filter(|(number, _)| *number > 0);
    let parts = some.map(|(number, what)| counted(number, what));
    parts.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn a_date_is_in_words_and_what_is_none_stays_as_it_is() {
        assert_eq!(date("2026-11-06T16:25:20Z"), "6 November 2026");
        for odd in ["2026-13-06T16:25:20Z", "2026-00-06", "once", "1-2-3-4"] {
            assert_eq!(date(odd), odd);
        }
    }
}

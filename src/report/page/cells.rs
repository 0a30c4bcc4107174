//! The table of all cells, with the state of each and the command that measures it again.

use std::{path::Path, time::Duration};

use super::{
    load::{least_note, marked},
    overview::{bytes, nanoseconds, with_interval},
    parts::{Data, Table, name},
};
use crate::{
    output::{count, rate, shell_word},
    record::{Cell, Hosts, LoadFigures, MOSTLY_LATE, Run, State},
    report::table::{series_name, word},
};
use paceline_core::{models, workloads};

/// Returns a row for each cell.
pub(super) fn all(run: &Run, cells: &[&Cell]) -> Table {
    let is_late = |cell: &Cell| cell.latencies_of_the_generator().contains(&"p99");
    let late = if cells.iter().any(|cell| is_late(cell)) {
        format!(" ({MOSTLY_LATE})")
    } else {
        String::new()
    };
    let mut table = Table::new(
        format!(
            "Every cell, and the command that measures it again{late}{}",
            least_note(cells.iter().copied())
        ),
        "workload | model | scale | state | jobs per second | p99 latency | CPU per job | memory added | command",
    );
    for cell in cells {
        let ok = cell.state == State::Ok;
        let cpu = cell.cpu_ns_per_job.filter(|ns| ok && ns.is_finite());
        let added = cell.resources.and_then(|used| used.rss_bytes_added).filter(|_| ok);
        let jobs = with_interval(cell.jobs_per_second.filter(|_| ok), &rate);
        table.rows.push(vec![
            name(&cell.workload).into(),
            Data::of(series(cell)).class("l"),
            count(cell.scale).into(),
            Data::of(word(cell.state)).class(format!("l {}", word(cell.state))),
            Data { text: format!("{}{}", cell.least_mark(), jobs.text), ..jobs },
            cell.latency_ns_p99
                .filter(|_| ok)
                .map_or_else(Data::default, |p99| marked(p99, is_late(cell))),
            cpu.map_or_else(String::new, nanoseconds).into(),
            added.map_or_else(String::new, |added| bytes(added as f64)).into(),
            Data::of(command(run, cell)).class("l cmd"),
        ]);
    }
    table
}

fn series(cell: &Cell) -> String {
    name(&series_name(&cell.model, cell.workers))
}

/// Returns the command that measures this cell again; of a load, with the other servers of the record.
pub(super) fn command(run: &Run, cell: &Cell) -> String {
    if [&cell.workload, &cell.model].into_iter().any(|of| name(of) != **of) {
        return "none: a name in it cannot be written in full".into();
    }
    let workload = if workloads::find(&cell.workload).is_ok() {
        shell(&cell.workload)
    } else {
        let Some(file) = file_of(run, &cell.workload) else { return command_of(run) };
        shell(file)
    };
    let entry = models::find(&cell.model).ok();
    // Models of a fixed width take no worker count.
    let workers =
        cell.workers.filter(|_| entry.is_none_or(|entry| entry.info.width == models::Width::Any));
    let workers = workers.map_or_else(String::new, |workers| format!(" --workers {workers}"));
    let model = shell(&cell.model);
    if let Some(load) = &cell.load {
        // Every option of a load may change its figures, and the record has not all of them apart.
        let Some(hosts) = &load.hosts else { return command_of(run) };
        let what = format!("{workload} --model {model}{workers}");
        return between_nodes(run, cell, (load, hosts), &what);
    }
    if run.instrument == "criterion" {
        let escaped = regex::escape(&format!("{}/{}", cell.workload, cell.model));
        let at = cell.workers.map_or_else(String::new, |workers| format!("(@{workers})?"));
        // A profile has workloads and scales of its own.
        let profile = run.settings.get("profile").and_then(serde_json::Value::as_str);
        let profile = profile
            .filter(|profile| *profile != "default")
            .map_or_else(String::new, |profile| format!("PACELINE_PROFILE={} ", shell(profile)));
        let only = shell(&format!("^{escaped}{at}/{}$", cell.scale));
        let options: String = ["--sample-size", "--measurement-time"]
            .into_iter()
            .filter_map(|name| Some(format!(" {name} {}", shell(option_of(run, name)?))))
            .collect();
        return format!("{profile}cargo bench --{options} {only}");
    }
    let placed = entry.is_none_or(|entry| entry.info.placements[0] != cell.placement);
    let placement = if placed { format!(" --placement {}", cell.placement) } else { String::new() };
    let trials = run.settings.get("trials").and_then(serde_json::Value::as_u64).unwrap_or(5);
    let pin = run.settings.get("pin").and_then(serde_json::Value::as_bool).unwrap_or(false);
    let pin = if pin { " --pin" } else { "" };
    let seed = run
        .seed
        .filter(|seed| *seed != 1)
        .map_or_else(String::new, |seed| format!(" --seed {seed}"));
    format!(
        "paceline run {workload} --model {model} --scale {}{workers}{placement} --trials {trials}{pin}{seed}",
        cell.scale
    )
}

/// Returns the command that plans the load between the same nodes; that of the record if it does not say where they are.
fn between_nodes(
    run: &Run,
    cell: &Cell,
    (load, hosts): (&LoadFigures, &Hosts),
    what: &str,
) -> String {
    let setting = |name: &str| run.settings.get(name);
    let text = |name| setting(name).and_then(serde_json::Value::as_str);
    let others = setting("generator_addresses").and_then(serde_json::Value::as_array);
    let others: Vec<&str> =
        others.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    let (Some(server), true) = (text("server_address"), others.len() == hosts.generators.len())
    else {
        return command_of(run);
    };
    let node = |(id, address): (&String, &str)| shell(&format!("{id}={address}"));
    let generators = hosts.generators.iter().zip(others);
    let generators: Vec<String> = generators.map(node).collect();
    let generators = generators.join(" --generator ");
    let rate = load.rate.map_or_else(String::new, |rate| format!(" --rate {rate}"));
    let time = |seconds| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        humantime::format_duration(time).to_string().replace(' ', "")
    };
    format!(
        "paceline cluster plan {what}{rate} --connections {} --duration {} --warm-up {} --trials {} --seed {} --server {} --generator {generators} --out again",
        cell.scale,
        time(load.duration_seconds),
        time(load.warm_up_seconds),
        setting("trials").and_then(serde_json::Value::as_u64).unwrap_or(5),
        run.seed.unwrap_or(1),
        node((&hosts.server, server)),
    )
}

/// Returns the file of a workload, as it was typed: the only one, or the one called as the workload.
fn file_of<'r>(run: &'r Run, workload: &str) -> Option<&'r str> {
    let is_file = |word: &&String| Path::new(word).extension().is_some_and(|of| of == "toml");
    let files: Vec<&String> = run.command.iter().skip(1).filter(is_file).collect();
    let is_called_so =
        |file: &&&String| Path::new(file).file_stem().is_some_and(|of| of == workload);
    let file = files.iter().find(is_called_so).or(files.first().filter(|_| files.len() == 1));
    file.map(|file| file.as_str())
}

/// Returns the value that an option had.
fn option_of<'r>(run: &'r Run, name: &str) -> Option<&'r str> {
    let at = run.command.iter().position(|word| word == name)?;
    run.command.get(at + 1).map(String::as_str)
}

/// Returns the command of the record.
pub(super) fn command_of(run: &Run) -> String {
    let words = run.command.iter().skip(1).map(|word| shell(word));
    std::iter::once("paceline".into()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Quotes a word of a record for a shell.
pub(super) fn shell(word: &str) -> String {
    shell_word(&name(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::{Settings, begin};
    use paceline_core::perform::Placement;

    fn run(instrument: &'static str, words: &[&str]) -> Run {
        let settings = Settings { instrument, budget: Duration::ZERO, seed: None, more: vec![] };
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        Run { command, ..begin(&settings, &[], &[]) }
    }

    fn command_for(workload: &str, instrument: &'static str, words: &[&str]) -> String {
        let cell = Cell::new(workload, "tokio", 10, Some(2), Placement::Inside, State::Ok);
        command(&run(instrument, words), &cell)
    }

    #[test]
    fn a_file_is_named_as_it_was_typed_and_quoted() {
        let measured = "--model tokio --scale 10 --workers 2 --trials 5";
        let of = |words: &[&str]| command_for("my-svc", "trials", words);
        let file = "sub dir/other.toml";
        assert_eq!(
            of(&["./p", "run", file]),
            format!("paceline run 'sub dir/other.toml' {measured}")
        );
        let two = ["p", "advise", "a.toml", "x/my-svc.toml"];
        assert_eq!(of(&two), format!("paceline run x/my-svc.toml {measured}"));
        // Which of two files has it is not known: the command of the whole record is true at least.
        let two = ["p", "run", "a.toml", "it's.toml"];
        assert_eq!(of(&two), "paceline run a.toml 'it'\\''s.toml'");
        let built_in = command_for("sleep", "trials", &["p", "run", "sleep", "a.toml"]);
        assert_eq!(built_in, format!("paceline run sleep {measured}"));
    }

    #[test]
    fn a_benchmark_has_the_options_by_which_it_was_measured() {
        let words = ["suite-1", "--bench", "--sample-size", "20", "--measurement-time", "3", "cpu"];
        assert_eq!(
            command_for("cpu", "criterion", &words),
            "cargo bench -- --sample-size 20 --measurement-time 3 '^cpu/tokio(@2)?/10$'"
        );
        let plain = command_for("cpu", "criterion", &["suite-1", "--bench"]);
        assert_eq!(plain, "cargo bench -- '^cpu/tokio(@2)?/10$'");
    }
}

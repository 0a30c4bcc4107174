//! Adds groups and examples to the help of commands; prints shell completions and man pages.

use std::{fs, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{CliError, command, internal, say};
use crate::output::{print_bytes, remedy};

#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Args)]
pub(super) struct ManArguments {
    /// Write a page for each command to this folder, instead of printing the first one.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a completion script for a shell.
pub(super) fn complete(asked: &CompletionsArguments) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command(), "paceline", &mut script);
    print_bytes(&script).map(|()| 0).map_err(internal)
}

/// Prints the man page, or writes the pages of all commands.
pub(super) fn man(asked: &ManArguments) -> Result<u8, CliError> {
    let Some(folder) = &asked.out else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command()).render(&mut page);
        rendered.map_err(|error| internal(error.to_string()))?;
        return print_bytes(&page).map(|()| 0).map_err(internal);
    };
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command(), folder));
    let place = folder.display();
    written.map_err(|error| {
        let remedy = remedy(&error);
        internal(format!(
            "cannot write to {place}: {error}; {remedy}, or choose another folder with --out"
        ))
    })?;
    say(&format!("man pages: {place}"))
}

const WHAT: &str = "What is measured";
const HOW: &str = "How it is measured";
const RESULTS: &str = "Results";

/// Groups the options of every command, and adds examples below them.
pub(super) fn with_help(mut command: Command) -> Command {
    for (path, examples) in EXAMPLES {
        let lines = examples.iter().map(|(line, what)| format!("\n  {line}\n      {what}"));
        let text = format!("Examples:{}", lines.collect::<String>());
        let path: Vec<&str> = path.split_whitespace().collect();
        command = at(command, &path, &|of| grouped(of).after_help(text.clone()));
    }
    command
}

/// Changes the command at `path` below `command`.
fn at(command: Command, path: &[&str], change: &dyn Fn(Command) -> Command) -> Command {
    match path {
        [] => change(command),
        [first, rest @ ..] => command.mut_subcommand(first, |of| at(of, rest, change)),
    }
}

/// Groups the options of a command, unless they are few.
fn grouped(command: Command) -> Command {
    const FEW: usize = 3;
    let options = command.get_arguments().filter(|arg| !arg.is_positional()).count();
    command.mut_args(|arg| {
        if arg.is_positional() {
            return arg;
        }
        let id = arg.get_id().as_str().to_owned();
        // The parser of the value then explains why -1s is wrong.
        let takes_numbers = NUMBERS.contains(&&*id);
        let arg = if takes_numbers { arg.allow_hyphen_values(true) } else { arg };
        if options > FEW { arg.help_heading(heading(&id)) } else { arg }
    })
}

/// Options whose value is a number or a time.
const NUMBERS: [&str; 10] = [
    "budget",
    "seed",
    "trials",
    "suites",
    "duration",
    "warm_up",
    "patience",
    "p99_limit",
    "every",
    "timeout",
];

fn heading(option: &str) -> &'static str {
    match option {
        "model" | "scale" | "workers" | "filter" | "metric" | "kind" | "base" | "head"
        | "bench" | "package" | "chart" | "agreement" | "any_machine" | "method" | "header"
        | "body" | "urls" | "against" | "server" | "generator" => WHAT,
        "format" | "out" | "output" | "all" | "export" | "strict" | "ndjson" | "fail_if"
        | "results" | "partial" => RESULTS,
        _ => HOW,
    }
}

/// The examples of each command, by its path: the line, and what it does.
type Examples = &'static [(&'static str, &'static [(&'static str, &'static str); 3])];

const EXAMPLES: Examples = &[
    (
        "",
        &[
            ("paceline doctor", "is this machine fit to measure on?"),
            ("paceline run echo --model tokio,smol --scale 100", "compares two models"),
            ("paceline advise job.toml", "which model suits your job?"),
        ],
    ),
    (
        "models",
        &[
            ("paceline models", "lists the models, and why some cannot run here"),
            ("paceline models --format json", "the same for other programs"),
            ("COLUMNS=80 paceline models", "in lines of 80 columns"),
        ],
    ),
    (
        "workloads",
        &[
            ("paceline workloads", "lists the built-in workloads and their scales"),
            ("paceline workloads --format json", "with the text of each, to begin your own from"),
            ("COLUMNS=80 paceline workloads", "in a table of 80 columns"),
        ],
    ),
    (
        "run",
        &[
            ("paceline run echo --model tokio,smol --scale 100", "compares two models"),
            ("paceline run job.toml --budget 5m", "measures your own job on all models"),
            ("paceline run sleep --model threads --to-the-limit", "finds what breaks first"),
        ],
    ),
    (
        "load",
        &[
            ("paceline load serve-plain --model tokio,pool --rate 500", "500 requests per second"),
            (
                "paceline load serve-plain --model tokio --p99-limit 10ms",
                "the highest rate with a p99 latency within 10 ms",
            ),
            (
                "paceline load http://127.0.0.1:8080/ --connections 16 --duration 10s",
                "your own server, 16 connections that each wait for their answers",
            ),
        ],
    ),
    (
        "serve",
        &[
            ("paceline serve serve-plain --model tokio", "a server for curl or wrk"),
            ("paceline serve job.toml --model threads", "your own job at each request"),
            ("paceline serve serve-plain --model smol --workers 1", "with one worker"),
        ],
    ),
    (
        "doctor",
        &[
            ("paceline doctor", "says what disturbs measurements here, and what to do"),
            ("paceline doctor --format json", "the same for other programs"),
            ("paceline doctor && paceline run", "measures only if the machine is fit"),
        ],
    ),
    (
        "gate",
        &[
            ("paceline gate --base main", "did the working tree get slower than main?"),
            (
                "paceline gate --base tokio@1.50.0 --head tokio@1.51.0",
                "did a dependency get slower?",
            ),
            ("paceline gate --base v1.0 --bench hot --strict", "gates your own bench, for CI"),
        ],
    ),
    (
        "init",
        &[
            ("paceline init gate --dry-run", "what would be written, and where"),
            ("paceline init gate", "sets the crate of this folder up for the gate"),
            ("paceline init gate --package my-crate", "one crate of a workspace"),
        ],
    ),
    (
        "cluster",
        &[
            (
                "paceline cluster run echo --scale 100 --engine local --out matrix",
                "plans, measures and collects here, in blocks that can be stopped and resumed",
            ),
            ("paceline cluster plan echo sleep --out matrix", "writes a plan for other nodes"),
            ("paceline cluster submit matrix --engine slurm", "submits its blocks to Slurm"),
        ],
    ),
    (
        "cluster plan",
        &[
            ("paceline cluster plan echo cpu --trials 8 --out plan", "two workloads"),
            (
                "paceline cluster plan --model tokio,smol --budget 5m --out plan",
                "the core workloads on two models, each block within 5 minutes",
            ),
            (
                "paceline cluster plan serve-plain --model tokio --rate 1000 --connections 64 --server n1=10.0.0.1 \
                 --generator n2=10.0.0.2 --out plan",
                "a server on one node, put under load from another",
            ),
        ],
    ),
    (
        "cluster submit",
        &[
            (
                "paceline cluster submit plan --engine slurm --set options=--partition=batch",
                "as an array of jobs",
            ),
            ("paceline cluster submit plan --engine ssh --set hosts=box1,box2", "to two machines"),
            ("paceline cluster submit plan", "again: blocks without a result, to the same engine"),
        ],
    ),
    (
        "cluster status",
        &[
            ("paceline cluster status plan", "the state of each block"),
            ("paceline cluster status plan --wait", "waits; exits with 3 if a result is missing"),
            ("paceline cluster status plan --format json", "the same for other programs"),
        ],
    ),
    (
        "cluster collect",
        &[
            ("paceline cluster collect plan", "makes a record in the folder results"),
            ("paceline cluster collect plan --partial", "also if blocks have no result"),
            ("paceline cluster collect plan --any-machine", "one record of all kinds of machines"),
        ],
    ),
    (
        "cluster cancel",
        &[
            ("paceline cluster cancel plan", "ends what waits or runs"),
            (
                "paceline cluster cancel plan && paceline cluster collect plan --partial",
                "and records the blocks that are done",
            ),
            (
                "paceline cluster cancel plan && paceline cluster submit plan",
                "and begins again with the blocks that are not",
            ),
        ],
    ),
    (
        "cluster run",
        &[
            (
                "paceline cluster run echo --scale 100 --engine local --out matrix",
                "on this machine, in blocks that can be stopped and resumed",
            ),
            (
                "paceline cluster run echo cpu --engine slurm --set options=--partition=batch --out matrix",
                "two workloads with Slurm",
            ),
            (
                "paceline cluster run --trials 8 --engine ssh --set hosts=box1,box2 --out matrix",
                "the core workloads on two machines",
            ),
        ],
    ),
    (
        "cluster work",
        &[
            ("paceline cluster work plan 0000", "the first block"),
            ("paceline cluster work plan 0000 --node box1", "as the node box1 of the plan"),
            ("PACELINE_NODE_NAME=box1 paceline cluster work plan 0000", "the same"),
        ],
    ),
    (
        "cluster manifest",
        &[
            (
                "paceline cluster manifest plan --image registry.example/paceline:1",
                "prints the manifest",
            ),
            (
                "paceline cluster manifest plan --image registry.example/paceline:1 --cpus 4",
                "with 4 CPUs for each pod",
            ),
            (
                "paceline cluster manifest plan --image registry.example/paceline:1 | kubectl apply -f -",
                "starts it",
            ),
        ],
    ),
    (
        "selftest",
        &[
            ("paceline selftest", "an hour: false alarms and planted slowdowns"),
            ("paceline selftest --budget 10m --suites 0", "planted slowdowns only"),
            ("paceline selftest --kind cpu --budget 10m", "of one kind of work"),
        ],
    ),
    (
        "advise",
        &[
            ("paceline advise job.toml", "which model suits your job"),
            ("paceline advise service --model tokio,threads", "of two models"),
            ("paceline advise job.toml --scale 10,1000 --budget 2m", "at two scales"),
        ],
    ),
    (
        "claims",
        &[
            ("paceline claims", "puts every claim to every model, in 3 minutes"),
            ("paceline claims sleeps freezes --model tokio,asyncio", "two claims on two models"),
            ("paceline claims cancel --all", "with all figures and their intervals"),
        ],
    ),
    (
        "compare",
        &[
            ("paceline compare monday tuesday --out results", "two runs in the folder results"),
            ("paceline compare results/a results/b --all", "with every figure"),
            ("paceline compare a b c --agreement", "how often runs of one build disagree"),
        ],
    ),
    (
        "history",
        &[
            ("paceline history", "all runs in the folder results"),
            ("paceline history --filter echo/tokio --metric p99", "one model's tail latency"),
            ("paceline history --format otava", "CSV for change-point tools"),
        ],
    ),
    (
        "report",
        &[
            ("paceline report", "a page of the newest run"),
            ("paceline report monday --format table --all", "every figure in the terminal"),
            ("paceline report monday --format csv -o monday.csv", "for a spreadsheet"),
        ],
    ),
    (
        "completions",
        &[
            (
                "paceline completions bash > ~/.local/share/bash-completion/completions/paceline",
                "for bash",
            ),
            ("paceline completions zsh > ~/.zfunc/_paceline", "for zsh, with ~/.zfunc in fpath"),
            ("paceline completions fish > ~/.config/fish/completions/paceline.fish", "for fish"),
        ],
    ),
    (
        "man",
        &[
            ("paceline man | man -l -", "shows the first page"),
            ("paceline man --out ~/.local/share/man/man1", "installs a page for each command"),
            ("paceline man --out man", "writes them into a folder"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli::{Arguments, Command as Asked, order};

    /// Returns the arguments of an example, without the rest of the shell line.
    fn words(line: &str) -> Vec<&str> {
        let words = line.split_whitespace().skip_while(|word| *word != "paceline");
        words.take_while(|word| !["|", "&&", ">"].contains(word)).collect()
    }

    /// Returns the paths of all commands below `of`, such as `cluster plan`.
    fn paths(of: &Command, above: &str) -> Vec<String> {
        let below = of.get_subcommands().flat_map(|of| {
            let path = format!("{above} {}", of.get_name()).trim_start().to_owned();
            let below = paths(of, &path);
            std::iter::once(path).chain(below)
        });
        below.collect()
    }

    #[test]
    fn every_command_has_three_examples_that_parse_and_name_what_there_is() {
        for path in std::iter::once(String::new()).chain(paths(&command(), "")) {
            let found = EXAMPLES.iter().find(|(command, _)| *command == path);
            let (_, examples) = found.unwrap_or_else(|| panic!("{path} has no examples"));
            for (line, _) in *examples {
                let parsed = command().try_get_matches_from(words(line));
                let parsed = parsed.and_then(|matches| Arguments::from_arg_matches(&matches));
                let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(words(line)[1..].join(" ").starts_with(&path), "{line}");
                // job.toml stands for the reader's own file.
                let checked = match &parsed.command {
                    _ if line.contains("job.toml") => Ok(()),
                    Asked::Run(arguments) => order(arguments).map(drop),
                    Asked::Load(arguments) => arguments.order().map(drop),
                    Asked::Claims(arguments) => arguments.named().map(drop),
                    Asked::Advise(arguments) => order(&arguments.as_run()).map(drop),
                    _ => Ok(()),
                };
                checked.unwrap_or_else(|error| panic!("{line}: {}", error.1));
            }
        }
    }

    #[test]
    fn options_stand_in_groups_and_examples_behind_them() {
        let mut command = command();
        let run = command.find_subcommand_mut("run").unwrap();
        let help = run.render_help().to_string();
        let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text} in {help}"));
        assert!(place("What is measured:") < place("--model"), "{help}");
        assert!(place("--budget") < place("Results:"), "{help}");
        assert!(place("Results:") < place("Examples:"), "{help}");
    }
}

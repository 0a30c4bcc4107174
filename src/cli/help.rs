//! Adds groups and examples to the help of commands; prints shell completions and man pages.

mod examples;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{CliError, INTERNAL, USAGE, command, internal, say};
use crate::output::{print_bytes, print_error, remedy, unprinted};
use examples::EXAMPLES;

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

/// Prints help or the version, and returns the exit code.
pub(super) fn shown(asked: &clap::Error) -> u8 {
    match asked.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            print_error(&unprinted(&error));
            INTERNAL
        }
        _ if asked.use_stderr() => USAGE,
        _ => 0,
    }
}

/// Prints a completion script for a shell.
pub(super) fn complete(asked: &CompletionsArguments) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command(), "paceline", &mut script);
    let script = without_hidden(&String::from_utf8_lossy(&script));
    print_bytes(script.as_bytes()).map(|()| 0).map_err(internal)
}

/// Prints the man page, or writes the pages of all commands.
pub(super) fn man(asked: &ManArguments) -> Result<u8, CliError> {
    let Some(folder) = &asked.out else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command()).render(&mut page);
        rendered.map_err(|error| internal(error.to_string()))?;
        return print_bytes(&with_examples(&page)).map(|()| 0).map_err(internal);
    };
    let written = fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command(), folder))
        .and_then(|()| retitle(folder));
    let place = folder.display();
    written.map_err(|error| {
        let remedy = remedy(&error);
        internal(format!(
            "cannot write to {place}: {error}; {remedy}, or choose another folder with --out"
        ))
    })?;
    say(&format!("man pages: {place}"))
}

/// Returns a man page in which the section of the examples is called EXAMPLES: `clap_mangen` calls it EXTRA.
fn with_examples(page: &[u8]) -> Vec<u8> {
    let page = String::from_utf8_lossy(page);
    page.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n").into_bytes()
}

/// Renames that section in the pages in `folder`.
fn retitle(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("paceline") && name.ends_with(".1") {
            fs::write(&path, with_examples(&fs::read(&path)?))?;
        }
    }
    Ok(())
}

/// Returns a completion script without hidden options, which `clap_complete` offers too.
fn without_hidden(script: &str) -> String {
    let all = command();
    let hidden: Vec<&str> = all
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter(|arg| arg.is_hide_set())
        .filter_map(clap::Arg::get_long)
        .collect();
    let mut kept = String::new();
    for line in script.lines() {
        let names = |name: &&&str| {
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .any(|word| word.trim_start_matches("--") == **name)
        };
        // bash lists all options in one line, and has a branch for each, which is never taken without that.
        let kept_line = match hidden.iter().find(names) {
            Some(name) if line.trim_start().starts_with("opts=") => {
                line.replace(&format!(" --{name}"), "")
            }
            Some(name) if line.trim() != format!("--{name})") => continue,
            _ => line.to_owned(),
        };
        kept.push_str(&kept_line);
        kept.push('\n');
    }
    kept
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

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::{
        cli::{Arguments, Command as Asked, order},
        record::Metric,
        report::Export,
    };

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
    fn lists_of_values_in_the_help_are_those_that_there_are() {
        let metrics = || Metric::ALL.map(Metric::name).to_vec();
        let exports = |of_gates| Export::all(of_gates).map(Export::name);
        for (name, option, [from, to], mut values) in [
            ("gate", "metric", ["commas: ", "["], metrics()),
            ("gate", "export", ["the format ", ";"], exports(true).collect()),
            ("history", "metric", ["commas: ", " ["], [metrics(), vec!["requests"]].concat()),
            (
                "report",
                "format",
                ["format: ", "["],
                ["html", "table", "svg"].into_iter().chain(exports(false)).collect(),
            ),
        ] {
            let all = command();
            let mut options = all.find_subcommand(name).unwrap().get_arguments();
            let help = options.find(|arg| arg.get_id().as_str() == option).unwrap().get_help();
            let help = help.unwrap().to_string();
            let list = help.split(from).nth(1).unwrap().split(to).next().unwrap();
            let mut listed: Vec<&str> =
                list.split(", ").flat_map(|names| names.split(" or ")).collect();
            listed.sort_unstable();
            values.sort_unstable();
            assert_eq!(listed, values, "{name} --{option}: {help}");
        }
    }

    #[test]
    fn completions_offer_no_hidden_option_and_man_pages_have_examples() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "paceline", &mut script);
            let script = String::from_utf8(script).unwrap();
            let offers = |script: &str| {
                script.lines().filter(|line| line.contains("variants-of")).count()
                    - script.lines().filter(|line| line.trim() == "--variants-of)").count()
            };
            assert!(offers(&script) > 0 && offers(&without_hidden(&script)) == 0, "{shell}");
            let lost = script.lines().count() - without_hidden(&script).lines().count();
            assert!(lost <= 1, "{shell}: {lost}");
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command()).render(&mut page).unwrap();
        let page = String::from_utf8(with_examples(&page)).unwrap();
        assert!(
            page.contains(".SH EXAMPLES\n  paceline doctor\n") && !page.contains("EXTRA"),
            "{page}"
        );
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

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
    for (name, examples) in examples() {
        command = command.mut_subcommand(name, |of| {
            let grouped = of.mut_args(|arg| {
                if arg.is_positional() {
                    return arg;
                }
                let id = arg.get_id().as_str().to_owned();
                // The parser of the value then explains why -1s is wrong.
                let takes_numbers = NUMBERS.contains(&&*id);
                let arg = if takes_numbers { arg.allow_hyphen_values(true) } else { arg };
                arg.help_heading(heading(&id))
            });
            grouped.after_help(format!("Examples:\n{examples}"))
        });
    }
    command
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
        | "body" | "urls" | "against" => WHAT,
        "format" | "out" | "output" | "all" | "export" | "strict" | "ndjson" | "fail_if" => RESULTS,
        _ => HOW,
    }
}

/// The examples of each command, as its help shows them: under its name three lines, each with what it does.
const EXAMPLES: &str = include_str!("examples.txt");

/// Returns the name of each command and its examples.
fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXAMPLES.trim_end().split("\n\n").filter_map(|of| of.split_once('\n'))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments, Command as Asked, order};

    /// Returns the arguments of an example, without the rest of the shell line.
    fn words(line: &str) -> Vec<&str> {
        let words = line.split_whitespace().skip_while(|word| *word != "paceline");
        words.take_while(|word| !["|", "&&", ">"].contains(word)).collect()
    }

    #[test]
    fn every_command_has_three_examples_that_parse_and_name_what_there_is() {
        for of in command().get_subcommands() {
            let name = of.get_name();
            let (_, examples) = examples().find(|(command, _)| *command == name).unwrap();
            let lines = examples.lines().filter(|line| !line.starts_with("   "));
            assert_eq!(lines.clone().count(), 3, "{examples}");
            for line in lines {
                let parsed = Arguments::try_parse_from(words(line));
                let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(words(line)[1], name, "{line}");
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

//! What the documents quote, name and call exists, and the reference of commands is what the command line says.
#![allow(clippy::format_push_string, reason = "the reference is small")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the files are this project's"
)]

mod documents;

use std::{collections::BTreeSet, env, fs, path::Path, process, time::Duration};

use clap::{Arg, Command};
use documents::{blocks, documents, files};
use paceline::load::CONNECTIONS;
use paceline_core::{
    job::{Workload, bounds, is_chosen},
    models::MODELS,
    quantity::count,
    workloads,
};

/// What stands between backticks outside of code blocks.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Names of files that recipes tell their reader to write.
fn is_example(path: &str) -> bool {
    ["chunks", "relay", "lua", "ruby"].iter().any(|name| path.contains(name))
}

#[test]
fn quoted_lines_are_in_the_files_that_they_name_in_their_order() {
    let mut quotes = 0;
    for (path, text) in documents() {
        for (language, lines) in blocks(&text) {
            let first = lines.first().copied().unwrap_or_default();
            let head = first.trim_start_matches(['/', '#', ' ']);
            let Some(file) = head.strip_prefix("in ") else {
                // A recipe says of each quote where it is.
                let recipe =
                    path.ends_with("CONTRIBUTING.md") && ["rust", "toml"].contains(&language);
                assert!(!recipe || head.starts_with("new file "), "{path:?}: {first}");
                continue;
            };
            let source =
                fs::read_to_string(file).unwrap_or_else(|e| panic!("{path:?}: {file}: {e}"));
            let mut rest = source.lines().map(str::trim);
            for line in lines[1..].iter().filter(|line| !line.ends_with(" new")) {
                assert!(rest.any(|there| there == *line), "{path:?}: {file} has no `{line}` here");
                quotes += 1;
            }
        }
    }
    assert!(quotes > 20, "only {quotes} lines are quoted");
}

#[test]
fn every_path_and_every_test_that_is_named_exists() {
    let sources = files(".", ".rs");
    let code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let exists = |name: &str| {
        let roots = ["src/", "crates/", "tests/", "benches/", "docs/", "scripts/", ".github/"];
        let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.contains([' ', '<', '*', '{', '$']) || is_example(name) {
            true
        } else if roots.iter().any(|root| name.starts_with(root)) {
            Path::new(name).exists()
        } else if name.ends_with(".rs") {
            sources.iter().any(|source| source.ends_with(name))
        } else {
            name.starts_with('_')
                || name.matches('_').count() < 4
                || !name.chars().all(snake)
                || code.contains(name)
        }
    };
    let mut missing = Vec::new();
    for (path, text) in documents() {
        missing.extend(
            quoted(&text)
                .iter()
                .filter(|name| !exists(name))
                .map(|name| format!("{path:?}: `{name}`")),
        );
        for (flag, folder) in [
            ("--test ", "tests"),
            ("--bench ", "benches"),
            ("--example ", "crates/paceline-gated/examples"),
        ] {
            let names = text.split(flag).skip(1).filter_map(|rest| {
                rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next()
            });
            // A bench called `gate` is one of a user's crate.
            let names = names.filter(|name| !["", "gate"].contains(name));
            let there = |name: &&str| Path::new(folder).join(name).with_extension("rs").exists();
            missing.extend(
                names.filter(|name| !there(name)).map(|name| format!("{path:?}: {flag}{name}")),
            );
        }
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.starts_with("http") && !link.contains(' '));
        missing.extend(
            links
                .filter(|link| !leads_somewhere(&path, link))
                .map(|link| format!("{path:?}: {link}")),
        );
    }
    assert!(missing.is_empty(), "named, and not there: {missing:#?}");
}

/// What `paceline cluster` has to survive. A row of docs/cluster.md says which test plants it.
const FAULTS: [&str; 24] = [
    "a node is killed",
    "a node is cut off, and its attempt and the new one both end",
    "the controller is killed while a job is submitted",
    "a job ends while the controller is down",
    "an administrator requeues a job",
    "the scheduler forgets a job",
    "a block can never run",
    "a block runs out of time",
    "one task is cancelled",
    "a disk is full",
    "a line of a part is torn",
    "a node has another program",
    "a generator dies, or is late at the start",
    "collect is killed",
    "a wall clock is set",
    // Bad input.
    "there is no scheduler, or an engine file matches nothing",
    "a load has more nodes than Slurm, or an unknown partition",
    "a node cannot run the program",
    "a plan is of another build, or its folder cannot be written",
    "a disk is full, or cannot be written, under a load",
    "clocks of a load's nodes are an hour off",
    "a node has another plan or token",
    "a load has more generators than nodes, or a role is started on another machine",
    "a histogram cannot be read",
];

#[test]
fn every_fault_of_a_cluster_has_a_test_that_is_there() {
    let text = fs::read_to_string("docs/cluster.md").unwrap();
    let table = text.split("| fault | test |\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().skip(1).map(|row| {
        let (fault, tests) = row.trim_matches('|').split_once('|').unwrap();
        (fault.trim(), tests.trim())
    });
    let rows: Vec<(&str, &str)> = rows.collect();
    for fault in FAULTS {
        assert!(rows.iter().any(|(of, _)| *of == fault), "docs/cluster.md: no test of: {fault}");
    }
    for (fault, tests) in rows.into_iter().filter(|(_, tests)| !tests.starts_with("not yet: ")) {
        let names = quoted(tests);
        assert!(
            !names.is_empty() && names.len().is_multiple_of(2),
            "{fault}: a test in a file, not {tests}"
        );
        for of in names.chunks(2) {
            let (name, file) = (of[0], of[1]);
            let code = fs::read_to_string(file).unwrap();
            let before = code.split(&format!("fn {name}(")).next().unwrap();
            let is_test = before.len() < code.len()
                && before.trim_end().lines().rev().take(4).any(|line| line.trim() == "#[test]");
            assert!(is_test, "{fault}: {file} has no test {name}");
        }
    }
}

/// Whether the file of a link exists, and the heading in it.
fn leads_somewhere(from: &Path, link: &str) -> bool {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = if file.is_empty() { from.into() } else { from.parent().unwrap().join(file) };
    let heading = |line: &str| {
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let words: String = line.trim_matches(['#', ' ']).chars().filter(kept).collect();
        line.starts_with('#') && words.to_lowercase().replace(' ', "-") == anchor
    };
    file.exists() && (anchor.is_empty() || fs::read_to_string(file).unwrap().lines().any(heading))
}

#[test]
fn every_command_is_one_that_the_command_line_takes() {
    let mut commands = 0;
    for (path, text) in documents() {
        let scripts = blocks(&text).into_iter().filter(|(language, _)| *language == "sh");
        for line in scripts.flat_map(|(_, lines)| lines) {
            let line = line.split(" #").next().unwrap().trim();
            let given =
                line.strip_prefix("cargo run --release -- ").or(line.strip_prefix("paceline "));
            let Some(given) = given else { continue };
            let words = given.split_whitespace().map(|word| word.trim_matches(['\'', '"']));
            let parsed = paceline::cli::command()
                .try_get_matches_from([&["paceline"], &words.collect::<Vec<_>>()[..]].concat());
            assert!(parsed.is_ok(), "{path:?}: {line}: {}", parsed.unwrap_err());
            commands += 1;
        }
    }
    assert!(commands > 30, "only {commands} commands are shown");
}

#[test]
fn workload_files_in_documents_can_be_read() {
    let mut read = 0;
    for (path, text) in documents() {
        for (language, lines) in blocks(&text) {
            if language == "toml" && lines.iter().any(|line| line.starts_with("job ")) {
                let parsed = Workload::parse("shown.toml", &lines.join("\n"));
                assert!(parsed.is_ok(), "{path:?}: {}", parsed.unwrap_err());
                read += 1;
            }
        }
    }
    assert!(read > 3, "only {read} workloads are shown");
}

#[test]
fn every_model_and_workload_has_its_row_and_the_readme_fits() {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    for entry in MODELS {
        assert!(
            read("docs/models.md").contains(&format!("\n| `{}` |", entry.info.name)),
            "{}",
            entry.info.name
        );
    }
    for workload in workloads::built_in() {
        assert!(
            read("docs/jobs.md").contains(&format!("\n| `{}` |", workload.name)),
            "{}",
            workload.name
        );
    }
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "README.md has {} lines", readme.lines().count());
    assert_eq!(readme.matches("<!-- output: ").count(), 3, "three things, each with its output");
    let pictures = files("docs", ".png");
    let bytes: u64 = pictures.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(pictures.len() >= 2 && bytes <= 300_000, "{bytes} bytes of {pictures:?}");
}

#[test]
fn the_table_of_the_readme_is_that_of_the_record_that_it_names() {
    let readme = fs::read_to_string("README.md").unwrap();
    let shown = readme.split("<!-- output: cargo bench -->").nth(1).unwrap();
    let record = shown.split("(results/").nth(1).unwrap().split('/').next().unwrap();
    let mut report = process::Command::new(env!("CARGO_BIN_EXE_paceline"));
    let output =
        report.args(["report", record, "--format", "table"]).env("COLUMNS", "100").output();
    let table = String::from_utf8(output.unwrap().stdout).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let there: Vec<String> = table.lines().map(words).collect();
    let block = &blocks(shown)[0].1;
    let rows: Vec<&&str> = block.iter().take_while(|line| !line.starts_with('*')).collect();
    assert!(rows.len() >= 6, "{rows:?}");
    for row in rows {
        assert!(there.contains(&words(row)), "{row}\nis not in\n{table}");
    }
}

#[test]
fn every_dependency_has_its_line_and_no_other_has() {
    let mut used = BTreeSet::new();
    for folder in [".", "crates/paceline-core", "crates/paceline-gated"] {
        let manifest = fs::read_to_string(format!("{folder}/Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter();
        let targets = targets.flatten().map(|(_, target)| target.as_table().unwrap());
        for table in targets.chain([&manifest]) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let named = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
                used.extend(
                    named
                        .map(|(name, _)| name.clone())
                        .filter(|name| !name.starts_with("paceline")),
                );
            }
        }
    }
    let text = fs::read_to_string("docs/dependencies.md").unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<String> =
        rows.flat_map(|row| quoted(row.split(" | ").next().unwrap())).map(str::to_owned).collect();
    assert_eq!(named, used);
}

#[test]
fn the_limits_of_a_workload_file_are_those_of_the_code() {
    let text = fs::read_to_string("docs/jobs.md").unwrap();
    let limits = text.split("\n## Limits\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let fields = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|field| field.trim().to_owned()).collect()
    };
    // Of each row what stands before the explanation, the lowest value and the highest.
    let rows = limits.lines().filter(|line| line.starts_with("| ")).map(fields);
    let rows: Vec<Vec<String>> = rows.filter(|row| row[0] != "what").collect();
    let number = |of: u64| count(of as usize);
    let minutes = |of: Duration| number(of.as_secs() / 60);
    let between = |bound: bounds::Bound| vec![number(bound.least), number(bound.most)];
    let up_to = |most: usize| vec![number(1), count(most)];
    let wanted = [
        ("a number in `scale`", between(bounds::SCALE)),
        ("a number in `workers`", between(bounds::WORKERS)),
        ("numbers in such a list", up_to(bounds::NUMBERS)),
        ("characters of `name`", up_to(bounds::NAME)),
        ("`sleep`, `block`", vec!["above 0 s".into(), format!("{} min", minutes(bounds::WAIT))]),
        ("`compute` in rounds", between(bounds::ROUNDS)),
        ("`bytes` of `exchange`", between(bounds::BYTES)),
        ("`bytes` of `say`", between(bounds::SAID)),
        ("`times`", between(bounds::TIMES)),
        ("`hop`", between(bounds::HOPS)),
        ("`yield`", between(bounds::YIELDS)),
        ("`pool`", between(bounds::POOL)),
        ("`width` of `gather`", between(bounds::WIDTH)),
        ("`width` of `group`", between(bounds::GROUP)),
        ("`nth`", between(bounds::NTH)),
        ("steps in a list", vec![count(0), count(bounds::STEPS)]),
        ("lists of steps", up_to(bounds::DEPTH)),
        ("bytes of the file", vec![String::new(), number(bounds::FILE)]),
        ("waits, one after another", vec![format!("{} h", bounds::SERIAL.as_secs() / 3600)]),
        ("rounds of `compute`", vec![number(bounds::COMPUTE)]),
        ("bytes sent", vec![number(bounds::SENT)]),
        ("tasks at once", vec![number(bounds::TASKS)]),
        ("units", vec![number(bounds::UNITS)]),
    ];
    assert_eq!(rows.len(), wanted.len(), "{rows:#?}");
    for (row, (what, values)) in rows.iter().zip(wanted) {
        assert!(row[0].starts_with(what), "{row:?}: {what}");
        assert_eq!(row[1..], values, "{what}");
    }
}

#[test]
fn the_default_connections_of_an_open_loop_are_documented() {
    for path in ["docs/load.md", "docs/reference.md"] {
        let text = fs::read_to_string(path).unwrap();
        let said =
            [format!("has {CONNECTIONS} connections"), format!("default: {CONNECTIONS}, or")];
        assert!(said.iter().any(|said| text.contains(said)), "{path}: none of {said:?}");
    }
}

/// Every bound has a row: one that is added to the code is added to the test above, and so to the document.
#[test]
fn the_limits_of_a_workload_file_are_all_documented() {
    let code = fs::read_to_string("crates/paceline-core/src/job/bounds.rs").unwrap();
    let test = fs::read_to_string("tests/docs.rs").unwrap();
    let names = code.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(test.contains(&format!("bounds::{name}")), "docs/jobs.md: no row of {name}");
    }
}

#[test]
fn the_protocol_lists_the_jobs_that_every_chooses() {
    let chosen: Vec<usize> = (0..).filter(|index| is_chosen(*index, 3)).take(8).collect();
    assert_eq!(chosen, [0, 4, 7, 10, 14, 16, 19, 22]);
    let protocol = fs::read_to_string("docs/protocol.md").unwrap();
    assert!(protocol.contains(&format!("{chosen:?}")));
}

/// `PACELINE_BLESS=1 cargo test --test docs` writes it anew.
#[test]
fn the_reference_is_what_the_command_line_says() {
    let now = reference();
    if env::var_os("PACELINE_BLESS").is_some() {
        fs::write("docs/reference.md", &now).unwrap();
    }
    let kept = fs::read_to_string("docs/reference.md").unwrap_or_default();
    assert!(kept == now, "docs/reference.md is stale: PACELINE_BLESS=1 cargo test --test docs");
}

fn reference() -> String {
    let mut text = "# Commands and options\n\n<!-- Generated from the command line by tests/docs.rs: do not edit. -->\n".to_owned();
    let command = paceline::cli::command();
    let named =
        |name: &str, command: &Command| (format!("{name} {}", command.get_name()), command.clone());
    let commands = command.get_subcommands().flat_map(|command| {
        let (name, command) = named("paceline", command);
        let under: Vec<_> = command.get_subcommands().map(|under| named(&name, under)).collect();
        if under.is_empty() { vec![(name, command)] } else { under }
    });
    for (name, command) in commands {
        let usage = command.clone().bin_name(&name).render_usage().to_string();
        let about = command.get_about().unwrap();
        text += &format!("\n## {name}\n\n{about}.\n\n```text\n{usage}\n```\n\n| | |\n|---|---|\n");
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            text += &format!("| `{}` | {} |\n", spelled(arg), meaning(arg));
        }
    }
    text
}

fn spelled(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (_, Some(long)) => format!("--{long}"),
        _ => return value.replace('|', "\\|"),
    };
    let value = if arg.get_action().takes_values() { format!(" {value}") } else { String::new() };
    (flag + &value).replace('|', "\\|")
}

fn meaning(arg: &Arg) -> String {
    let joined = |names: Vec<String>| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut text = arg.get_help().unwrap_or_default().to_string().replace('|', "\\|");
    if arg.get_action().takes_values() {
        let values =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let defaults = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        for (what, names) in [("values", joined(values)), ("default", joined(defaults))] {
            if !names.is_empty() {
                text += &format!("; {what}: {names}");
            }
        }
    }
    text
}

#[test]
fn no_document_sends_its_reader_to_a_placeholder_address() {
    for (path, text) in documents() {
        assert!(!text.contains("example.com"), "{}: there is nothing there", path.display());
    }
}

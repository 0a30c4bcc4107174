//! What is printed fits the terminal: of 40, 80 and 100 columns, by every command that prints a table; and a pipe gets no
//! colour.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;
mod sample_claims;
mod sample_gate;
mod sample_run;

use std::{
    fs,
    path::{Path, PathBuf},
};

use paceline::record::{write_claims, write_gate};
use program::text;

const COLUMNS: [usize; 3] = [40, 80, 100];

/// What is typed. RESULTS is the folder of reference runs; `gate`, `claims` and `load` are records of the test.
const TYPED: &[&str] = &[
    "models",
    "workloads",
    "report 2026-11-29T15-26-27Z-criterion-29358 --out RESULTS --format table",
    "report 2026-11-29T15-26-27Z-criterion-29358 --out RESULTS --format table --all",
    "report 2026-11-29T17-48-39Z-trials-5729 --out RESULTS --format table",
    "report 2026-11-29T17-48-39Z-trials-5729 --out RESULTS --format table --all",
    "report gate --format table",
    "report gate --format table --all",
    "report claims --format table",
    "report claims --format table --all",
    "report load --format table",
    "report load --format table --all",
    "compare load other",
    "compare load other --all",
    "compare load load --agreement",
    "history --out RESULTS",
    "history --out .",
    "cluster status plan",
];

/// The same of commands that measure: they are called once, in the narrowest terminal.
const MEASURING: &[&str] = &[
    "doctor",
    "advise sleep --model tokio,threads --scale 1,10 --trials 1",
    "run yield --model sequential,threads --scale 1,10 --trials 1",
    "claims inert order --model tokio,threads",
    "claims --budget 1s",
];

/// Writes the records, and a plan.
fn folder() -> tempfile::TempDir {
    let folder = program::folder();
    let at = |name: &str| -> PathBuf {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
    write_gate(&at("gate"), &sample_gate::sample()).unwrap();
    write_claims(&at("claims"), &sample_claims::sample()).unwrap();
    let written = sample_run::write(&sample_run::record(), folder.path());
    fs::rename(written, folder.path().join("load")).unwrap();
    let written = sample_run::write(&sample_run::record(), folder.path());
    fs::rename(written, folder.path().join("other")).unwrap();
    let planned = program::run(
        folder.path(),
        "cluster plan sleep --model tokio --scale 1,10 --out plan".split(' '),
    );
    assert!(planned.status.success(), "{}", text(&planned.stderr));
    folder
}

fn printed(folder: &Path, typed: &str, columns: usize, colour: &str) -> String {
    let results = format!("{}/results", env!("CARGO_MANIFEST_DIR"));
    let typed = typed.replace("RESULTS", &results);
    let mut command = program::paceline(folder, typed.split_whitespace());
    for name in ["NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let output = command.env("COLUMNS", columns.to_string()).env(colour, "1").output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 6)), "{typed}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Returns the line without the codes of colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Adds the lines that do not fit. A name or a path has no place to break.
fn overlong(typed: &str, text: &str, columns: usize, wrong: &mut Vec<String>) {
    assert!(!text.is_empty(), "{typed}");
    for line in text.lines().map(plain) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_path = words.len() == 2 && words[0].ends_with(':');
        let wide = line.chars().count();
        if words.len() > 1 && !is_path && wide > columns {
            wrong.push(format!("{typed}, {wide} > {columns}: {line}"));
        }
    }
}

#[test]
fn every_line_of_every_table_fits_the_terminal() {
    let folder = folder();
    let mut wrong = Vec::new();
    for typed in TYPED {
        for columns in COLUMNS {
            for colour in ["NO_COLOR", "CLICOLOR_FORCE"] {
                let text = printed(folder.path(), typed, columns, colour);
                let fused =
                    text.lines().find(|line| line.find("at the greatest scale measured") > Some(0));
                assert_eq!(fused, None, "{typed} at {columns}");
                assert!(colour != "NO_COLOR" || !text.contains('\u{1b}'), "{typed}: {text}");
                overlong(typed, &text, columns, &mut wrong);
            }
        }
    }
    for typed in MEASURING {
        let text = printed(folder.path(), typed, COLUMNS[0], "NO_COLOR");
        overlong(typed, &text, COLUMNS[0], &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! `paceline init`: sets up a crate for the gate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{CliError, gate::working_folder, say};
use crate::gate::starter::{ADDRESS, is_of_registry, plan, write};

/// The arguments of `paceline init`.
#[derive(Args)]
pub(super) struct InitArguments {
    /// What to set up the crate for.
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// The package of the workspace.
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// The source of paceline-gated [default: the version of this paceline].
    #[arg(long, value_name = "VERSION|FOLDER|GIT")]
    gated: Option<String>,
    /// Print what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Gate,
}

/// Writes the missing files and lines, and prints what was written and what to do next.
pub(super) fn init(asked: &InitArguments) -> Result<u8, CliError> {
    let What::Gate = asked.what;
    let here = working_folder()?;
    let files = plan(&here, asked.package.as_deref(), asked.gated.as_deref())?;
    if !asked.dry_run {
        write(&files)?;
    }
    let done = if asked.dry_run { "would write" } else { "wrote" };
    for file in &files {
        let path = shown(&file.path, &here);
        match &file.new {
            Some((what, _)) => say(&format!("{done} {}: {what}", path.display()))?,
            None => say(&format!("left {} as it is: nothing is missing", path.display()))?,
        };
    }
    // What is still to do is said each time, whatever was written now.
    let holds = |name: &str, is_so: &dyn Fn(&str) -> bool| {
        files.iter().filter(|file| file.path.ends_with(name)).any(|file| {
            let old = || fs::read_to_string(&file.path).unwrap_or_default();
            is_so(&file.new.as_ref().map_or_else(old, |(_, text)| text.clone()))
        })
    };
    let address = if holds("gate.yml", &|text| text.contains(ADDRESS)) {
        "\n* Set PACELINE_GIT in .github/workflows/gate.yml to the address of paceline's repository."
    } else {
        ""
    };
    let registry = if holds("Cargo.toml", &is_of_registry) {
        "\n* paceline-gated is not on crates.io yet: write { path = \"FOLDER/crates/paceline-gated\" } in the place of its \
         version in Cargo.toml, where FOLDER is your copy of paceline, or leave that to --gated."
    } else {
        ""
    };
    say(&format!(
        "\nNext:\n* Put calls of your own into benches/gate.rs, and try them: cargo bench --bench gate\n* Commit all of it. \
         After a change: paceline gate --base HEAD{registry}{address}"
    ))
}

/// Returns the path relative to this folder, if it is below.
fn shown(path: &Path, here: &Path) -> PathBuf {
    path.strip_prefix(here).unwrap_or(path).to_path_buf()
}

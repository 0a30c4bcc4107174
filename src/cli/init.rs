//! `paceline init`: sets up a crate for the gate.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, gate::working_folder, say};
use crate::gate::starter::{ADDRESS, plan, write};

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
    let address =
        files.iter().any(|file| matches!(&file.new, Some((_, text)) if text.contains(ADDRESS)));
    let address = if address {
        "\n* Set PACELINE_GIT in .github/workflows/gate.yml to the address of paceline's repository."
    } else {
        ""
    };
    let has_line = |(what, _): &(String, String)| what.contains("paceline-gated");
    let of_registry =
        asked.gated.is_none() && files.iter().any(|file| file.new.as_ref().is_some_and(has_line));
    let registry = if of_registry {
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

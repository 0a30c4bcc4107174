//! `paceline init`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, gate::unbuilt, internal, say};
use crate::gate::starter::{ADDRESS, plan, write};

/// What `paceline init` takes.
#[derive(Args)]
pub(super) struct InitArguments {
    /// What the crate is set up for.
    #[arg(value_enum, value_name = "gate")]
    what: What,
    /// The package of the workspace.
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// Where paceline-gated comes from; without it, the version of this paceline.
    #[arg(long, value_name = "VERSION|FOLDER|GIT")]
    gated: Option<String>,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Gate,
}

/// Writes what is missing, says so, and says what to do next.
pub(super) fn init(asked: &InitArguments) -> Result<u8, CliError> {
    let What::Gate = asked.what;
    let here = std::env::current_dir().map_err(|error| internal(error.to_string()))?;
    let files = plan(&here, asked.package.as_deref(), asked.gated.as_deref()).map_err(unbuilt)?;
    if !asked.dry_run {
        write(&files).map_err(unbuilt)?;
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
    say(&format!(
        "\nNext:\n* Put calls of your own into benches/gate.rs, and try them: cargo bench --bench gate\n* Commit all of it. \
         After a change: paceline gate --base HEAD{address}"
    ))
}

/// A path as seen from here, if it is below.
fn shown(path: &Path, here: &Path) -> PathBuf {
    path.strip_prefix(here).unwrap_or(path).to_path_buf()
}

//! Calls cargo: sets dependencies to versions, and builds one optimised program.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use serde::Deserialize;

use super::{
    super::source::{Lock, Pin},
    BuildTarget, GateError, Inputs, Layout, Prepared, ToolOutput,
};

/// The most lines of cargo's output in an error.
const MOST_LINES: usize = 30;

/// A line of `--message-format=json`, with the fields used here.
#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-message")]
    Diagnosed { message: Diagnostic },
    #[serde(rename = "compiler-artifact")]
    Made { package_id: String, target: Target, executable: Option<PathBuf>, fresh: bool },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Sets dependencies to versions in the lock file of a worktree, which is created if there is none.
pub(super) fn set(
    layout: &Layout,
    folder: &Path,
    pins: &[Pin],
    progress: &dyn Fn(&str),
) -> Result<(), GateError> {
    if pins.is_empty() {
        return Ok(());
    }
    if Lock::read(folder)?.is_none() {
        let said = layout.cargo(folder).args(["generate-lockfile"]).watched(progress)?;
        if !said.ok {
            let message =
                format!("cargo cannot make a lock file; it says:\n{}", excerpt(&said.err));
            return Err(GateError::of_tool(&said.err, folder, GateError::usage(message)));
        }
    }
    for pin in pins {
        let lock = read_lock(folder)?;
        lock.check(pin)?;
        let cargo = layout.cargo(folder).args(["update", "-p", &lock.spec(pin)]);
        let said = cargo.args(["--precise", &pin.version]).watched(progress)?;
        if !said.ok {
            let Pin { name, version } = pin;
            let message = format!(
                "{name} cannot be set to {version} here; give a version that the others allow. cargo says:\n{}",
                excerpt(&said.err)
            );
            return Err(GateError::of_tool(&said.err, folder, GateError::usage(message)));
        }
    }
    // A later one may have moved an earlier one, so all are checked.
    let lock = read_lock(folder)?;
    match pins.iter().find(|pin| !lock.holds(pin)) {
        None => Ok(()),
        Some(Pin { name, version }) => Err(GateError::usage(format!(
            "{name} did not stay at {version} with the other versions; give versions that go together"
        ))),
    }
}

/// Brings a side's lock file up to date with the packages of the side, whose versions change with a release, or creates
/// it. Returns a package from elsewhere whose version cargo chose: at another time, it may choose another.
pub(super) fn update_lock(
    layout: &Layout,
    (folder, root): (&Path, &Path),
) -> Result<Option<String>, GateError> {
    let before = Lock::read(root)?.unwrap_or_default();
    // It resolves as a build does, and shows one line. If it cannot, nor can the build, which says why.
    let cargo = layout.cargo(folder).args(["tree", "--quiet", "--depth", "0"]);
    cargo.args(["-p", &layout.package]).args(&layout.features).run()?;
    Ok(Lock::read(root)?.and_then(|after| after.chosen_since(&before)))
}

fn read_lock(folder: &Path) -> Result<Lock, GateError> {
    Lock::read(folder)?.ok_or_else(|| {
        GateError::usage("cargo made no lock file; run `cargo generate-lockfile` here")
    })
}

/// Builds the target of a side and returns the program's path. Sides share a build folder, so that dependencies are
/// compiled once; those that are built at once have one each. The packages of a worktree are always compiled. The lock
/// file of a tree is used as it is. cargo is ended once `given_up` is set.
pub(super) fn build(
    layout: &Layout,
    Inputs { who, locked, .. }: &Inputs<'_>,
    Prepared { folder, root, .. }: &Prepared<'_>,
    (build_folder, given_up): (&str, &Arc<AtomicBool>),
    progress: &dyn Fn(&str),
) -> Result<PathBuf, GateError> {
    let cargo = |args: &[&str]| {
        let cargo = layout.cargo(folder).args(args).unless(given_up);
        let cargo = cargo.env("CARGO_BUILD_BUILD_DIR", layout.gate().join(build_folder));
        // Each side compiles its own packages; the dependencies are compiled once for all.
        let cargo = cargo.env("CARGO_TARGET_DIR", root.join("target"));
        // Without symbols, which contain the folder, the same source gives the same bytes. Debug information is not
        // needed.
        if layout.is_paceline() {
            cargo
                .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
                .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        } else {
            cargo
        }
    };
    let what = match &layout.what {
        BuildTarget::Bin(name) => ["build", "--release", "--bin", name],
        BuildTarget::Bench(name) => ["bench", "--no-run", "--bench", name],
    };
    for last in [false, true] {
        let package = ["-p", &layout.package, "--message-format=json"];
        let said = cargo(&what).args(package).args(&layout.features);
        let said = said.args(locked.then_some("--locked")).watched(progress)?;
        let messages: Vec<_> =
            said.out.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !said.ok {
            return Err(failure(layout, who, &said, &messages));
        }
        let stale = kept(&messages, &layout.outside);
        if stale.is_empty() || last {
            return program(layout, &messages).ok_or_else(|| {
                GateError::internal(format!("cargo built {who} but named no program; update cargo"))
            });
        }
        // cargo compares the times of files. If the clock was set back, it mistakes this worktree for the last one.
        for package in stale {
            cargo(&["clean", "--release", "-p", package]).run()?;
        }
    }
    Err(GateError::interrupted())
}

/// Returns packages of the worktree that cargo did not compile. Packages in one of the folders `outside` of the
/// repository are the same for both sides, and are compiled once like other dependencies.
fn kept<'m>(messages: &'m [Message], outside: &[PathBuf]) -> Vec<&'m str> {
    let is_outside = |id: &str| {
        let path = id.strip_prefix("path+file://").and_then(|rest| rest.split('#').next());
        path.is_some_and(|path| outside.iter().any(|folder| Path::new(path) == folder))
    };
    let of = |message| match message {
        &Message::Made { ref package_id, fresh: true, .. } => Some(package_id.as_str()),
        _ => None,
    };
    let mut kept: Vec<_> =
        messages.iter().filter_map(of).filter(|id| id.starts_with("path+")).collect();
    kept.retain(|id| !is_outside(id));
    kept.dedup();
    kept
}

fn program(layout: &Layout, messages: &[Message]) -> Option<PathBuf> {
    let (wanted_kind, wanted) = match &layout.what {
        BuildTarget::Bin(name) => ("bin", name),
        BuildTarget::Bench(name) => ("bench", name),
    };
    messages.iter().find_map(|message| match message {
        Message::Made { target, executable, .. }
            if target.name == *wanted && target.kind.iter().any(|kind| kind == wanted_kind) =>
        {
            executable.clone()
        }
        _ => None,
    })
}

fn failure(layout: &Layout, who: &str, said: &ToolOutput, messages: &[Message]) -> GateError {
    // The bench is in the working tree, or there would be no build: it is not committed yet, or was not at that revision.
    if let BuildTarget::Bench(name) = &layout.what
        && said.err.iter().any(|line| is_missing(line, name))
    {
        let package = &layout.package;
        return GateError::usage(format!(
            "{who} has no bench `{name}` in the package {package}: commit the bench, and gate later changes against that \
             commit"
        ));
    }
    let first = messages.iter().find_map(|message| match message {
        Message::Diagnosed { message } if message.level.starts_with("error") => {
            message.rendered.as_deref()
        }
        _ => None,
    });
    let message = match first {
        Some(error) => {
            format!("{who} does not build; the compiler's first error is\n{}", error.trim_end())
        }
        None => format!("{who} does not build; cargo says\n{}", excerpt(&said.err)),
    };
    let mut all = said.err.clone();
    all.extend(first.map(str::to_owned));
    GateError::of_tool(&all, &layout.target, GateError::usage(message))
}

/// Returns whether cargo says in `line` that the bench is not in Cargo.toml, or not where that has it.
fn is_missing(line: &str, bench: &str) -> bool {
    line.contains(&format!("no bench target named `{bench}`"))
        || line.contains(&format!("can't find `{bench}` bench"))
}

/// Returns cargo's output from its first error on.
fn excerpt(lines: &[String]) -> String {
    let start = lines.iter().position(|line| line.starts_with("error")).unwrap_or(0);
    lines[start..]
        .iter()
        .take(MOST_LINES)
        .map(|line| line.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

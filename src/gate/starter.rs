//! Creates the files that a crate needs to be gated: a bench, its lines in Cargo.toml, workflows and ignored folders.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{
    build::{GateError, Tool},
    source::CrateFolders,
};
use crate::{output::remedy, record::write_whole};

/// An example cell.
const BENCH: &str = r#"//! Cells for `paceline gate`. `cargo bench --bench gate` prints their times.

use std::{hint::black_box, process::ExitCode};

fn main() -> ExitCode {
    paceline_gated::Gated::new()
        // An example: put calls of your own crate here.
        .closure("sum", || {
            let numbers: Vec<u64> = (0..10_000).collect(); // made once, not timed
            move || black_box(&numbers).iter().sum::<u64>() // timed
        })
        .main()
}
"#;
/// The placeholder for the address of paceline's repository in the workflow of `docs/ci.md`: there is no public one.
pub const ADDRESS: &str = "https://HOST/paceline.git";

/// A file and its planned change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// A description of the addition, and the whole new text; `None` if the file stays unchanged.
    pub new: Option<(String, String)>,
}

/// Plans the files for a crate. `gated` is the source of `paceline-gated`: a version, a folder or a git address.
///
/// # Errors
///
/// Returns an error if there is no crate, or nothing can be added to it.
pub fn plan(
    folder: &Path,
    package: Option<&str>,
    gated: Option<&str>,
) -> Result<Vec<File>, GateError> {
    let home = CrateFolders::of(folder, package)?;
    let top = Tool::git(&home.package).args(["rev-parse", "--show-toplevel"]).run()?;
    let top = if top.ok { PathBuf::from(top.line()) } else { home.workspace.clone() };
    let top = top.canonicalize().unwrap_or(top);
    let manifest = home.package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest);
    let text = text.map_err(|error| GateError::reading(&manifest, &error))?;
    let line = dependency(gated)?;
    // A dependency that is there stays, unless another source is asked for.
    let moved = match gated {
        Some(_) => with_source(&text, &line, &home.package)?,
        None => None,
    };
    let added = match (with_bench(moved.as_deref().unwrap_or(&text), &line)?, moved) {
        (None, Some(text)) => Some((SOURCE.into(), text)),
        (Some((what, text)), Some(_)) => Some((format!("{SOURCE} and {what}"), text)),
        (added, None) => added,
    };
    let bench = home.package.join("benches/gate.rs");
    if bench.exists() && added.as_ref().is_some_and(|(what, _)| what.contains("[[bench]]")) {
        return Err(GateError::usage(format!(
            "{} exists, but Cargo.toml has no [[bench]] for it: rename it, or add name = \"gate\" and \
             harness = false",
            bench.display()
        )));
    }
    let whole = |path: PathBuf, text: String| {
        let new = (!path.exists()).then(|| ("the whole file".to_owned(), text));
        File { path, new }
    };
    let workflows = top.join(".github/workflows");
    Ok(vec![
        whole(bench, BENCH.into()),
        File { path: manifest, new: added },
        ignored(&home)?,
        with_address(
            workflows.join("gate.yml"),
            workflow(home.package.strip_prefix(&top).ok(), gated),
        ),
        whole(workflows.join("gate-comment.yml"), COMMENT.into()),
    ])
}

const COMMENT: &str = include_str!("../../.github/workflows/gate-comment.yml");

/// What was changed if only the source of `paceline-gated` was.
const SOURCE: &str = "the source of paceline-gated";

/// Returns the file of the workflow. One that is there only gets the address of paceline's repository, where `text` has
/// it in the place of [`ADDRESS`].
fn with_address(path: PathBuf, text: String) -> File {
    let line =
        |text: &str| text.lines().find(|line| line.contains("PACELINE_GIT: ")).map(str::to_owned);
    let new = match fs::read_to_string(&path) {
        Err(_) if !path.exists() => Some(("the whole file".into(), text)),
        Ok(old)
            if !text.contains(ADDRESS) && line(&old).is_some_and(|line| line.contains(ADDRESS)) =>
        {
            let wanted = line(&text).unwrap_or_default();
            let wanted = wanted.trim().trim_start_matches("PACELINE_GIT: ");
            Some(("PACELINE_GIT".into(), old.replace(ADDRESS, wanted)))
        }
        _ => None,
    };
    File { path, new }
}

/// Writes the new and changed files, each whole or not at all.
///
/// # Errors
///
/// Returns an error if one cannot be written; the files before it are written.
pub fn write(files: &[File]) -> Result<(), GateError> {
    for File { path, new } in files {
        let Some((_, text)) = new else { continue };
        // The target of a symbolic link, so that the link stays.
        let path = &path.canonicalize().unwrap_or_else(|_| path.clone());
        let folder = path.parent().unwrap_or(path);
        let written = fs::create_dir_all(folder).and_then(|()| write_whole(path, text.as_bytes()));
        written.map_err(|error| {
            let (path, remedy) = (path.display(), remedy(&error));
            GateError::internal(format!(
                "cannot write {path}: {error}; {remedy}, and run this again"
            ))
        })?;
    }
    Ok(())
}

/// Returns the line of `paceline-gated`.
fn dependency(gated: Option<&str>) -> Result<String, GateError> {
    let from = gated.unwrap_or(env!("CARGO_PKG_VERSION"));
    let quoted = |text: &str| Value::from(text).to_string();
    let value = if from.contains("://") {
        format!("{{ git = {} }}", quoted(from))
    } else if let Ok(folder) = Path::new(from).canonicalize() {
        if !is_gated(&folder) {
            return Err(GateError::usage(format!(
                "{} is not the folder of the package paceline-gated: give FOLDER/crates/paceline-gated, where FOLDER is your \
                 copy of paceline",
                folder.display()
            )));
        }
        format!("{{ path = {} }}", quoted(&folder.to_string_lossy()))
    } else if from.starts_with(|c: char| c.is_ascii_digit()) {
        quoted(from)
    } else {
        return Err(GateError::usage(format!(
            "`{from}` is neither a version nor a folder nor an address of git such as https://host/paceline.git"
        )));
    };
    Ok(format!("paceline-gated = {value}"))
}

/// Returns whether `folder` has the package `paceline-gated`.
fn is_gated(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let manifest = text.parse::<Table>().unwrap_or_default();
    let name = || manifest.get("package")?.get("name")?.as_str();
    name() == Some("paceline-gated")
}

/// Returns the dependency on `paceline-gated` in a manifest.
fn gated_of(manifest: &Table) -> Option<&Value> {
    let of = |table: &str| manifest.get(table)?.get("paceline-gated");
    of("dev-dependencies").or_else(|| of("dependencies"))
}

/// Returns whether a manifest takes `paceline-gated` from crates.io.
pub fn is_of_registry(text: &str) -> bool {
    let manifest = text.parse::<Table>().unwrap_or_default();
    gated_of(&manifest).is_some_and(|of| {
        of.is_str() || ["path", "git", "workspace"].iter().all(|key| of.get(key).is_none())
    })
}

/// Returns a manifest whose line of `paceline-gated` is `line`; `None` if it has none, or the same source.
///
/// # Errors
///
/// Returns an error if the dependency has more than a source: its other settings are the user's.
fn with_source(text: &str, line: &str, package: &Path) -> Result<Option<String>, GateError> {
    let read = |text: &str| text.parse::<Table>().ok();
    let before = read(text).unwrap_or_default();
    let wanted = read(line).and_then(|table| table.get("paceline-gated").cloned());
    let (Some(old), Some(wanted)) = (gated_of(&before), wanted) else { return Ok(None) };
    let folder = |of: &Value| package.join(of.get("path")?.as_str()?).canonicalize().ok();
    if *old == wanted || folder(old).is_some_and(|old| Some(old) == folder(&wanted)) {
        return Ok(None);
    }
    let differs = || {
        GateError::usage(format!(
            "Cargo.toml has another paceline-gated, with settings of its own ({old}): write its source there yourself, \
             as in {line}, or leave --gated out"
        ))
    };
    let is_plain = |of: &Value| {
        of.as_table()
            .is_none_or(|of| of.keys().all(|key| ["version", "path", "git"].contains(&&**key)))
    };
    let is_line = |one: &str| {
        read(one).is_some_and(|of| of.len() == 1 && of.get("paceline-gated") == Some(old))
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let found: Vec<usize> = (0..lines.len()).filter(|at| is_line(lines[*at])).collect();
    let [at] = found[..] else { return Err(differs()) };
    if !is_plain(old) {
        return Err(differs());
    }
    lines[at] = line;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    Ok(Some(lines.join(end) + end))
}

/// Returns a manifest with the bench and the dependency, and which of them are new; `None` if it has both.
fn with_bench(text: &str, dependency: &str) -> Result<Option<(String, String)>, GateError> {
    const TABLE: &str = "[dev-dependencies]";
    let read = |text: &str| text.parse::<Table>().ok();
    let before = read(text).ok_or_else(|| GateError::usage("cargo cannot read Cargo.toml"))?;
    let has = |table: &str| before.get(table).is_some_and(|of| of.get("paceline-gated").is_some());
    let benches = before.get("bench").and_then(Value::as_array);
    let bench = benches.and_then(|all| {
        all.iter().find(|of| of.get("name").and_then(Value::as_str) == Some("gate"))
    });
    if bench.is_some_and(|of| of.get("harness").and_then(Value::as_bool) != Some(false)) {
        return Err(GateError::usage(
            "the bench `gate` in Cargo.toml has a test harness, which does not call its main: add harness = false",
        ));
    }
    let mut wanted = before.clone();
    let (mut lines, mut what) = (text.lines().map(str::to_owned).collect::<Vec<_>>(), Vec::new());
    if !has("dev-dependencies") && !has("dependencies") {
        what.push("paceline-gated");
        match lines.iter().position(|line| line.trim() == TABLE) {
            Some(at) => lines.insert(at + 1, dependency.to_owned()),
            None => lines.extend(["", TABLE, dependency].map(str::to_owned)),
        }
        merge(&mut wanted, "dev-dependencies", &format!("{TABLE}\n{dependency}"));
    }
    if bench.is_none() {
        const BENCH: [&str; 3] = ["[[bench]]", "name = \"gate\"", "harness = false"];
        what.push("[[bench]] gate");
        lines.push(String::new());
        lines.extend(BENCH.map(str::to_owned));
        merge(&mut wanted, "bench", &BENCH.join("\n"));
    }
    if what.is_empty() {
        return Ok(None);
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let new = lines.join(end) + end;
    // Manifests can be written in many ways: nothing else may have changed.
    if read(&new) != Some(wanted) {
        return Err(GateError::usage(format!(
            "Cargo.toml is written in a way that nothing can be added to: add a [[bench]] with name = \"gate\" and \
             harness = false, and {dependency} to its dev-dependencies"
        )));
    }
    Ok(Some((what.join(" and "), new)))
}

/// Adds the table of `text` under `key`.
fn merge(to: &mut Table, key: &str, text: &str) {
    let Some(new) = text.parse::<Table>().ok().and_then(|mut table| table.remove(key)) else {
        return;
    };
    match (to.get_mut(key), new) {
        (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
        (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
        (_, new) => drop(to.insert(key.to_owned(), new)),
    }
}

/// Returns `.gitignore` of the package, with the folders that git would otherwise track.
fn ignored(home: &CrateFolders) -> Result<File, GateError> {
    let path = home.package.join(".gitignore");
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(GateError::reading(&path, &error)),
    };
    let mut what = Vec::new();
    let of_root = (home.package == home.workspace).then_some("target");
    for folder in ["results"].into_iter().chain(of_root) {
        let line = format!("/{folder}");
        let git = Tool::git(&home.package).args(["check-ignore", "--quiet"]);
        let is_ignored = git.args([format!("{folder}/file")]).run()?.ok;
        if !is_ignored && !text.lines().any(|old| old.trim_end_matches('/') == line) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text = text + &line + "\n";
            what.push(line);
        }
    }
    Ok(File { path, new: (!what.is_empty()).then(|| (what.join(" and "), text)) })
}

/// Returns the workflow of `docs/ci.md` for a crate in this folder of its repository.
fn workflow(inside: Option<&Path>, gated: Option<&str>) -> String {
    let recipe = include_str!("../../docs/ci.md").split("```yaml\n").nth(1);
    let recipe = recipe.and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let address = gated.filter(|from| from.contains("://")).unwrap_or(ADDRESS);
    let inside = inside.map(|path| path.to_string_lossy().into_owned()).filter(|it| !it.is_empty());
    // JSON strings are valid YAML strings.
    let quoted = inside.map_or_else(|| ".".to_owned(), |path| Value::from(path).to_string());
    recipe
        .replace("working-directory: .\n", &format!("working-directory: {quoted}\n"))
        .replace(ADDRESS, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_gets_what_it_lacks_and_keeps_all_else() {
        let line = "paceline-gated = \"1.0.0\"";
        let package = "# mine\n[package]\nname = \"a\"\n";
        let bench = "\n[[bench]]\nname = \"gate\"\nharness = false\n";
        let dependency = format!("\n[dev-dependencies]\n{line}\n");
        let added = |text: &str| with_bench(text, line).unwrap();
        let both = format!("{package}{dependency}{bench}");
        assert_eq!(added(package).unwrap().1, both);
        assert_eq!(added(&both), None, "a second time");
        let harness = with_bench(&both.replace("harness = false\n", ""), line).unwrap_err();
        assert!(harness.message.ends_with("add harness = false"), "{harness}");
        let (what, new) = added(&format!("{package}{bench}")).unwrap();
        assert_eq!(
            (what.as_str(), new),
            ("paceline-gated", format!("{package}{bench}{dependency}"))
        );
        let others = format!("{package}[dev-dependencies] \nb = \"1\"\n[features]\nc = []\n");
        let new = added(&others).unwrap().1;
        assert!(new.contains(&format!("[dev-dependencies] \n{line}\nb = \"1\"\n")), "{new}");
        let windows = added(&others.replace('\n', "\r\n")).unwrap().1;
        assert_eq!(windows, new.replace('\n', "\r\n"));
        // Other spellings of the same: the same result, or no change.
        for odd in ["dev-dependencies = { b = \"1\" }\n", "bench = [{ name = \"b\" }]\n"] {
            let error = with_bench(&format!("{odd}{package}"), line).unwrap_err().message;
            assert!(error.contains("add a [[bench]] with name"), "{error}");
        }
        let dotted = format!("dev-dependencies.b = \"1\"\n{package}");
        assert!(with_bench(&dotted, line).is_err());
    }

    #[test]
    fn the_source_of_a_dependency_that_is_there_is_changed_unless_it_has_settings_of_its_own() {
        let line = "paceline-gated = { path = \"/\" }";
        let with = |old: &str| {
            let text = format!("[package]\nname = \"a\"\n[dev-dependencies]\n{old}\nb = \"1\"\n");
            let of = with_source(&text, line, Path::new("/usr"));
            of.map(|new| new.map(|new| new.replace(line, old) == text && new.contains(line)))
        };
        for old in ["\"0.2.0\"", "{ git = \"https://h/p.git\" }", "{ path = \"/usr\" }"] {
            assert_eq!(with(&format!("paceline-gated = {old}")), Ok(Some(true)), "{old}");
        }
        for same in ["{ path = \"/\" }", "{ path = \"..\" }"] {
            assert_eq!(with(&format!("paceline-gated = {same}")), Ok(None), "{same}");
        }
        assert_eq!(with("c = \"1\""), Ok(None));
        for own in ["{ version = \"0.2.0\", features = [\"f\"] }", "{ workspace = true }"] {
            let error = with(&format!("paceline-gated = {own}")).unwrap_err().message;
            assert!(error.contains(line) && error.contains("settings of its own"), "{error}");
        }
        assert!(with("[dev-dependencies.paceline-gated]\nversion = \"1\"").is_err());
    }

    #[test]
    fn a_version_is_of_the_registry_and_a_folder_or_an_address_is_not() {
        for (of, is_so) in
            [("\"1\"", true), ("{ version = \"1\" }", true), ("{ path = \"p\" }", false)]
        {
            assert_eq!(
                is_of_registry(&format!("[dev-dependencies]\npaceline-gated = {of}\n")),
                is_so
            );
        }
        assert!(!is_of_registry(""));
    }

    #[test]
    fn paceline_gated_comes_from_a_version_a_folder_or_an_address() {
        let of = |from| dependency(Some(from)).unwrap();
        assert_eq!(of("1.2.3"), "paceline-gated = \"1.2.3\"");
        assert_eq!(of("https://h/p.git"), "paceline-gated = { git = \"https://h/p.git\" }");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/paceline-gated");
        assert_eq!(of(folder), format!("paceline-gated = {{ path = \"{folder}\" }}"));
        for wrong in ["nowhere", "/", env!("CARGO_MANIFEST_DIR")] {
            assert!(dependency(Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(dependency(None).unwrap(), of(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_workflow_is_the_one_of_the_documentation() {
        let plain = workflow(Some(Path::new("")), None);
        assert!(plain.starts_with("name: gate\n") && plain.ends_with("path: gate/\n"), "{plain}");
        assert!(plain.contains("working-directory: .\n") && plain.contains(ADDRESS));
        let other = workflow(Some(Path::new("a b/c")), Some("https://h/p.git"));
        assert!(other.contains("working-directory: \"a b/c\"\n"), "{other}");
        assert!(other.contains("PACELINE_GIT: https://h/p.git\n") && !other.contains(ADDRESS));
    }
}

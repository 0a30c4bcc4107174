//! The cache of built programs, each under a hash of its inputs.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BuildTarget, GateError, Layout, Pin, Spot, Tool,
    environment::{Environment, is_listed},
};
use crate::{gate::source::configurations_above, machine::hex};

/// Settings of cargo, rustc and the tools of build scripts that change the built program. Those that end in `_` are
/// prefixes.
const SETTINGS: &[&str] = &[
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "RUSTC_",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "AR",
    "ARFLAGS",
    "CC",
    "CFLAGS",
    "CPPFLAGS",
    "CXX",
    "CXXFLAGS",
    "LDFLAGS",
    // The crate cc also reads these for one target, such as `CC_x86_64-unknown-linux-gnu`, or for one kind of target.
    "AR_",
    "ARFLAGS_",
    "CC_",
    "CFLAGS_",
    "CXX_",
    "CXXFLAGS_",
    "HOST_",
    "TARGET_",
    "PKG_CONFIG",
    "PKG_CONFIG_",
];

/// Compilers and linkers that cargo, rustc and build scripts find by themselves, or that flags choose.
const TOOLS: &[&str] =
    &["cc", "c++", "gcc", "clang", "ar", "ld", "ld.lld", "ld.gold", "mold", "wild"];

/// The programs that are kept of one key, from different environments.
const MOST_ENVIRONMENTS: usize = 4;
/// The length of a program's file name, which is its hash.
const HASH_DIGITS: usize = 64;

/// Raised when the same content is built in a different way.
const FORM: &str = "6";

/// The file beside a program.
#[derive(Serialize, Deserialize)]
struct Label {
    about: String,
    program_sha256: String,
    environment: Environment,
}

/// The folder of programs.
pub(super) struct BuildCache {
    folder: PathBuf,
}

impl BuildCache {
    pub(super) fn in_folder(gate: &Path) -> Self {
        BuildCache { folder: gate.join("programs") }
    }

    /// Returns a program and the hash of its file; `None` if it is missing, was modified, or was built in another
    /// environment.
    pub(super) fn find(&self, key: &str) -> Option<(PathBuf, String)> {
        let place = self.folder.join(key);
        let label: Label =
            serde_json::from_slice(&fs::read(place.join("about.json")).ok()?).ok()?;
        let program = place.join(&label.program_sha256);
        let hash = hash_of(&program).ok()?;
        let is_it = hash == label.program_sha256 && label.environment.is_unchanged();
        is_it.then_some((program, hash))
    }

    /// Copies a program to the cache, with the variables that its build read. It is written aside and renamed, so that
    /// it is complete or absent.
    pub(super) fn put(
        &self,
        key: &str,
        program: &Path,
        about: &str,
        environment: Environment,
    ) -> Result<(PathBuf, String), GateError> {
        let place = self.folder.join(key);
        let aside = place.join(format!("new-{}", process::id()));
        let put = || -> io::Result<(PathBuf, String)> {
            fs::create_dir_all(&place)?;
            fs::copy(program, &aside)?;
            let program_sha256 = hash_of(&aside)?;
            // A program from another environment stays: a gate may be measuring it.
            let kept = place.join(&program_sha256);
            fs::rename(&aside, &kept)?;
            let about = about.to_owned();
            let label = Label { about, program_sha256: program_sha256.clone(), environment };
            fs::write(&aside, serde_json::to_vec_pretty(&label)?)?;
            fs::rename(&aside, place.join("about.json"))?;
            clear_old(&place);
            Ok((kept, program_sha256))
        };
        put().map_err(|error| {
            let _ = fs::remove_file(&aside);
            GateError::writing(&self.folder, &error)
        })
    }
}

/// Removes all but the youngest programs of other environments. No gate measures an older one.
fn clear_old(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let programs = entries.filter(|entry| entry.file_name().len() == HASH_DIGITS);
    let mut programs: Vec<_> = programs
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    programs.sort();
    for (_, path) in programs.iter().rev().skip(MOST_ENVIRONMENTS) {
        let _ = fs::remove_file(path);
    }
}

/// Returns the hash of all inputs of a program: the tree, the pinned dependencies, the user's lock file if the tree has
/// none, the compilers and linkers, the target and its features, the settings of cargo and rustc, and whether it is the
/// copy.
pub(super) fn key(
    layout: &Layout,
    checkout: &str,
    spot: &Spot,
    pins: &[Pin],
    users_lock: Option<&[u8]>,
    copy: bool,
) -> Result<String, GateError> {
    let tree = layout.git().args(["rev-parse", &format!("{checkout}^{{tree}}")]);
    let rustc = Tool::new("rustc", &layout.workspace).args(["-vV"]).run()?;
    if !rustc.ok {
        let reason = rustc.reason();
        return Err(GateError::usage(format!("`rustc -vV` failed, mend the tool chain: {reason}")));
    }
    let (profile, target) = match &layout.what {
        BuildTarget::Bin(name) => ("release", name),
        BuildTarget::Bench(name) => ("bench", name),
    };
    let inside = spot.package.to_string_lossy();
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for text in [FORM, tree.run()?.line(), &inside, &layout.package, profile, target] {
        part(text.as_bytes());
    }
    part(rustc.out.join("\n").as_bytes());
    part(users_lock.unwrap_or_default());
    part(if copy { b"copy" } else { b"" });
    let mut pins = pins.to_vec();
    pins.sort();
    for Pin { name, version } in &pins {
        part(format!("{name}@{version}").as_bytes());
    }
    for feature in &layout.features {
        part(feature.as_bytes());
    }
    // A root above the repository is not part of the tree.
    if let Some(root) = &layout.above {
        part(&fs::read(root.join("Cargo.toml")).unwrap_or_default());
    }
    let settings = settings();
    for (name, value) in &settings {
        part(format!("{name}={value}").as_bytes());
    }
    for version in versions(layout, checkout, &settings)? {
        part(&version);
    }
    for folder in &layout.outside {
        for file in files_below(folder) {
            part(file.as_os_str().as_encoded_bytes());
            part(&fs::read(&file).unwrap_or_default());
        }
    }
    for path in configurations(layout) {
        part(&fs::read(path).unwrap_or_default());
    }
    Ok(hex(&hash.finalize()))
}

/// Returns what compilers and linkers say of their versions: those in [`TOOLS`], those that the settings name, the
/// linker that the C compiler uses, and the tool chain that the side names. What is not installed says nothing.
fn versions(
    layout: &Layout,
    checkout: &str,
    settings: &[(String, String)],
) -> Result<Vec<Vec<u8>>, GateError> {
    let is_tool = |name: &str| {
        let mut parts = name.split('_');
        parts.any(|part| ["AR", "CC", "CXX", "LINKER"].contains(&part))
    };
    let lines_of_side = |files: &str| -> Result<Vec<String>, GateError> {
        let git = layout.git().args(["grep", "--no-color", "-h", "-e", "", checkout, "--", files]);
        Ok(git.run()?.out)
    };
    let around = configurations(layout).filter_map(|path| fs::read_to_string(path).ok());
    let around = around.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let configured = lines_of_side(":(top,glob)**/.cargo/config*")?.into_iter().chain(around);
    let linkers = configured.filter_map(|line| value_of("linker", &line));
    let tools = settings.iter().filter(|(name, _)| is_tool(name)).map(|(_, value)| value.clone());
    // As in `CC="ccache gcc -m64"`.
    let words = tools.chain(linkers).flat_map(|value| {
        let words = value.split_whitespace().filter(|word| !word.starts_with('-'));
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    let said = |tool: &str, options: &[&str]| said(&layout.workspace, tool, options);
    let tools = TOOLS.iter().map(|tool| (*tool).to_owned()).chain(words);
    let mut all: Vec<Vec<u8>> = tools.map(|tool| said(&tool, &["--version"])).collect();
    all.push(said("cc", &["-Wl,--version"]));
    all.push(said("cargo", &["-vV"]));
    // A name such as stable means another version after an update.
    for line in lines_of_side(":(top,glob)**/rust-toolchain*")? {
        if let Some(chain) = value_of("channel", &line) {
            all.push(said("rustc", &[&format!("+{chain}"), "-vV"]));
        }
    }
    Ok(all)
}

/// Returns what a tool says of its version. It is asked once for all sides.
fn said(folder: &Path, tool: &str, options: &[&str]) -> Vec<u8> {
    static SAID: Mutex<BTreeMap<Vec<OsString>, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let words = [folder.as_os_str(), OsStr::new(tool)].into_iter();
    let call = words.chain(options.iter().map(OsStr::new)).map(OsStr::to_owned).collect();
    let mut all = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let ask = || {
        let mut command = Command::new(tool);
        command.args(options).current_dir(folder).stdin(Stdio::null());
        command.output().map(|output| output.stdout).unwrap_or_default()
    };
    all.entry(call).or_insert_with(ask).clone()
}

/// Returns the string that a line of TOML sets a key to.
fn value_of(key: &str, line: &str) -> Option<String> {
    let value = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Returns the hash of a file.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn settings() -> Vec<(String, String)> {
    // The target folder does not change the program.
    let counts = |name: &str| name != "CARGO_TARGET_DIR" && is_listed(name, SETTINGS);
    let of = |(name, value): (OsString, OsString)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    };
    let mut found: Vec<_> = env::vars_os().map(of).filter(|(name, _)| counts(name)).collect();
    found.sort();
    found
}

/// Returns all files below a folder in the order of their names, without those that cargo and git keep there.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|of| of.is_dir());
            if !is_folder {
                found.push(entry.path());
            } else if !["target", ".git"].iter().any(|name| entry.file_name() == *name) {
                waiting.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Returns cargo's configuration files that apply to both sides, in git or not.
fn configurations(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let files = home.into_iter().flat_map(|home| [home.join("config.toml"), home.join("config")]);
    configurations_above(&layout.repository).into_iter().chain(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_what_was_put_there_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = BuildCache::in_folder(folder.path());
        let file = folder.path().join("some");
        fs::write(&file, "program").unwrap();
        assert_eq!(shelf.find("key"), None);
        let put = shelf.put("key", &file, "some program", Environment::default()).unwrap();
        assert_eq!(shelf.find("key"), Some(put.clone()));
        assert_eq!(put.1.len(), 64);
        fs::write(&put.0, "torn").unwrap();
        assert_eq!(shelf.find("key"), None);
        let anew = shelf.put("key", &file, "some program", Environment::default()).unwrap();
        assert_eq!(anew, put, "it is put there anew");
        assert_eq!(shelf.find("key"), Some(anew));
    }

    #[test]
    fn programs_of_other_environments_do_not_pile_up() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = BuildCache::in_folder(folder.path());
        let file = folder.path().join("some");
        for environment in 0..9 {
            fs::write(&file, format!("program {environment}")).unwrap();
            let put = shelf.put("key", &file, "some program", Environment::default()).unwrap();
            assert_eq!(shelf.find("key"), Some(put));
        }
        let kept = fs::read_dir(folder.path().join("programs/key")).unwrap().count();
        assert_eq!(kept, MOST_ENVIRONMENTS + 1, "with about.json");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some");
        fs::write(&file, "program").unwrap();
        let shelf = BuildCache::in_folder(&file);
        let error = shelf.put("key", &file, "", Environment::default()).unwrap_err();
        assert_eq!(error.exit.code(), 1);
        assert!(error.message.starts_with("cannot write to "), "{error}");
        assert!(error.message.contains("CARGO_TARGET_DIR"), "{error}");
    }
}

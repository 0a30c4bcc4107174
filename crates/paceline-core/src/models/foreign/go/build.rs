//! Builds Go's interpreter with the local tool chain, once per version of each, and keeps the program.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{self, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

const SOURCE: &str = include_str!("interpreter.go");
/// The lowest minor version of Go 1 whose standard library has everything that the interpreter uses.
const OLDEST: u32 = 19;
/// How often the tool chain is checked for completion.
const CHECK_EVERY: Duration = Duration::from_millis(10);
/// How many checks are made while it reports its version: 10 s.
const VERSION_CHECKS: u32 = 1_000;
/// How many checks are made while it builds: 5 minutes. The first build may compile Go's standard library.
const BUILD_CHECKS: u32 = 30_000;

/// Returns the interpreter built by the tool chain `go`. It is in the user's cache folder or, if that is not writable,
/// in a folder for temporary files. The first call for a version builds it.
///
/// # Errors
///
/// Returns an error of kind `NotFound` if there is no such tool chain, and other errors if it is too old, cannot build,
/// or no folder is writable.
pub(super) fn built(go: &OsStr) -> io::Result<PathBuf> {
    let (version, minor) = version(go)?;
    let name = format!("go-{}", key(SOURCE, &version, &settings(&tool(go))));
    let caches = cache_folders();
    let mut kept = caches.iter().filter(|cache| is_ours(&cache.folder));
    if let Some(cache) = kept.find(|cache| cache.folder.join(&name).is_file()) {
        return Ok(cache.folder.join(name));
    }
    let mut why = io::Error::other("no folder for caches is known");
    for cache in caches {
        match BuildFolder::create(&cache.folder, &name) {
            Ok(folder) => return folder.build(go, minor, &cache, &name),
            Err(error) => why = error,
        }
    }
    Err(io::Error::other(format!("its program cannot be kept, set XDG_CACHE_HOME: {why}")))
}

/// Returns the version that the tool chain reports, `go version go1.19.8 linux/amd64`, and its minor version.
fn version(go: &OsStr) -> io::Result<(String, u32)> {
    let output = run_to_end(tool(go).arg("version"), VERSION_CHECKS)?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match minor(&version) {
        _ if !output.status.success() => Err(io::Error::other(first_line(&output))),
        Some(minor) if minor < OLDEST => Err(io::Error::other(format!(
            "version 1.{minor} is too old: install Go 1.{OLDEST} or newer"
        ))),
        Some(minor) => Ok((version, minor)),
        None => Err(io::Error::other(format!("it says {version:?}, which is no version of Go"))),
    }
}

/// Returns the minor version, the number after `go1.`.
fn minor(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Returns a key that differs between sources, tool chains and settings of the build.
fn key(source: &str, version: &str, settings: &str) -> String {
    let mut hash = Sha256::new();
    for part in [source, version, settings] {
        hash = hash.chain_update(part).chain_update([0]);
    }
    hash.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Returns the environment variables that `tool` sets and removes.
fn settings(tool: &Command) -> String {
    format!("{:?}", tool.get_envs().collect::<Vec<_>>())
}

/// Returns the tool chain's command, independent of the user's settings: no network, no C compiler, no other modules.
fn tool(go: &OsStr) -> Command {
    let mut command = Command::new(go);
    for (name, value) in [
        ("GOENV", "off"),
        ("GO111MODULE", "on"),
        ("GOWORK", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
        ("CGO_ENABLED", "0"),
    ] {
        command.env(name, value);
    }
    for name in ["GOFLAGS", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `command` to its end, and kills it if it has not ended after that many checks. Its output must fit in a pipe,
/// which holds for both commands used here.
fn run_to_end(command: &mut Command, checks: u32) -> io::Result<Output> {
    let mut child = command.spawn()?;
    for _ in 0..checks {
        if child.try_wait()?.is_some() {
            return child.wait_with_output();
        }
        thread::sleep(CHECK_EVERY);
    }
    let _ = child.kill();
    let _ = child.wait();
    let limit = humantime::format_duration(CHECK_EVERY * checks);
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("it was not done within {limit}")))
}

fn first_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    // The first line of a failed build is the package's name.
    let line = said.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    line.map_or_else(|| output.status.to_string(), str::to_owned)
}

/// A folder where programs are kept.
struct CacheFolder {
    folder: PathBuf,
    /// Whether it also holds Go's own cache, because the home folder is unusable.
    holds_gos: bool,
}

/// Returns the folders where programs can be kept, the best first.
fn cache_folders() -> Vec<CacheFolder> {
    let named = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = named("XDG_CACHE_HOME");
    let home = named("HOME").map(|home| home.join(".cache"));
    let mut folders: Vec<_> = [caches, home]
        .into_iter()
        .flatten()
        .map(|caches| CacheFolder { folder: caches.join("paceline"), holds_gos: false })
        .collect();
    let user = rustix::process::getuid().as_raw();
    folders.push(CacheFolder {
        folder: env::temp_dir().join(format!("paceline-{user}")),
        holds_gos: true,
    });
    folders
}

/// Returns whether only this user can write to the folder, because the folder of temporary files is shared with others.
fn is_ours(folder: &Path) -> bool {
    // Links are not followed.
    fs::symlink_metadata(folder).is_ok_and(|is| {
        is.is_dir() && is.uid() == rustix::process::getuid().as_raw() && is.mode() & 0o022 == 0
    })
}

/// A folder for one build, so that concurrent builds do not collide. Dropping it removes it.
struct BuildFolder(PathBuf);

impl BuildFolder {
    fn create(folder: &Path, name: &str) -> io::Result<Self> {
        static BUILDS: AtomicU32 = AtomicU32::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if !is_ours(folder) {
            let folder = folder.display();
            return Err(io::Error::other(format!("{folder} can be written to by others")));
        }
        let number = BUILDS.fetch_add(1, Relaxed);
        let own = folder.join(format!("{name}.{}.{number}", process::id()));
        DirBuilder::new().mode(0o700).create(&own)?;
        Ok(BuildFolder(own))
    }

    /// Builds the interpreter by version 1.`minor` of Go, and moves it into the cache in one step.
    fn build(
        &self,
        go: &OsStr,
        minor: u32,
        cache: &CacheFolder,
        name: &str,
    ) -> io::Result<PathBuf> {
        let program = self.0.join("interpreter");
        fs::write(self.0.join("interpreter.go"), SOURCE)?;
        // A module of this version, because without one the runtime behaves as that of Go 1.16 did.
        fs::write(self.0.join("go.mod"), format!("module interpreter\n\ngo 1.{minor}\n"))?;
        let mut command = tool(go);
        command.current_dir(&self.0).env("GOPATH", self.0.join("path"));
        if cache.holds_gos && env::var_os("GOCACHE").is_none() {
            command.env("GOCACHE", cache.folder.join("go-build"));
        }
        let output = run_to_end(
            command.args(["build", "-o"]).arg(&program).arg("interpreter.go"),
            BUILD_CHECKS,
        )?;
        if !output.status.success() {
            let why = first_line(&output);
            return Err(io::Error::other(format!("it cannot build the interpreter: {why}")));
        }
        let kept = cache.folder.join(name);
        fs::rename(program, &kept)?;
        Ok(kept)
    }
}

impl Drop for BuildFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::fs::PermissionsExt};

    use super::*;

    /// Writes a tool chain by another process: a child of another test that inherited the open file would make it busy.
    fn fake(folder: &Path, text: &str) -> OsString {
        let path = folder.join("go");
        let mut shell = Command::new("sh");
        shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""]);
        assert!(shell.arg(&path).arg(text).status().unwrap().success());
        path.into_os_string()
    }

    #[test]
    fn a_version_is_read_wherever_it_stands() {
        assert_eq!(minor("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(minor("go version devel go1.26-abcdef Mon linux/amd64"), Some(26));
        assert_eq!(minor("go version go2.0 linux/amd64"), None);
        assert_eq!(minor("gopher 1.19"), None);
    }

    #[test]
    fn another_source_or_tool_chain_has_another_program() {
        let one = key("a", "b", "c");
        let others =
            [key("a", "c", "c"), key("c", "b", "c"), key("ab", "", "c"), key("a", "b", "")];
        assert!(!others.contains(&one));
        assert_eq!(one.len(), 16);
    }

    /// The program is kept, so that one built with other instructions would be measured from then on.
    #[test]
    fn variables_that_change_the_program_do_not_reach_the_tool_chain() {
        let tool = tool(OsStr::new("go"));
        for name in ["GOFLAGS", "GOAMD64", "GOARM64", "GOEXPERIMENT"] {
            assert!(tool.get_envs().any(|of| of == (OsStr::new(name), None)), "{name}");
        }
        assert!(settings(&tool).contains("GOENV") && settings(&tool).contains("GOAMD64"));
    }

    #[test]
    fn programs_are_taken_from_no_folder_that_others_can_write_to() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        let build = BuildFolder::create(&own, "go").unwrap();
        assert!(is_ours(&own) && build.0.is_dir());
        let gone = build.0.clone();
        drop(build);
        assert!(!gone.exists());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_ours(&own) && BuildFolder::create(&own, "go").is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(!is_ours(&link));
    }

    #[test]
    fn the_interpreter_is_a_module_of_the_tool_chains_version() {
        let folder = tempfile::tempdir().unwrap();
        let text =
            "if [ $1 = version ]; then echo go version go1.27.3 linux/amd64; else cp go.mod $3; fi";
        let go = fake(folder.path(), text);
        let cache = CacheFolder { folder: folder.path().join("own"), holds_gos: false };
        let build = BuildFolder::create(&cache.folder, "built").unwrap();
        let (_, minor) = version(&go).unwrap();
        let kept = build.build(&go, minor, &cache, "built").unwrap();
        assert!(fs::read_to_string(kept).unwrap().contains("\ngo 1.27\n"));
    }

    #[test]
    fn a_tool_chain_that_hangs_or_is_too_old_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let fake = |text: &str| fake(folder.path(), text);
        let error = version(&fake("echo go version go1.18.1 linux/amd64")).unwrap_err();
        assert!(error.to_string().contains("1.18 is too old: install"), "{error}");
        let error = version(&fake("echo '# heading' >&2; echo broken >&2; exit 1")).unwrap_err();
        assert_eq!(error.to_string(), "broken");
        let error = run_to_end(&mut tool(&fake("exec sleep 60")), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let missing = built(OsStr::new("/nowhere/go")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}

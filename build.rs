//! Tells the program how it was built: the compiler, its flags, and the versions of the crates it is made of.

use std::{
    collections::BTreeMap, env, fs, os::unix::process::parent_id, path::Path, process::Command,
};

fn main() {
    let cargo = fs::read_to_string(format!("/proc/{}/cmdline", parent_id())).unwrap_or_default();
    if is_unlocked_install(&cargo) {
        println!(
            "cargo::error=`cargo install` builds other versions than Cargo.lock has, and records would name those; add --locked"
        );
        return;
    }
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rerun-if-changed=Cargo.toml");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    tell("RUSTC", version.unwrap_or_else(|_| "unknown".into()));
    tell("TARGET", var("TARGET"));
    let profile = if var("PROFILE") == "debug" { "dev" } else { "release" };
    tell(
        "FLAGS",
        format!(
            "opt-level={} lto={} codegen-units={} rustflags=[{}]",
            var("OPT_LEVEL"),
            setting(profile, "lto"),
            setting(profile, "codegen-units"),
            var("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ")
        ),
    );
    tell(
        "VERSIONS",
        versions().into_iter().map(|(n, v)| format!("{n} {v}")).collect::<Vec<_>>().join(";"),
    );
}

/// Whether this command line, with zeros between its words, is one of `cargo install` that passes over Cargo.lock.
pub(crate) fn is_unlocked_install(cargo: &str) -> bool {
    let mut words = cargo.split('\0').skip(1);
    words.by_ref().find(|word| !word.starts_with('-')) == Some("install")
        && !cargo.split('\0').any(|word| ["--locked", "--frozen"].contains(&word))
}

fn tell(name: &str, value: impl AsRef<str>) {
    println!("cargo:rustc-env=PACELINE_{name}={}", value.as_ref());
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// A setting of a profile: the environment's, or the manifest's, or cargo's default. Cargo does not tell build
/// scripts.
fn setting(profile: &str, key: &str) -> String {
    let upper = key.to_uppercase().replace('-', "_");
    if let Ok(value) = env::var(format!("CARGO_PROFILE_{}_{upper}", profile.to_uppercase())) {
        return value;
    }
    let manifest: Option<toml::Table> = read("Cargo.toml").and_then(|text| text.parse().ok());
    let value = manifest.as_ref().and_then(|m| m.get("profile")?.get(profile)?.get(key));
    value.map_or_else(|| "default".into(), |value| value.to_string().trim_matches('"').to_owned())
}

/// The newest version of each crate in the lock file.
fn versions() -> BTreeMap<String, String> {
    let lock: Option<toml::Table> = read("Cargo.lock").and_then(|text| text.parse().ok());
    let packages = lock.as_ref().and_then(|lock| lock.get("package")?.as_array());
    let mut versions = BTreeMap::new();
    for package in packages.into_iter().flatten() {
        let text = |key| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        if let (Some(name), Some(version)) = (text("name"), text("version")) {
            versions.insert(name, version);
        }
    }
    versions
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(&var("CARGO_MANIFEST_DIR")).join(file)).ok()
}

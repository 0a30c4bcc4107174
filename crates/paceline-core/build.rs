//! Tells the crate which features its manifest enables for each dependency.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=Cargo.toml");
    let manifest =
        Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("Cargo.toml");
    let manifest: toml::Table =
        fs::read_to_string(manifest).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let linux = manifest.get("target").and_then(|target| target.get("cfg(target_os = \"linux\")"));
    let tables = [manifest.get("dependencies"), linux.and_then(|linux| linux.get("dependencies"))];
    let mut features = Vec::new();
    for (name, dependency) in
        tables.into_iter().flatten().filter_map(toml::Value::as_table).flatten()
    {
        let of = |key| dependency.get(key);
        let listed = of("features").and_then(toml::Value::as_array);
        let mut words: Vec<&str> =
            listed.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        if of("default-features").and_then(toml::Value::as_bool) != Some(false) {
            words.insert(0, "default");
        }
        features.push(format!("{name}={}", words.join(",")));
    }
    println!("cargo:rustc-env=PACELINE_FEATURES={}", features.join(";"));
}

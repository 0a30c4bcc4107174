//! Settings of cargo, compilers and tool chains: each side has its own, and other settings are another program.

use std::{env, fs, path::Path};

use paceline::gate::source::Project;

use super::{Tiny, again, installed, said_by, script};

#[test]
fn flags_of_the_heads_own_settings_reach_the_head_alone() {
    let tiny = Tiny::without_commit("");
    let bench = "fn main() {\n    #[allow(unexpected_cfgs)]\n    let fast = cfg!(fast);\n    println!(\"{fast}\");\n}\n";
    tiny.write("benches/gate.rs", bench);
    tiny.commit("one");
    let flags = "[net]\noffline = true\n[build]\nrustflags = [\"--cfg\", \"fast\"]\n";
    tiny.write(".cargo/config.toml", flags);
    tiny.commit("two");
    let [base, head] = ["HEAD~1", "HEAD"].map(|name| said_by(&tiny.build(name).unwrap()));
    assert_eq!((base.as_str(), head.as_str()), ("false", "true"));
}

#[test]
fn a_tool_chain_that_the_head_names_is_the_heads_alone() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        let project = Project::here(Path::new(&folder), None, None).unwrap();
        for name in ["HEAD~1", "HEAD"] {
            project.build(&project.resolve(name).unwrap(), false, &|_| ()).unwrap();
        }
        return;
    }
    // rustup takes the tool chain from this variable first, and cargo sets it for what it runs, such as a gate.
    let here = env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".into());
    let tiny = Tiny::new();
    tiny.write("rust-toolchain.toml", &format!("[toolchain]\nchannel = {here:?}\n"));
    tiny.commit("two");
    // A cargo that notes what it would have been told by rustup.
    let place = tempfile::tempdir().unwrap();
    let (cargo, noted) = (place.path().join("cargo"), place.path().join("noted"));
    let (real, file) = (env!("CARGO"), noted.display());
    let wrapper = format!(
        "case \" $* \" in *' bench '*) echo \"${{RUSTUP_TOOLCHAIN-none}} $(ls rust-toolchain.toml 2>&1)\" >>'{file}';; esac\nexec '{real}' \"$@\""
    );
    script(&cargo, &wrapper);
    let path = format!("{}:{}", place.path().display(), env::var("PATH").unwrap());
    let test = "settings::a_tool_chain_that_the_head_names_is_the_heads_alone";
    let mut child = again(test, &tiny.folder);
    let output = child.env("PATH", path).env("RUSTUP_TOOLCHAIN", &here).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let noted = fs::read_to_string(noted).unwrap();
    let [base, head] = noted.lines().collect::<Vec<_>>()[..] else { panic!("{noted}") };
    assert!(base.starts_with(&format!("{here} ")) && base.contains("cannot access"), "{base}");
    assert_eq!(head, "none rust-toolchain.toml");
}

/// Builds the last commit, and says whether that was cached.
fn say_if_cached(folder: &Path) {
    let project = Project::here(folder, None, None).unwrap();
    let built = project.build(&project.resolve("HEAD").unwrap(), false, &|_| ()).unwrap();
    println!("\ncached: {}", built.cached);
}

/// What a process of `test` says with these settings, which calls `say_if_cached`.
fn is_cached(test: &str, tiny: &Tiny, settings: &[(&str, &str)]) -> String {
    let output = again(test, &tiny.folder).envs(settings.iter().copied()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let cached = said.lines().find_map(|line| line.strip_prefix("cached: "));
    cached.unwrap_or_else(|| panic!("{settings:?}: {said}")).to_owned()
}

#[test]
fn another_version_of_a_compiler_or_linker_is_another_program() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return say_if_cached(Path::new(&folder));
    }
    let test = "settings::another_version_of_a_compiler_or_linker_is_another_program";
    let tiny = Tiny::new();
    // The last two are those of the side's own settings.
    let linker = "[target.'cfg(all())']\nlinker = \"ours\"\n";
    tiny.write(".cargo/config.toml", &format!("[net]\noffline = true\n{linker}"));
    let chain = env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".into());
    tiny.write("rust-toolchain.toml", &format!("[toolchain]\nchannel = {chain:?}\n"));
    tiny.commit("a linker");
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let path = format!("{}:{}", place.path().display(), env::var("PATH").unwrap());
    let chain = format!("+{chain}");
    let asked = [
        ("cc", "--version"),
        ("cc", "-Wl,--version"),
        ("mold", "--version"),
        // As `CC` names it.
        ("wrap", "--version"),
        ("cargo", "-vV"),
        ("ours", "--version"),
        ("rustc", chain.as_str()),
    ];
    for (tool, _) in asked {
        let real = installed(if ["cargo", "rustc"].contains(&tool) { tool } else { "cc" });
        // It says what is in a file of this name, if there is one.
        let says = at(&format!("{tool} "));
        let says =
            format!("says='{}'\"$1\"\n[ ! -f \"$says\" ] || exec cat \"$says\"", says.display());
        script(&at(tool), &format!("{says}\nexec {real} \"$@\""));
    }
    let cached = || is_cached(test, &tiny, &[("PATH", path.as_str()), ("CC", "wrap cc")]);
    assert_eq!([cached(), cached()], ["false", "true"]);
    let is_missed = |(tool, option): &(&str, &str)| {
        fs::write(at(&format!("{tool} {option}")), "a new one").unwrap();
        [cached(), cached()] != ["false", "true"]
    };
    let missed: Vec<_> = asked.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn other_settings_of_compilers_are_another_program() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return say_if_cached(Path::new(&folder));
    }
    let tiny = Tiny::new();
    let test = "settings::other_settings_of_compilers_are_another_program";
    let cached = |setting: Option<(&str, &str)>| is_cached(test, &tiny, setting.as_slice());
    assert_eq!([cached(None), cached(None)], ["false", "true"]);
    for setting in [
        ("RUSTFLAGS", "--cfg other"),
        ("CARGO_PROFILE_BENCH_OPT_LEVEL", "1"),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "env"),
        // What the crates cc and pkg-config read.
        ("CC", "cc"),
        ("CC_x86_64-unknown-linux-gnu", "cc"),
        ("HOST_CC", "cc"),
        ("TARGET_CFLAGS", "-O1"),
        ("CFLAGS", "-O1"),
        ("CFLAGS_x86_64_unknown_linux_gnu", "-O1"),
        ("PKG_CONFIG_PATH", "/nowhere"),
    ] {
        assert_eq!(cached(Some(setting)), "false", "{setting:?}");
    }
    // What is not for compilers is not.
    assert_eq!(cached(Some(("COLUMNS", "100"))), "true");
}

#[test]
fn a_variable_that_a_build_script_or_the_source_reads_is_another_program_if_it_changes() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return say_if_cached(Path::new(&folder));
    }
    let tiny = Tiny::without_commit("");
    tiny.write(
        "build.rs",
        "fn main() {\n    println!(\"cargo:rerun-if-env-changed=SOME_DIR\");\n    println!(\"cargo:rerun-if-changed=build.rs\");\n}\n",
    );
    tiny.write(
        "benches/gate.rs",
        "fn main() { println!(\"{:?}\", option_env!(\"SOME_WORD\")); }\n",
    );
    tiny.commit("one");
    let test = "settings::a_variable_that_a_build_script_or_the_source_reads_is_another_program_if_it_changes";
    let cached = |settings: &[(&str, &str)]| is_cached(test, &tiny, settings);
    assert_eq!([cached(&[]), cached(&[])], ["false", "true"]);
    assert_eq!(cached(&[("UNREAD_DIR", "a")]), "true");
    for name in ["SOME_DIR", "SOME_WORD"] {
        let twice = || [cached(&[(name, "a")]), cached(&[(name, "a")])];
        assert_eq!(twice(), ["false", "true"], "{name}");
        assert_eq!(cached(&[(name, "b")]), "false", "{name}");
    }
}

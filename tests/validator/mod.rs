//! Checks JSON against a JSON Schema by a program of its own, built when a test first asks for it. Among the
//! dev-dependencies, the validator and its 40 crates would be built by every `cargo bench`. They would also switch on
//! features of crates that paceline uses, so that `cargo install` would build nearly all of them once more.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validator/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("validator");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(source);
    assert!(cargo.arg("--target-dir").arg(&target).status().unwrap().success());
    target.join("debug/validator")
});

/// Returns why `document` is not what `schema` says; empty if it is.
pub(crate) fn errors(schema: &Value, document: &Value) -> String {
    let mut command = Command::new(&*PROGRAM);
    let mut validator =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the validator");
    let mut input = validator.stdin.take().unwrap();
    write!(input, "{schema}\n{document}").unwrap();
    drop(input);
    let output = validator.wait_with_output().unwrap();
    assert!(output.status.success(), "the validator failed");
    String::from_utf8(output.stdout).unwrap()
}

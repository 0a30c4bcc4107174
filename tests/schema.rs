//! What `--format json` prints is what the published JSON Schemas in `docs/schema` say, and they are what the code says.

mod program;
mod sample_claims;
mod sample_gate;
mod validator;

use std::{fs, path::Path};

use paceline::{
    advice::Advice,
    cluster::Status,
    compare::{Agreement, Comparison},
    doctor::Diagnosis,
    history::History,
    record::{Cell, Claims, Gate, ModelRecord, Nodes, read_claims, write_claims},
    report::{Export, run_schema},
};
use schemars::{Schema, schema_for};
use serde_json::Value;

fn published() -> [(&'static str, Schema); 12] {
    [
        ("models", schema_for!(Vec<ModelRecord>)),
        ("cells", schema_for!(Vec<Cell>)),
        ("doctor", schema_for!(Diagnosis)),
        ("advice", schema_for!(Advice)),
        ("claims", schema_for!(Claims)),
        ("cluster-status", schema_for!(Status)),
        ("nodes", schema_for!(Nodes)),
        ("gate", schema_for!(Gate)),
        ("compare", schema_for!(Comparison)),
        ("agreement", schema_for!(Agreement)),
        ("history", schema_for!(History)),
        ("report", run_schema()),
    ]
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{name}.json"))
}

/// `PACELINE_BLESS=1 cargo test --test schema` writes them anew.
#[test]
fn the_published_schemas_are_what_the_code_says() {
    for (name, schema) in published() {
        let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("PACELINE_BLESS").is_some() {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), &now).unwrap();
        }
        let kept = fs::read_to_string(path(name)).unwrap();
        assert!(
            kept == now,
            "{name}: the shape has changed: PACELINE_BLESS=1 cargo test --test schema"
        );
    }
}

fn output(arguments: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    program::json(&program::run(folder.path(), format!("{arguments} --format json").split(' ')))
}

/// Checks that `written` is valid by a schema, and neither it, nor the first of a list, is without one of `parts`.
fn check(name: &str, written: &Value, parts: &[&str]) {
    let schema = serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap();
    assert_eq!(validator::errors(&schema, written), "", "{name}");
    for part in parts {
        let mut torn = written.clone();
        let object = if torn.is_array() { &mut torn[0] } else { &mut torn };
        object.as_object_mut().unwrap().remove(*part).unwrap();
        assert_ne!(validator::errors(&schema, &torn), "", "{name}: it may lack {part}");
    }
}

#[test]
fn what_is_printed_is_valid_by_them() {
    let load = "load serve-plain --model tokio,sequential --connections 4 --duration 500ms --trials 1 --warm-up 0s";
    let advise = "advise serve-service --model tokio,pool --scale 2 --trials 2";
    for (name, arguments, part) in [
        ("models", "models", "name"),
        ("cells", "run service --model tokio,threads,pool --scale 1,30 --trials 1", "state"),
        ("cells", load, "state"),
        ("doctor", "doctor", "verdict"),
        ("advice", advise, "workload"),
    ] {
        check(name, &output(arguments), &[part]);
    }
}

#[test]
fn the_record_of_a_gate_is_valid_by_its_schema() {
    for gate in [sample_gate::sample(), sample_gate::unfit()] {
        let written = serde_json::from_str(&Export::Json.render(&gate)).unwrap();
        check("gate", &written, &["verdict", "cells", "base"]);
    }
}

#[test]
fn the_record_of_claims_is_valid_by_its_schema_and_reads_back() {
    let written = serde_json::to_value(sample_claims::sample()).unwrap();
    check("claims", &written, &["claims", "build", "repetitions"]);
    let folder = tempfile::tempdir().unwrap();
    assert!(read_claims(folder.path()).unwrap().is_none());
    write_claims(folder.path(), &sample_claims::sample()).unwrap();
    let read = read_claims(folder.path()).unwrap().unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

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

/// Returns why `document` is not what the published schema says; empty if it is.
fn errors(name: &str, document: &Value) -> String {
    let schema = serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap();
    validator::errors(&schema, document)
}

fn output(arguments: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    program::json(&program::run(folder.path(), format!("{arguments} --format json").split(' ')))
}

#[test]
fn what_is_printed_is_valid_by_them() {
    let load = "load serve-plain --model tokio,sequential --connections 4 --duration 500ms --trials 1 --warm-up 0s";
    for (name, arguments) in [
        ("models", "models"),
        ("cells", "run service --model tokio,threads,pool --scale 1,30 --trials 1"),
        ("cells", load),
        ("doctor", "doctor"),
        ("advice", "advise serve-service --model tokio,pool --scale 2 --trials 2"),
    ] {
        let printed = output(arguments);
        assert_eq!(errors(name, &printed), "", "{arguments:?}");
        assert!(printed.as_array().is_none_or(|list| !list.is_empty()));
        let mut torn = printed;
        if let Some(first) = torn.as_array_mut().and_then(|list| list.first_mut()) {
            first.as_object_mut().unwrap().remove(if name == "models" { "name" } else { "state" });
            assert_ne!(errors(name, &torn), "", "{name}: the schema takes anything");
        }
    }
}

#[test]
fn the_record_of_a_gate_is_valid_by_its_schema() {
    for gate in [sample_gate::sample(), sample_gate::unfit()] {
        let written: Value = serde_json::from_str(&Export::Json.render(&gate)).unwrap();
        assert_eq!(errors("gate", &written), "");
        for lost in ["verdict", "cells", "base"] {
            let mut torn = written.clone();
            torn.as_object_mut().unwrap().remove(lost);
            assert_ne!(errors("gate", &torn), "", "{lost}: the schema takes anything");
        }
    }
}

#[test]
fn the_record_of_claims_is_valid_by_its_schema_and_reads_back() {
    let written = serde_json::to_value(sample_claims::sample()).unwrap();
    assert_eq!(errors("claims", &written), "");
    for lost in ["claims", "build", "repetitions"] {
        let mut torn = written.clone();
        torn.as_object_mut().unwrap().remove(lost);
        assert_ne!(errors("claims", &torn), "", "{lost}: the schema takes anything");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(read_claims(folder.path()).unwrap().is_none());
    write_claims(folder.path(), &sample_claims::sample()).unwrap();
    let read = read_claims(folder.path()).unwrap().unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

//! The formats that are JSON, against schemas made from their documentation.

use std::collections::HashSet;

use paceline::{
    record::Cell,
    report::{RunExport, run_schema},
};
use serde_json::{Value, json};

use crate::{all_kinds, ok, only_refused, record, without_intervals};

fn valid(schema: &Value, text: &str) -> Value {
    let read: Value = serde_json::from_str(text).unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&read).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{:?}", &errors[..errors.len().min(5)]);
    read
}

/// What every kind of run is, valid by the schema.
fn every(export: RunExport, schema: &Value) -> Vec<Value> {
    all_kinds().iter().map(|record| valid(schema, &export.render(record))).collect()
}

fn near(found: &Value, wanted: f64) -> bool {
    found.as_f64().is_some_and(|found| (found / wanted - 1.0).abs() < 1e-9)
}

#[test]
fn json_is_the_run_and_its_cells_by_its_schema_and_reads_back() {
    let schema = serde_json::to_value(run_schema()).unwrap();
    every(RunExport::Json, &schema);
    let record = record();
    let mut read = valid(&schema, &RunExport::Json.render(&record));
    let cells: Vec<Cell> = serde_json::from_value(read["cells"].take()).unwrap();
    assert!(cells == record.cells);
    assert_eq!(read["run"]["seed"], 42);
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(!validator.is_valid(&read), "the schema takes a document without cells");
}

/// <https://bencher.dev/docs/reference/bencher-metric-format>, and the lengths that it takes.
#[test]
fn bmf_is_what_bencher_reads() {
    let number = json!({ "type": "number" });
    let metric = json!({
        "type": "object",
        "properties": { "value": number, "lower_value": number, "upper_value": number },
        "required": ["value"],
        "additionalProperties": false,
    });
    let measures = json!({
        "type": "object",
        "propertyNames": { "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$" },
        "additionalProperties": metric,
        "minProperties": 1,
    });
    let schema = json!({
        "type": "object",
        "propertyNames": { "minLength": 1, "maxLength": 1024 },
        "additionalProperties": measures,
    });
    every(RunExport::Bmf, &schema);
    let record = record();
    let read = valid(&schema, &RunExport::Bmf.render(&record));
    assert_eq!(read.as_object().unwrap().len(), ok(&record).len());
    let tokio = ok(&record).into_iter().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    let (rate, found) = (tokio.jobs_per_second.unwrap(), &read["sleep/tokio@8/100"]);
    assert!(near(&found["throughput"]["value"], rate.value), "{found}");
    assert!(near(&found["throughput"]["lower_value"], rate.lower), "{found}");
    assert!(near(&found["latency"]["value"], tokio.latency_ns_p50.unwrap().value));
    let single = valid(&schema, &RunExport::Bmf.render(&without_intervals()));
    assert!(single["sleep/tokio@8/100"]["throughput"].get("lower_value").is_none());
    assert_eq!(RunExport::Bmf.render(&only_refused()), "{}\n");
}

/// <https://github.com/benchmark-action/github-action-benchmark>: the custom tools.
#[test]
fn both_files_for_the_action_are_lists_of_entries_with_unique_names() {
    let text = json!({ "type": "string", "minLength": 1 });
    let entry = json!({
        "type": "object",
        "properties": {
            "name": text, "unit": text, "value": { "type": "number" }, "range": text, "extra": text,
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": false,
    });
    let schema = json!({ "type": "array", "items": entry });
    for (export, units) in [
        (RunExport::ActionSmaller, &["ns", "bytes"][..]),
        (RunExport::ActionBigger, &["jobs/s"][..]),
    ] {
        for list in every(export, &schema) {
            let list = list.as_array().unwrap();
            let names: HashSet<String> =
                list.iter().map(|entry| entry["name"].to_string()).collect();
            assert_eq!(names.len(), list.len());
            assert!(list.iter().all(|entry| units.contains(&entry["unit"].as_str().unwrap())));
        }
    }
    let record = record();
    let bigger = valid(&schema, &RunExport::ActionBigger.render(&record));
    assert_eq!(bigger.as_array().unwrap().len(), ok(&record).len());
    let entry = |entry: &&Value| entry["name"] == "sleep/tokio@8/100 throughput";
    let found = bigger.as_array().unwrap().iter().find(entry).unwrap();
    let tokio = ok(&record).into_iter().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    assert!(near(&found["value"], tokio.jobs_per_second.unwrap().value), "{found}");
    assert!(found["range"].as_str().unwrap().contains(" to "), "{found}");
}

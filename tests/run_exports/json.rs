//! The formats that are JSON, against schemas made from their documentation.

use std::collections::HashSet;

use paceline::{
    record::{Cell, State},
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
    assert!(near(&found["latency"]["value"], tokio.latency.as_ref().unwrap().ns_p50 as f64));
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

/// JMH's `JSONResultFormat`, and what <https://github.com/jzillmann/jmh-visualizer> asks of names: the last dot parts
/// class and method, and blanks and `=` part parameters.
#[test]
fn jmh_is_what_its_visualisers_read() {
    let number = json!({ "type": "number" });
    let score = json!({ "anyOf": [number, { "enum": ["NaN", "-INF", "+INF"] }] });
    let metric = json!({
        "type": "object",
        "properties": {
            "score": number,
            "scoreError": score,
            "scoreConfidence": { "type": "array", "items": score, "minItems": 2, "maxItems": 2 },
            "scorePercentiles": {
                "type": "object",
                "required": ["0.0", "50.0", "90.0", "99.0", "100.0"],
                "additionalProperties": number,
            },
            "scoreUnit": { "type": "string" },
            "rawData": { "type": "array", "items": { "type": "array", "items": number } },
        },
        "required": ["score", "scoreError", "scoreConfidence", "scorePercentiles", "scoreUnit", "rawData"],
        "additionalProperties": false,
    });
    let count = json!({ "type": "integer", "minimum": 1 });
    let result = json!({
        "type": "object",
        "properties": {
            "benchmark": { "type": "string", "pattern": "^paceline\\.[^.= ]+\\.[^.= ]+$" },
            "mode": { "const": "thrpt" },
            "threads": count,
            "forks": count,
            "warmupIterations": count,
            "measurementIterations": count,
            "params": {
                "type": "object",
                "additionalProperties": { "type": "string", "pattern": "^[^= ]+$" },
            },
            "primaryMetric": metric,
            "secondaryMetrics": { "type": "object", "additionalProperties": metric },
        },
        "required": [
            "benchmark", "mode", "threads", "forks", "warmupIterations", "warmupTime", "warmupBatchSize",
            "measurementIterations", "measurementTime", "measurementBatchSize", "params",
            "primaryMetric", "secondaryMetrics",
        ],
    });
    let schema = json!({ "type": "array", "items": result });
    every(RunExport::Jmh, &schema);
    let record = record();
    let read = valid(&schema, &RunExport::Jmh.render(&record));
    let list = read.as_array().unwrap();
    assert_eq!(list.len(), ok(&record).len());
    let key = |result: &Value| format!("{} {}", result["benchmark"], result["params"]);
    assert_eq!(list.iter().map(key).collect::<HashSet<_>>().len(), list.len(), "one twice");
    let wanted = json!({ "scale": "100", "workers": "4" });
    let cpu = |r: &&Value| r["benchmark"] == "paceline.cpu.rayon" && r["params"] == wanted;
    let found = list.iter().find(cpu).unwrap();
    let cell = ok(&record).into_iter().find(|c| {
        c.workload == "cpu" && c.model == "rayon" && c.workers == Some(4) && c.scale == 100
    });
    let rate = cell.unwrap().jobs_per_second.unwrap();
    assert!(near(&found["primaryMetric"]["score"], rate.value), "{found}");
    assert_eq!((&found["threads"], &found["forks"]), (&json!(4), &json!(3)));
    assert_eq!(found["primaryMetric"]["rawData"].as_array().unwrap().len(), 3);
    let open = list.iter().find(|r| r["benchmark"] == "paceline.serve-service.tokio").unwrap();
    assert_eq!(open["params"]["load"], "closed");
}

/// hyperfine's `BenchmarkResult`, as its scripts read it.
#[test]
fn hyperfine_has_the_time_of_each_round_in_seconds() {
    let (number, unknown) = (json!({ "type": "number" }), json!({ "type": ["number", "null"] }));
    let result = json!({
        "type": "object",
        "properties": {
            "command": { "type": "string" },
            "mean": number,
            "stddev": unknown,
            "median": number,
            "user": unknown,
            "system": unknown,
            "min": number,
            "max": number,
            "times": { "type": "array", "items": number, "minItems": 1 },
            "exit_codes": { "type": "array", "items": { "type": "integer" } },
            "parameters": { "type": "object", "additionalProperties": { "type": "string" } },
        },
        "required": [
            "command", "mean", "stddev", "median", "user", "system", "min", "max", "times", "exit_codes",
            "parameters",
        ],
        "additionalProperties": false,
    });
    let schema = json!({
        "type": "object",
        "properties": { "results": { "type": "array", "items": result } },
        "required": ["results"],
        "additionalProperties": false,
    });
    every(RunExport::Hyperfine, &schema);
    let record = record();
    let read = valid(&schema, &RunExport::Hyperfine.render(&record));
    let list = read["results"].as_array().unwrap();
    let timed = ok(&record).into_iter().filter(|cell| !cell.rounds_ns.is_empty());
    assert_eq!(list.len(), timed.count());
    let found = list.iter().find(|r| r["command"] == "sleep/tokio@8/100").unwrap();
    let cell = record.cells.iter().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    assert!(cell.state == State::Ok && near(&found["median"], cell.round_ns.unwrap().value / 1e9));
    assert_eq!(found["times"].as_array().unwrap().len(), 3);
    let user = cell.resources.unwrap().user_cpu_ns_per_job * 100.0 / 1e9;
    assert!(near(&found["user"], user), "{found}");
    assert!(found["mean"].as_f64() >= found["min"].as_f64());
}

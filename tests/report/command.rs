//! `paceline report` as its users meet it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Output,
};

use paceline::{record::Cell, report::Charts};

use super::{BENCH, page_of, program, sample_claims, sample_run};

fn report(results: &Path, arguments: &[&str]) -> Output {
    program::run(results, [&["report"], arguments, &["--out", "."]].concat())
}

/// What is said on standard error, if the exit code is this.
fn said(output: &Output, code: i32) -> String {
    let text = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), usize::from(code != 0), "one sentence: {text}");
    text
}

#[test]
fn the_newest_run_is_reported_where_none_is_named() {
    let results = tempfile::tempdir().unwrap();
    let folder = sample_run::write(&sample_run::record(), results.path());
    let output = report(results.path(), &[]);
    said(&output, 0);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    assert!(program::text(&output.stdout).contains("report.html"));
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let output = report(results.path(), &[&name, "-o", "-"]);
    assert!(output.stdout.starts_with(b"<!doctype html>"));
    let output = report(results.path(), &[&name, "--format", "md"]);
    assert!(program::text(&output.stdout).starts_with("###"));
    let output = report(results.path(), &[&name, "--format", "svg", "--chart", "cpu/speed-up"]);
    said(&output, 0);
    assert!(results.path().join("cpu-speed-up.svg").exists());
}

#[test]
fn a_wrong_request_gets_one_sentence_and_leaves_nothing_behind() {
    let results = tempfile::tempdir().unwrap();
    assert!(said(&report(results.path(), &[]), 2).contains("there is no run in"));
    let folder = sample_run::write(&sample_run::record(), results.path());
    let name = folder.file_name().unwrap().to_str().unwrap();
    let other = format!("{}/{name}", results.path().display());
    for (arguments, code, sentence) in [
        (vec!["nowhere"], 2, "name a folder that has one of run.json"),
        (vec![name, name], 2, "is named twice"),
        (vec![name, &other, "--format", "csv"], 2, "name one"),
        (vec![name, "--format", "svg"], 2, "name a chart with --chart"),
        (
            vec![name, "--format", "svg", "--chart", "sleep/hat"],
            2,
            "its charts are sleep/throughput",
        ),
        (vec![name, "--chart", "sleep/throughput"], 2, "--chart goes with"),
        (vec![name, "-o", "missing/folder/page.html"], 1, "choose another place with -o"),
        (vec![name, "-o", "/dev/full"], 1, "cannot write"),
    ] {
        let text = said(&report(results.path(), &arguments), code);
        assert!(text.contains(sentence), "{arguments:?}: {text}");
    }
    let output = report(results.path(), &[name, "--format", "pdf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("choose one of html, table, svg, markdown")
    );
    let left: Vec<_> = fs::read_dir(results.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_torn_last_line_costs_one_cell_and_a_newer_schema_is_refused() {
    let results = tempfile::tempdir().unwrap();
    let folder = sample_run::write(&sample_run::record(), results.path());
    let name = folder.file_name().unwrap().to_str().unwrap();
    let cells = folder.join("cells.jsonl");
    let text = fs::read_to_string(&cells).unwrap();
    fs::write(&cells, &text[..text.len() - 40]).unwrap();
    said(&report(results.path(), &[name]), 0);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("118 cells"), "the torn one is missing");
    fs::write(&cells, text.replacen("{\"workload\"", "{workload", 1)).unwrap();
    assert!(said(&report(results.path(), &[name]), 2).contains(
        "cells.jsonl, line 1, is damaged (key must be a string at column 2): delete this line"
    ));
    fs::write(&cells, &text).unwrap();
    let run = fs::read_to_string(folder.join("run.json")).unwrap();
    fs::write(folder.join("run.json"), run.replacen("\"schema\": 2", "\"schema\": 9", 1)).unwrap();
    assert!(said(&report(results.path(), &[name]), 2).contains("use a newer paceline"));
}

/// The reference run: real models, real distributions.
const REFERENCE: &str = "results/2026-11-29T17-48-39Z-trials-5729";

#[test]
fn the_page_of_the_reference_run_has_at_most_3_kilobytes_a_cell_and_the_picture_is_of_the_run_in_the_readme()
 {
    let record = paceline::record::read(Path::new(REFERENCE)).unwrap();
    assert!(record.cells.len() >= 1_000);
    assert_eq!(
        record.workloads()[..4],
        ["sleep", "echo", "switch", "cpu"],
        "as they were asked for"
    );
    let page = page_of(&record);
    let most = record.cells.len() * 3000;
    assert!(page.len() <= most, "{} bytes of {most}", page.len());
    // By all jobs together tokio-uring has the least CPU time in this older form of the record, though its trials do not.
    let older = tempfile::tempdir().unwrap();
    fs::copy(Path::new(REFERENCE).join("run.json"), older.path().join("run.json")).unwrap();
    let together = |cell: &Cell| match (&*cell.workload, &*cell.model) {
        ("join-future", "tokio-uring") => Some(1.0),
        _ => cell.cpu_ns_per_job,
    };
    let line = |cell: &Cell| {
        let cell = Cell { cpu_ns_per_job: together(cell), ..cell.clone() };
        serde_json::to_string(&cell).unwrap() + "\n"
    };
    let lines: String = record.cells.iter().map(line).collect();
    fs::write(older.path().join("cells.jsonl"), lines).unwrap();
    let row = |page: &str| {
        let cpu = page.split("The best by CPU time per job</caption>").nth(1).unwrap();
        cpu.split("join-future</a>").nth(1).unwrap().split("</tr>").next().unwrap().to_owned()
    };
    let found = row(&page_of(&paceline::record::read(older.path()).unwrap()));
    assert!(found == row(&page) && found.contains(" µs</strong>"), "{found}");
    let charts = Charts::of(&paceline::record::read(Path::new(BENCH)).unwrap());
    let picture = fs::read_to_string("docs/report.svg").unwrap();
    assert_eq!(charts.svg("echo/throughput").unwrap().trim(), picture.trim());
}

#[test]
fn a_packed_record_is_read_as_it_was_and_resumed_only_when_unpacked() {
    let results = tempfile::tempdir().unwrap();
    let at = results.path().join("run");
    fs::create_dir_all(&at).unwrap();
    let record = Path::new(BENCH);
    let cells = fs::read(record.join("cells.jsonl")).unwrap();
    fs::copy(record.join("run.json"), at.join("run.json")).unwrap();
    fs::write(at.join("cells.jsonl"), &cells).unwrap();
    let csv = || {
        let output = report(results.path(), &["run", "--format", "csv", "-o", "-"]);
        said(&output, 0);
        program::text(&output.stdout)
    };
    let plain = csv();
    fs::remove_file(at.join("cells.jsonl")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    gz.write_all(&cells).unwrap();
    let packed = gz.finish().unwrap();
    fs::write(at.join("cells.jsonl.gz"), &packed).unwrap();
    assert!(plain.lines().count() > 100 && csv() == plain);
    let resumed = paceline::record::Writer::resume(&at).err().unwrap();
    assert!(resumed.contains("cells.jsonl.gz is packed: gunzip "), "{resumed}");
    fs::write(at.join("cells.jsonl.gz"), &packed[..packed.len() / 2]).unwrap();
    assert!(said(&report(results.path(), &["run"]), 2).contains("; bring it back from a copy"));
}

#[test]
fn a_run_that_was_cut_off_says_so_and_nothing_of_a_record_is_written_over() {
    let results = tempfile::tempdir().unwrap();
    let at = results.path().join("run");
    fs::create_dir_all(&at).unwrap();
    let run = fs::read(Path::new(REFERENCE).join("run.json")).unwrap();
    let mut run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    run["planned"] = 240.into();
    let packed = fs::read(Path::new(REFERENCE).join("cells.jsonl.gz")).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(&*packed)).lines();
    let some: String = lines.take(100).map(|line| line.unwrap() + "\n").collect();
    fs::write(at.join("cells.jsonl"), some + "{\"torn").unwrap();
    let says = |arguments: &[&str], code, sentences: &[&str]| {
        let output = report(results.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(sentences.iter().all(|sentence| said.contains(sentence)), "{said}");
    };
    let begun_by = |run: &mut serde_json::Value, command: &str| {
        run["command"][1] = command.into();
        fs::write(at.join("run.json"), run.to_string()).unwrap();
    };
    let cut_off = "100 of its 240 cells have ended";
    begun_by(&mut run, "advise");
    says(&["run"], 0, &[cut_off, "ended; measure again for the others"]);
    begun_by(&mut run, "run");
    says(&["run"], 0, &[cut_off, "ended; go on with paceline run --resume --out"]);
    assert!(fs::read_to_string(at.join("report.html")).unwrap().contains(cut_off));
    run["instrument"] = "criterion".into();
    run["settings"]["profile"] = "full".into();
    begun_by(&mut run, "--bench");
    says(&["run"], 0, &[cut_off, "cargo bench measures all anew"]);
    let page = fs::read_to_string(at.join("report.html")).unwrap();
    assert!(page.contains("PACELINE_PROFILE=full cargo bench -- "));
    run["instrument"] = "trials".into();
    begun_by(&mut run, "run");
    for part in ["run.json", "cells.jsonl"] {
        let part = at.join(part);
        let before = fs::read(&part).unwrap();
        says(&["run", "-o", part.to_str().unwrap()], 2, &["part of a record"]);
        assert_eq!(fs::read(&part).unwrap(), before);
    }
    fs::write(at.join("cells.jsonl"), "").unwrap();
    says(&[], 2, &["no cell of", "has ended: go on with paceline run --resume"]);
    says(&["run", "--format", "svg"], 2, &["no chart"]);
    begun_by(&mut run, "advise");
    says(&[], 2, &["has ended: measure again"]);
}

#[test]
fn the_record_of_claims_has_a_page_too() {
    let results = tempfile::tempdir().unwrap();
    let at = results.path().join("claims");
    fs::create_dir_all(&at).unwrap();
    let claims = serde_json::to_string(&sample_claims::sample()).unwrap();
    fs::write(at.join("claims.json"), claims).unwrap();
    for named in [&["claims"][..], &[]] {
        said(&report(results.path(), named), 0);
        let page = fs::read_to_string(at.join("report.html")).unwrap();
        assert!(page.contains("<h1>2 claims on 9 models: "), "{page}");
        fs::remove_file(at.join("report.html")).unwrap();
    }
}

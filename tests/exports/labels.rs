//! A label means the same computation everywhere: in tables, on the page, in comparisons, histories and exports.

use std::slice;

use paceline::{
    compare::compare_records,
    history::{Series, series},
    record::Cell,
    report::{
        Export, Extent, Sources, cells_table, comparison_table, gate_table, history_csv,
        history_table, load_table, page,
    },
};

use crate::{EXPORTED, GATES, RUNS, sample_run::courses};

#[test]
fn what_a_first_batch_adds_and_its_slope_over_scales_have_two_names() {
    let record = &RUNS[0];
    let compared = compare_records(record, record, true).unwrap();
    let history = series(slice::from_ref(record), &[]);
    let tables = [
        comparison_table(&compared, Extent::All),
        history_table(&history),
        gate_table(&GATES[0], true),
        Export::Markdown.render(&GATES[0]),
    ];
    for text in &tables {
        assert!(text.contains("memory added per job"), "{text}");
        assert!(!text.contains("memory per job"), "{text}");
    }
    // A job of tokio adds 430 bytes, and all together 40 KiB.
    let of_ten = ["tokio@8 at 10,", "memory added per job", "4.42 KiB"];
    let is_it = |line: &str| of_ten.iter().all(|part| line.contains(part));
    assert!(tables[0].lines().any(is_it), "{}", tables[0]);
    let page = page(&Sources { records: slice::from_ref(record), ..Sources::default() });
    assert!(page.contains("memory per job") && page.contains("<strong>430 B</strong>"));
    assert!(!page.contains("memory added per job") && !page.contains("4.42 KiB"));
    // Names with units likewise.
    assert!(history_csv(&history).contains("sleep/tokio@8/10 memory_added_per_job_bytes"));
    let metrics = Export::OpenMetrics.render(&GATES[0]);
    assert!(metrics.contains("paceline_gate_memory_added_per_job_bytes{"), "{metrics}");
    let figures = Export::Bmf.render(&GATES[0]);
    assert!(figures.contains("\"memory-added-per-job-bytes\""), "{figures}");
    for (_, export, text) in &*EXPORTED {
        let old = ["memory_per_job", "memory-per-job", "memory per job"];
        assert!(!old.iter().any(|name| text.contains(name)), "{export}");
    }
}

#[test]
fn exports_of_a_gate_do_not_call_the_time_per_job_a_throughput() {
    for export in [Export::Csv, Export::OpenMetrics] {
        let text = export.render(&GATES[0]);
        assert!(text.contains("time_per_job") && !text.contains("throughput"), "{export}: {text}");
    }
}

#[test]
fn the_time_of_a_batch_is_not_called_that_of_a_trial_nor_a_share_of_errors_their_number() {
    let metrics = Export::OpenMetrics.render(&RUNS[0]);
    assert!(metrics.contains("paceline_run_batch_seconds{"), "{metrics}");
    assert!(!metrics.contains("trial_seconds"), "{metrics}");
    assert!(metrics.contains("# HELP paceline_run_errors_ratio share of "), "{metrics}");
}

#[test]
fn no_two_families_of_openmetrics_have_the_same_description() {
    for text in [Export::OpenMetrics.render(&RUNS[0]), Export::OpenMetrics.render(&GATES[0])] {
        let help = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
        let mut said: Vec<&str> = help.map(|(_, said)| said).collect();
        let families = said.len();
        said.sort_unstable();
        said.dedup();
        assert!(families > 5 && said.len() == families, "{text}");
    }
}

#[test]
fn a_metric_is_the_same_figure_in_comparisons_histories_and_exports() {
    let record = &RUNS[0];
    let history = series(slice::from_ref(record), &[]);
    let otava = Export::Otava.render(record);
    let mut otava = csv::Reader::from_reader(otava.as_bytes());
    let names = otava.headers().unwrap().clone();
    let exported = otava.records().next().unwrap().unwrap();
    let (mut in_history, mut in_export) = (0, 0);
    // Of five processes, as these loads have, a comparison shows the trimmed mean.
    let compared = compare_records(record, record, true).unwrap().cells.into_iter();
    for pair in compared.filter(|pair| pair.workload != "serve-service") {
        let workers = pair.workers.map_or_else(String::new, |workers| format!("@{workers}"));
        let name = format!("{}/{}{workers}/{}", pair.workload, pair.model, pair.scale);
        for shift in pair.shifts {
            let same = |of: &&Series| of.cell == name && of.metric == shift.metric;
            let Some(of) = history.iter().find(same) else { continue };
            let near = |value: f64| (value / shift.base - 1.0).abs() < 1e-12;
            assert!(near(of.points[0].value), "{name} {:?}", shift.metric);
            in_history += 1;
            let column = format!("{name} {}", shift.metric.figure());
            if let Some(at) = names.iter().position(|of| of == column) {
                assert!(near(exported[at].parse().unwrap()), "{column}");
                in_export += 1;
            }
        }
    }
    assert!(in_history > 200 && in_export > 150, "{in_history} {in_export}");
}

#[test]
fn where_the_system_counts_no_cpu_time_no_table_says_that_jobs_take_none() {
    let mut record = RUNS[0].clone();
    let counted = cells_table(&record.cells, Extent::All);
    for cell in &mut record.cells {
        cell.cpu_ns_per_job = None;
        let Some(used) = &mut cell.resources else { continue };
        (used.user_cpu_ns_per_job, used.system_cpu_ns_per_job) = (0.0, 0.0);
        assert_eq!(used.cpu_ns_per_job(), None);
    }
    let table = cells_table(&record.cells, Extent::All);
    assert!(table != counted && !table.contains("  0 s"), "{table}");
    let csv = Export::Csv.render(&record);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let column = csv.headers().unwrap().iter().position(|name| name == "user_cpu_ns_per_job");
    assert!(csv.records().all(|row| row.unwrap()[column.unwrap()].is_empty()));
}

#[test]
fn percentiles_of_all_trials_together_are_not_called_as_the_means_of_the_trials_are() {
    let mut record = RUNS[0].clone();
    record.cells.retain(|cell| cell.load.is_some());
    courses::told(&mut record);
    let urls = [
        load_table(&record.cells, Extent::All),
        Export::Markdown.render(&record),
        page(&Sources { records: slice::from_ref(&record), ..Sources::default() }),
    ];
    for text in &urls {
        assert!(text.contains("p50 of all") && text.contains("p99 of all"), "{text}");
    }
    let csv = Export::Csv.render(&record);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let names = csv.headers().unwrap().clone();
    let knee = |row: &csv::StringRecord| row[0].ends_with("/knee within 20.0 ms");
    let row = csv.records().map(Result::unwrap).find(knee).unwrap();
    let field = |name: &str| &row[names.iter().position(|of| of == name).expect(name)];
    assert_eq!(field("shares_latency_ns_p50"), "5200000 5200000 5200000");
    assert!(!field("latency_ns_p50").is_empty());
}

#[test]
fn a_column_of_csv_with_the_name_of_a_field_of_the_record_has_its_figure() {
    let mut found = 0;
    for record in RUNS.iter() {
        let csv = Export::Csv.render(record);
        let mut csv = csv::Reader::from_reader(csv.as_bytes());
        let names = csv.headers().unwrap().clone();
        let at = |name: &str| names.iter().position(|of| of == name).unwrap();
        let identity = ["workload", "model", "scale", "workers", "placement"].map(at);
        for row in csv.records().map(Result::unwrap) {
            let is_of = |cell: &&Cell| {
                let workers = cell.workers.map_or_else(String::new, |workers| workers.to_string());
                let placement = cell.placement.to_string();
                let of =
                    [&cell.workload, &cell.model, &cell.scale.to_string(), &workers, &placement];
                identity.map(|column| &row[column]) == of.map(String::as_str)
            };
            let cells: Vec<&Cell> = record.cells.iter().filter(is_of).collect();
            let &[cell] = &cells[..] else { continue };
            let fields = serde_json::to_value(cell).unwrap();
            for (name, field) in names.iter().zip(&row) {
                let figure = &fields[name];
                // An estimate has its ends in columns of their own.
                let figure = figure.get("value").unwrap_or(figure).as_f64();
                if let Some(figure) = figure {
                    assert_eq!(field.parse(), Ok(figure), "{name} of {}", &row[0]);
                    found += 1;
                }
            }
        }
    }
    assert!(found > 100, "{found}");
}

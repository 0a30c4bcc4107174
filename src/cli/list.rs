//! `paceline models`, `paceline workloads` and `paceline doctor`.

use super::{CliError, ENVIRONMENT, Format, internal, say, say_json, say_text};
use crate::{
    doctor::{self, examine},
    output::{count, list_table},
    record::ModelRecord,
    start::model_info,
};
use paceline_core::{clock::compute_ns, models::MODELS, process::Program, workloads};

pub(super) fn list_models(format: Format) -> Result<u8, CliError> {
    let models: Vec<ModelRecord> = MODELS.iter().map(model_info).collect();
    if format == Format::Json {
        return say_json(&models);
    }
    let rows: Vec<Vec<String>> = models
        .into_iter()
        .map(|model| {
            let here = match (model.reason, model.unreliable) {
                (Some(why), _) => format!("no: {why}"),
                (None, Some(why)) => format!("yes, but unreliable: {why}"),
                (None, None) => "yes".into(),
            };
            let beyond = model.features.iter().filter(|feature| *feature != "default");
            let beyond = beyond.cloned().collect::<Vec<_>>().join(", ");
            let what = if beyond.is_empty() {
                model.note
            } else {
                format!("{} (features: {beyond})", model.note)
            };
            vec![model.name, model.family, model.version, model.tag, here, what]
        })
        .collect();
    say(&list_table(&["model", "family", "version", "tag", "runs here", "what it is"], &rows))
}

pub(super) fn list_workloads(format: Format) -> Result<u8, CliError> {
    let workloads = workloads::built_in();
    if format == Format::Json {
        let shown: Vec<serde_json::Value> = workloads
            .iter()
            .map(|w| {
                serde_json::json!({
                    "name": w.name, "about": w.about, "scale": w.scales,
                    "core": workloads::CORE.contains(&w.name.as_str()), "source": w.source,
                })
            })
            .collect();
        return say_json(&shown);
    }
    let row = |w: &paceline_core::job::Workload| {
        let scales = w.scales.iter().map(|scale| count(*scale)).collect::<Vec<_>>().join(", ");
        vec![w.name.clone(), scales, w.about.clone()]
    };
    let rows: Vec<_> = workloads.iter().map(row).collect();
    let table = list_table(&["workload", "scales", "what it shows"], &rows);
    say_text(&format!(
        "{table}\n\nOn this machine {}.",
        doctor::noise::cost_of_compute(compute_ns())
    ))
}

pub(super) fn diagnose(format: Format) -> Result<u8, CliError> {
    let program = Program::this().map_err(|error| internal(error.to_string()))?;
    let diagnosis = examine(&program);
    match format {
        Format::Json => say_json(&diagnosis)?,
        Format::Table => say_text(&doctor::table(&diagnosis))?,
    };
    Ok(if diagnosis.verdict.fit { 0 } else { ENVIRONMENT })
}

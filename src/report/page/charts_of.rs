//! The charts of a run by name, each as a picture of its own: for slides.

use super::{
    overview::WorkloadSummary,
    parts::{Picture, name},
    workload,
};
use crate::record::{Cell, Record};

/// The charts of a run.
pub struct Charts(Vec<(String, Picture)>);

impl Charts {
    /// Those that its page has.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let mut charts = Vec::new();
        for workload in record.workloads() {
            let cells: Vec<&Cell> =
                record.cells.iter().filter(|cell| cell.workload == workload).collect();
            let take = WorkloadSummary::of(workload, String::new(), &cells);
            for figure in workload::figures(&cells, &take.advice) {
                charts.extend(
                    figure
                        .picture
                        .map(|picture| (format!("{}/{}", name(workload), figure.kind), picture)),
                );
            }
        }
        Charts(charts)
    }

    /// What they are called: the workload, and what is shown of it.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The chart `name` as a file of SVG; `None` where there is none of that name.
    #[must_use]
    pub fn svg(&self, name: &str) -> Option<String> {
        self.find(name).map(Picture::file)
    }

    fn find(&self, name: &str) -> Option<&Picture> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, picture)| picture)
    }
}

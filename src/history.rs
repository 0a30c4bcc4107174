//! Recorded runs over time: series by cell, metric and machine, and where they step.

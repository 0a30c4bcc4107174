//! Verdicts on pairs of rounds, and two records side by side: pure functions on slices.

//! Student's t distribution for the tests of the gate.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Returns the chance that Student's t with `df` degrees of freedom exceeds `t`.
pub(super) fn t_above(t: f64, df: f64) -> f64 {
    student(df).sf(t)
}

/// Returns the quantile `p` of Student's t with `df` degrees of freedom.
///
/// # Panics
///
/// Panics if `p` is not between 0 and 1.
pub(super) fn t_quantile(p: f64, df: f64) -> f64 {
    student(df).inverse_cdf(p)
}

fn student(df: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, df).expect("degrees of freedom are positive, for 5 values have 2")
}

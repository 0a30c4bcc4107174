//! The published shapes of formats, as the tests of exports hold them against what is written.

pub(crate) mod junit;
pub(crate) mod openmetrics;

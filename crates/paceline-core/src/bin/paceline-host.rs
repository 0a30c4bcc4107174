//! The measured program, without the instruments: a host of every model, the suite's server and the load generator. The
//! gate builds only this.

fn main() -> std::process::ExitCode {
    paceline_core::child::spawned();
    std::process::ExitCode::from(2)
}

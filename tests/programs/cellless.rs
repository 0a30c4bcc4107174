//! A program for the gate that has no cells, for `tests/gate.rs`.

fn main() -> std::process::ExitCode {
    paceline_gated::Gated::new().main()
}

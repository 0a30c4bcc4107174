//! The `paceline` command.

fn main() {
    paceline::measure::spawned();
}

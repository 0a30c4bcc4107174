#!/bin/sh
# Gates a change: builds paceline, compares BASE with HEAD (the working tree where none is given), and writes every
# export into a folder. Ends with the gate's exit code: 0 passed, 3 a cell failed, 4 regressed, 5 nothing compared or,
# with --strict, inconclusive, 6 the machine was not fit.
#
#   scripts/gate.sh BASE [HEAD] [more flags of `paceline gate`]
#
# GATE_OUT is the folder (target/gate), GATE_BUDGET the time to measure (9m), GATE_ARGS more flags, split at spaces.
set -eu

usage() {
    echo "usage: scripts/gate.sh BASE [HEAD] [flags of paceline gate]" >&2
    exit 2
}

case "${1:-}" in
'' | -*) usage ;;
esac
base=$1
shift
head=
case "${1:-}" in
'' | -*) ;;
*)
    head=$1
    shift
    ;;
esac

cd "$(dirname "$0")/.."
out=${GATE_OUT:-target/gate}
mkdir -p "$out"
# What an earlier gate left would be taken for this one's.
rm -f "$out"/gate.* "$out"/benchmark-smaller.json "$out"/benchmark-bigger.json "$out"/bmf.json

cargo build --release --locked -p paceline

set -- --base "$base" --retry "$@"
if [ -n "$head" ]; then
    set -- --head "$head" "$@"
fi
if [ -n "${GATE_ARGS:-}" ]; then
    # shellcheck disable=SC2086 # They are meant to be split.
    set -- "$@" $GATE_ARGS
fi

code=0
"${CARGO_TARGET_DIR:-target}/release/paceline" gate "$@" \
    --budget "${GATE_BUDGET:-9m}" \
    --out "$out/record" \
    --export "markdown=$out/gate.md" \
    --export "junit=$out/gate.xml" \
    --export "bmf=$out/bmf.json" \
    --export "github-action-benchmark-smaller=$out/benchmark-smaller.json" \
    --export "github-action-benchmark-bigger=$out/benchmark-bigger.json" \
    --export "openmetrics=$out/gate.txt" \
    --export "otava=$out/gate.otava.csv" \
    --export "csv=$out/gate.csv" \
    --export "json=$out/gate.json" || code=$?

# A gate that could not begin has nothing to show.
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$out/gate.md" ]; then
    cat "$out/gate.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ "$code" -eq 6 ]; then
    echo "not measured: the machine was not fit twice in a row; run this job again on a quieter machine" >&2
fi
exit "$code"

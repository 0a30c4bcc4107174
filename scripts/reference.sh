#!/bin/sh
# Makes the reference run: all workloads on all models, scales up to the limit, load and claims, each with its page.
#
#   scripts/reference.sh TIME [DIR]     TIME such as 25m or 3h for all; DIR for the records (results/reference-DATE)
#
# REFERENCE_MODELS chooses models, separated by commas (all); REFERENCE_SCALES the scales of the first part (those of each
# workload, for which 5 trials of all models take hours on 2 cores). PACELINE is a program that is built already.
# Records of an interrupted run stay; cells that did not fit into the time are in them as skipped. Exit codes: 0, or 1
# where a part could not be made or the records have over 5 MB, 2 for wrong arguments, 130 after Ctrl-C.
set -eu

usage() {
    echo "usage: scripts/reference.sh TIME [DIR], with a TIME from 1m such as 25m or 3h" >&2
    exit 2
}

number=${1:-}
number=${number%[mh]}
case "$number" in '' | *[!0-9]* | 0* | ????*) usage ;; esac
case "${1:-}" in
*h) seconds=$((number * 3600)) ;;
*m) seconds=$((number * 60)) ;;
*) usage ;;
esac
[ $# -le 2 ] || usage
case "${2:-}" in -*) usage ;; esac

cd "$(dirname "$0")/.."
out=${2:-results/reference-$(date -u +%Y-%m-%d)}
if [ -e "$out" ]; then
    echo "error: $out is there already: name another folder, or move it away" >&2
    exit 2
fi
if [ -z "${PACELINE:-}" ]; then
    cargo build --release --locked -p paceline
    PACELINE=${CARGO_TARGET_DIR:-target}/release/paceline
fi
"$PACELINE" --version
mkdir -p "$out"

names() { "$PACELINE" "$1" --format json | sed -n 's/^ *"name": "\(.*\)",*$/\1/p'; }
workloads=$(names workloads)
models=${REFERENCE_MODELS:-$(names models | paste -s -d , -)}
count=$(printf '%s\n' "$models" | tr , '\n' | wc -l)
failed=0
part() { echo $((seconds * $1 / 100))s; }

# Says what a part is for, and runs it. Cells that failed, as those of an unreliable model may, are in the record: that
# is no failure of the reference run. A part that takes too long is interrupted, and keeps what has ended.
measure() {
    echo "==> $1, $(date -u +%H:%M:%S)"
    limit=$2
    shift 2
    code=0
    timeout --foreground --signal=INT "$limit" "$PACELINE" "$@" --out "$out" >"$out/log" 2>&1 || code=$?
    tail -n 3 "$out/log"
    case "$code" in
    0 | 3 | 124) ;;
    130) exit 130 ;;
    *)
        cat "$out/log" >&2
        failed=1
        ;;
    esac
}

# With a model that is named, a setting or a step that it cannot have would be an error.
if [ -n "${REFERENCE_MODELS:-}" ]; then set -- --model "$models"; else set --; fi
scales=${REFERENCE_SCALES:+--scale $REFERENCE_SCALES}
# shellcheck disable=SC2086 # The names of workloads and the option are to be split.
measure "every workload, 5 trials" "$(part 64)" run $workloads $scales "$@" --trials 5 --budget "$(part 62)"
# One workload: with three, the records have over 5 MB.
measure "scales to the limit" "$(part 12)" run echo "$@" --to-the-limit --budget "$(part 10)"
# About 12 steps to the knee and 3 trials of 3 rates for each model, of which each starts two processes.
ms=$((seconds * 10 * 22 / (count * 21) - 500))
if [ "$ms" -lt 500 ]; then ms=500; fi
if [ "$ms" -gt 5000 ]; then ms=5000; fi
set -- "$@" --duration "${ms}ms" --warm-up 300ms
if "$PACELINE" load --help | grep -q -- --rates; then
    measure "knee, and load at three rates" "$(part 22)" load serve-service "$@" --p99-limit 20ms --rates 25%,50%,75%
else
    measure "knee" "$(part 12)" load serve-service "$@" --p99-limit 20ms
    for rate in 50 150 300; do
        measure "load at $rate requests a second" "$(part 3)" load serve-service "$@" --rate "$rate"
    done
fi
if [ -n "${REFERENCE_MODELS:-}" ]; then set -- --model "$models"; else set --; fi
measure "claims" "$(part 6)" claims "$@" --budget "$(part 5)"

# Single trials are the most of a record, and each figure is in its cells.
rm -f "$out"/*/trials.jsonl "$out/log"
for record in "$out"/*/; do
    [ -f "$record/run.json" ] || continue
    "$PACELINE" report "$record" -o "$record/report.html" >/dev/null || failed=1
    # As large as half, and read as it is.
    gzip -9 -n "$record/cells.jsonl"
done
kib=$(du -sk "$out" | cut -f1)
echo "$out: $kib KiB"
if [ "$kib" -gt 5120 ]; then
    echo "error: $out has over 5 MiB: leave out a part before you commit it" >&2
    failed=1
fi
exit "$failed"

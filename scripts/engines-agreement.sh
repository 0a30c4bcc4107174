#!/usr/bin/env bash
# Do the figures of one plan agree on the engines `local` and `slurm`? Runs it twice on each, in turns, and counts the
# cells whose intervals are disjoint, for each pair of runs. Needs root, slurm-wlm, munge and iproute2: Slurm is brought
# up on this machine with one node. Nothing else should run meanwhile.
#   scripts/engines-agreement.sh [PROGRAM [TRIALS]]
set -euo pipefail
cd "$(dirname "$0")/.."
script=$PWD/tests/slurm_cluster/cluster.sh
paceline=$(realpath "${1:-target/release/paceline}") trials=${2:-8}
work=$(mktemp -d)
mkdir "$work/slurm"
# The user munge must reach its folder.
chmod 755 "$work"
# Beside the clusters of tests.
export CLUSTER=2 SLURM_CONF=$work/slurm/slurm.conf
trap '"$script" down "$work/slurm"; rm -rf "$work"' EXIT
"$script" up "$work/slurm" 1
cd "$work"
for turn in 1 2; do
    for engine in local slurm; do
        "$paceline" cluster run sleep echo switch cpu --model threads,tokio,smol --scale 1,100 --trials "$trials" \
            --out "plan-$turn-$engine" --results "$turn-$engine" --engine "$engine"
    done
done
for pair in '1-local 2-local' '1-slurm 2-slurm' '1-local 1-slurm' '2-local 2-slurm'; do
    printf '\n%s\n' "$pair"
    # shellcheck disable=SC2086
    "$paceline" compare --agreement $(for one in $pair; do echo "$one"/*; done)
done

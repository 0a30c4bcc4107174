#!/usr/bin/env bash
# Do the figures of one plan agree on the engines `local` and `slurm`? Runs it twice on each, in turns, and counts the
# cells whose intervals are disjoint, for each pair of runs. Needs root, slurm-wlm, munge and iproute2: Slurm is brought
# up on this machine with one node. About 15 minutes, in which nothing else should run.
#   scripts/engines-agreement.sh [PROGRAM [TRIALS]]
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=$PWD/tests/slurm_cluster/cluster.sh
paceline=$(realpath "${1:-target/release/paceline}") trials=${2:-8}
work=$(mktemp -d)
mkdir "$work/slurm"
trap '"$cluster" down "$work/slurm"; rm -rf "$work"' EXIT
export SLURM_CONF=$work/slurm/slurm.conf
"$cluster" up "$work/slurm" 1
cd "$work"
for turn in 1 2; do
    for engine in local slurm; do
        "$paceline" cluster run sleep echo switch cpu --model threads,tokio,smol --scale 1,100 --trials "$trials" \
            --out "plan-$turn-$engine" --results "$turn-$engine" --engine "$engine"
    done
done
"$paceline" compare --agreement 1-local/* 2-local/* 1-slurm/* 2-slurm/*
for engine in local slurm; do "$paceline" compare --agreement 1-$engine/* 2-$engine/*; done
for turn in 1 2; do "$paceline" compare --agreement $turn-local/* $turn-slurm/*; done

#!/bin/sh
# "May I upgrade?": gates pairs of versions of a dependency and prints the table of docs/upgrading.md.
#
#   scripts/upgrade.sh build    builds both sides of each pair and measures one cell of it briefly
#   scripts/upgrade.sh          measures each pair, and prints the table
#   scripts/upgrade.sh table    prints the table of the last results
#
# UPGRADE_OUT is the folder of results (target/upgrade), UPGRADE_BUDGET the time for each pair (85s), PACELINE the
# program (target/release/paceline, which is built where it is not given). UPGRADE_PAIRS chooses pairs by their names,
# UPGRADE_PROJECT another folder of paceline than the one of this script.
set -eu

cd "${UPGRADE_PROJECT:-$(dirname "$0")/..}"
what=${1:-measure}
out=${UPGRADE_OUT:-target/upgrade}
mkdir -p "$out"
case "$what" in
build | measure)
    if [ -z "${PACELINE:-}" ]; then
        cargo build --release --locked -p paceline
        PACELINE=${CARGO_TARGET_DIR:-target}/release/paceline
    fi
    ;;
table) ;;
*)
    echo "usage: scripts/upgrade.sh [build|table]" >&2
    exit 2
    ;;
esac

cat >"$out/offload.toml" <<'TOML'
name  = "offload"
about = "A job hands a little work to the threads for blocking calls and waits for it, ten times."
scale = [100]
job   = [{ offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }, { offload = [{ compute = 100 }] }]
TOML

# Name, base, head, and the cells: workload, models, workers, scales.
pairs() {
    cat <<PAIRS
tokio-1.52 tokio@1.51.2 tokio@1.52.0 $out/offload.toml --model tokio --workers 1 --scale 100
tokio-1.46 tokio@1.45.1 tokio@1.46.0 join-future --model tokio,tokio-current-thread --scale 10
tokio-1.49 tokio@1.48.0 tokio@1.49.0 join-future --model tokio,tokio-current-thread --scale 10
tokio-1.51 tokio@1.50.0 tokio@1.51.0 switch --model tokio,tokio-current-thread --scale 10
async-executor-1.9 async-executor@1.8.0 async-executor@1.9.1 switch empty --model smol --scale 10
PAIRS
}

table() {
    echo "| change | cell | verdict | change, 95 % interval | null arm | trials |"
    echo "|---|---|---|---|---|---|"
    pairs | while read -r name base head _; do
        [ -s "$out/$name.json" ] || continue
        python3 - "$out/$name.json" "$base" "$head" <<'PYTHON'
import json, sys
gate = json.load(open(sys.argv[1]))
def share(of):
    return f"{100 * of:+.1f} %".replace("-", "−")
def change(of):
    return f"{share(of['share'])} [{share(of['lower'])[:-2]}, {share(of['upper'])}]" if of else ""
head = sys.argv[3].split("@")[1]
for cell in gate["cells"]:
    verdict = "void" if cell["null_fired"] else cell["verdict"] or cell["state"]
    row = [f"{sys.argv[2].replace('@', ' ')} → {head}", f"`{cell['cell']}`", verdict.replace("-", " "),
           change(cell["change"]), change(cell["null"]), str(cell["trials"])]
    print("| " + " | ".join(row) + " |")
PYTHON
    done
}

if [ "$what" = table ]; then
    table
    exit
fi
worst=0
pairs >"$out/pairs"
while read -r name base head cells; do
    case " ${UPGRADE_PAIRS:-$name} " in *" $name "*) ;; *) continue ;; esac
    code=0
    if [ "$what" = build ]; then
        "$PACELINE" gate --base "$base" --head "$head" empty --model sequential --scale 1000 --trials 5 --budget 1m \
            --out "$out/record" >"$out/$name.build" </dev/null 2>&1 || code=$?
        # 4 to 6 are verdicts: it was built.
        [ "$code" -ge 1 ] && [ "$code" -le 3 ] && sed -n 's/^error: /'"$name"': /p' "$out/$name.build" && worst=$code
    else
        # shellcheck disable=SC2086 # The cells are meant to be split.
        "$PACELINE" gate --base "$base" --head "$head" $cells --budget "${UPGRADE_BUDGET:-85s}" --all \
            --out "$out/record" --export "json=$out/$name.json" --export "markdown=$out/$name.md" </dev/null || code=$?
        # A verdict is an answer, whichever it is.
        [ "$code" -ge 1 ] && [ "$code" -le 3 ] && worst=$code
    fi
done <"$out/pairs"
[ "$what" = build ] || table
exit "$worst"

#!/bin/sh
# Makes the report of recorded runs, and opens it where there is a browser.
#
#   scripts/report.sh                  the newest run in results/, with the history of all
#   scripts/report.sh RUN [RUN...]     these runs; the others are compared with the first
#
# Whatever `paceline report` takes may stand behind, such as -o FILE. Exit codes are its own.
set -eu
cd "$(dirname "$0")/.."

said=$(cargo run --quiet --release -- report "$@")
printf '%s\n' "$said"
page=$(printf '%s\n' "$said" | sed -n 's/^report: //p')
[ -n "$page" ] || exit 0

for opener in "${BROWSER:-}" xdg-open open; do
    [ -n "$opener" ] || continue
    if command -v "$opener" >/dev/null 2>&1; then
        # Without a display there is nothing to open it on.
        [ "$opener" != xdg-open ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || continue
        "$opener" "$page" >/dev/null 2>&1 &
        exit 0
    fi
done

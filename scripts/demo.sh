#!/usr/bin/env bash
# Starts `edged demo` in a directory of its own and opens the dashboard on it.
# Without a terminal it prints a live view for DEMO_FOR (default 45s) and ends.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d "${TMPDIR:-/tmp}/greenhouse-demo.XXXXXX")
socket=$dir/edged.sock
bin/edged demo --data-dir "$dir/data" --api-socket "$socket" --log-level warn ${DEMO_FLAGS:-} >"$dir/edged.log" 2>&1 &
pid=$!
stop() {
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM
for _ in $(seq 100); do
  bin/greenctl --socket "$socket" status >/dev/null 2>&1 && break
  kill -0 "$pid" 2>/dev/null || { cat "$dir/edged.log" >&2; exit 1; }
  sleep 0.1
done
export GREENCTL_SOCKET=$socket
if [ -t 0 ] && [ -t 1 ]; then
  bin/greenctl zone watch
else
  echo "a simulated greenhouse runs; from another terminal:  export GREENCTL_SOCKET=$socket" >&2
  bin/greenctl zone watch --for "${DEMO_FOR:-45s}"
fi

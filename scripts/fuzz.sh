#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (default 10s). Targets with
# goroutines never cover quite the same twice: left to itself the fuzzer would spend the
# time on making inputs smaller.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
  dir=$(dirname "$file")
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
    echo "fuzz $dir $target"
    go test -run '^$' -fuzz "^${target}\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir"
  done
done

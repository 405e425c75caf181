#!/usr/bin/env bash
# Writes the parts of a binary, as they were linked into it, as a CycloneDX list.
# usage: sbom.sh BINARY [VERSION] > list.cdx.json
set -euo pipefail
go version -m "$1" | awk -v name="$(basename "$1")" -v version="${2:-}" '
  NR == 1 { split($0, f, ": "); go = f[2] }
  $1 == "mod" && version == "" { version = $3 }
  $1 == "dep" { n++; path[n] = $2; ver[n] = $3; sum[n] = $4 }
  $1 == "=>" { path[n] = $2; ver[n] = $3; sum[n] = $4 } # what stands in for the part before
  END {
    printf "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n"
    printf "  \"metadata\": {\"component\": {\"type\": \"application\", \"name\": \"%s\", \"version\": \"%s\"}},\n", name, version
    printf "  \"components\": [\n    {\"type\": \"platform\", \"name\": \"go\", \"version\": \"%s\"}", go
    for (i = 1; i <= n; i++) {
      printf ",\n    {\"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\", \"purl\": \"pkg:golang/%s@%s\"", path[i], ver[i], path[i], ver[i]
      if (sum[i] != "") printf ", \"properties\": [{\"name\": \"go:h1\", \"value\": \"%s\"}]", sum[i]
      printf "}"
    }
    printf "\n  ]\n}\n"
  }'

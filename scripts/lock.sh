#!/usr/bin/env bash
# Write the locks anew from pyproject.toml: `scripts/lock.sh`, which needs `uv`. One lock serves Python 3.10 to 3.13.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-emit-index-url)
"${compile[@]}" --extra dev -o requirements.lock pyproject.toml
"${compile[@]}" --constraints requirements.lock --extra compat -o requirements-compat.lock pyproject.toml

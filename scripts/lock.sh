#!/usr/bin/env bash
# lock.sh [--upgrade]: pyproject.toml → requirements.txt (what runs) and requirements-dev.txt (adds
# what tests). Plain files with hashes for every platform and Python from 3.11 on, naming no index.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"${PYTHON:-python3}" -m venv "$tool"
"$tool/bin/pip" install --quiet --disable-pip-version-check uv
compile() {
  "$tool/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}
run=(--extra stack --extra demo --extra fast --extra parquet --extra postgres --extra preview)
compile "${run[@]}" --output-file requirements.txt "$@"
# The run lock constrains the other, so tests run against what runs.
compile "${run[@]}" --extra dev --extra kubernetes --extra mlflow --constraint requirements.txt --output-file requirements-dev.txt "$@"

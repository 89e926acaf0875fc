#!/usr/bin/env bash
# environment.sh VENV LOCK: a virtual environment that holds exactly what LOCK says.
# PYTHON chooses the interpreter; otherwise the newest of 3.11 and up on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 lock=$2

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$candidate"
      return
    fi
  done
  echo "Python 3.11 or newer is needed; found none (looked for ${PYTHON:-python3, python3.11 to python3.14}). PYTHON=/path/to/python chooses one." >&2
  return 1
}

make_venv() {
  local python=$1
  # Debian and Ubuntu split ensurepip off into a package of its own. Where that is missing, so is
  # the rest, most likely: ask for all of it at once, that a person types one line and not two.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    PYTHON=$python scripts/system_packages.sh venv prometheus alertmanager
  fi
  "$python" -m venv --clear "$venv"
}

if ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  python=$(find_python)
  echo "Making the virtual environment $venv with $("$python" --version) ..." >&2
  make_venv "$python"
fi
echo "Installing $lock into $venv ..." >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
# setuptools comes from the lock, so nothing unlocked is downloaded to build this project.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .

#!/usr/bin/env bash
# Prints the path of a Python that has the packages given after the folder in which it is created, installed with
# pip, for the tests that compare with other programs. Exits 1 with the reason on stderr if that fails.
set -euo pipefail
folder="${1:?the folder of the virtual environment}"
shift

unavailable() {
  echo "no Python for tests: $1" >&2
  exit 1
}

command -v python3 >/dev/null || unavailable 'no python3 here'
[ -x "$folder/bin/python" ] || python3 -m venv "$folder" >/dev/null 2>&1 ||
  unavailable 'python3 -m venv failed'
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >/dev/null 2>&1 ||
  unavailable "pip install $* failed"
echo "$(cd "$folder" && pwd)/bin/python"

#!/usr/bin/env bash
# Prints a folder for PATH with another major version of node: node.sh VERSION FOLDER. It downloads the package
# "node" of the npm registry into FOLDER. Exits 1 with the reason on stderr if that fails.
set -euo pipefail
version="${1:?a major version, as in 22}"
folder="${2:?the folder to keep it in}/$version"

if [ ! -x "$folder/node_modules/node/bin/node" ]; then
  mkdir -p "$folder"
  npm install --prefix "$folder" --no-save --no-audit --no-fund "node@$version" >"$folder/npm.log" 2>&1 || {
    echo "no Node $version for tests: npm install node@$version failed, see $folder/npm.log" >&2
    exit 1
  }
fi
bin="$(cd "$folder/node_modules/node/bin" && pwd)"
"$bin/node" -e '' || {
  echo "no Node $version for tests: $bin/node does not start" >&2
  exit 1
}
echo "$bin"

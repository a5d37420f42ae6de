#!/usr/bin/env bash
# Packs the program as `npm publish` would, checks the files in the tarball, installs it in an empty folder
# without install scripts, and runs the quickstart with it.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

cd "$root"
npm pack --silent --pack-destination "$folder" >/dev/null
tarball="$(ls "$folder"/*.tgz)"
foreign="$(tar -tzf "$tarball" | grep -vE '^package/(bin|dist|configs|schemas|assets)/|^package/(README.md|LICENSE|package.json)$' || true)"
if [ -n "$foreign" ]; then
  printf 'unexpected files in the tarball:\n%s\n' "$foreign" >&2
  exit 1
fi

mkdir "$folder/empty"
cd "$folder/empty"
npm install --silent --ignore-scripts --no-audit --no-fund "$tarball"
npx fln --version
npx fln run node_modules/fenchel-lifted-networks/configs/quickstart.yaml --out run --progress none
for file in figure.svg figure.png report.html summary.csv run.json; do
  [ -s "run/$file" ] || { echo "the quickstart of the packed program wrote no $file" >&2; exit 1; }
done
echo "packed program: $(du -h "$tarball" | cut -f1) packed, $(du -sh node_modules | cut -f1) installed"

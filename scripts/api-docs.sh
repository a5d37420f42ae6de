#!/usr/bin/env bash
# Writes the reference of everything that the package exports to .cache/api. TypeDoc reads types with a
# TypeScript older than the one that compiles and checks the project, so both are kept in a folder of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.cache/typedoc
if [ ! -x "$tools/node_modules/.bin/typedoc" ]; then
  npm install --prefix "$tools" --no-save --no-audit --no-fund --silent typedoc@0.28 typescript@5.9
fi
"$tools/node_modules/.bin/typedoc" --entryPoints src/index.ts --tsconfig tsconfig.build.json \
  --out .cache/api --readme none --disableSources --excludeExternals --skipErrorChecking --validation.notExported false
echo "written: .cache/api/index.html"

#!/usr/bin/env bash
# Writes the API reference to .cache/api. TypeDoc needs an older TypeScript than the project, so both are installed in
# their own folder.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.cache/typedoc
if [ ! -x "$tools/node_modules/.bin/typedoc" ]; then
  npm install --prefix "$tools" --no-save --no-audit --no-fund --silent typedoc@0.28 typescript@5.9
fi
"$tools/node_modules/.bin/typedoc" --entryPoints src/index.ts --tsconfig tsconfig.build.json \
  --out .cache/api --readme none --disableSources --excludeExternals --skipErrorChecking --validation.notExported false
echo "written: .cache/api/index.html"

#!/usr/bin/env bash
# Prints the path of Chromium for the browser tests: the one on PATH, else Debian's, which it
# installs. Exits 1 with the reason on stderr if that fails.
set -euo pipefail

unavailable() {
  echo "no Chromium for tests: $1" >&2
  exit 1
}

if ! command -v chromium >/dev/null; then
  command -v apt-get >/dev/null || unavailable 'no apt-get here'
  [ "$(id -u)" = 0 ] || unavailable 'installing it needs root'
  # The package lists may be missing (a fresh container).
  (apt-get update -qq || true) >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
    >/dev/null 2>&1 || unavailable 'apt-get install chromium failed'
fi
command -v chromium || unavailable 'the package chromium has no program chromium'

#!/usr/bin/env bash
# Prints the path of the manifest (icd.json) of a software Vulkan driver, for VK_ICD_FILENAMES: it
# replaces a GPU in tests. Unpacks SwiftShader from Debian's chromium-common, and libvulkan, into the folder
# given as first argument; nothing is installed. Exits 1 with the reason on stderr if that fails.
set -euo pipefail
folder="${1:?the folder to unpack into}"

unavailable() {
  echo "no software Vulkan driver: $1" >&2
  exit 1
}

icd="$folder/usr/lib/chromium/vk_swiftshader_icd.json"
if [ ! -e "$icd" ]; then
  [ "$(uname -s)" = Linux ] || unavailable 'only supported on Linux'
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || unavailable 'no apt-get here'
  downloads="$(mktemp -d)"
  trap 'rm -rf "$downloads"' EXIT
  # The package lists may be missing (a fresh container) or not ours to renew.
  (apt-get update -qq || true) >/dev/null 2>&1
  (cd "$downloads" && apt-get download -qq chromium-common libvulkan1) >/dev/null 2>&1 ||
    unavailable 'apt-get download chromium-common libvulkan1 failed'
  mkdir -p "$folder"
  for package in "$downloads"/*.deb; do dpkg -x "$package" "$folder"; done
fi
[ -e "$icd" ] || unavailable "chromium-common has no $icd any more"
echo "$icd"

#!/usr/bin/env bash
# Prints the path of the description (icd.json) of a Vulkan driver in software, for VK_ICD_FILENAMES: it
# stands in for a GPU in tests. Takes SwiftShader from Debian's chromium-common, unpacked into the folder
# that the first argument names, and libvulkan with it; nothing is installed.
# Exits 1 with the reason on stderr where that cannot be had.
set -euo pipefail
folder="${1:?the folder to unpack into}"

unavailable() {
  echo "no Vulkan driver in software: $1" >&2
  exit 1
}

icd="$folder/usr/lib/chromium/vk_swiftshader_icd.json"
if [ ! -e "$icd" ]; then
  [ "$(uname -s)" = Linux ] || unavailable 'it is looked for on Linux alone'
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

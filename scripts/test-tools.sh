#!/usr/bin/env bash
# Installs what the tests drive: Debian packages, one name a line with the command it brings beside it, and into the
# user's cache the Python client of the HTTP interface and NumPy, which reads the embeddings files.
set -euo pipefail

missing=()
while read -r package command; do
  command -v "$command" >/dev/null || missing+=("$package")
done <<'PACKAGES'
tmux tmux
chromium chromium
openssh-server /usr/sbin/sshd
python3 python3
zsh zsh
fish fish
util-linux taskset
strace strace
openssl openssl
PACKAGES
if ((${#missing[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

# python_package FOLDER REQUIREMENT: into a folder of the user's cache, whole or not at all
python_package() {
  local folder="${XDG_CACHE_HOME:-$HOME/.cache}/axllm-test/$1"
  [[ -e "$folder" ]] && return
  mkdir -p "$(dirname "$folder")"
  local fresh
  fresh=$(mktemp -d "$folder.XXXX")
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$fresh" "$2" >&2
  mv -T "$fresh" "$folder"
}
python_package openai-3.57.0 openai==3.57.0
python_package numpy-2.3.5 numpy==2.3.5

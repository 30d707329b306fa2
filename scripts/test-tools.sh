#!/usr/bin/env bash
# Installs the Debian packages that the tests drive: one name a line, the command it brings beside it.
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
PACKAGES
if ((${#missing[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

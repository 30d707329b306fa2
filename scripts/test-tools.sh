#!/usr/bin/env bash
# Installs what the tests drive: Debian packages, one name a line with the command it brings beside it, and the
# Python client of the HTTP interface, into the user's cache.
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

client="${XDG_CACHE_HOME:-$HOME/.cache}/axllm-test/openai-3.57.0"
if [[ ! -e "$client/openai" ]]; then
  # whole or not at all
  mkdir -p "$(dirname "$client")"
  fresh=$(mktemp -d "$client.XXXX")
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$fresh" openai==3.57.0 >&2
  rm -rf "$client" && mv "$fresh" "$client"
fi

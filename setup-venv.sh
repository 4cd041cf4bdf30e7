#!/usr/bin/env bash
# Makes the virtual environment `make` works in: finds a Python >= 3.11, and says what to do where there is none.
set -euo pipefail
venv=$1

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  echo "Davylamp needs Python 3.11 or newer: apt-get install python3" >&2
  return 1
}

python=$(find_python)
if [ ! -x "$venv/bin/pip" ]; then
  echo "setting up $venv with $("$python" --version)"
  if ! "$python" -m venv "$venv" 2>/dev/null; then
    # Debian splits venv off Python; root (a container, CI) may fetch it, anyone else is told.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
      "$python" -m venv --clear "$venv"
    else
      echo "Python's venv module is missing: apt-get install python3-venv" >&2
      exit 1
    fi
  fi
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check -e '.[dev]'

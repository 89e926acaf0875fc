# Sourced: run a command as root, or say the one line that a person has to run.
# shellcheck shell=bash

# as_root LINE: LINE is a shell command line for root.
as_root() {
  local line=$1
  if [[ $(id -u) -eq 0 ]]; then
    sh -c "$line"
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 && -t 1 ]]; }; then
    echo "Through sudo: $line" >&2
    sudo sh -c "$line"
  else
    printf 'This needs root, once:\n\n    sudo sh -c "%s"\n\nThen run the same command again.\n' "$line" >&2
    return 1
  fi
}

# apt_install PACKAGE...: installs without recommended packages and without questions.
apt_install() {
  if ! command -v apt-get >/dev/null; then
    echo "Missing here: $*. This machine has no apt-get; install them by its own means, then run the same command again." >&2
    return 1
  fi
  local log
  log=$(mktemp)
  echo "Missing here: $*; installing from the system's packages ..." >&2
  if ! as_root "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $*" >"$log"; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

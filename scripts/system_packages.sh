#!/usr/bin/env bash
# system_packages.sh prometheus alertmanager: installs those of them that no binary is there for.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/root.sh

# Debian puts "prometheus-" before Alertmanager's binary; upstream does not.
present() {
  case $1 in
    prometheus) command -v prometheus && command -v promtool ;;
    alertmanager) { command -v prometheus-alertmanager || command -v alertmanager; } && command -v amtool ;;
    *) echo "system_packages.sh knows prometheus and alertmanager, not $1" >&2; exit 2 ;;
  esac >/dev/null
}

package() {
  case $1 in
    alertmanager) echo prometheus-alertmanager ;;
    *) echo "$1" ;;
  esac
}

missing=()
for name in "$@"; do
  present "$name" || missing+=("$(package "$name")")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

apt_install "${missing[@]}"

# The packages start services on the very ports that the stack uses, and again at every boot.
# Only services that came with this installation are touched.
if [[ -d /run/systemd/system ]]; then
  as_root "systemctl disable --now --quiet ${missing[*]}" &&
    echo "Disabled the services that came with the packages (${missing[*]}): make up runs its own." >&2
fi

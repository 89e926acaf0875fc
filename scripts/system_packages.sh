#!/usr/bin/env bash
# system_packages.sh [venv] [compiler] [chromium] [prometheus] [alertmanager] [postgresql] [victoria-metrics]: installs what is not there yet.
# venv is the package that PYTHON lacks for virtual environments.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/root.sh

# Debian puts "prometheus-" before Alertmanager's binary; upstream does not.
present() {
  case $1 in
    prometheus) command -v prometheus && command -v promtool ;;
    alertmanager) { command -v prometheus-alertmanager || command -v alertmanager; } && command -v amtool ;;
    compiler) command -v cc ;;
    chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    postgresql) command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
    victoria-metrics) command -v victoria-metrics ;;
    venv) "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ;;
    *) echo "system_packages.sh doesn't know $1" >&2; exit 2 ;;
  esac >/dev/null
}

package() {
  case $1 in
    prometheus) echo prometheus ;;
    alertmanager) echo prometheus-alertmanager ;;
    compiler) echo gcc libc6-dev ;;
    chromium) echo chromium ;;
    postgresql) echo postgresql ;;
    victoria-metrics) echo victoria-metrics ;;
    venv) "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' ;;
  esac
}

missing=() services=()
for name in "$@"; do
  present "$name" && continue
  read -ra packages < <(package "$name")
  missing+=("${packages[@]}")
  [[ $name = prometheus || $name = alertmanager || $name = postgresql || $name = victoria-metrics ]] && services+=("${packages[@]}")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

apt_install "${missing[@]}"

# The packages start services on the very ports that the stack uses, and again at every boot.
# Only services that came with this installation are touched.
if [[ ${#services[@]} -gt 0 && -d /run/systemd/system ]]; then
  as_root "systemctl disable --now --quiet ${services[*]}"
  echo "Disabled the services that came with the packages (${services[*]}): make up runs its own." >&2
fi

"""What the images of the corpus bring along: small stand-ins for their programs, and what they run when a template names no command."""

from __future__ import annotations

from pathlib import Path

COMMANDS = {
    "argoproj/argosay:v1": ["cowsay", "hello argo"],
    "argoproj/argosay:v2": ["argosay"],
    "docker/whalesay": ["cowsay", "hello"],
    "docker/whalesay:latest": ["cowsay", "hello"],
    "hello-world": ["cowsay", "hello"],
    "influxdb:1.2": ["influxd"],
    "nginx:1.13": ["nginx"],
    "nginx:latest": ["nginx"],
    "quay.io/argoproj/argocli:latest": ["argocli"],
}
SHORT_NAPS, MOST_NAPS = 3, 200

# Time is simulated: `sleep` notes who would have slept how long, and the progress so far. The first naps are short real ones, so that what
# runs beside gets its turn; a loop that only sleeps is caught by a long one.
_SLEEP = f"""#!/bin/sh
echo "${{ARGO_CONTAINER_NAME:-main}} $1 $(tail -n 1 "$ARGO_PROGRESS_FILE" 2>/dev/null)" >> "$NAPS"
count=$(wc -l < "$NAPS")
[ "$count" -gt {MOST_NAPS} ] && exec /bin/sleep 3600
[ "$count" -le {SHORT_NAPS} ] && exec /bin/sleep 0.2
exit 0
"""
_COWSAY = """#!/bin/sh
echo "$@"
"""
_ARGOSAY = """#!/bin/sh
word=$1
[ $# -gt 0 ] && shift
case "$word" in
  "") echo "hello argo" ;;
  echo)
    if [ $# -lt 2 ]; then echo "${1:-hello argo}"; else mkdir -p "$(dirname "$2")" && echo "$1" > "$2"; fi ;;
  cat) exec cat "$@" ;;
  exit) exit "${1:-0}" ;;
  sleep) exec sleep "$1" ;;
  sh) exec sh "$@" ;;
  assert_contains) exec grep -F -- "$2" "$1" ;;
  *) exit 1 ;;
esac
"""
# Argo's own command line: what it is told is done by the cluster when the container ends.
_ARGO = """#!/bin/sh
echo "$@" >> "$ORDERS"
"""
_NODE = """#!/bin/sh
echo 42
"""
# The shell of small images knows more than this machine's may: [[ ]], RANDOM.
_SHELL = """#!/bin/sh
exec bash "$@"
"""
_FINE = """#!/bin/sh
echo "$(basename "$0") $*"
"""
_SERVICES = (
    "curl",
    "git",
    "influx",
    "influxd",
    "nginx",
    "nc",
    "nslookup",
    "ping",
    "docker",
    "dockerd-entrypoint.sh",
    "kubectl",
    "gnuplot",
    "apk",
    "apt-get",
)
_PROGRAMS = {
    "sleep": _SLEEP,
    "cowsay": _COWSAY,
    "argocli": _ARGO,
    "argosay": _ARGOSAY,
    "node": _NODE,
    "sh": _SHELL,
    **dict.fromkeys(_SERVICES, _FINE),
}
_REAL_PROGRAMS = {"argosay": _ARGOSAY, "cowsay": _COWSAY, "argocli": _ARGO}


_CHANCE = """\
import os, random, zlib
random.seed(zlib.crc32(os.environ.get("ARGO_NODE_ID", "").encode()))
"""


def install(folder: Path) -> Path:
    """Write the programs into ``folder/bin``, which is returned."""
    return _written(folder, _PROGRAMS)


def install_chance(folder: Path) -> Path:
    """Have Python draw the same lots in the same node whenever a case is played; the folder that PYTHONPATH has to name."""
    chance = folder / "chance"
    chance.mkdir(parents=True, exist_ok=True)
    (chance / "sitecustomize.py").write_text(_CHANCE, encoding="utf-8")
    return chance


def install_real(folder: Path) -> Path:
    """The same, but only what no machine has: everything else is this machine's, and sleeping takes its time."""
    return _written(folder, _REAL_PROGRAMS)


def _written(folder: Path, texts: dict[str, str]) -> Path:
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    return programs

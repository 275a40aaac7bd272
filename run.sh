#!/usr/bin/env bash
# Sets everything up, then lets the engine of ch.16 write text.
#
#   ./run.sh "To be, or not"           goes on from this prompt, with the bundled model
#   ./run.sh                           the same with a prompt of its own
#   ./run.sh --model DIR_OR_ID "…"     with a GPT-2 from a folder or of a Hugging Face id
#   ./run.sh --options                 the engine's own options (length, temperature, seed, …)
#   ./run.sh --serve                   HTTP: not in this version yet
#
# The set-up installs what is missing (system packages by apt, Python packages into .venv) and builds;
# a second run finds all of it in place.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
arguments=("$@")
(($#)) || arguments=("To be, or not")
for argument in "$@"; do
  case $argument in
  --) break ;;
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit
    ;;
  --options) arguments=(--help) ;;
  --serve)
    echo 'error: the HTTP server is not part of this version yet; ./run.sh "a prompt" writes text.' >&2
    exit 2
    ;;
  esac
done

"$root/scripts/setup.sh" run

# Where the engine and the chapters it is made of are: the same folders as chapters.py names.
path=
for folder in "$root"/ch.*/ "$root"/build/x64-release/ch.*/; do
  path+=${folder%/}:
done
PYTHONPATH=${path%:}${PYTHONPATH:+:$PYTHONPATH} exec "$root/.venv/bin/python" -m nano_engine complete "${arguments[@]}"

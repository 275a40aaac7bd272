#!/usr/bin/env bash
# Sets everything up, then lets the engine of ch.16 write text, or answer over HTTP.
#
#   ./run.sh "To be, or not"           goes on from this prompt, with the bundled model
#   ./run.sh                           the same with a prompt of its own
#   ./run.sh --model DIR_OR_ID "…"     with a GPT-2 from a folder or of a Hugging Face id
#   ./run.sh --options                 the engine's own options (length, temperature, seed, …)
#   ./run.sh --serve                   answers over HTTP at 127.0.0.1:8000, with a page to try it
#   ./run.sh --serve --help            the server's own options (port, model, keys, limits, …)
#
# The set-up installs what is missing (system packages by apt, Python packages into .venv) and builds;
# a second run finds all of it in place.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
arguments=("$@")
(($#)) || arguments=("To be, or not")
command=complete level=run
if [[ ${1:-} == --serve ]]; then
  command=serve level=serve
  arguments=("${@:2}")
else
  for argument in "$@"; do
    case $argument in
    --) break ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
      exit
      ;;
    --options) arguments=(--help) ;;
    --serve)
      echo 'error: --serve comes first: ./run.sh --serve, then the options of the server.' >&2
      exit 2
      ;;
    esac
  done
fi

"$root/scripts/setup.sh" "$level"
exec "$root/.venv/bin/python" -m nano_engine "$command" "${arguments[@]}"

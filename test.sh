#!/usr/bin/env bash
# Sets everything up and passes every test.
#
#   ./test.sh                  all chapters and what holds across them
#   ./test.sh ch.7             one chapter (or several)
#   ./test.sh -k softmax -x    anything that starts with - goes to pytest
#   ./test.sh --setup-only     stop after the set-up
#
# The set-up installs what is missing (system packages by apt, Python packages into .venv) and builds;
# a second run finds all of it in place.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
setup_only=
arguments=()
for argument in "$@"; do
  case $argument in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit
    ;;
  --setup-only) setup_only=1 ;;
  ch.*)
    number=${argument#ch.}
    number=${number%%.*}
    folders=("$root/ch.$number."*/)
    if [[ ! -d ${folders[0]} ]]; then
      chapters=$(cd "$root" && printf '%s\n' ch.*/ | sed 's|/$||' | sort -t. -k2n | tr '\n' ' ')
      echo "error: there is no chapter $argument here; there are: $chapters" >&2
      exit 2
    fi
    arguments+=("${folders[0]}")
    ;;
  *)
    [[ -e ${argument%%::*} ]] && argument=$PWD/$argument # a file of the caller's folder
    arguments+=("$argument")
    ;;
  esac
done

"$root/scripts/setup.sh" test
if [[ $setup_only ]]; then
  echo "Ready: ./test.sh runs the tests, ./run.sh writes text."
  exit
fi
cd "$root"
exec "$root/.venv/bin/python" -m pytest "${arguments[@]}"

#!/usr/bin/env bash
# Measures the build: all chapters from nothing, nothing to do, and one changed file of each kind.
#
#   scripts/build-time.sh [JOBS]        two jobs unless said otherwise
#
# Builds in a folder of its own, which it removes, without ccache. Aims: under 6 minutes from nothing on two
# cores, under 40 seconds for one changed file.
set -euo pipefail

case ${1:-} in
-h | --help)
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit
  ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${1:-2}
"$root/scripts/setup.sh" run --no-build
PATH=$PATH:$root/.venv/bin
export CCACHE_DISABLE=1
build=$(mktemp -d)/build
copy=$(mktemp -d)
trap 'rm -rf "$(dirname "$build")" "$copy"' EXIT
tar -C "$root" -c --exclude=./build --exclude='./.*' . | tar -C "$copy" -x # so that a changed file is not yours

timed() { # timed LABEL COMMAND …: wall-clock and CPU seconds
  local label=$1 log=$copy/log
  shift
  TIMEFORMAT='%R %U'
  local seconds
  seconds=$({ time "$@" >"$log" 2>&1; } 2>&1) || {
    tail -n 30 "$log" >&2
    exit 1
  }
  read -r wall cpu <<<"$seconds"
  printf '%-58s %7.1f s  (%.0f CPU s)\n' "$label" "$wall" "$cpu"
}

echo "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) before; $jobs jobs"
timed "configure" cmake -G Ninja -S "$copy" -B "$build" -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE="$root/.venv/bin/python"
timed "everything ($(ninja -C "$build" -t compdb | grep -c '"file"') commands)" cmake --build "$build" --parallel "$jobs"
timed "nothing to do" cmake --build "$build" --parallel "$jobs"
for file in "$copy"/ch.*/src/bindings.cpp "$copy"/ch.1.*/inc/ch1/Jit.h "$copy"/ch.11.*/inc/ch11/*.td; do
  [[ -e $file ]] || continue
  echo "// changed" >>"$file"
  timed "changed: ${file#"$copy"/}" cmake --build "$build" --parallel "$jobs"
done

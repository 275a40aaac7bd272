#!/usr/bin/env bash
# Runs the chapters' tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/sanitize.sh                 every chapter
#   scripts/sanitize.sh ch.1 ch.2       these chapters; anything that starts with - goes to pytest
#
# For named chapters only they and those before them are built, because a chapter's tests may use those.
#
# What this sees: the C++ of this tree (building IR, passes, bindings, the page pool) and every heap block it makes.
# What it does not: the kernels (the JIT's code is not instrumented), LLVM and PyTorch (packages, as they are), and
# leaks (Python's own would drown them; the usual test run counts memory and pages). Left out: tests/, whose builds and
# installs have nothing to be sanitized, and the tests that count memory, because the sanitizer keeps what was freed.
# Any report ends the run with a failure.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folders=()
options=()
last=0 # the highest of the chapters that are named
for argument in "$@"; do
  case $argument in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit
    ;;
  ch.*)
    number=${argument#ch.}
    number=${number%%.*}
    folders+=("$root/ch.$number."*/)
    if [[ ! -d ${folders[-1]} ]]; then
      echo "error: there is no chapter $argument here" >&2
      exit 2
    fi
    last=$((number > last ? number : last))
    ;;
  *) options+=("$argument") ;;
  esac
done
targets=()
if ((last)); then
  while read -r folder; do
    number=${folder#ch.}
    if ((${number%%.*} <= last)); then
      targets+=(--target "$folder/all")
    fi
  done < <(sed -n 's/^add_subdirectory(\(ch\..*\))$/\1/p' "$root/CMakeLists.txt")
else
  folders=("$root"/ch.*/)
fi

"$root/scripts/setup.sh" test --no-build
python=$root/.venv/bin/python
build=$root/build/x64-asan
PATH=$PATH:$root/.venv/bin
cd "$root"
[[ -e $build/build.ninja ]] || cmake --preset x64-asan -DPython_EXECUTABLE="$python"
compiler=$(sed -n 's/^set(CMAKE_CXX_COMPILER "\(.*\)")$/\1/p' "$build"/CMakeFiles/*/CMakeCXXCompiler.cmake)
runtime=
for name in libclang_rt.asan.so "libclang_rt.asan-$(uname -m).so"; do # the name depends on the package
  path=$("$compiler" -print-file-name="$name")
  [[ -e $path ]] && runtime=$path
done
if [[ -z $runtime ]]; then
  echo "error: $compiler has no shared AddressSanitizer; install clang and its runtime" \
    "(Debian: apt-get install clang-22 libclang-rt-22-dev), remove $build and run this again." >&2
  exit 1
fi
cmake --build "$build" --parallel "${JOBS:-$(nproc)}" "${targets[@]}"

# libstdc++ comes along because the runtime looks for __cxa_throw when it starts, and Python has not loaded it yet.
# The pipes of -s show a report at once; pytest would lose it with the process that it ends.
library=$("$compiler" -print-file-name=libstdc++.so.6)
export LD_PRELOAD=$runtime:$library
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99
export COURSE_BUILD_DIR=$build PYTHONMALLOC=malloc # each Python object a block of its own
exec "$python" -m pytest -s -p no:cacheprovider -k "not (leave_no_memory or leave_little or leaves_little or memory_back)" "${options[@]}" "${folders[@]}"

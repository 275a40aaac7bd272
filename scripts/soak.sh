#!/usr/bin/env bash
# Runs ch.16 under load for a while: the engine in Python, its pool and radix cache in C++ under sanitizers.
#
#   scripts/soak.sh          ten minutes
#   scripts/soak.sh 60       so many seconds
#
# Three quarters of the time go to ch.16's stress/soak.py: threads ask, stream, abort and leave. Memory must stay flat,
# every page come back and every answer be the one it is alone. The rest goes to stress/stress.cpp, built once with
# AddressSanitizer and UndefinedBehaviorSanitizer and once with ThreadSanitizer; that needs a clang++ with its
# runtimes (Debian: clang-22 libclang-rt-22-dev) or a g++, and neither MLIR nor Python. Any report ends the run with a failure.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1:-} in
-h | --help)
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit
  ;;
esac
seconds=${1:-600}
if [[ ! $seconds =~ ^[1-9][0-9]*$ ]] || (($# > 1)); then
  echo "error: expected a number of seconds, got: $*" >&2
  exit 2
fi

chapter=$root/ch.16.Nano-Serving
python=$root/.venv/bin/python
build=$root/build/soak
mkdir -p "$build"
compiler=
for candidate in ${CXX:-clang++-22 /usr/lib/llvm-22/bin/clang++ clang++-21 /usr/lib/llvm-21/bin/clang++ clang++ g++}; do
  # It must be here and bring the sanitizers' runtimes, which Debian packages apart.
  if echo 'int main() {}' | "$candidate" -x c++ -fsanitize=thread -o "$build/probe" - 2>/dev/null; then
    compiler=$candidate
    break
  fi
done
if [[ -z $compiler ]]; then
  echo "error: no C++ compiler here has ThreadSanitizer (Debian: apt-get install clang-22 libclang-rt-22-dev)" >&2
  exit 1
fi
for sanitizer in address,undefined thread; do
  "$compiler" -std=c++17 -O1 -g -fsanitize="$sanitizer" -fno-sanitize-recover=all -fno-omit-frame-pointer -pthread \
    -I "$chapter/inc" "$chapter"/stress/stress.cpp "$chapter"/src/{kv_cache_pool,radix_cache}.cpp \
    -o "$build/stress-${sanitizer%,*}"
done

for sanitizer in address thread; do
  echo "the pool and the radix cache under $sanitizer sanitizer:"
  # The random shifts of some kernels leave ThreadSanitizer no room for its maps; setarch -R holds them still.
  setarch -R "$build/stress-$sanitizer" $(((seconds + 7) / 8)) 4
done
echo "the engine:"
cd "$chapter"
"$python" stress/soak.py $((seconds * 3 / 4 > 0 ? seconds * 3 / 4 : 1))

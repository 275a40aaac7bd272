#!/usr/bin/env bash
# Prepares what ./run.sh, ./test.sh and scripts/lint.sh need, and does nothing twice.
#
#   scripts/setup.sh lint    .venv with the formatters
#   scripts/setup.sh run     LLVM/MLIR, .venv with the engine's Python packages, the build
#   scripts/setup.sh serve   the same, and the Python packages of the HTTP server
#   scripts/setup.sh test    the same, and what the tests compare with: transformers and PyTorch's CPU build,
#                            a browser for the page's tests
#   scripts/setup.sh run|serve|test --no-build    all of it but the build
#
# In order: system packages (apt, only what is missing), .venv, Python packages (the lists are in
# pyproject.toml), where .venv's Python finds the chapters (scripts/path_file.py), CMake, Ninja. Each step first
# looks whether its result is there.
#
#   PYTHON=python3.12   the interpreter to make .venv with
#   MLIR_DIR=DIR        LLVM/MLIR of one's own: <prefix>/lib/cmake/mlir
#   COURSE_CHROMIUM=FILE  the browser for the tests, where it is none of chromium, chromium-browser, google-chrome
#   COURSE_TORCH=none   leave PyTorch out (the tests that compare with it fail)
set -euo pipefail

level=${1:-}
case $level in
lint | run | serve | test) ;;
*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
python=$venv/bin/python
build=$root/build/x64-release
torch_version=2.13.0
torch_index=${COURSE_TORCH_INDEX:-https://download.pytorch.org/whl/cpu} # the PyTorch project's own, for its CPU builds

say() { printf '%s\n' "== $*" >&2; }
die() {
  printf '%s\n' "error: $*" >&2
  exit 1
}
trap 'printf "\nStopped. The same command goes on from here.\n" >&2; exit 130' INT

# --- System packages ----------------------------------------------------------------

has_package() { # is there something to install under this name?
  [[ $(apt-cache policy "$1" 2>/dev/null) == *Candidate:\ [0-9]* ]]
}

as_root() { # as_root COMMAND …: with sudo where this is not root
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif [[ -t 0 ]]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

can_install() { command -v apt-get >/dev/null && { [[ $(id -u) == 0 ]] || command -v sudo >/dev/null; }; }

llvm_version() { # the one that CMake will find, else nothing
  local version
  for version in 22 21; do
    if [[ -e /usr/lib/llvm-$version/lib/cmake/mlir/MLIRConfig.cmake ]]; then
      echo "$version"
      return
    fi
  done
}

llvm_version_of_apt() {
  local version
  for version in 22 21; do
    if has_package "libmlir-$version-dev"; then
      echo "$version"
      return
    fi
  done
}

missing_of_llvm() { # missing_of_llvm VERSION: names of packages
  local prefix=/usr/lib/llvm-$1 missing=()
  [[ -e $prefix/lib/cmake/llvm/LLVMConfig.cmake && -e $prefix/bin/FileCheck ]] || missing+=("llvm-$1-dev")
  [[ -e $prefix/lib/cmake/mlir/MLIRConfig.cmake ]] || missing+=("libmlir-$1-dev")
  [[ -e $prefix/bin/mlir-opt && -e $prefix/bin/mlir-tblgen ]] || missing+=("mlir-$1-tools")
  [[ -e $prefix/lib/libomp.so ]] || ! can_install || missing+=("libomp-$1-dev") # threads; without it there is one
  # clang and lld build the course three times as fast as g++ does, so g++ alone is enough only where
  # nothing can be installed.
  if can_install || ! command -v c++ >/dev/null; then
    [[ -e $prefix/bin/clang++ ]] || missing+=("clang-$1")
    [[ -e $prefix/bin/ld.lld ]] || missing+=("lld-$1")
  fi
  printf '%s\n' "${missing[@]}"
}

usable_python() { # 3.11 or newer, can make a virtual environment, has its headers
  command -v "$1" >/dev/null && "$1" - 2>/dev/null <<'PYTHON'
import ensurepip, os, sys, sysconfig, venv
headers = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(not (sys.version_info >= (3, 11) and os.path.exists(headers)))
PYTHON
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    if usable_python "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

install_packages() { # install_packages NAME …
  if ! command -v apt-get >/dev/null; then
    die "this system has no apt; install what these Debian packages hold and run this again: $*" \
      "(an LLVM/MLIR 22 or 21 outside /usr/lib is named with MLIR_DIR=<prefix>/lib/cmake/mlir)."
  fi
  can_install || die "these packages are missing and this account has no sudo; ask for: apt-get install $*"
  say "Installing with apt: $*"
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@")
  as_root "${install[@]}" || { # the package lists may be old
    as_root apt-get update && as_root "${install[@]}"
  } || die "apt could not install $*; its message above says why. Put that right and run this again."
}

install_system_packages() {
  local missing=() version
  if [[ -z ${MLIR_DIR:-} ]]; then
    version=$(llvm_version)
    if [[ -z $version ]] && can_install; then
      version=$(llvm_version_of_apt)
      if [[ -z $version ]]; then
        say "Asking apt for its package lists"
        as_root apt-get update || die "apt-get update failed; its message above says why."
        version=$(llvm_version_of_apt)
      fi
      [[ -n $version ]] || die "this distribution's apt has neither LLVM 22 nor 21: add the LLVM project's" \
        "repository as https://apt.llvm.org says (its script llvm.sh with the argument 22) and run this again."
    fi
    mapfile -t missing < <(missing_of_llvm "${version:-22}" | sed '/^$/d')
  fi
  # Chapter 8's. With Debian's LLVM they come anyway; with one of one's own they may be missing.
  if can_install && ! compgen -G '/usr/include/ffi.h' >/dev/null && ! compgen -G '/usr/include/*/ffi.h' >/dev/null; then
    missing+=(libffi-dev)
  fi
  if [[ ! -x $python && -z $(find_python) ]]; then
    missing+=(python3 python3-venv python3-dev)
  fi
  if [[ $level == test ]] && ! has_browser && can_install && has_package chromium; then
    missing+=(chromium)
  fi
  if [[ $level == test ]] && can_install && ! command -v curl >/dev/null; then # ch.16's lesson calls it
    missing+=(curl)
  fi
  if ((${#missing[@]})); then
    install_packages "${missing[@]}"
  fi
}

has_browser() {
  command -v "${COURSE_CHROMIUM:-chromium}" chromium-browser google-chrome >/dev/null
}

# --- Python -------------------------------------------------------------------------

make_venv() {
  "$python" -c '' 2>/dev/null && [[ -e $venv/.complete ]] && return
  # A .venv that was not made here is used when it works.
  if ! "$python" -m pip --version >/dev/null 2>&1; then
    local base
    base=$(find_python)
    [[ -n $base ]] || die "Python 3.11 or newer with venv and its headers is needed: install it (Debian:" \
      "python3 python3-venv python3-dev) or name one with PYTHON=…, and run this again."
    say "Making .venv with $("$base" --version)"
    rm -rf "$venv" "$build/CMakeCache.txt" "$build/build.ninja" # CMake remembers the old one's headers
    "$base" -m venv "$venv" || die "$base could not make $venv; its message above says why."
  fi
  touch "$venv/.complete"
}

requirements() { # requirements EXTRA …: the lists of pyproject.toml, without PyTorch
  "$python" - "$root/pyproject.toml" "$@" <<'PYTHON'
import re, sys, tomllib

with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
wanted = list(project["dependencies"])
queue = sys.argv[2:]
seen = set()
while queue:
    extra = queue.pop(0)
    if extra in seen:
        continue
    seen.add(extra)
    for line in project["optional-dependencies"][extra]:
        own = re.fullmatch(re.escape(project["name"]) + r"\[(.+)\]", line)
        if own:
            queue += own[1].split(",")
        elif not line.startswith("torch"):
            wanted.append(line)
print("\n".join(dict.fromkeys(wanted)))
PYTHON
}

pip_install() {
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip install "$@"
}

install_torch() {
  if [[ ${COURSE_TORCH:-} == none ]]; then
    say "Leaving PyTorch out, as COURSE_TORCH=none asks; the tests that compare with it will fail"
    return
  fi
  "$python" -c 'import torch' 2>/dev/null && return
  say "Installing PyTorch $torch_version, the build for CPUs (about 200 MB)"
  pip_install "torch==$torch_version+cpu" ||
    pip_install "torch==$torch_version+cpu" --index-url "$torch_index" ||
    die "PyTorch $torch_version for CPUs could not be installed; see the network and run this again," \
      "or leave it out with COURSE_TORCH=none (the tests that compare with it will fail)."
}

install_python_packages() {
  local key extras=("$level") stamp
  [[ $level == run || $level == serve ]] && extras+=(build)
  key=$(sha256sum <"$root/pyproject.toml")
  for stamp in "$level" serve test; do # serve holds run, and test holds all
    [[ $level != lint || $stamp != serve ]] || continue
    [[ -e $venv/.packages-$stamp && $(<"$venv/.packages-$stamp") == "$key" ]] && return
  done
  [[ $level == test ]] && install_torch
  local wanted
  mapfile -t wanted < <(requirements "${extras[@]}")
  if [[ $level != lint ]]; then
    new_enough_cmake || wanted+=("cmake>=3.21")
    command -v ninja >/dev/null || wanted+=(ninja)
  fi
  say "Installing Python packages into .venv"
  pip_install "${wanted[@]}" ||
    die "pip could not install the Python packages; see its message and the network, and run this again."
  printf '%s\n' "$key" >"$venv/.packages-$level"
}

# --- The build ----------------------------------------------------------------------

new_enough_cmake() { # of the system; otherwise pip's is used
  local version
  version=$(cmake --version 2>/dev/null | sed -n 's/^cmake version //p')
  [[ -n $version && $(printf '3.21\n%s\n' "$version" | sort -V | head -n 1) == 3.21 ]]
}

jobs() { # one job for each core and each 2 GB of free memory
  local cores gigabytes
  cores=$(nproc)
  gigabytes=$(awk '/MemAvailable/ {print int($2 / 2e6)}' /proc/meminfo)
  echo $((gigabytes < 1 ? 1 : gigabytes < cores ? gigabytes : cores))
}

build_chapters() {
  local cache=$build/CMakeCache.txt
  if new_enough_cmake; then
    PATH=$PATH:$venv/bin
  else
    PATH=$venv/bin:$PATH
  fi
  if [[ -e $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "This folder has moved since it was built; building anew"
    rm -rf "$build"
  fi
  if [[ ! -e $build/build.ninja ]]; then
    say "Configuring with CMake"
    (cd "$root" && cmake --preset x64-release ${MLIR_DIR:+"-DMLIR_DIR=$MLIR_DIR"} -DPython_EXECUTABLE="$python") ||
      die "CMake could not configure the build; its message above says what is missing."
  fi
  if [[ $(ninja -C "$build" -n 2>&1) != *"no work to do"* ]]; then
    say "Building the chapters (a few minutes the first time)"
    NINJA_STATUS='[%f/%t, %es] ' cmake --build "$build" --parallel "$(jobs)" ||
      die "the build failed; the first error above is the one to look at."
  fi
}

# Written anew where the course has moved or got a folder; asking Python each time would cost a start 80 ms.
name_folders() {
  local file
  file=$(echo "$root"/.venv/lib/python*/site-packages/mlir-course.pth)
  if [[ ! $file -nt $root || ! $file -nt $root/chapters.py || ! $file -nt $root/scripts/path_file.py ]] ||
    ! grep -qF "$root/build/" "$file"; then
    "$python" "$root/scripts/path_file.py"
  fi
}

# --- Main ---------------------------------------------------------------------------

mkdir -p "$root/build"
exec 9>"$root/build/.setup.lock"
flock -n 9 || {
  say "Waiting for another set-up of this folder to finish"
  flock 9
}

if [[ $level == lint ]]; then
  [[ -x $python || -n $(find_python) ]] || install_packages python3 python3-venv python3-dev
else
  install_system_packages
fi
make_venv
install_python_packages
if [[ $level != lint ]]; then
  name_folders
  if [[ ${2:-} != --no-build ]]; then
    build_chapters
  fi
fi

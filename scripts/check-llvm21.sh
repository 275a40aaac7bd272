#!/usr/bin/env bash
# Builds and tests this tree, as it lies here, with LLVM 21, GCC 14's library and Python 3.13: in a Debian 13 root.
#
#   scripts/check-llvm21.sh ROOT [arguments of test.sh]
#
# ROOT is a folder outside this tree; it is made by debootstrap if it is not there (about 3 GB, two minutes) from the
# mirror that this machine's apt uses, and used again afterwards, so that a second check builds only what has changed.
# Needs root, and a Debian or Ubuntu with debootstrap. PyTorch is Debian's there, because PyPI has no CPU build of the
# one the tests usually run with for Python 3.13. The exit status is that of ./test.sh.
set -euo pipefail

case ${1:-} in
'' | -h | --help)
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit 2
  ;;
esac
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(realpath -m "$1")
shift

die() {
  printf '%s\n' "error: $*" >&2
  exit 1
}
[[ $(id -u) == 0 ]] || die "this needs root, to make and enter a Debian 13 root; run it with sudo."

# A process in the root sees its own /proc (tests read /proc/self) and no mount survives it.
inside() {
  # shellcheck disable=SC2016 # $0 and $@ are the inner shell's
  unshare --mount --propagation private bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" \
    env -u VIRTUAL_ENV -u PYTHON -u PYTHONPATH -u MLIR_DIR -u CC -u CXX HOME=/root LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

if [[ ! -e $root/etc/debian_version ]]; then
  command -v debootstrap >/dev/null || apt-get install -y --no-install-recommends debootstrap
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -E '/debian/?$' | head -n 1) || true
  [[ $mirror ]] || die "apt here names no Debian mirror to make $root from."
  debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$mirror"
  printf 'deb %s trixie main\ndeb %s trixie-backports main\n' "$mirror" "$mirror" >"$root/etc/apt/sources.list"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
if [[ ${PIP_CERT:-} ]]; then # the certificates that pip is told to use here
  install -D "$PIP_CERT" "$root$PIP_CERT"
fi
packages=(llvm-21-dev libmlir-21-dev mlir-21-tools clang-21 lld-21 libomp-21-dev
  git python3-dev python3-venv python3-torch curl)
# shellcheck disable=SC2016
if ! inside dpkg-query -W -f '${db:Status-Status}\n' "${packages[@]}" >/dev/null 2>&1; then
  inside apt-get update
  inside apt-get install -y --no-install-recommends -t trixie-backports "${packages[@]}"
  # The MLIR tools find libMLIR.so through $ORIGIN, which needs /proc; with this they do not.
  echo /usr/lib/llvm-21/lib >"$root/etc/ld.so.conf.d/llvm-21.conf"
  inside ldconfig
fi

# The tree: what git tracks or would track. Times are kept, so that Ninja sees what has changed.
mkdir -p "$root/course"
find "$root/course" -mindepth 1 -maxdepth 1 ! -name build ! -name .venv -exec rm -rf {} +
(cd "$tree" && git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null) |
  tar -C "$tree" -c -T - | tar -C "$root/course" -x
inside test -x /course/.venv/bin/python || inside python3 -m venv --system-site-packages /course/.venv

# The training uses an optimizer that Debian's PyTorch is too old for, and has nothing to do with LLVM.
tests=("$@")
# shellcheck disable=SC2251
if ! inside /course/.venv/bin/python -c 'from torch.optim import Muon' 2>/dev/null; then
  echo "Left out, for want of torch.optim.Muon in the PyTorch of this root: ch.13.GPT/test_train.py"
  tests+=(--ignore=ch.13.GPT/test_train.py)
fi

status=0
inside /course/test.sh "${tests[@]}" </dev/null || status=$?
# shellcheck disable=SC2016
inside /course/.venv/bin/python -c '
import platform, subprocess, torch
llvm = subprocess.run(["/usr/lib/llvm-21/bin/llvm-config", "--version"], capture_output=True, text=True).stdout.strip()
print(f"LLVM {llvm}, Python {platform.python_version()}, PyTorch {torch.__version__}: ", end="")' 2>/dev/null
echo "test.sh exited with $status"
exit "$status"

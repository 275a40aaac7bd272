#!/usr/bin/env bash
# Formatters and linters, the same here and in CI.
#
#   scripts/lint.sh           look only: prints what is not in order, exit status 1
#   scripts/lint.sh --fix     put it in order where a tool can
#   scripts/lint.sh [--fix] FILE …   these files only
#
# C++: clang-format (.clang-format). Python: ruff check and ruff format (pyproject.toml). Shell: bash -n.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fix=
files=()
for argument in "$@"; do
  case $argument in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit
    ;;
  --fix) fix=1 ;;
  *) files+=("$(realpath -- "$argument")") ;;
  esac
done

"$root/scripts/setup.sh" lint
cd "$root"
python=$root/.venv/bin/python
if ((!${#files[@]})); then # what git tracks or would track, less what is deleted
  mapfile -d '' files < <(git ls-files -z --cached --others --exclude-standard)
fi
cpp=() py=() shell=()
for file in "${files[@]}"; do
  [[ -f $file ]] || continue
  case $file in
  *.cpp | *.h) cpp+=("$file") ;;
  *.py) py+=("$file") ;;
  *.sh | .ci/run | */.ci/run) shell+=("$file") ;;
  esac
done

status=0
if ((${#cpp[@]})); then
  # The module's own binary: the script beside pip starts by an absolute path that may have moved.
  clang_format=$("$python" -c 'import clang_format; print(clang_format.get_executable("clang-format"))')
  if [[ $fix ]]; then
    "$clang_format" -i "${cpp[@]}"
  else
    "$clang_format" --dry-run -Werror "${cpp[@]}" || status=1
  fi
fi
if ((${#py[@]})); then
  if [[ $fix ]]; then
    "$python" -m ruff format --quiet "${py[@]}" || status=1
    "$python" -m ruff check --quiet --fix "${py[@]}" || status=1
    "$python" -m ruff format --quiet "${py[@]}" || status=1
  else
    "$python" -m ruff check --quiet "${py[@]}" || status=1
    "$python" -m ruff format --quiet --check "${py[@]}" || status=1
  fi
fi
for file in "${shell[@]}"; do
  bash -n "$file" || status=1
done

if ((status)) && [[ $fix ]]; then
  echo "lint: what is listed above is for a person to put right" >&2
elif ((status)); then
  echo "lint: not in order; scripts/lint.sh --fix puts most of it right" >&2
else
  echo "lint: ${#cpp[@]} C++, ${#py[@]} Python and ${#shell[@]} shell files are in order"
fi
exit "$status"

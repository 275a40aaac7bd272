"""Keeps the Markdown of this tree true: code comes from the sources, output from the commands.

A fenced block is preceded by a comment that says where it comes from:

    <!-- listing: src/ir.cpp build-gemm -->   the lines of that file between `// [build-gemm]` and
                                              `// [/build-gemm]` (`#` in Python, CMake and shell); without
                                              a region, the whole file
    <!-- output: python3 show.py ir -->       what the command prints, run by bash in the folder of the
                                              Markdown file, chapters importable and tools on PATH; it must
                                              exit with 0 (`not CMD` turns a failure round, `2>&1` adds stderr,
                                              `sed -n 1,9p` reads all its input, `head` does not)
    <!-- output(llvm 22): … -->               the same where one LLVM prints other text than the other:
                                              only checked on a build with that one
    <!-- sketch -->                           an illustration that nothing checks

Blocks in `sh` are commands and need no comment. Every other block does. Relative links must lead to a file
in this tree, and their #anchor to a heading of it.

    python tests/docs.py [--write] [FILE OR FOLDER …]

prints what is wrong and exits with 1; with --write, puts the right text into the blocks first.
"""

import argparse
import concurrent.futures
import dataclasses
import difflib
import functools
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters

TIMEOUT_S = 300
COMMENT = re.compile(
    r"<!--\s*(?P<kind>[\w-]+)(?:\((?P<condition>[^)]*)\))?\s*(?::\s*(?P<what>.*?))?\s*-->\s*$"
)
FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w+-]*)\s*$")
REGION = re.compile(r"\s*(?://|#|;)\s*\[(?P<close>/?)(?P<name>[\w-]+)\]\s*$")


class Wrong(Exception):
    """Something in a Markdown file is not as it must be; the text says what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: lines[first:last] of its file, between the fences, each indented by `indent`."""

    file: pathlib.Path
    first: int
    last: int
    indent: str
    fence: str
    language: str
    text: str
    kind: str  # listing, output, sketch; "" without a comment
    condition: str
    what: str

    def __str__(self) -> str:
        return f"{name(self.file)}:{self.first}"


def name(file: pathlib.Path) -> str:
    return str(file.relative_to(chapters.ROOT)) if file.is_relative_to(chapters.ROOT) else str(file)


def markdown_files(root: pathlib.Path = chapters.ROOT) -> list[pathlib.Path]:
    """Every Markdown file below `root` that belongs to the tree."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [
            f for f in folders if not f.startswith(".") and f not in ("build", "dist", "__pycache__")
        ]
        found += [pathlib.Path(folder, f) for f in files if f.endswith(".md")]
    return sorted(found)


# --- blocks ---------------------------------------------------------------------------------------------


def tidy(text: str) -> str:
    """Without trailing blanks, which editors remove, and without blank lines at either end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def parse(file: pathlib.Path) -> tuple[list[Block], str]:
    """The blocks of a file, and its prose: the file with the blocks' lines emptied."""
    lines = file.read_text(encoding="utf-8").splitlines()
    prose = list(lines)
    blocks: list[Block] = []
    comment, comment_line = None, 0  # the marker whose block has not come yet
    i = 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        if fence is None:
            if comment and lines[i].strip():
                raise Wrong(f"{name(file)}:{comment_line}: no fenced block follows this comment")
            found = COMMENT.match(lines[i].strip())
            if found and (found["kind"] in ("listing", "output", "sketch") or next_is_fence(lines, i)):
                comment, comment_line = found, i + 1
            i += 1
            continue
        end = i + 1
        margin = len(fence["indent"])
        while end < len(lines) and not closes(lines[end][margin:], fence["fence"]):
            end += 1
        if end == len(lines):
            raise Wrong(f"{name(file)}:{i + 1}: this fenced block never ends")
        inside = [line.removeprefix(fence["indent"]) for line in lines[i + 1 : end]]
        fields = comment.groupdict() if comment else {}
        blocks.append(
            Block(
                file=file,
                first=i + 1,
                last=end,
                indent=fence["indent"],
                fence=fence["fence"],
                language=fence["language"],
                text="\n".join(inside),
                kind=fields.get("kind") or "",
                condition=(fields.get("condition") or "").strip(),
                what=fields.get("what") or "",
            )
        )
        prose[i : end + 1] = [""] * (end + 1 - i)
        comment = None
        i = end + 1
    if comment:
        raise Wrong(f"{name(file)}:{comment_line}: no fenced block follows this comment")
    return blocks, "\n".join(prose)


def closes(line: str, fence: str) -> bool:
    """Whether a line ends the block that `fence` began: as long or longer, alone, indented by 3 at most."""
    return re.fullmatch(rf" {{0,3}}{re.escape(fence)}{re.escape(fence[0])}*\s*", line) is not None


def next_is_fence(lines: list[str], i: int) -> bool:
    following = next((line for line in lines[i + 1 :] if line.strip()), "")
    return FENCE.match(following) is not None


# --- what a block must hold -------------------------------------------------------------------------------


@functools.cache
def regions(file: pathlib.Path) -> dict[str, str]:
    """The marked regions of a source file, without the markers; "" is the whole file."""
    found: dict[str, list[str]] = {"": []}
    started: list[str] = []  # regions we are in
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        marker = REGION.match(line)
        if marker is None:
            for region in ["", *started]:
                found[region].append(line)
        elif not marker["close"]:
            if marker["name"] in found:
                raise Wrong(f"{name(file)}:{number}: region [{marker['name']}] begins a second time")
            started.append(marker["name"])
            found[marker["name"]] = []
        elif marker["name"] in started:
            started.remove(marker["name"])
        else:
            raise Wrong(f"{name(file)}:{number}: region [{marker['name']}] ends but did not begin")
    if started:
        raise Wrong(f"{name(file)}: region [{started[0]}] does not end")
    return {region: dedent(lines) for region, lines in found.items()}


def dedent(lines: list[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return tidy("\n".join(line[margin:] for line in lines))


def listing(block: Block) -> str:
    path, _, region = block.what.partition(" ")
    file = (block.file.parent / path).resolve()
    if not path or not file.is_file():
        raise Wrong(f"listing of {path or 'nothing'}: there is no such file")
    known = regions(file)
    if region.strip() not in known:
        raise Wrong(
            f"{path} has no region [{region.strip()}]; it has {', '.join(filter(None, known)) or 'none'}"
        )
    return known[region.strip()]


@functools.cache
def command_environment() -> dict[str, str]:
    return chapters.environment() | {
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
    }


@functools.cache
def run(command: str, folder: pathlib.Path) -> str | Wrong:
    """What the command prints. Each is run once, however many blocks show it."""
    try:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=command_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Wrong(f"`{command}` did not end within {TIMEOUT_S} s")
    if done.returncode:
        said = tidy(done.stdout + done.stderr).splitlines()[-12:]
        return Wrong("\n".join([f"`{command}` exited with {done.returncode} and said:", *said]))
    return tidy(done.stdout)


def output(block: Block) -> str:
    if not block.what:
        raise Wrong("an output block without a command")
    text = run(block.what, block.file.parent)
    if isinstance(text, Wrong):
        raise text
    if str(chapters.ROOT) in text or "/tmp/" in text:
        raise Wrong(f"`{block.what}` prints a path of this machine:\n{text}")
    return text


def skip_reason(block: Block) -> str | None:
    """Why a block cannot be checked on this build, None if it can."""
    wanted = re.fullmatch(r"llvm (21|22)", block.condition)
    if block.kind == "output" and wanted and int(wanted[1]) != chapters.llvm_major():
        return f"shows what LLVM {wanted[1]} prints; this build has {chapters.llvm_major()}"
    return None


def expected(block: Block) -> str:
    """The text that the block must hold. Raises Wrong where nothing says."""
    if block.condition and not (block.kind == "output" and re.fullmatch(r"llvm (21|22)", block.condition)):
        raise Wrong(f"({block.condition}) is unknown: only output(llvm 21) and output(llvm 22) exist")
    match block.kind:
        case "listing":
            text = listing(block)
        case "output":
            text = output(block)
        case "sketch":
            return block.text
        case "" if block.language == "sh":
            return block.text
        case "":
            raise Wrong(
                f"this block of {block.language or 'plain text'} has no comment that says where it comes from: "
                "put <!-- listing: … -->, <!-- output: … --> or <!-- sketch --> in front of it"
            )
        case other:
            raise Wrong(f"unknown comment '{other}': it must be listing, output or sketch")
    if any(closes(line, block.fence) for line in text.splitlines()):
        raise Wrong(f"the text itself has a line {block.fence}: use a longer fence")
    return text


def check(block: Block) -> None:
    """Raises Wrong where the block is not what its comment says."""
    try:
        want = expected(block)
    except Wrong as wrong:
        raise Wrong(f"{block}: {wrong}") from None
    if want != block.text:
        difference = difflib.unified_diff(
            block.text.splitlines(), want.splitlines(), "shown", "true", lineterm="", n=1
        )
        raise Wrong("\n".join([f"{block}: stale; `python tests/docs.py --write` refreshes it", *difference]))


def run_commands(blocks: list[Block]) -> None:
    """Runs the commands of the blocks side by side; output() then finds their text."""
    jobs = {(b.what, b.file.parent) for b in blocks if b.kind == "output" and b.what and not skip_reason(b)}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: run(*job), sorted(jobs)))


def write(file: pathlib.Path, blocks: list[Block]) -> None:
    """Puts the right text into every block that has one; what is wrong stays for check() to say."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for block in sorted(blocks, key=lambda b: -b.first):
        if skip_reason(block):
            continue
        try:
            want = expected(block)
        except Wrong:
            continue
        lines[block.first : block.last] = [(block.indent + line).rstrip() for line in want.splitlines()]
    new = "\n".join(lines) + "\n"
    if new != text:
        file.write_text(new, encoding="utf-8")


# --- links ------------------------------------------------------------------------------------------------


@functools.cache
def anchors(file: pathlib.Path) -> frozenset[str]:
    """The anchors of a Markdown file, as GitHub makes them from headings."""
    _, prose = parse(file)
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', prose))
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*\s*$", prose, re.M):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
    return frozenset(found)


def links(prose: str) -> list[tuple[int, str]]:
    """(line, target) of every link and image outside code."""
    found = []
    for number, line in enumerate(prose.splitlines(), 1):
        line = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "``", line)  # code spans
        found += [(number, t) for t in re.findall(r"\]\(<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\)", line)]
        found += [(number, t) for t in re.findall(r"^\s*\[[^\]]+\]:\s+(\S+)", line)]
        found += [(number, t) for t in re.findall(r"<(?:a|img)\s[^>]*?(?:href|src)=\"([^\"]*)\"", line)]
    return found


def check_links(file: pathlib.Path, prose: str, root: pathlib.Path = chapters.ROOT) -> list[str]:
    """What is wrong with the links of a file, one sentence each."""
    wrong = []
    for number, target in links(prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # another site: not looked up
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        where = f"{name(file)}:{number}: link to {target}"
        destination = (file.parent / path).resolve() if path else file
        if path.startswith("/") or not destination.is_relative_to(root):
            wrong.append(f"{where} leaves the tree: links are relative")
        elif not destination.exists() or destination.relative_to(root).parts[:1] in (("build",), (".venv",)):
            wrong.append(f"{where}: there is no such file in the tree")
        elif anchor and destination.suffix == ".md" and anchor not in anchors(destination):
            wrong.append(f"{where}: {name(destination)} has no heading #{anchor}")
    return wrong


# --- the command --------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the right text into the blocks")
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="Markdown files or folders; all without")
    options = parser.parse_args(arguments)

    files = [f for p in options.paths or [chapters.ROOT] for f in (markdown_files(p) if p.is_dir() else [p])]
    problems: list[str] = []
    num_blocks = 0
    parsed = {}
    for file in map(pathlib.Path.resolve, files):
        try:
            parsed[file] = parse(file)
        except Wrong as wrong:
            problems.append(str(wrong))
    run_commands([block for blocks, _ in parsed.values() for block in blocks])
    for file, (blocks, prose) in parsed.items():
        if options.write:
            write(file, blocks)
            blocks, prose = parse(file)
        num_blocks += len(blocks)
        for block in blocks:
            if reason := skip_reason(block):
                print(f"{block}: not checked: {reason}")
                continue
            try:
                check(block)
            except Wrong as wrong:
                problems.append(str(wrong))
        try:
            problems += check_links(file, prose)
        except Wrong as wrong:
            problems.append(str(wrong))
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(files)} files, {num_blocks} blocks, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

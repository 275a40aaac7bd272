"""Every code block, output block and link of the tree's Markdown is true; and the checker sees it when one is not."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import docs

PARSED, BROKEN = {}, {}
for _file in docs.markdown_files():
    try:
        PARSED[_file] = docs.parse(_file)
    except docs.Wrong as _wrong:
        BROKEN[_file] = str(_wrong)
BLOCKS = [block for blocks, _ in PARSED.values() for block in blocks]


@pytest.fixture(scope="session")
def outputs(request):
    """Runs the commands of the selected blocks side by side, each once."""
    selected = [
        item.callspec.params.get("block") for item in request.session.items if hasattr(item, "callspec")
    ]
    docs.run_commands([block for block in selected if isinstance(block, docs.Block)])


def test_every_file_can_be_parsed():
    assert not BROKEN, "\n".join(BROKEN.values())


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block(block, outputs):
    if reason := docs.skip_reason(block):
        pytest.skip(reason)
    try:
        docs.check(block)
    except docs.Wrong as wrong:
        pytest.fail(str(wrong), pytrace=False)


@pytest.mark.parametrize("file", PARSED, ids=docs.name)
def test_links(file):
    wrong = docs.check_links(file, PARSED[file][1])
    assert not wrong, "\n".join(wrong)


# --- the checker itself -------------------------------------------------------------------------------------


@pytest.fixture
def lesson(tmp_path):
    """Writes a lesson beside a source file; returns its problems, one string each."""
    (tmp_path / "a.cpp").write_text(
        "int before;\n"
        "  // [one]\n"
        "  int x = 1;\n"
        "    // [inner]\n"
        "    int y = 2;\n"
        "    // [/inner]\n"
        "  // [/one]\n"
    )

    def problems(markdown: str, write: bool = False) -> list[str]:
        file = tmp_path / "README.md"
        file.write_text(markdown)
        docs.regions.cache_clear()
        docs.anchors.cache_clear()
        try:
            blocks, prose = docs.parse(file)
            if write:
                docs.write(file, blocks)
                blocks, prose = docs.parse(file)
        except docs.Wrong as wrong:
            return [str(wrong)]
        found = docs.check_links(file, prose, root=tmp_path)
        for block in blocks:
            try:
                docs.check(block)
            except docs.Wrong as wrong:
                found.append(str(wrong))
        return found

    return problems


LISTING = """\
<!-- listing: a.cpp one -->
```cpp
int x = 1;
  int y = 2;
```
"""
OUTPUT = """\
<!-- output: echo one; echo two -->
```text
one
two
```
"""
SKETCH = """\
<!-- sketch -->
```cpp
anything
```
"""
COMMAND = """\
```sh
make
```
"""
LINKS = """
[a](a.cpp) [title](#the-title) [elsewhere](https://example.org/x)
"""


def test_a_true_lesson_passes(lesson):
    assert lesson("# The `title`\n" + LISTING + OUTPUT + SKETCH + COMMAND + LINKS) == []


def test_listing_in_a_list_is_compared_without_its_indent(lesson):
    assert lesson("1. x\n\n   <!-- listing: a.cpp inner -->\n   ```cpp\n   int y = 2;\n   ```\n") == []


def test_a_fence_inside_a_listing(lesson, tmp_path):
    (tmp_path / "a.td").write_text("description\n    ```mlir\n    op\n    ```\n")  # too far in to end a block
    assert lesson("<!-- listing: a.td -->\n```text\n" + (tmp_path / "a.td").read_text() + "```\n") == []


def test_listing_of_a_whole_file(lesson, tmp_path):
    (tmp_path / "b.py").write_text("a = 1\n\nb = 2\n")
    assert lesson("<!-- listing: b.py -->\n```python\na = 1\n\nb = 2\n```\n") == []


@pytest.mark.parametrize(
    "markdown, sentence",
    [
        (LISTING.replace("= 2", "= 3"), "stale"),
        (OUTPUT.replace("two\n```", "2\n```"), "stale"),
        (LISTING.replace(" one", " tow"), "no region [tow]; it has one, inner"),
        (LISTING.replace("a.cpp", "b.cpp"), "no such file"),
        (LISTING.replace("listing", "listign"), "unknown comment 'listign'"),
        ("```cpp\nint x;\n```\n", "this block of cpp has no comment"),
        ("```\nint x;\n```\n", "this block of plain text has no comment"),
        ("<!-- output: echo a -->\n\nprose\n", "no fenced block follows"),
        ("<!-- output: echo a -->\n", "no fenced block follows"),
        ("<!-- sketch -->\n```text\n", "never ends"),
        ("<!-- output: echo a; exit 3 -->\n```text\na\n```\n", "exited with 3 and said:\na"),
        ("<!-- output: false | cat -->\n```text\n```\n", "exited with 1"),
        ("<!-- output: pwd -->\n```text\n```\n", "a path of this machine"),
        ("<!-- output -->\n```text\n```\n", "without a command"),
        ("<!-- output(mips): echo -->\n```text\n```\n", "(mips) is unknown"),
        ("<!-- output: printf '```' -->\n```text\n```\n", "use a longer fence"),
        ("[a](b.md)\n", "no such file"),
        ("[a](../b.md)\n", "leaves the tree"),
        ("[a](/b.md)\n", "leaves the tree"),
        ("# Head\n\n[a](#haed)\n", "no heading #haed"),
        ("![a][ref]\n\n[ref]: b.png\n", "no such file"),
    ],
)
def test_a_false_lesson_fails(lesson, markdown, sentence):
    (problem,) = lesson(markdown)
    assert sentence in problem


def test_write_refreshes_what_is_stale_and_nothing_else(lesson, tmp_path):
    stale = LISTING.replace("= 2", "= 3") + "\nprose\n\n" + OUTPUT.replace("one\ntwo\n", "")
    assert len(lesson(stale)) == 2
    assert lesson(stale, write=True) == []
    assert (tmp_path / "README.md").read_text() == LISTING + "\nprose\n\n" + OUTPUT


def test_output_of_another_llvm_is_skipped_with_a_reason(lesson, tmp_path):
    here = docs.chapters.llvm_major()
    other = {21: 22, 22: 21}[here]
    text = "<!-- output(llvm {}): echo true -->\n```text\nfalse\n```\n"
    assert "stale" in lesson(text.format(here))[0]
    lesson(text.format(other))
    (block,), _ = docs.parse(tmp_path / "README.md")
    assert f"LLVM {other}" in docs.skip_reason(block)


def test_the_command_exits_with_1_on_a_stale_block(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("<!-- output: echo new -->\n```text\nold\n```\n")
    command = [sys.executable, docs.__file__, str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "-old" in done.stderr and "+new" in done.stderr
    assert subprocess.run([*command, "--write"], capture_output=True).returncode == 0
    assert subprocess.run(command, capture_output=True).returncode == 0

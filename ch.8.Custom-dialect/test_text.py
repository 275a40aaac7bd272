"""What text may not be: everything that is refused, and that nothing of it ends the process."""

import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import run_python

import ch8

HERE = pathlib.Path(__file__).resolve().parent
corpus = chapters.run_script(HERE / "fuzz" / "texts.py")
TEXTS = corpus.TEXTS
ROWS = chapters.run_script(HERE / "example.py").SCALE_ROWS
x64, f6 = np.ones((6, 4), np.float32), np.ones(6)


def function(body: str, arguments: str = "%m: memref<4xf32>") -> str:
    return f"func.func @f({arguments}) {{\n{body}\nreturn\n}}\n"


# --- what is refused: the text -------------------------------------------------------------------------

DIALECT = "Dialect `llvm' not found for custom op 'llvm.inline_asm'"


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        ("garbage", "ir:1:1: error: custom op 'garbage' is unknown"),
        (TEXTS["scf"][:300], "the IR could not be read"),
        ("\0", "the text has a NUL character in it"),
        ("(" * 100_000, "the text is nested deeper than 64 brackets"),
        ("module {\n" * 1000, "the text is nested deeper than 64 brackets"),
        ("// " + "x" * 600_000, "the text has 600003 bytes; at most 524288 are read"),
        (function("%c = arith.addf %m, %m : f32"), "expects different type"),
        (function("math.sqrtt"), "custom op 'math.sqrtt' is unknown"),
        (function('llvm.inline_asm "nop", "" : () -> ()'), DIALECT),
        (function("gpu.barrier"), "Dialect `gpu' not found"),
        ("func.func @f(%p: !llvm.ptr) { return }", 'type created with unregistered dialect'),
        (function("func.call @g() : () -> ()"), "'g' does not reference a valid function"),
        ("func.func private @getpid() -> i32", "@getpid is declared and not defined; a text can call only"),
        ("memref.global @c : memref<4xf32>", "@c is declared and not defined"),
        (function("") * 2, "redefinition of symbol named 'f'"),
        ("module { " + "module {}" + "}", "'builtin.module' is refused: a text is one module"),
        (function('%c = arith.constant true\ncf.assert %c, "x"'), "'cf.assert' is refused: an assertion that fails"),
        (function("%c = arith.constant 1.0 : f32\nvector.print %c : f32"), "'vector.print' is refused"),
        (
            function("%p = builtin.unrealized_conversion_cast %m : memref<4xf32> to index"),
            "'builtin.unrealized_conversion_cast' is refused",
        ),
        (function("%c = arith.constant 1 : i128"), "integers are i1, i8, i16, i32, i64 and index"),
        (function("%c = arith.constant 1.0 : f80"), "floats are f16, bf16, f32 and f64"),
        (function("%c = arith.constant dense<1.0> : vector<2048xf32>"), "a vector has at most 1024 elements"),
        (function("%c = arith.constant dense<1.0> : vector<[4]xf32>"), "vectors have a fixed size"),
        (function("%c = arith.constant dense<1> : tensor<9999999xi8>"), "a constant has at most 2^20 elements"),
        (function("%c = memref.alloc() : memref<4xf32, 3>"), "all memory is in the default memory space"),
        (function("%c = memref.alloc() : memref<9999999x9999999xf32>"), "a shape has at most 2^40 elements"),
        (function("").replace(") {", ") attributes {llvm.linkage = 3} {"), "'llvm.linkage' is refused"),
        (function("").replace(") {", ') attributes {passthrough = ["x"]} {'), "'passthrough' is refused"),
        (function("", "%m: memref<4xf32> {llvm.noalias}"), "attributes of arguments and results are refused"),
        ('module attributes {llvm.data_layout = "x"} {}', "'llvm.data_layout' is refused"),
        (function("linalg.softmax dimension(0) ins(%m : memref<4xf32>) outs(%m : memref<4xf32>)"),
         "ir:2:1: error: 'linalg.softmax' op is not translated by any pass of this chapter"),
    ],
    ids=lambda value: value[:20],  # pytest puts the id into the environment, which has no room for a whole text
)  # fmt: skip
def test_text_that_cannot_be_compiled_says_why(text, sentence, capfd):
    with pytest.raises(ch8.CompileError) as raised:
        ch8.execute(text, "f", [], (4,))
    assert sentence in str(raised.value)
    assert capfd.readouterr() == ("", "")  # all of it is in the exception, nothing on the terminal


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("func.func private @f(%m: memref<4xf32>) { return }", "it is private"),
        ("func.func @f(%m: memref<4xf32>) -> memref<4xf32> { return %m : memref<4xf32> }", "it returns memref<4xf32>"),
        ("func.func @f(%x: f32, %m: memref<4xf32>) -> f32 { return %x : f32 }", "it returns f32"),
        ("func.func @f(%t: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {\n"
         "return %t, %t : tensor<4xf32>, tensor<4xf32> }", "it returns 2 values"),
        ("func.func @f(%t: tensor<?xf32>) -> tensor<?xf32> { return %t : tensor<?xf32> }", "has its sizes in its type"),
        ("func.func @f() { return }", "its last argument must be a memref"),
        ("func.func @f(%m: memref<4xf32>, %x: f32) { return }", "its last argument must be a memref"),
        ("func.func @f(%t: tensor<4xf32>) { return }", "its last argument is a tensor"),
        ("func.func @f(%m: memref<4xf16>) { return }", "%0 is memref<4xf16>; an argument is a memref or tensor of f32"),
        ("func.func @f(%m: memref<*xf32>) { return }", "%0 is memref<*xf32>; an argument is"),
        ("func.func @f(%m: memref<4xindex>) { return }", "%0 is memref<4xindex>; an argument is"),
        ("func.func @f(%b: i1, %m: memref<4xf32>) { return }", "%0 is i1; an argument is"),
        ("func.func @f(%v: vector<4xf32>, %m: memref<4xf32>) { return }", "%0 is vector<4xf32>; an argument is"),
        ("func.func @f(%m: memref<4xf32, strided<[1], offset: 5>>) { return }", "first element: write offset: ?"),
        ("func.func @f(%m: memref<4xf32, strided<[-1], offset: ?>>) { return }", "strides that are not negative"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_called_say_why(text, sentence):
    callable_beside_it = "func.func @ok(%out: memref<f32>) { return }\n"
    with pytest.raises(ch8.CompileError) as raised:
        ch8.execute(callable_beside_it + text, "f", [], (4,))
    assert str(raised.value).startswith("@f cannot be called from outside: ") and sentence in str(
        raised.value
    )
    assert ch8.execute(callable_beside_it + text, "ok", [], ()) == 0


def test_a_function_that_is_not_there():
    for name in ("g", "", "text.scale_rows", "_mlir_ciface_scale_rows", "malloc", "é"):
        with pytest.raises(ValueError, match="function: the text defines no @.*, it defines @scale_rows"):
            ch8.execute(ROWS, name, [x64, f6, 1], (6, 4))
    with pytest.raises(ValueError, match="it defines nothing"):
        ch8.execute("// nothing", "f", [], ())


@pytest.mark.parametrize("text", [b"func.func @f() { return }", None, 3, ["x"], pathlib.Path("x")])
def test_text_is_a_str(text):
    for call in (lambda: ch8.execute(text, "f", [], ()), lambda: ch8.stages(text), lambda: ch8.ir(text)):
        with pytest.raises(TypeError, match="mlir_text: expected a str, got "):
            call()
    with pytest.raises(TypeError, match="function: expected a str, got "):
        ch8.execute(ROWS, text, [], ())


def test_a_lone_surrogate_is_a_value_error():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        ch8.execute("\udc80", "f", [], ())


def test_brackets_in_comments_and_strings_do_not_nest():
    text = function("// " + "(" * 100 + "\n// " + '"' + ")" * 100) + "// <<<"
    assert ch8.execute(text, "f", [], (4,)).shape == (4,)
    with pytest.raises(ch8.CompileError, match="nested deeper"):  # and a closing one there closes nothing
        ch8.ir("module { // }\n" * 65)


def test_names_of_the_library_are_the_texts_own():
    """Without names of its own, @exp would be called by LLVM in place of libm's, and @malloc in place of libc's."""
    text = """
func.func @exp(%x: memref<4xf64>, %out: memref<4xf64>) {
  %copy = memref.alloc() : memref<4xf64>
  linalg.exp ins(%x : memref<4xf64>) outs(%copy : memref<4xf64>)
  memref.copy %copy, %out : memref<4xf64> to memref<4xf64>
  memref.dealloc %copy : memref<4xf64>
  return
}
func.func @malloc(%out: memref<4xf64>) { return }
func.func @free(%out: memref<4xf64>) { return }
func.func @memcpy(%out: memref<4xf64>) { return }
func.func @"two words"(%out: memref<4xf64>) { return }
memref.global @tanh : memref<4xf64> = dense<0.0>
"""
    x = np.linspace(-2, 2, 4)
    assert np.allclose(ch8.execute(text, "exp", [x], (4,)), np.exp(x), rtol=1e-15)
    for name in ("malloc", "two words"):
        assert not ch8.execute(text, name, [], (4,)).any()


def test_a_symbol_that_nothing_defines(capfd):
    """A copy between buffers without a rank needs a library of MLIR's; ORC alone would say so on stderr."""
    body = "%u = memref.cast %m : memref<4xf32> to memref<*xf32>\nmemref.copy %u, %u : memref<*xf32> to memref<*xf32>"
    with pytest.raises(ch8.CompileError, match="the module calls 'memrefCopy', which nothing here defines"):
        ch8.execute(function(body), "f", [], (4,))
    assert capfd.readouterr() == ("", "")


def test_aliases_of_aliases_are_no_bomb():
    bomb = "#a0 = [1]\n" + "".join(f"#a{i + 1} = [#a{i}, #a{i}]\n" for i in range(60))
    with pytest.raises(ch8.CompileError, match="attributes are nested too deeply"):
        ch8.ir(bomb + function("").replace(") {", ") attributes {x = #a60} {"))
    chain = "#a0 = [1]\n" + "".join(f"#a{i + 1} = [#a{i}]\n" for i in range(20_000))
    with pytest.raises(ch8.CompileError, match="attributes are nested too deeply"):
        ch8.ir(chain + function("").replace(") {", ") attributes {x = #a20000} {"))


def test_deep_recursion_has_stack():
    chain = "".join(f"%c{i + 1} = arith.addf %c{i}, %c{i} : f32\n" for i in range(3000))
    body = f"%i = arith.constant 0 : index\n%c0 = memref.load %x[%i] : memref<4xf32>\n{chain}"
    text = function(
        body + "memref.store %c3000, %out[] : memref<f32>", "%x: memref<4xf32>, %out: memref<f32>"
    )
    assert ch8.execute(text, "f", [np.zeros(4, np.float32)], ()) == 0
    terms = "d0 + " * 100_000
    ch8.ir(function(f"%c = arith.constant 0 : index\n%0 = affine.apply affine_map<(d0) -> ({terms}d0)>(%c)"))


# --- what is refused: what chance makes of text --------------------------------------------------------


def test_text_that_kills_the_compiler_is_an_error(capfd):
    """MLIR 22's parser uses memory that it has freed while it reports what is wrong with this text."""
    with pytest.raises(ch8.CompileError):
        ch8.execute((HERE / "fuzz" / "crash.mlir").read_text(), "f", [], ())
    memoized = function(
        "linalg.conv_1d {linalg.memoized_indexing_maps = [3, 4]} ins(%m, %m : memref<4xf32>, memref<4xf32>) "
        "outs(%m : memref<4xf32>)"
    )
    with pytest.raises(ch8.CompileError):
        ch8.ir(memoized)
    assert capfd.readouterr() == ("", "")


def test_a_missing_helper_is_a_sentence(tmp_path):
    """The extension without ch8_check beside it."""
    for file in chapters.build_folder(HERE).glob("ch8*.so"):
        (tmp_path / file.name).symlink_to(file)
        (tmp_path / file.name).unlink()
        (tmp_path / file.name).write_bytes(file.read_bytes())
    run_python(f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import ch8_custom_dialect as ch8
        try:
            ch8.ir("module {{}}")
        except ch8.CompileError as error:
            assert "ch8_check could not be started: No such file or directory" in str(error), error
        else:
            raise SystemExit("no error")
        assert ch8.ir("module {{}}", trusted=True) == "module {{\\n}}\\n"
    """)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
@example(909472)  # what stays has llvm.intr.vector.insert in it: "vector." within a name is no op of vector
def test_mutations_compile_or_are_refused(seed):
    text = corpus.mutated(random.Random(seed))
    try:
        stages = ch8.stages(text)
    except (ch8.CompileError, TypeError, ValueError) as error:
        assert len(str(error)) > 20, error  # a sentence
    else:
        assert stages[0][0] == "input" and not re.search(r"(?<![\w.])(linalg|scf|vector)\.", stages[-1][1])


@pytest.mark.parametrize("name", TEXTS)
def test_the_corpus_is_valid(name):
    assert "define void @text.f(" in ch8.llvm_ir(TEXTS[name])


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))

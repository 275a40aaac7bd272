"""Valid texts of every accepted dialect, and what chance makes of them: for the tests that feed execute() rubbish."""

import random
import re

# [corpus]
TEXTS = {
    "linalg": """
func.func @f(%a: memref<?x4xf32, strided<[?, ?], offset: ?>>, %b: memref<4x?xf32>, %s: f32, %out: memref<?x?xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%out : memref<?x?xf32>)
  linalg.matmul ins(%a, %b : memref<?x4xf32, strided<[?, ?], offset: ?>>, memref<4x?xf32>) outs(%out : memref<?x?xf32>)
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%out : memref<?x?xf32>) {
  ^bb0(%x: f32):
    %y = arith.mulf %x, %s : f32
    linalg.yield %y : f32
  }
  return
}
""",
    "tensor": """
func.func @f(%a: tensor<4x8xf32>, %row: tensor<8xf32>) -> tensor<4x8xf32> {
  %empty = tensor.empty() : tensor<4x8xf32>
  %wide = linalg.broadcast ins(%row : tensor<8xf32>) outs(%empty : tensor<4x8xf32>) dimensions = [0]
  %sum = linalg.add ins(%a, %wide : tensor<4x8xf32>, tensor<4x8xf32>) outs(%empty : tensor<4x8xf32>) -> tensor<4x8xf32>
  %part = tensor.extract_slice %sum[1, 2] [2, 3] [1, 2] : tensor<4x8xf32> to tensor<2x3xf32>
  %more = linalg.exp ins(%part : tensor<2x3xf32>) outs(%part : tensor<2x3xf32>) -> tensor<2x3xf32>
  %result = tensor.insert_slice %more into %sum[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<4x8xf32>
  %padded = call @padded(%result) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %padded : tensor<4x8xf32>
}
func.func private @padded(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %small = tensor.extract_slice %x[0, 0] [3, 7] [1, 1] : tensor<4x8xf32> to tensor<3x7xf32>
  %padded = tensor.pad %small low[1, 0] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<3x7xf32> to tensor<4x8xf32>
  return %padded : tensor<4x8xf32>
}
""",
    "scf": """
func.func @f(%x: memref<?xf64>, %n: index, %out: memref<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> f64 {
    %v = memref.load %x[%i] : memref<?xf64>
    %positive = arith.cmpf ogt, %v, %zero : f64
    %next = scf.if %positive -> f64 {
      %root = math.sqrt %v : f64
      %more = arith.addf %acc, %root : f64
      scf.yield %more : f64
    } else {
      scf.yield %acc : f64
    }
    scf.yield %next : f64
  }
  %tanh = math.tanh %sum : f64
  memref.store %tanh, %out[] : memref<f64>
  return
}
""",
    "vector": """
func.func @f(%a: memref<4x8xf32>, %b: memref<8x4xf32>, %out: memref<4x4xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %va = vector.transfer_read %a[%c0, %c0], %zero : memref<4x8xf32>, vector<4x8xf32>
  %vb = vector.transfer_read %b[%c0, %c0], %zero : memref<8x4xf32>, vector<8x4xf32>
  %acc = arith.constant dense<0.0> : vector<4x4xf32>
  %c = vector.contract {
    indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
    iterator_types = ["parallel", "parallel", "reduction"], kind = #vector.kind<add>
  } %va, %vb, %acc : vector<4x8xf32>, vector<8x4xf32> into vector<4x4xf32>
  %e = math.exp %c : vector<4x4xf32>
  %init = arith.constant dense<0.0> : vector<4xf32>
  %rows = vector.multi_reduction <add>, %e, %init [1] : vector<4x4xf32> to vector<4xf32>
  %wide = vector.broadcast %rows : vector<4xf32> to vector<4x4xf32>
  %t = vector.transpose %wide, [1, 0] : vector<4x4xf32> to vector<4x4xf32>
  vector.transfer_write %t, %out[%c0, %c0] : vector<4x4xf32>, memref<4x4xf32>
  return
}
""",
    "affine": """
#half = affine_map<(d0, d1) -> (d0 floordiv 2 + d1 mod 3)>
func.func @f(%x: memref<8x8xi32>, %k: i32, %out: memref<8x8xi32>) {
  affine.for %i = 0 to 8 {
    affine.for %j = 0 to 8 step 2 {
      %v = affine.load %x[%i, %j] : memref<8x8xi32>
      %s = affine.apply #half(%i, %j)
      %n = arith.index_cast %s : index to i32
      %w = arith.muli %v, %k : i32
      %y = arith.ceildivsi %w, %k : i32
      %z = arith.addi %y, %n : i32
      affine.if affine_set<(d0) : (d0 - 4 >= 0)>(%j) {
        affine.store %z, %out[%i, %j + 1] : memref<8x8xi32>
      }
    }
  }
  return
}
""",
    "memref": """
memref.global "private" constant @table : memref<4xi64> = dense<[3, 1, 2, 0]>
func.func @f(%x: memref<4x4xi64>, %out: memref<2x2xi64>) {
  %c0 = arith.constant 0 : index
  %table = memref.get_global @table : memref<4xi64>
  %buffer = memref.alloc() : memref<4x4xi64>
  %view = memref.subview %buffer[1, 1] [2, 2] [2, 1] : memref<4x4xi64> to memref<2x2xi64, strided<[8, 1], offset: 5>>
  memref.copy %x, %buffer : memref<4x4xi64> to memref<4x4xi64>
  %first = memref.load %table[%c0] : memref<4xi64>
  %old = memref.atomic_rmw addi %first, %buffer[%c0, %c0] : (i64, memref<4x4xi64>) -> i64
  memref.copy %view, %out : memref<2x2xi64, strided<[8, 1], offset: 5>> to memref<2x2xi64>
  memref.dealloc %buffer : memref<4x4xi64>
  return
}
""",
    "cf": """
func.func @f(%n: i64, %out: memref<1xi64>) {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1 : i64
  %zero = arith.constant 0 : i64
  cf.br ^head(%n, %one : i64, i64)
^head(%i: i64, %product: i64):
  %more = arith.cmpi sgt, %i, %zero : i64
  cf.cond_br %more, ^body, ^end
^body:
  %p = arith.muli %product, %i : i64
  %j = arith.subi %i, %one : i64
  cf.br ^head(%j, %p : i64, i64)
^end:
  memref.store %product, %out[%c0] : memref<1xi64>
  return
}
""",
    "bufferization": """
func.func @f(%a: memref<6xf32>, %b: memref<6xf32>, %out: memref<6xf32>) {
  %ta = bufferization.to_tensor %a restrict : memref<6xf32> to tensor<6xf32>
  %tb = bufferization.to_tensor %b restrict : memref<6xf32> to tensor<6xf32>
  %empty = tensor.empty() : tensor<6xf32>
  %r = linalg.map { arith.maximumf } ins(%ta, %tb : tensor<6xf32>, tensor<6xf32>) outs(%empty : tensor<6xf32>)
  bufferization.materialize_in_destination %r in restrict writable %out : (tensor<6xf32>, memref<6xf32>) -> ()
  return
}
""",
}
# [/corpus]

WORDS = re.compile(r"[@%#^!]?[\w.]+|->|\S")
NUMBERS = ["0", "1", "-1", "7", "64", "4097", "65536", "4294967296", str(2**63 - 1), str(2**64 - 1), "?"]
NUMBER_TYPES = [
    "f32",
    "f64",
    "f16",
    "bf16",
    "f80",
    "i1",
    "i8",
    "i32",
    "i64",
    "i128",
    "index",
    "none",
    "complex<f32>",
]
TYPES = [
    *NUMBER_TYPES,
    "vector<4xf32>",
    "vector<[4]xf32>",
    "tensor<4x8xf32>",
    "memref<*xf32>",
    "memref<4xf32, 3>",
]
TYPES += ["!llvm.ptr", "tuple<i32>"]
OPS = sorted({word for text in TEXTS.values() for word in re.findall(r"\b[a-z]+\.[a-z_]+\b", text)})
OPS += [
    "llvm.inline_asm",
    "cf.assert",
    "vector.print",
    "math.erf",
    "math.ipowi",
    "builtin.module",
    "scf.while",
]
ALL = tuple(TEXTS.values())


# [mutate]
def mutated(source: random.Random, texts=ALL) -> str:
    """One of the texts after one to four accidents."""
    text = source.choice(texts)
    for _ in range(source.choice([1, 1, 2, 4])):
        text = source.choice(
            [_cut, _drop_line, _swap_lines, _copy_line, _splice, _word, _word, _word, _character]
        )(source, text, texts)
    return text


# [/mutate]


def _cut(source, text, _):
    return text[: source.randrange(len(text) + 1)]


def _drop_line(source, text, _):
    lines = text.splitlines()
    number = source.randrange(len(lines) or 1)
    return "\n".join(lines[:number] + lines[number + 1 :])


def _swap_lines(source, text, _):
    lines = text.splitlines() or [""]
    i, j = source.randrange(len(lines)), source.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def _copy_line(source, text, _):
    lines = text.splitlines() or [""]
    lines.insert(source.randrange(len(lines)), source.choice(lines))
    return "\n".join(lines)


def _splice(source, text, texts):
    lines, others = text.splitlines() or [""], source.choice(texts).splitlines()
    start = source.randrange(len(others))
    position = source.randrange(len(lines))
    return "\n".join(lines[:position] + others[start : start + source.choice([1, 3, 99])] + lines[position:])


def _word(source, text, _):
    words = list(WORDS.finditer(text))
    if not words:
        return text
    word = source.choice(words)
    others = [other[0] for other in words if other[0][0] == word[0][0]]  # %a for %b, @f for @g
    if word[0].isdigit() or word[0] == "?":
        others = NUMBERS
    elif re.fullmatch(r"[fi]\d+|index", word[0]):
        others = TYPES
    elif "." in word[0] and word[0][0].islower():
        others = OPS
    elif re.fullmatch(r"\d+(x[\w?]+)+|\?(x[\w?]+)+", word[0]):
        others = ["x".join([source.choice(NUMBERS), *word[0].split("x")[1:]])]
    return text[: word.start()] + source.choice([*others, ""]) + text[word.end() :]


def _character(source, text, _):
    position = source.randrange(len(text) + 1)
    return (
        text[:position]
        + source.choice('(){}[]<>:,"%@#!^-=*\\\0\n é0')
        + text[position + source.randrange(2) :]
    )

// arithmetic.cpp - one step of a sum of products. See Arithmetic.h.
#include "ch14/Arithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace ch14 {

bool Arithmetic::integers() {
  return op.getWeight().getType().getElementType().isInteger();
}

int64_t Arithmetic::steps() { return op.getWeight().getType().getDimSize(1); }

Type Arithmetic::sumType() {
  return integers() ? Type(b.getI32Type()) : Type(b.getF32Type());
}

Value Arithmetic::zero() {
  auto type = VectorType::get({b.tile.lanes}, sumType());
  return arith::ConstantOp::create(b, b.getZeroAttr(type));
}

// [weights]
Value Arithmetic::weights(Value panel, Value step, int64_t column) {
  int64_t pair = op.isPaired() ? 2 : 1, lanes = b.tile.lanes * pair;
  Value w =
      b.load(op.getWeight(), {panel, step, b.index(column * pair)}, lanes);
  if (integers()) // i8 -> i16
    return arith::ExtSIOp::create(b, VectorType::get({lanes}, b.getI16Type()),
                                  w);
  if (!op.isPaired() && !w.getType().isF32() &&
      cast<VectorType>(w.getType()).getElementType().isBF16())
    return arith::ExtFOp::create(b, b.vector(lanes), w);
  return w;
}
// [/weights]

// [row]
Value Arithmetic::row(Value row, Value step) {
  int64_t lanes = b.tile.lanes;
  if (!op.isPaired())
    return b.splat(memref::LoadOp::create(b, op.getX(), ValueRange{row, step}),
                   lanes);
  // Two neighbours as one 32-bit word, in every lane.
  Value two = b.load(op.getX(), {row, b.mul(step, 2)}, 2);
  Type word = b.getI32Type();
  Value packed = vector::BitCastOp::create(b, VectorType::get({1}, word), two);
  Value all = b.splat(
      vector::ExtractOp::create(b, packed, ArrayRef<int64_t>{0}), lanes);
  Type element = op.getX().getType().getElementType();
  return vector::BitCastOp::create(b, VectorType::get({2 * lanes}, element),
                                   all);
}
// [/row]

/// a[2i] b[2i] + a[2i + 1] b[2i + 1] of 16-bit integers, in 32 bits.
static Value multiplyPairs(KernelBuilder &b, Value x, Value w) {
  int64_t lanes = cast<VectorType>(x.getType()).getDimSize(0) / 2;
  auto type = VectorType::get({lanes}, b.getI32Type());
  // The widest instruction of the host; wider vectors are halved.
  int64_t native = hostTile().lanes;
  if (lanes > native) {
    Value result = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t at = 0; at < lanes; at += native) {
      auto slice = [&](Value v) -> Value {
        return vector::ExtractStridedSliceOp::create(
            b, v, ArrayRef<int64_t>{2 * at}, ArrayRef<int64_t>{2 * native},
            ArrayRef<int64_t>{1});
      };
      result = vector::InsertStridedSliceOp::create(
          b, multiplyPairs(b, slice(x), slice(w)), result,
          ArrayRef<int64_t>{at}, ArrayRef<int64_t>{1});
    }
    return result;
  }
  StringRef name = lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                : "llvm.x86.sse2.pmadd.wd";
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name),
                                       ValueRange{x, w})
      .getResults();
}

// [multiply-add]
Value Arithmetic::multiplyAdd(Value x, Value w, Value acc) {
  if (integers())
    return arith::AddIOp::create(b, acc, multiplyPairs(b, x, w));
  if (op.isPaired())
    return x86vector::DotBF16Op::create(b, acc.getType(), acc, x, w);
  return b.fma(x, w, acc);
}
// [/multiply-add]

// [finish]
Value Arithmetic::finish(Value acc, Value row, Value column) {
  if (!integers())
    return acc;
  int64_t lanes = b.tile.lanes;
  Value sum = arith::SIToFPOp::create(b, b.vector(lanes), acc);
  Value scale = memref::LoadOp::create(b, op.getRowScales(), row);
  sum = arith::MulFOp::create(b, sum, b.splat(scale, lanes));
  return arith::MulFOp::create(b, sum,
                               b.load(op.getColumnScales(), column, lanes));
}
// [/finish]

} // namespace ch14

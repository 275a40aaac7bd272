//===- kernel_tile.cpp - one tile of C ------------------------------------===//
//
//   acc[row][chunk] = 0
//   for k:  acc[row][chunk] += A[row, k] * B[k, chunk]      registers
//   C[row, chunk] = epilogue(acc[row][chunk])
//
// Every element has one accumulator, and its sum runs over k from first to
// last, in a tile of 8 rows as in a tile of 1.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace ch10 {

//===--- Loops and vectors ------------------------------------------------===//

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantOp::create(*this, getIndexAttr(value));
}
Value KernelBuilder::add(Value a, Value b) {
  return createOrFold<arith::AddIOp>(a, b);
}
Value KernelBuilder::add(Value a, int64_t b) {
  return b ? add(a, index(b)) : a;
}
Value KernelBuilder::mul(Value a, int64_t b) {
  return createOrFold<arith::MulIOp>(a, index(b));
}
Value KernelBuilder::ceilDiv(Value a, int64_t b) {
  return createOrFold<arith::DivUIOp>(add(a, b - 1), index(b));
}
Value KernelBuilder::min(Value a, Value b) {
  return createOrFold<arith::MinUIOp>(a, b);
}

Values KernelBuilder::loop(Value lower, Value upper, int64_t step,
                           ValueRange carried,
                           function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(step), carried);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(*this, next);
  return Values(loop.getResults());
}

Value KernelBuilder::parallel(OpFoldResult count, Value into,
                              function_ref<Slice(Value)> slice,
                              function_ref<Value(Value, Value)> body) {
  auto partOf = [&](Value i, Value whole) {
    Slice at = slice(i);
    SmallVector<OpFoldResult> ones(at.sizes.size(), getIndexAttr(1));
    Value part = tensor::ExtractSliceOp::create(*this, whole, at.offsets,
                                                at.sizes, ones);
    return std::make_tuple(at, ones, body(i, part));
  };
  if (little) {
    Value end = getValueOrCreateConstantIndexOp(*this, getLoc(), count);
    return loop(index(0), end, 1, into,
                [&](Value i, ValueRange whole) -> Values {
                  auto [at, ones, done] = partOf(i, whole[0]);
                  return {tensor::InsertSliceOp::create(
                      *this, done, whole[0], at.offsets, at.sizes, ones)};
                })[0];
  }
  auto forall = scf::ForallOp::create(*this, ArrayRef<OpFoldResult>{count},
                                      ValueRange{into}, std::nullopt);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(forall.getBody());
  Value i = forall.getInductionVars().front();
  Value shared = forall.getRegionIterArgs().front();
  auto [at, ones, done] = partOf(i, shared);
  setInsertionPointToStart(forall.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(*this, done, shared, at.offsets,
                                        at.sizes, ones);
  return forall.getResult(0);
}

Value KernelBuilder::load(Value tensor, ValueRange at, int64_t lanes,
                          bool whole) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  Value zero = arith::ConstantOp::create(*this, getZeroAttr(element));
  auto map = AffineMap::getMinorIdentityMap(at.size(), 1, getContext());
  return vector::TransferReadOp::create(
      *this, VectorType::get({lanes}, element), tensor, at, zero, map,
      ArrayRef<bool>{whole});
}

Value KernelBuilder::store(Value vector, Value tensor, ValueRange at) {
  auto map = AffineMap::getMinorIdentityMap(at.size(), 1, getContext());
  return vector::TransferWriteOp::create(*this, vector, tensor, at, map,
                                         ArrayRef<bool>{true})
      .getResult();
}

Value KernelBuilder::splat(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(
      *this, VectorType::get({lanes}, scalar.getType()), scalar);
}

//===--- The loop over k --------------------------------------------------===//

// [dot]
/// acc + a0 * b0 + a1 * b1 for pairs of bfloat16 (a0, a1), (b0, b1), each in
/// one i32: by the processor's instruction, or widened and one after the other.
static Value multiplyPairs(KernelBuilder &b, const Cut &cut, Value x, Value y,
                           Value acc) {
  int64_t lanes = cut.tile.lanes;
  if (cut.dot) {
    auto pairs = VectorType::get({2 * lanes}, b.getBF16Type());
    Value px = vector::BitCastOp::create(b, pairs, x);
    Value py = vector::BitCastOp::create(b, pairs, y);
    return x86vector::DotBF16Op::create(b, acc.getType(), acc, px, py);
  }
  auto floats = cast<VectorType>(acc.getType());
  auto half = [&](Value v, bool high) -> Value {
    Value bits;
    if (high) {
      Value mask = b.splat(arith::ConstantOp::create(
                               b, b.getI32IntegerAttr(int32_t(0xffff0000))),
                           lanes);
      bits = arith::AndIOp::create(b, v, mask);
    } else {
      Value sixteen =
          b.splat(arith::ConstantOp::create(b, b.getI32IntegerAttr(16)), lanes);
      bits = arith::ShLIOp::create(b, v, sixteen);
    }
    return vector::BitCastOp::create(b, floats, bits);
  };
  for (bool high : {false, true})
    acc = vector::FMAOp::create(b, half(x, high), half(y, high), acc);
  return acc;
}
// [/dot]

// [accumulate]
Values accumulate(KernelBuilder &b, const Cut &cut, int64_t depth,
                  const Operands &operands, Values acc) {
  int64_t lanes = cut.tile.lanes, chunks = cut.columns() / lanes;
  int64_t rows = acc.size() / chunks;
  auto step = [&](Value k, Values acc) {
    Values row;
    for (int64_t c = 0; c < chunks; ++c)
      row.push_back(operands.b(c, k));
    for (int64_t r = 0; r < rows; ++r) {
      Value a = b.splat(operands.a(r, k), lanes);
      for (int64_t c = 0; c < chunks; ++c) {
        Value &sum = acc[r * chunks + c];
        sum = cut.bf16 ? multiplyPairs(b, cut, a, row[c], sum)
                       : Value(vector::FMAOp::create(b, a, row[c], sum));
      }
    }
    return acc;
  };
  int64_t whole = depth / kUnroll * kUnroll;
  acc = b.loop(b.index(0), b.index(whole), kUnroll, acc,
               [&](Value k, ValueRange carried) {
                 Values next(carried);
                 if (operands.eachTurn)
                   operands.eachTurn(k);
                 for (int64_t u = 0; u < kUnroll; ++u)
                   next = step(b.add(k, u), next);
                 return next;
               });
  for (int64_t k = whole; k < depth; ++k)
    acc = step(b.index(k), acc);
  return acc;
}
// [/accumulate]

//===--- What comes after the product -------------------------------------===//

/// Operand `i` of `op` as it is indexed: all axes, the last, the first, none.
static AffineMap mapOf(linalg::GenericOp op, OpOperand &operand) {
  return op.getMatchingIndexingMap(&operand);
}

// [is-epilogue]
bool isEpilogue(linalg::GenericOp op, Value product) {
  if (op.getNumLoops() != 2 || op.getNumParallelLoops() != 2 ||
      op.getNumDpsInits() != 1 ||
      !mapOf(op, *op.getDpsInitOperand(0)).isIdentity() ||
      op.payloadUsesValueFromOperand(op.getDpsInitOperand(0)))
    return false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = mapOf(op, *operand);
    if (!map.isProjectedPermutation() ||
        (map.getNumResults() == 2 && !map.isIdentity()) ||
        (operand->get() == product && !map.isIdentity()))
      return false;
  }
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &o) {
    return isa<arith::ConstantOp>(o) ||
           (o.getNumRegions() == 0 && isMemoryEffectFree(&o) &&
            OpTrait::hasElementwiseMappableTraits(&o));
  });
}
// [/is-epilogue]

// [epilogue]
Value applyEpilogue(KernelBuilder &b, linalg::GenericOp op, Value product,
                    Value value, Value row, Value column, bool whole) {
  int64_t lanes = cast<VectorType>(value.getType()).getDimSize(0);
  IRMapping elements;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    Value tensor = operand->get();
    AffineMap map = mapOf(op, *operand);
    Values at;
    bool alongRow = false;
    for (AffineExpr axis : map.getResults()) {
      alongRow = axis == b.getAffineDimExpr(1);
      at.push_back(alongRow ? column : row);
    }
    Value element;
    if (tensor == product)
      element = value;
    else if (alongRow)
      element = b.load(tensor, at, lanes, whole);
    else
      element = b.splat(tensor::ExtractOp::create(b, tensor, at), lanes);
    elements.map(op.getMatchingBlockArgument(operand), element);
  }
  // The body's ops, on vectors instead of scalars.
  for (Operation &scalar : op.getBlock()->without_terminator()) {
    if (isa<arith::ConstantOp>(scalar)) {
      elements.map(scalar.getResult(0),
                   b.splat(b.clone(scalar)->getResult(0), lanes));
      continue;
    }
    OperationState state(b.getLoc(), scalar.getName());
    for (Value operand : scalar.getOperands())
      state.addOperands(elements.contains(operand) ? elements.lookup(operand)
                                                   : b.splat(operand, lanes));
    for (Type type : scalar.getResultTypes())
      state.addTypes(VectorType::get({lanes}, type));
    state.addAttributes(scalar.getAttrs());
    state.propertiesAttr = scalar.getPropertiesAsAttribute();
    Operation *vector = b.create(state);
    for (auto [from, to] : llvm::zip(scalar.getResults(), vector->getResults()))
      elements.map(from, to);
  }
  Value result = op.getBlock()->getTerminator()->getOperand(0);
  return elements.contains(result) ? elements.lookup(result)
                                   : b.splat(result, lanes);
}
// [/epilogue]

} // namespace ch10

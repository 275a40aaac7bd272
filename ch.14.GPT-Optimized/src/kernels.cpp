// kernels.cpp - the words that the kernels are written in. See Kernels.h.
#include "ch14/Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ch14 {

//===--- Scalars and indices ----------------------------------------------===//

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantOp::create(*this, getIndexAttr(value));
}

Value KernelBuilder::f32(double value) {
  return arith::ConstantOp::create(*this, getF32FloatAttr(value));
}

Value KernelBuilder::dim(Value memref, int64_t i) {
  return memref::DimOp::create(*this, memref, i);
}

Value KernelBuilder::loadIndex(Value memref, ValueRange indices) {
  Value value = memref::LoadOp::create(*this, memref, indices);
  return arith::IndexCastOp::create(*this, getIndexType(), value);
}

Value KernelBuilder::add(Value a, Value b) {
  return arith::AddIOp::create(*this, a, b);
}

Value KernelBuilder::sub(Value a, Value b) {
  return arith::SubIOp::create(*this, a, b);
}

Value KernelBuilder::mul(Value a, int64_t b) {
  return arith::MulIOp::create(*this, a, index(b));
}

Value KernelBuilder::floorDiv(Value a, int64_t b) {
  return arith::DivUIOp::create(*this, a, index(b));
}

Value KernelBuilder::rem(Value a, int64_t b) {
  return arith::RemUIOp::create(*this, a, index(b));
}

//===--- Loops ------------------------------------------------------------===//

void KernelBuilder::loop(Value lower, Value upper, int64_t step, Body body) {
  loop(lower, upper, step, {}, [&](Value iv, ValueRange) {
    body(iv);
    return Values();
  });
}

Values KernelBuilder::loop(Value lower, Value upper, int64_t step,
                           ValueRange carried, CarryBody body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(step), carried);
  OpBuilder::InsertionGuard guard(*this);
  // A loop that carries nothing is created with its terminator, one that
  // carries values without.
  setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(*this, next);
  return Values(loop.getResults());
}

// [parallel]
void KernelBuilder::parallel(Value lower, Value upper, Body body) {
  if (!threads)
    return loop(lower, upper, 1, body);
  auto loop = scf::ParallelOp::create(*this, lower, upper, index(1));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVars()[0]);
}

void KernelBuilder::parallelRows(Value count, Body body) {
  constexpr int64_t kFew = 16;
  auto serial = [&] { loop(index(0), count, 1, body); };
  if (threads)
    branch(less(count, index(kFew)), serial,
           [&] { parallel(index(0), count, body); });
  else
    serial();
}
// [/parallel]

void KernelBuilder::branch(Value condition, function_ref<void()> then,
                           function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  then();
  setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

Value KernelBuilder::stackBuffer(ArrayRef<int64_t> sizes, Type type) {
  OpBuilder::InsertionGuard guard(*this);
  Operation *parent = getInsertionBlock()->getParentOp();
  while (!isa<scf::ParallelOp, FunctionOpInterface>(parent))
    parent = parent->getParentOp();
  setInsertionPointToStart(&parent->getRegion(0).front());
  return memref::AllocaOp::create(*this, MemRefType::get(sizes, type),
                                  getI64IntegerAttr(64));
}

Value KernelBuilder::less(Value a, Value b) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, a, b);
}

Value KernelBuilder::equal(Value a, Value b) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, a, b);
}

Value KernelBuilder::smaller(Value a, Value b) {
  return arith::MinUIOp::create(*this, a, b);
}

Value KernelBuilder::larger(Value a, Value b) {
  return arith::MaxUIOp::create(*this, a, b);
}

Value KernelBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(*this, condition, a, b);
}

//===--- Vectors ----------------------------------------------------------===//

VectorType KernelBuilder::vector(int64_t lanes) {
  return VectorType::get({lanes}, getF32Type());
}

Value KernelBuilder::splat(Value scalar, int64_t lanes) {
  auto type = VectorType::get({lanes}, scalar.getType());
  return vector::BroadcastOp::create(*this, type, scalar);
}

Value KernelBuilder::load(Value memref, ValueRange indices, int64_t lanes) {
  auto type = VectorType::get(
      {lanes}, cast<MemRefType>(memref.getType()).getElementType());
  return vector::LoadOp::create(*this, type, memref, indices);
}

void KernelBuilder::store(Value vector, Value memref, ValueRange indices) {
  vector::StoreOp::create(*this, vector, memref, indices);
}

Value KernelBuilder::fma(Value a, Value b, Value c) {
  return vector::FMAOp::create(*this, a, b, c);
}

// [reduce]
Value KernelBuilder::reduce(Value vector,
                            function_ref<Value(Value, Value)> combine) {
  int64_t lanes = cast<VectorType>(vector.getType()).getDimSize(0);
  auto slice = [&](int64_t offset, int64_t size) {
    return vector::ExtractStridedSliceOp::create(
               *this, vector, ArrayRef<int64_t>{offset},
               ArrayRef<int64_t>{size}, ArrayRef<int64_t>{1})
        .getResult();
  };
  if (lanes == 1)
    return vector::ExtractOp::create(*this, vector, ArrayRef<int64_t>{0});
  int64_t half = llvm::PowerOf2Ceil(lanes) / 2;
  if (half * 2 == lanes)
    return reduce(combine(slice(0, half), slice(half, half)), combine);
  return combine(reduce(slice(0, half), combine),
                 reduce(slice(half, lanes - half), combine));
}
// [/reduce]

Value KernelBuilder::sum(Value vector) {
  return reduce(vector, [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(*this, a, b);
  });
}

Value KernelBuilder::max(Value a, Value b) {
  // One vmaxps; maximumf would spend four instructions on NaN and signed zero.
  Value greater = arith::CmpFOp::create(*this, arith::CmpFPredicate::OGT, a, b);
  return arith::SelectOp::create(*this, greater, a, b);
}

Value KernelBuilder::maximum(Value vector) {
  return reduce(vector, [&](Value a, Value b) { return max(a, b); });
}

//===--- Rows in vectors --------------------------------------------------===//

void KernelBuilder::columns(int64_t count,
                            function_ref<void(Value, int64_t)> body) {
  int64_t whole = count / tile.lanes * tile.lanes;
  if (whole)
    loop(index(0), index(whole), tile.lanes,
         [&](Value column) { body(column, tile.lanes); });
  if (whole < count)
    body(index(whole), count - whole);
}

Value KernelBuilder::reduceColumns(int64_t count,
                                   function_ref<Value(Value, int64_t)> body,
                                   function_ref<Value(Value, Value)> combine) {
  int64_t whole = count / tile.lanes * tile.lanes;
  Value total;
  if (whole) {
    Value zero = splat(f32(0), tile.lanes);
    Values parts =
        loop(index(0), index(whole), tile.lanes, zero,
             [&](Value column, ValueRange carried) -> Values {
               return {combine(carried[0], body(column, tile.lanes))};
             });
    total = reduce(parts[0], combine);
  }
  if (whole < count) {
    Value rest = reduce(body(index(whole), count - whole), combine);
    total = total ? combine(total, rest) : rest;
  }
  return total;
}

Value KernelBuilder::sumColumns(int64_t count,
                                function_ref<Value(Value, int64_t)> body) {
  return reduceColumns(count, body, [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(*this, a, b);
  });
}

// [gelu]
Value gelu(KernelBuilder &b, Value v) {
  int64_t lanes = cast<VectorType>(v.getType()).getDimSize(0);
  auto number = [&](double value) { return b.splat(b.f32(value), lanes); };
  auto mul = [&](Value x, Value y) -> Value {
    return arith::MulFOp::create(b, x, y);
  };
  Value cube = mul(mul(v, v), v);
  Value inside = mul(number(0.7978845608028654), // sqrt(2 / pi)
                     b.fma(number(0.044715), cube, v));
  Value tanh = math::TanhOp::create(b, inside);
  Value half = mul(number(0.5), v);
  return b.fma(half, tanh, half);
}
// [/gelu]

} // namespace ch14

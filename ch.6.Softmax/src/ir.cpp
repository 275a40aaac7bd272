// ir.cpp - builds the IR of this chapter: exp, and softmax in three forms.
//
//   @exp             for each x:   y = exp(x)
//   @naive_softmax   for each row: sum = fold(exp(x));       y = exp(x) / sum
//   @scalar_softmax  for each row: max = fold(x)
//                                  sum = fold(exp(x - max)); y = ... / sum
//   @softmax         the same with sixteen sums side by side: a vector is
//                    what the loop carries
//
// First step of the chapter: here -> lowering.cpp -> jit.cpp. All have one
// type, (X, Y) -> (): X with any strides, Y new and dense. A folded value is an
// scf.for that carries it from turn to turn (iter_args).
#include "ch6/Softmax.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>
#include <stdexcept>

using namespace mlir;

namespace ch6 {

void registerDialects(DialectRegistry &registry) {
  registry
      .insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
              LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
              scf::SCFDialect, vector::VectorDialect>();
}

FunctionType kernelType(MLIRContext *context) {
  Builder b(context);
  constexpr int64_t any = ShapedType::kDynamic;
  auto anyStrides = StridedLayoutAttr::get(context, any, {any, any});
  auto typeX = MemRefType::get({any, any}, b.getF32Type(), anyStrides);
  auto typeY = MemRefType::get({any, any}, b.getF32Type());
  return b.getFunctionType({typeX, typeY}, /*results=*/{});
}

namespace {

//===--- Loops ------------------------------------------------------------===//

Value index(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(b, b.getIndexAttr(value));
}

Value constant(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

const float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// for j = from, from + step, ... below to: body(j)
template <typename Body>
void forEach(ImplicitLocOpBuilder &b, Value from, Value to, Value step,
             Body body) {
  scf::ForOp::create(b, from, to, step, ValueRange(),
                     [&](OpBuilder &nested, Location loc, Value j, ValueRange) {
                       ImplicitLocOpBuilder inner(loc, nested);
                       body(inner, j);
                       scf::YieldOp::create(inner);
                     });
}

// [fold]
/// The same with a value that each turn gets from the one before: `init` at
/// first, then what body(j, carried) returned. The last one is the result.
template <typename Body>
Value fold(ImplicitLocOpBuilder &b, Value from, Value to, Value step,
           Value init, Body body) {
  auto loop = scf::ForOp::create(
      b, from, to, step, init,
      [&](OpBuilder &nested, Location loc, Value j, ValueRange carried) {
        ImplicitLocOpBuilder inner(loc, nested);
        Value next = body(inner, j, carried[0]);
        scf::YieldOp::create(inner, next);
      });
  return loop.getResult(0);
}
// [/fold]

/// What the body of a function starts from.
struct Arrays {
  Value X, Y, rows, n, zero, one;
};

//===--- The four bodies --------------------------------------------------===//

/// y[i, j] = exp(x[i, j])
void buildExp(ImplicitLocOpBuilder &b, const Arrays &a) {
  forEach(b, a.zero, a.rows, a.one, [&](ImplicitLocOpBuilder &b, Value i) {
    forEach(b, a.zero, a.n, a.one, [&](ImplicitLocOpBuilder &b, Value j) {
      Value x = memref::LoadOp::create(b, a.X, ValueRange{i, j});
      Value e = math::ExpOp::create(b, x);
      memref::StoreOp::create(b, e, a.Y, ValueRange{i, j});
    });
  });
}

/// y[i, j] = y[i, j] / sum, for one row i.
void normalize(ImplicitLocOpBuilder &b, const Arrays &a, Value i, Value sum) {
  forEach(b, a.zero, a.n, a.one, [&](ImplicitLocOpBuilder &b, Value j) {
    Value e = memref::LoadOp::create(b, a.Y, ValueRange{i, j});
    Value y = arith::DivFOp::create(b, e, sum);
    memref::StoreOp::create(b, y, a.Y, ValueRange{i, j});
  });
}

/// One element at a time. Without subtractMax this is the formula of the
/// textbook, which overflows.
void buildScalar(ImplicitLocOpBuilder &b, const Arrays &a, bool subtractMax) {
  forEach(b, a.zero, a.rows, a.one, [&](ImplicitLocOpBuilder &b, Value i) {
    Value max;
    if (subtractMax)
      max = fold(b, a.zero, a.n, a.one, constant(b, kMinusInfinity),
                 [&](ImplicitLocOpBuilder &b, Value j, Value before) -> Value {
                   Value x = memref::LoadOp::create(b, a.X, ValueRange{i, j});
                   return arith::MaximumFOp::create(b, before, x);
                 });
    // [scalar]
    Value sum =
        fold(b, a.zero, a.n, a.one, constant(b, 0.0f),
             [&](ImplicitLocOpBuilder &b, Value j, Value before) -> Value {
               Value x = memref::LoadOp::create(b, a.X, ValueRange{i, j});
               if (subtractMax)
                 x = arith::SubFOp::create(b, x, max);
               Value e = math::ExpOp::create(b, x);
               memref::StoreOp::create(b, e, a.Y, ValueRange{i, j});
               return arith::AddFOp::create(b, before, e);
             });
    // [/scalar]
    normalize(b, a, i, sum);
  });
}

/// Sixteen sums side by side: lane l adds the elements l, l + 16, l + 32, ...
void buildVector(ImplicitLocOpBuilder &b, const Arrays &a) {
  auto lanes = VectorType::get(kLanes, b.getF32Type());
  Value step = index(b, kLanes);
  Value rest = arith::RemUIOp::create(b, a.n, step);
  Value full = arith::SubIOp::create(b, a.n, rest);
  Value mask =
      vector::CreateMaskOp::create(b, lanes.clone(b.getI1Type()), rest);
  Value minusInfinity = constant(b, kMinusInfinity);
  Value zeros = vector::BroadcastOp::create(b, lanes, constant(b, 0.0f));

  forEach(b, a.zero, a.rows, a.one, [&](ImplicitLocOpBuilder &b, Value i) {
    // X may have any strides, and vectors want neighbours. This loop reads each
    // x anyway, so it lays the row down in Y.
    Value max =
        fold(b, a.zero, a.n, a.one, minusInfinity,
             [&](ImplicitLocOpBuilder &b, Value j, Value before) -> Value {
               Value x = memref::LoadOp::create(b, a.X, ValueRange{i, j});
               memref::StoreOp::create(b, x, a.Y, ValueRange{i, j});
               return arith::MaximumFOp::create(b, before, x);
             });

    // [sums]
    // y[i, j..j+16] = exp(y[i, j..j+16] - max), added to the sums. Where there
    // is a mask, a lane without its bit reads as -inf; exp makes 0 of it, and
    // the sum does not notice.
    Value maxes = vector::BroadcastOp::create(b, lanes, max);
    auto expAndSum = [&](ImplicitLocOpBuilder &b, Value j, Value before,
                         Value mask) -> Value {
      SmallVector<Value> at = {i, j};
      auto map = AffineMapAttr::get(
          AffineMap::getMinorIdentityMap(2, 1, b.getContext()));
      auto inBounds = b.getBoolArrayAttr({true});
      Value x = vector::TransferReadOp::create(b, lanes, a.Y, at, map,
                                               minusInfinity, mask, inBounds);
      Value e = math::ExpOp::create(b, arith::SubFOp::create(b, x, maxes));
      vector::TransferWriteOp::create(b, e, a.Y, at, map, mask, inBounds);
      return arith::AddFOp::create(b, before, e);
    };
    Value sums =
        fold(b, a.zero, full, step, zeros,
             [&](ImplicitLocOpBuilder &b, Value j, Value before) -> Value {
               return expAndSum(b, j, before, /*mask=*/{});
             });
    sums = expAndSum(b, full, sums, mask);
    // [/sums]

    // Lane 0, then lane 1, ...: without fastmath<reassoc>, in this order.
    Value sum =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums);
    normalize(b, a, i, sum);
  });
}

} // namespace

void checkKernel(const std::string &name) {
  for (const char *known :
       {"exp", "naive_softmax", "scalar_softmax", "softmax"})
    if (name == known)
      return;
  throw std::invalid_argument("kernel: expected 'exp', 'naive_softmax', "
                              "'scalar_softmax' or 'softmax', got '" +
                              name + "'");
}

OwningOpRef<ModuleOp> buildKernel(MLIRContext *context,
                                  const std::string &name) {
  checkKernel(name);
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, name, kernelType(context));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  Arrays a;
  a.X = entry->getArgument(0);
  a.Y = entry->getArgument(1);
  a.zero = index(b, 0);
  a.one = index(b, 1);
  a.rows = memref::DimOp::create(b, a.X, a.zero);
  a.n = memref::DimOp::create(b, a.X, a.one);
  if (name == "exp")
    buildExp(b, a);
  else if (name == "softmax")
    buildVector(b, a);
  else
    buildScalar(b, a, /*subtractMax=*/name == "scalar_softmax");
  func::ReturnOp::create(b);

  ch1::verifyOrThrow(*module);
  return module;
}

} // namespace ch6

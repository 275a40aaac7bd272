//===- linalg.cpp - linalg on tensors, built in a line --------------------===//

#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;

Value ch9::constant(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

Value ch9::emptyLike(ImplicitLocOpBuilder &b, Value like) {
  return tensor::EmptyOp::create(
      b, tensor::getMixedSizes(b, b.getLoc(), like),
      cast<RankedTensorType>(like.getType()).getElementType());
}

Value ch9::filled(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes,
                  double value) {
  Value empty = tensor::EmptyOp::create(b, sizes, b.getF32Type());
  return linalg::FillOp::create(b, constant(b, value), empty).getResult(0);
}

/// The map from `rank` loops to `count` of them, from `first` on.
static AffineMap someAxes(ImplicitLocOpBuilder &b, int64_t rank, int64_t first,
                          int64_t count) {
  AffineMap all = b.getMultiDimIdentityMap(rank);
  return AffineMap::get(rank, 0, all.getResults().slice(first, count),
                        b.getContext());
}

// [elementwise]
Value ch9::elementwise(ImplicitLocOpBuilder &b, ValueRange operands,
                       const ElementFn &body, ArrayRef<unsigned> rowwise) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  int64_t rank = type.getRank();
  SmallVector<AffineMap> maps;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    int64_t own = cast<RankedTensorType>(operand.getType()).getRank();
    int64_t first = llvm::is_contained(rowwise, i) ? 0 : rank - own;
    maps.push_back(someAxes(b, rank, first, own));
  }
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  Value out = emptyLike(b, operands[0]);
  auto generic = linalg::GenericOp::create(
      b, TypeRange{type}, operands, out, maps, loops,
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        ImplicitLocOpBuilder inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, elements.drop_back()));
      });
  return generic.getResult(0);
}
// [/elementwise]

Value ch9::reduceRows(ImplicitLocOpBuilder &b, Value input, double init,
                      const ElementFn &body) {
  auto type = cast<RankedTensorType>(input.getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), input);
  sizes.pop_back();
  Value start = filled(b, sizes, init);
  SmallVector<AffineMap> maps = {someAxes(b, rank, 0, rank),
                                 someAxes(b, rank, 0, rank - 1)};
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  loops.back() = utils::IteratorType::reduction;
  auto generic = linalg::GenericOp::create(
      b, TypeRange{start.getType()}, input, start, maps, loops,
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        ImplicitLocOpBuilder inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, elements));
      });
  return generic.getResult(0);
}

/// The element of a one-result op of two elements.
template <typename ScalarOp>
static Value binary(ImplicitLocOpBuilder &b, ValueRange elements) {
  return ScalarOp::create(b, elements[0], elements[1]);
}

// [softmax]
Value ch9::softmax(ImplicitLocOpBuilder &b, Value x) {
  Value max = reduceRows(b, x, -INFINITY, binary<arith::MaximumFOp>);
  Value exp = elementwise(
      b, {x, max},
      [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        Value below = arith::SubFOp::create(b, e[0], e[1]);
        return math::ExpOp::create(b, below);
      },
      /*rowwise=*/1);
  Value sum = reduceRows(b, exp, 0.0, binary<arith::AddFOp>);
  return elementwise(b, {exp, sum}, binary<arith::DivFOp>, /*rowwise=*/1);
}
// [/softmax]

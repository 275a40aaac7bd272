// kernel_quantize.cpp - rows made ready for a product in pairs.
//
//   transformer.rows_quantize %x into %out scales %s
//
//   s[t]      = max |x[t]| / limit
//   out[t, k] = round(x[t, k] * limit / max |x[t]|)     i16, nearest even
//
// or, without scales, out[t, k] = bf16(x[t, k]). A row's numbers depend on that
// row alone.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

struct QuantizeKernel : Kernel<RowsQuantizeOp> {
  using Kernel::Kernel;

  void emit(KernelBuilder &b, RowsQuantizeOp op) const override {
    int64_t columns = op.getColumns();
    Type element = op.getOut().getType().getElementType();
    b.parallelRows(b.dim(op.getX(), 0), [&](Value row) {
      auto x = [&](Value column, int64_t lanes) {
        return b.load(op.getX(), {row, column}, lanes);
      };
      Value inverse = op.getScales() ? scale(b, op, row, x) : Value();
      b.columns(columns, [&](Value column, int64_t lanes) {
        auto type = VectorType::get({lanes}, element);
        Value out;
        if (inverse) {
          Value scaled = arith::MulFOp::create(b, x(column, lanes),
                                               b.splat(inverse, lanes));
          Value nearest = math::RoundEvenOp::create(b, scaled);
          Value integer = arith::FPToSIOp::create(
              b, VectorType::get({lanes}, b.getI32Type()), nearest);
          out = arith::TruncIOp::create(b, type, integer);
        } else {
          out = arith::TruncFOp::create(b, type, x(column, lanes));
        }
        b.store(out, op.getOut(), {row, column});
      });
      // The second of the last pair, where K is odd.
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
      for (int64_t c = columns; c < op.getOut().getType().getDimSize(1); ++c)
        memref::StoreOp::create(b, zero, op.getOut(),
                                ValueRange{row, b.index(c)});
    });
  }

private:
  // [scale]
  /// Writes the row's scale, and returns its inverse: 0 for a row of (almost)
  /// zeros. A NaN in the row becomes the scale, and so reaches every product.
  static Value scale(KernelBuilder &b, RowsQuantizeOp op, Value row,
                     function_ref<Value(Value, int64_t)> x) {
    auto greater = [&](Value a, Value c) -> Value {
      return arith::MaximumFOp::create(b, a, c); // keeps NaN
    };
    Value greatest = b.reduceColumns(
        op.getColumns(),
        [&](Value column, int64_t lanes) -> Value {
          return math::AbsFOp::create(b, x(column, lanes));
        },
        greater);
    Value limit = b.f32(op.getLimit());
    memref::StoreOp::create(b, arith::DivFOp::create(b, greatest, limit),
                            op.getScales(), row);
    // So small that its inverse may have none.
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, greatest,
                                         b.f32(1e-30));
    Value inverse = arith::DivFOp::create(b, limit, greatest);
    return b.select(isZero, b.f32(0), inverse);
  }
  // [/scale]
};

} // namespace

void populateQuantizeKernel(RewritePatternSet &patterns, Tile tile,
                            bool threads) {
  patterns.add<QuantizeKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14

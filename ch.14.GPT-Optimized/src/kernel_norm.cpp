// kernel_norm.cpp - layer norm of every row.
//
//   transformer.rows_norm %x, %gamma, %beta into %out
//
//   mean     = sum(x[t]) / D
//   variance = sum((x[t] - mean)^2) / D          the two-pass form: no
//   cancellation out[t]   = (x[t] - mean) / sqrt(variance + epsilon) * gamma +
//   beta
//
// A row is read three times, from L1 after the first.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

struct NormKernel : Kernel<RowsNormOp> {
  using Kernel::Kernel;

  void emit(KernelBuilder &b, RowsNormOp op) const override {
    int64_t width = op.getGamma().getType().getDimSize(0);
    b.parallelRows(b.dim(op.getX(), 0), [&](Value row) {
      auto x = [&](Value column, int64_t lanes) {
        return b.load(op.getX(), {row, column}, lanes);
      };
      Value mean = scaled(b, b.sumColumns(width, x), width);
      auto centred = [&](Value column, int64_t lanes) -> Value {
        return arith::SubFOp::create(b, x(column, lanes), b.splat(mean, lanes));
      };
      Value variance = scaled(
          b,
          b.sumColumns(width,
                       [&](Value column, int64_t lanes) {
                         Value d = centred(column, lanes);
                         return arith::MulFOp::create(b, d, d).getResult();
                       }),
          width);
      Value deviation = math::SqrtOp::create(
          b, arith::AddFOp::create(b, variance,
                                   b.f32(op.getEpsilon().convertToFloat())));
      Value inverse = arith::DivFOp::create(b, b.f32(1), deviation);

      b.columns(width, [&](Value column, int64_t lanes) {
        Value normal = arith::MulFOp::create(b, centred(column, lanes),
                                             b.splat(inverse, lanes));
        Value out = b.fma(normal, b.load(op.getGamma(), column, lanes),
                          b.load(op.getBeta(), column, lanes));
        b.store(out, op.getOut(), {row, column});
      });
    });
  }

private:
  static Value scaled(KernelBuilder &b, Value sum, int64_t count) {
    return arith::DivFOp::create(b, sum, b.f32(count));
  }
};

} // namespace

void populateNormKernel(RewritePatternSet &patterns, Tile tile, bool threads) {
  patterns.add<NormKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14

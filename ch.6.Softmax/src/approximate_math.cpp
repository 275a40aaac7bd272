// approximate_math.cpp - a pass that makes polynomials of exp and tanh.
//
//   %e = math.exp %x : vector<16xf32>
//     ->
//   %n = math.floor (x * log2(e) + 1/2)     arith.select, math.fma, arith.shli:
//   %e = p(x - n * ln(2)) * 2^n             no function is called
//
// MLIR has the rewrite as patterns and, outside of its own tests, no pass that
// applies them: this is that pass, a library of its own so that later chapters
// can link it.
#include "ch6/ApproximateMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace {

struct ApproximateMathPass
    : PassWrapper<ApproximateMathPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ApproximateMathPass)

  explicit ApproximateMathPass(StringRef flag) : flag(flag) {}
  StringRef getArgument() const final { return flag; }
  StringRef getDescription() const final {
    return "exp and tanh become polynomials";
  }

  // What the patterns create must be loaded before they run.
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, math::MathDialect,
                    vector::VectorDialect>();
  }

  // [run]
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
      return name == math::ExpOp::getOperationName() ||
             name == math::TanhOp::getOperationName();
    });
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
  // [/run]

  std::string flag;
};

} // namespace

std::unique_ptr<Pass> ch6::createApproximateMathPass(StringRef flag) {
  return std::make_unique<ApproximateMathPass>(flag);
}

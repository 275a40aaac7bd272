//===- copies.cpp - copies of strided buffers become loops ----------------===//
//
//   memref.copy %a, %b, one of them strided -> linalg.copy   (loops later)
//   memref.copy %a, %b, both dense                           stays: a memcpy
//
//===----------------------------------------------------------------------===//

#include "ch9/Linalg.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace {

/// memref.copy of strided buffers would call into a runtime library; loops do
/// not.
struct CopyToLoops : OpRewritePattern<memref::CopyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::CopyOp op,
                                PatternRewriter &rewriter) const override {
    auto isDense = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return type && type.getLayout().isIdentity();
    };
    if (isDense(op.getSource()) && isDense(op.getTarget()))
      return rewriter.notifyMatchFailure(op, "a dense copy becomes memcpy");
    rewriter.replaceOpWithNewOp<linalg::CopyOp>(op, op.getSource(),
                                                op.getTarget());
    return success();
  }
};

struct CopiesToLoopsPass
    : PassWrapper<CopiesToLoopsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CopiesToLoopsPass)
  explicit CopiesToLoopsPass(StringRef flag = "") : flag(flag) {}
  StringRef getArgument() const final { return flag; }
  StringRef getDescription() const final {
    return "copies between strided buffers become linalg.copy";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<linalg::LinalgDialect>();
  }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    patterns.add<CopyToLoops>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }

  StringRef flag; // a literal
};

} // namespace

std::unique_ptr<Pass> ch9::createCopiesToLoopsPass(StringRef flag) {
  return std::make_unique<CopiesToLoopsPass>(flag);
}

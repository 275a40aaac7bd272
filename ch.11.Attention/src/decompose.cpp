//===- decompose.cpp - attention in terms of smaller ops ------------------===//
//
//   transformer.attention
//     --ch11-decompose-->
//   expand_shape, transpose    split the columns into heads
//   scale, matmul              scores of every query with every key
//   linalg.generic             causal mask
//   softmax, matmul            weighted means of the values
//   transpose, collapse_shape  join the heads
//
// First in the pipeline. The result still belongs to the transformer dialect:
// lowering.cpp takes it from there and knows nothing of attention.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch11/Transformer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"

#include <cmath>

using namespace mlir;
using namespace transformer;

namespace {

// [split-heads]
/// [T, D] -> [T, heads, D / heads] -> the axes in the order of `permutation`.
/// Head h is columns h * D/heads to (h + 1) * D/heads: expand_shape only looks
/// at the same numbers differently, transpose moves them.
Value splitHeads(ImplicitLocOpBuilder &b, Value matrix, int64_t heads,
                 ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(matrix.getType());
  auto split =
      type.clone({type.getDimSize(0), heads, type.getDimSize(1) / heads});
  SmallVector<ReassociationIndices> groups = {{0}, {1, 2}};
  Value grouped = tensor::ExpandShapeOp::create(b, split, matrix, groups);
  return TransposeOp::create(b, grouped, permutation);
}

/// [heads, T, D / heads] -> [T, heads, D / heads] -> [T, D]
Value joinHeads(ImplicitLocOpBuilder &b, Value perHead) {
  Value grouped = TransposeOp::create(b, perHead, ArrayRef<int64_t>{1, 0, 2});
  SmallVector<ReassociationIndices> groups = {{0}, {1, 2}};
  return tensor::CollapseShapeOp::create(b, grouped, groups);
}
// [/split-heads]

// [causal-mask]
/// Row t of the scores keeps columns 0 to past + t; the rest becomes -inf, and
/// softmax makes 0 of it.
Value maskFuture(ImplicitLocOpBuilder &b, Value scores, int64_t past) {
  int64_t rank = cast<RankedTensorType>(scores.getType()).getRank();
  return ch9::elementwise(
      b, scores,
      [rank, past](ImplicitLocOpBuilder &b, ValueRange score) -> Value {
        Value row = linalg::IndexOp::create(b, rank - 2);
        if (past) {
          Value before = arith::ConstantOp::create(b, b.getIndexAttr(past));
          row = arith::AddIOp::create(b, row, before);
        }
        Value column = linalg::IndexOp::create(b, rank - 1);
        Value seen =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ule, column, row);
        Value never = ch9::constant(b, -INFINITY);
        return arith::SelectOp::create(b, seen, score[0], never);
      });
}
// [/causal-mask]

// [decompose]
struct DecomposeAttention : OpConversionPattern<AttentionOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AttentionOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    int64_t heads = op.getNumHeads();
    int64_t width = op.getQ().getType().getDimSize(1);

    // [T, D], [S, D], [S, E] -> [H, T, D/H], [H, D/H, S], [H, S, E/H]
    Value q = splitHeads(b, operands.getQ(), heads, {1, 0, 2});
    Value k = splitHeads(b, operands.getK(), heads, {1, 2, 0});
    Value v = splitHeads(b, operands.getV(), heads, {1, 0, 2});

    // The factor goes to q, which has fewer numbers than the scores.
    APFloat factor(static_cast<float>(1.0 / std::sqrt(double(width / heads))));
    Value scores = MatmulOp::create(b, ScaleOp::create(b, q, factor), k);
    if (op.getCausal())
      scores = maskFuture(b, scores, op.getPast().value_or(0));
    Value weights = SoftmaxOp::create(b, scores);    // [H, T, S]
    Value perHead = MatmulOp::create(b, weights, v); // [H, T, E/H]
    rewriter.replaceOp(op, joinHeads(b, perHead));   // [T, E]
    return success();
  }
};
// [/decompose]

struct DecomposePass : PassWrapper<DecomposePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DecomposePass)
  StringRef getArgument() const final { return "ch11-decompose"; }
  StringRef getDescription() const final {
    return "attention becomes smaller ops of the transformer dialect";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, linalg::LinalgDialect,
                    tensor::TensorDialect, TransformerDialect>();
  }
  void runOnOperation() final {
    ConversionTarget target(getContext());
    target.addIllegalOp<AttentionOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    ch11::populateDecomposePatterns(patterns);
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void ch11::populateDecomposePatterns(RewritePatternSet &patterns) {
  patterns.add<DecomposeAttention>(patterns.getContext());
}

std::unique_ptr<Pass> ch11::createDecomposePass() {
  return std::make_unique<DecomposePass>();
}

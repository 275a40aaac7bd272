//===- lowering.cpp - from the transformer dialect to the llvm dialect ----===//
//
//   transformer --decompose.cpp--> transformer --to-linalg--> linalg on tensors
//     --matmul-loop-order--> linalg --one-shot-bufferize--> linalg on buffers
//     --approximate-math, loops--> scf --> cf, llvm
//
// The pass list is at the end, in buildPipeline(). A softmax stays four linalg
// ops here: fusing them is a matter for a later chapter.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch11/Transformer.h"
#include "ch6/ApproximateMath.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

#include <cmath>

using namespace mlir;
using namespace transformer;

//===----------------------------------------------------------------------===//
// transformer -> linalg, one struct for each op
//===----------------------------------------------------------------------===//

namespace {

/// The element of a one-result op of two elements.
template <typename ScalarOp>
Value binary(ImplicitLocOpBuilder &b, ValueRange elements) {
  return ScalarOp::create(b, elements[0], elements[1]);
}

// [binary]
/// transformer.add %x, %y -> linalg.generic { arith.addf }
template <typename Op, typename ScalarOp>
struct LowerBinary : OpConversionPattern<Op> {
  using OpConversionPattern<Op>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(Op op, typename Op::Adaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(
        op, ch9::elementwise(b, {operands.getLhs(), operands.getRhs()},
                             binary<ScalarOp>));
    return success();
  }
};
// [/binary]

/// transformer.scale %x by c -> linalg.generic { arith.mulf %e, c }
struct LowerScale : OpConversionPattern<ScaleOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ScaleOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value factor = arith::ConstantOp::create(b, op.getFactorAttr());
    auto times = [factor](ImplicitLocOpBuilder &b, ValueRange x) -> Value {
      return arith::MulFOp::create(b, x[0], factor);
    };
    rewriter.replaceOp(op, ch9::elementwise(b, operands.getInput(), times));
    return success();
  }
};

/// transformer.matmul -> linalg.fill of 0, then linalg.matmul or, with an axis
/// of heads, linalg.batch_matmul
struct LowerMatmul : OpConversionPattern<MatmulOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MatmulOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value lhs = operands.getLhs(), rhs = operands.getRhs();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), lhs);
    sizes.back() = tensor::getMixedSizes(b, b.getLoc(), rhs).back();
    Value zero = ch9::filled(b, sizes, 0.0);
    Operation *product;
    if (sizes.size() == 2)
      product = linalg::MatmulOp::create(b, TypeRange{zero.getType()},
                                         ValueRange{lhs, rhs}, zero);
    else
      product = linalg::BatchMatmulOp::create(b, TypeRange{zero.getType()},
                                              ValueRange{lhs, rhs}, zero);
    rewriter.replaceOp(op, product->getResults());
    return success();
  }
};

/// transformer.transpose %x [p] -> linalg.transpose permutation = [p]
struct LowerTranspose : OpConversionPattern<TransposeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(TransposeOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value input = operands.getInput();
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, b.getLoc(), input);
    applyPermutationToVector(sizes, op.getPermutation());
    Value empty = tensor::EmptyOp::create(b, sizes, b.getF32Type());
    auto moved =
        linalg::TransposeOp::create(b, input, empty, op.getPermutation());
    rewriter.replaceOp(op, moved.getResult());
    return success();
  }
};

/// transformer.softmax -> ch.9's four linalg ops over the rows.
struct LowerSoftmax : OpConversionPattern<SoftmaxOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SoftmaxOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, ch9::softmax(b, operands.getInput()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

// [to-linalg]
struct ToLinalgPass : PassWrapper<ToLinalgPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ToLinalgPass)
  StringRef getArgument() const final { return "ch11-to-linalg"; }
  StringRef getDescription() const final {
    return "every op of the transformer dialect becomes linalg on tensors";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, linalg::LinalgDialect,
                    math::MathDialect, tensor::TensorDialect>();
  }
  void runOnOperation() final {
    // [illegal]
    // The whole dialect is illegal: an op that no pattern takes stops here, by
    // name, and not as a crash ten passes later.
    ConversionTarget target(getContext());
    target.addIllegalDialect<TransformerDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    ch11::populateToLinalgPatterns(patterns);
    // [/illegal]
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};
// [/to-linalg]

/// linalg.matmul sums over k in its innermost loop: one long chain of additions
/// that LLVM may not reorder. With k outside of j, the innermost loop adds a
/// multiple of a row of B to a row of C, and every element is on its own:
///
///   for i, j, k:  C[i,j] += A[i,k] * B[k,j]    ->    for i, k, j:  the same
///
/// Each C[i,j] still adds its products in the order of k: no bit changes.
// [reorder-loops]
template <typename Op> struct ReorderLoops : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    auto named = cast<linalg::LinalgOp>(op.getOperation());
    FailureOr<linalg::GenericOp> generic =
        linalg::generalizeNamedOp(rewriter, named);
    if (failed(generic))
      return rewriter.notifyMatchFailure(op, "cannot be made generic");
    // [loop-order]
    SmallVector<unsigned> order; // the last two loops change places
    for (unsigned loop = 0; loop < generic->getNumLoops(); ++loop)
      order.push_back(loop);
    std::swap(order[order.size() - 2], order.back());
    return linalg::interchangeGenericOp(rewriter, *generic, order);
    // [/loop-order]
  }
};
// [/reorder-loops]

struct MatmulLoopOrderPass
    : PassWrapper<MatmulLoopOrderPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MatmulLoopOrderPass)
  StringRef getArgument() const final { return "ch11-matmul-loop-order"; }
  StringRef getDescription() const final {
    return "matrix products run in the order i, k, j";
  }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReorderLoops<linalg::MatmulOp>,
                 ReorderLoops<linalg::BatchMatmulOp>>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace

void ch11::populateToLinalgPatterns(RewritePatternSet &patterns) {
  patterns
      .add<LowerBinary<AddOp, arith::AddFOp>, LowerBinary<MulOp, arith::MulFOp>,
           LowerScale, LowerMatmul, LowerTranspose, LowerSoftmax>(
          patterns.getContext());
}

std::unique_ptr<Pass> ch11::createToLinalgPass() {
  return std::make_unique<ToLinalgPass>();
}
std::unique_ptr<Pass> ch11::createMatmulLoopOrderPass() {
  return std::make_unique<MatmulLoopOrderPass>();
}
std::unique_ptr<Pass> ch11::createApproximateMathPass() {
  return ch6::createApproximateMathPass("ch11-approximate-math");
}
std::unique_ptr<Pass> ch11::createCopiesToLoopsPass() {
  return ch9::createCopiesToLoopsPass("ch11-copies-to-loops");
}

void ch11::registerPasses() {
  registerPass(createDecomposePass);
  registerPass(createToLinalgPass);
  registerPass(createMatmulLoopOrderPass);
  registerPass(createApproximateMathPass);
  registerPass(createCopiesToLoopsPass);
  registerPass(createOutlineKernelsPass);
  registerPass(createKernelNoAliasPass);
}

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

void ch11::buildPipeline(OpPassManager &pm) {
  pm.addPass(createDecomposePass());
  pm.addPass(createToLinalgPass());
  buildLinalgToLLVM(pm);
}

void ch11::buildLinalgToLLVM(OpPassManager &pm) {
  // On tensors. No CSE before bufferization: it would merge all tensor.empty of
  // one shape, and the analysis would then have to tell apart again who writes
  // to which (for 500 ops in a row: 52 s instead of 0.03 s).
  pm.addPass(createMatmulLoopOrderPass());
  pm.addPass(createApproximateMathPass());
  pm.addPass(createCanonicalizerPass());

  // [buffers]
  // Tensors become buffers, and every buffer gets an owner who frees it.
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  bufferization::buildBufferDeallocationPipeline(
      pm, bufferization::BufferDeallocationPipelineOptions());
  pm.addPass(createConvertBufferizationToMemRefPass());
  // [/buffers]

  // One function for each kernel, and loops in it.
  pm.addPass(createCopiesToLoopsPass());
  pm.addPass(createOutlineKernelsPass());
  pm.addPass(createConvertLinalgToLoopsPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createSCFToControlFlowPass());

  // LLVM. aligned_alloc tells LLVM that a buffer is new, so that loops over it
  // need no checks for overlap.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  FinalizeMemRefToLLVMConversionPassOptions memref;
  memref.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memref));
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createKernelNoAliasPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

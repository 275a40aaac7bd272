//===- lowering.cpp - from the dialect nn to the llvm dialect -------------===//
//
//   nn --canonicalize--> nn --ch9-to-linalg--> linalg on tensors
//      --one-shot-bufferize--> linalg on buffers --loops--> scf --> llvm
//
//===----------------------------------------------------------------------===//

#include "ch9/Lowering.h"
#include "ch9/Linalg.h"
#include "ch9/NN.h"

#include "ch4/Bufferize.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"

namespace ch9 {
#define GEN_PASS_DEF_TOLINALG
#include "ch9/Passes.h.inc"
} // namespace ch9

using namespace mlir;
using namespace nn;

//===----------------------------------------------------------------------===//
// nn -> linalg
//===----------------------------------------------------------------------===//

namespace {

// [elementwise]
/// Any op that says what it does to one element -> linalg.generic
struct LowerElementwise : OpInterfaceConversionPattern<ElementwiseOpInterface> {
  using OpInterfaceConversionPattern::OpInterfaceConversionPattern;

  LogicalResult
  matchAndRewrite(ElementwiseOpInterface op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(
        op, ch9::elementwise(b, operands,
                             [&](ImplicitLocOpBuilder &b, ValueRange elements) {
                               return op.buildElement(b, elements);
                             }));
    return success();
  }
};
// [/elementwise]

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

/// A tensor of zeros, [rows of a, size `axis` of b].
static Value zeros(ImplicitLocOpBuilder &b, Value rows, Value columns,
                   unsigned axis) {
  OpFoldResult m = tensor::getMixedSize(b, b.getLoc(), rows, 0);
  OpFoldResult n = tensor::getMixedSize(b, b.getLoc(), columns, axis);
  return ch9::filled(b, {m, n}, 0.0);
}

/// nn.matmul -> linalg.fill of 0, linalg.matmul
struct LowerMatmul : OpConversionPattern<MatmulOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MatmulOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value lhs = operands.getLhs(), rhs = operands.getRhs();
    Value out = zeros(b, lhs, rhs, 1);
    rewriter.replaceOpWithNewOp<linalg::MatmulOp>(
        op, TypeRange{out.getType()}, ValueRange{lhs, rhs}, ValueRange{out});
    return success();
  }
};

/// nn.transpose -> linalg.transpose permutation = [1, 0]
struct LowerTranspose : OpConversionPattern<TransposeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(TransposeOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, b.getLoc(), operands.getInput());
    std::swap(sizes[0], sizes[1]);
    Value empty = tensor::EmptyOp::create(b, sizes, b.getF32Type());
    auto moved = linalg::TransposeOp::create(b, operands.getInput(), empty,
                                             ArrayRef<int64_t>{1, 0});
    rewriter.replaceOp(op, moved.getResult());
    return success();
  }
};

// [linear]
/// nn.linear -> linalg.generic over (i, j, k): input[i, k] * weight[j, k], and
/// the bias after the sum, so that a bias that was an nn.add of its own changes
/// no bit.
struct LowerLinear : OpConversionPattern<LinearOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LinearOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value input = operands.getInput(), weight = operands.getWeight();
    Value out = zeros(b, input, weight, 0);
    AffineExpr i, j, k;
    bindDims(b.getContext(), i, j, k);
    SmallVector<AffineMap> maps = AffineMap::inferFromExprList(
        ArrayRef<SmallVector<AffineExpr, 4>>{{i, k}, {j, k}, {i, j}},
        b.getContext());
    auto parallel = utils::IteratorType::parallel;
    auto reduction = utils::IteratorType::reduction;
    auto product = linalg::GenericOp::create(
        b, TypeRange{out.getType()}, ValueRange{input, weight}, out, maps,
        ArrayRef<utils::IteratorType>{parallel, parallel, reduction},
        [](OpBuilder &nested, Location loc, ValueRange e) {
          ImplicitLocOpBuilder b(loc, nested);
          Value times = arith::MulFOp::create(b, e[0], e[1]);
          Value sum = arith::AddFOp::create(b, e[2], times);
          linalg::YieldOp::create(b, sum);
        });
    Value result = product.getResult(0);
    if (Value bias = operands.getBias())
      result =
          ch9::elementwise(b, {result, bias},
                           [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
                             return arith::AddFOp::create(b, e[0], e[1]);
                           });
    rewriter.replaceOp(op, result);
    return success();
  }
};
// [/linear]

// [pass]
struct ToLinalgPass : ch9::impl::ToLinalgBase<ToLinalgPass> {
  void runOnOperation() final {
    // The whole dialect is illegal: an op that no pattern takes stops here, by
    // name, and not as a crash ten passes later.
    ConversionTarget target(getContext());
    target.addIllegalDialect<NNDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    ch9::populateToLinalgPatterns(patterns);
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};
// [/pass]

} // namespace

void ch9::populateToLinalgPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerElementwise, LowerSoftmax, LowerMatmul, LowerTranspose,
               LowerLinear>(patterns.getContext());
}

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

void ch9::registerDialects(DialectRegistry &registry) {
  ch4::registerDialects(registry); // with how their ops get buffers
  registry.insert<NNDialect>();
}

// [pipeline]
void ch9::buildPipeline(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createToLinalg());
  buildLinalgToLLVM(pm);
}
// [/pipeline]

void ch9::buildLinalgToLLVM(OpPassManager &pm) {
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

  // Loops, then branches.
  pm.addPass(createConvertLinalgToLoopsPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createSCFToControlFlowPass());

  // The llvm dialect.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

// lowering.cpp - from linalg on tensors to the llvm dialect, by way of fusion.
//
//   linalg.broadcast, linalg.add, linalg.max      a loop nest each
//     | ch7-generalize-elementwise, linalg-fuse-elementwise-ops
//   linalg.generic { addf; maximumf }             one
//     | one-shot-bufferize, buffer-results-to-out-params, deallocation (ch.4)
//   linalg.generic on memrefs, the last argument is the result
//     | loops, branches, llvm (ch.1)
//
// Third step of the chapter. Fusion comes first because it is easy on tensors:
// a value has one definition and a list of uses. On buffers a pass would have
// to prove that nobody writes in between.
#include "ch7/Lowering.h"

#include "ch1/Compat.h"
#include "ch1/Diagnostics.h"
#include "ch4/Bufferize.h"
#include "ch6/ApproximateMath.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch7 {

void registerDialects(DialectRegistry &registry) {
  ch4::registerDialects(registry); // with how their ops get buffers
  registry.insert<affine::AffineDialect, math::MathDialect>();
}

namespace {

// [generalize]
struct GeneralizeElementwisePass
    : PassWrapper<GeneralizeElementwisePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(GeneralizeElementwisePass)
  StringRef getArgument() const final { return "ch7-generalize-elementwise"; }
  StringRef getDescription() const final {
    return "named linalg ops without a reduction become linalg.generic";
  }
  void runOnOperation() final {
    // [elementwise]
    // Collected first: a walk must not meet what it replaces.
    SmallVector<linalg::LinalgOp> named;
    getOperation().walk([&](linalg::LinalgOp op) {
      bool isElementwise = op.getNumParallelLoops() == op.getNumLoops();
      if (isElementwise && !isa<linalg::GenericOp, linalg::FillOp>(op))
        named.push_back(op);
    });
    // [/elementwise]
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      if (failed(linalg::generalizeNamedOp(rewriter, op)))
        return signalPassFailure();
    }
  }
};
// [/generalize]

} // namespace

std::unique_ptr<Pass> createGeneralizeElementwisePass() {
  return std::make_unique<GeneralizeElementwisePass>();
}

/// buffer-results-to-out-params{hoist-static-allocs}: the buffer that would be
/// copied into the last argument is that argument, where its sizes are static.
static std::unique_ptr<Pass> createOutParams() {
  bufferization::BufferResultsToOutParamsPassOptions options;
  ch1::compat::modifyPublicFunctions(options);
  auto pass = bufferization::createBufferResultsToOutParamsPass(options);
  // This pass takes the option from text only: options.hoistStaticAllocs would
  // be lost without a word.
  auto refuse = [](const Twine &) { return failure(); };
  if (failed(pass->initializeOptions("hoist-static-allocs=true", refuse)))
    throw ch1::CompileError("buffer-results-to-out-params has no option "
                            "hoist-static-allocs");
  return pass;
}

// [lowering]
void buildLowering(PassManager &passes, bool fuse) {
  // [to-memory]
  // On tensors: a generic op takes over the body of its operand's generic op,
  // where nobody else uses that operand.
  if (fuse) {
    passes.addNestedPass<func::FuncOp>(createGeneralizeElementwisePass());
    passes.addPass(createLinalgElementwiseOpFusionPass());
  }

  // Tensors become memrefs, of plain C order where the function begins and
  // ends; the returned one becomes an argument. (ch.4)
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  passes.addPass(bufferization::createOneShotBufferizePass(bufferize));
  passes.addPass(createOutParams());
  bufferization::buildBufferDeallocationPipeline(
      passes, bufferization::BufferDeallocationPipelineOptions());
  // A buffer lives until its last use, and not until the function's end.
  passes.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());
  // [/to-memory]

  // Loops, branches, llvm. (ch.1; math as in ch.6: exp by a polynomial, what a
  // reader's own IR has besides by LLVM or libm)
  passes.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  passes.addPass(ch6::createApproximateMathPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}
// [/lowering]

} // namespace ch7

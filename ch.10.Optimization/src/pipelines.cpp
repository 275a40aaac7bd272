//===- pipelines.cpp - the ladder -----------------------------------------===//
#include "ch10/Passes.h"

#include "ch6/ApproximateMath.h"
#include "ch9/Linalg.h"
#include "ch9/Lowering.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/TransformOps/DialectExtension.h"
#include "mlir/Dialect/Linalg/Transforms/TilingInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/TransformOps/SCFTransformOps.h"
#include "mlir/Dialect/Tensor/IR/TensorTilingInterfaceImpl.h"
#include "mlir/Dialect/Tensor/TransformOps/TensorTransformOps.h"
#include "mlir/Dialect/Transform/IR/TransformDialect.h"
#include "mlir/Dialect/Transform/LoopExtension/LoopExtension.h"
#include "mlir/Dialect/Transform/Transforms/Passes.h"
#include "mlir/Dialect/Vector/TransformOps/VectorTransformOps.h"
#include "mlir/Dialect/Vector/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/Transforms/SubsetOpInterfaceImpl.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch10 {

void registerDialects(DialectRegistry &registry) {
  ch9::registerDialects(registry);
  registry.insert<transform::TransformDialect>();
  linalg::registerTilingInterfaceExternalModels(registry);
  linalg::registerTransformDialectExtension(registry);
  scf::registerTransformDialectExtension(registry);
  tensor::registerTilingInterfaceExternalModels(registry);
  tensor::registerTransformDialectExtension(registry);
  transform::registerLoopExtension(registry);
  vector::registerTransformDialectExtension(registry);
  vector::registerBufferizableOpInterfaceExternalModels(registry);
  vector::registerSubsetOpInterfaceExternalModels(registry);
}

static std::unique_ptr<Pass> approximateMath() {
  return ch6::createApproximateMathPass("ch10-approximate-math");
}

void registerPasses() {
  registerPass(createProductsPass);
  registerPass(createPadPass);
  registerPass(createPackPass);
  registerPass(createDropSchedulePass);
  registerPass(approximateMath);
  registerPass(
      [] { return ch9::createCopiesToLoopsPass("ch10-copies-to-loops"); });
  registerPass([] { return createSchedulePass(""); });
}

//===----------------------------------------------------------------------===//
// What the rungs are made of
//===----------------------------------------------------------------------===//

/// nn -> linalg on tensors
static void begin(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(ch9::createToLinalg());
}

static void schedule(OpPassManager &pm, StringRef name) {
  pm.addPass(createSchedulePass(name));
  pm.addPass(transform::createInterpreterPass());
  pm.addPass(createDropSchedulePass());
}

/// linalg and vectors on tensors -> the llvm dialect
static void finish(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  bufferization::buildBufferDeallocationPipeline(
      pm, bufferization::BufferDeallocationPipelineOptions());
  pm.addPass(createConvertBufferizationToMemRefPass());

  pm.addPass(ch9::createCopiesToLoopsPass("ch10-copies-to-loops"));

  VectorTransferToSCFOptions unrolled;
  unrolled.unroll = true;
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass(unrolled));
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(approximateMath());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(createLoopInvariantCodeMotionPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

//===----------------------------------------------------------------------===//
// The rungs
//===----------------------------------------------------------------------===//

static void baseline(OpPassManager &pm) {
  begin(pm);
  finish(pm);
}

static void loopOrder(OpPassManager &pm) {
  begin(pm);
  pm.addPass(createProductsPass());
  schedule(pm, "loop-order");
  finish(pm);
}

static void fused(OpPassManager &pm) {
  begin(pm);
  pm.addPass(createProductsPass());
  schedule(pm, "loop-order");
  pm.addPass(createLinalgElementwiseOpFusionPass());
  finish(pm);
}

static void tiled(OpPassManager &pm) {
  begin(pm);
  pm.addPass(createProductsPass());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  schedule(pm, "tiled");
  finish(pm);
}

static void inTiles(OpPassManager &pm, StringRef name) {
  begin(pm);
  pm.addPass(createProductsPass());
  pm.addPass(createPadPass());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  schedule(pm, name);
  finish(pm);
}

static void vectorized(OpPassManager &pm) { inTiles(pm, "vectorized"); }
static void registers(OpPassManager &pm) { inTiles(pm, "registers"); }

static void packed(OpPassManager &pm) {
  begin(pm);
  pm.addPass(createLinalgElementwiseOpFusionPass());
  pm.addPass(createPackPass());
  schedule(pm, "packed");
  finish(pm);
}

llvm::ArrayRef<Pipeline> pipelines() {
  static const Pipeline all[] = {
      {"baseline", "three loops, the sum innermost", baseline},
      {"loop-order", "the sum moves out of the innermost loop", loopOrder},
      {"fused", "elementwise ops in one pass over memory", fused},
      {"tiled", "64 x 64 x 64 at a time, for the caches", tiled},
      {"vectorized", "vectors in the IR, C loaded and stored at each step",
       vectorized},
      {"registers", "a tile of C stays in registers", registers},
      {"optimized", "panels of A and B lie as they are read", packed},
  };
  return all;
}

} // namespace ch10

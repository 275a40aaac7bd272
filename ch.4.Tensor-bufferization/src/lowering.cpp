// lowering.cpp - from tensors to memory, and from there to the llvm dialect.
//
//   tensor --one-shot-bufferize--> memref --who frees?--> memref + dealloc
//          --ch.1's way--> llvm
//
// Second step of the chapter. The three variants differ in bufferize() and
// nowhere else.
#include "ch4/Bufferize.h"

#include "ch1/Compat.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/FuncBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/ControlFlow/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/ControlFlow/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/AllocationOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/IR/TensorInferTypeOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Transforms/Passes.h"

#include <stdexcept>

using namespace mlir;

namespace ch4 {

// [dialects]
void registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, bufferization::BufferizationDialect,
                  cf::ControlFlowDialect, func::FuncDialect,
                  linalg::LinalgDialect, memref::MemRefDialect, scf::SCFDialect,
                  tensor::TensorDialect, LLVM::LLVMDialect>();
  // How an op becomes one on memrefs is kept apart from the op: a tool that
  // never bufferizes need not link it. Without its line here, an op "failed to
  // bufferize".
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  cf::registerBufferizableOpInterfaceExternalModels(registry);
  bufferization::func_ext::registerBufferizableOpInterfaceExternalModels(
      registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  // Which part of a tensor an op reads or replaces: for
  // eliminate-empty-tensors.
  linalg::registerSubsetOpInterfaceExternalModels(registry);
  tensor::registerInferTypeOpInterfaceExternalModels(registry);
  tensor::registerSubsetOpInterfaceExternalModels(registry);
  // Who owns a buffer at a branch, and how it is copied and freed.
  arith::registerBufferDeallocationOpInterfaceExternalModels(registry);
  cf::registerBufferDeallocationOpInterfaceExternalModels(registry);
  memref::registerAllocationOpInterfaceExternalModels(registry);
  scf::registerBufferDeallocationOpInterfaceExternalModels(registry);
}
// [/dialects]

// [bufferize]
void buildBufferization(PassManager &passes, Variant variant, bool deallocate) {
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true; // signatures and returns too

  switch (variant) {
  case Variant::Naive:
    // No analysis: whatever writes gets a copy to write into.
    options.copyBeforeWrite = true;
    passes.addPass(bufferization::createOneShotBufferizePass(options));
    break;
  case Variant::OutParameter: {
    passes.addPass(bufferization::createOneShotBufferizePass(options));
    // The returned memref becomes a last argument, which is copied into.
    bufferization::BufferResultsToOutParamsPassOptions outParams;
    ch1::compat::modifyPublicFunctions(outParams);
    passes.addPass(
        bufferization::createBufferResultsToOutParamsPass(outParams));
    break;
  }
  case Variant::Destination:
    // What ends up in C starts there, instead of in an empty tensor.
    passes.addPass(bufferization::createEmptyTensorEliminationPass());
    passes.addPass(bufferization::createOneShotBufferizePass(options));
    break;
  }
  // What has become trivial goes: two equal slices are one, and a copy of a
  // buffer to itself is none.
  passes.addPass(createCSEPass());
  passes.addPass(createCanonicalizerPass());
  // Bufferization allocates and never frees.
  if (deallocate)
    bufferization::buildBufferDeallocationPipeline(
        passes, bufferization::BufferDeallocationPipelineOptions());
}
// [/bufferize]

// [lowering]
static void buildLowering(PassManager &passes, Variant variant,
                          bool deallocate) {
  buildBufferization(passes, variant, deallocate);
  // From here on as in ch.1, but that memory comes from functions of ours
  // (runtime.cpp) and not from malloc and free.
  passes.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  passes.addPass(createSCFToControlFlowPass());
  // For IR of yours: a clone is an allocation and a copy; a slice is arithmetic
  // on an offset and strides.
  passes.addPass(createConvertBufferizationToMemRefPass());
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(createArithToLLVMConversionPass());
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useGenericFunctions = true;
  passes.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}
// [/lowering]

Variant variantOf(const std::string &name) {
  if (name == "naive")
    return Variant::Naive;
  if (name == "out_parameter")
    return Variant::OutParameter;
  if (name == "destination")
    return Variant::Destination;
  throw std::invalid_argument(
      "variant: expected 'naive', 'out_parameter' or 'destination', got '" +
      name + "'");
}

// [recipe]
ch1::Recipe recipe(std::string name, bool deallocate) {
  Variant variant = variantOf(name);
  return {
      "gemm", [=](MLIRContext *context) { return gemmType(context, variant); },
      registerDialects,
      [=](MLIRContext *context) { return buildGemm(context, variant); },
      [=](PassManager &passes) { buildLowering(passes, variant, deallocate); }};
}
// [/recipe]

} // namespace ch4

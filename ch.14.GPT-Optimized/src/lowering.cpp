// lowering.cpp - from the step's ops to the llvm dialect.
//
//   transformer.rows_*, transformer.paged_*
//     --ch14-expand-kernels-->  scf, vector, memref, math     kernel_*.cpp
//     --ch11-approximate-math-> exp and tanh as polynomials   from ch.11
//     --upstream passes------>  llvm
//
// There is no bufferization: the step works on buffers from the start.
#include "ch11/Lowering.h"
#include "ch1/Recipe.h"
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/OpenMPToLLVM/ConvertOpenMPToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/SCFToOpenMP/SCFToOpenMP.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace ch14 {

namespace {

// [expand]
struct ExpandKernelsPass
    : PassWrapper<ExpandKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandKernelsPass)
  ExpandKernelsPass() = default;
  ExpandKernelsPass(Tile tile, bool useThreads) {
    lanes = tile.lanes;
    threads = useThreads;
  }
  ExpandKernelsPass(const ExpandKernelsPass &other) : PassWrapper(other) {}

  StringRef getArgument() const final { return "ch14-expand-kernels"; }
  StringRef getDescription() const final {
    return "the ops of an inference step become loops over vectors";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect,
                    memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect, x86vector::X86VectorDialect>();
  }
  void runOnOperation() final {
    std::optional<Tile> tile = tileOf(lanes);
    if (!tile) {
      getOperation()->emitError("lanes: expected 16, 8 or 4, got ")
          << lanes.getValue();
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populateLinearKernel(patterns, *tile, threads);
    populateNormKernel(patterns, *tile, threads);
    populateQuantizeKernel(patterns, *tile, threads);
    populateCacheKernels(patterns, *tile, threads);
    populateAttentionKernel(patterns, *tile, threads);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    // Every op must have become loops; one that no kernel took is named.
    getOperation()->walk([&](Operation *op) {
      if (isa<transformer::TransformerDialect>(op->getDialect())) {
        op->emitOpError("has no kernel for its types and the tile of ")
            << tile->lanes << " lanes and panels of " << tile->columns;
        signalPassFailure();
      }
    });
  }

  Option<int64_t> lanes{
      *this, "lanes",
      llvm::cl::desc("floats in a vector: 16, 8 or 4 (default: this host's)"),
      llvm::cl::init(hostTile().lanes)};
  Option<bool> threads{
      *this, "threads",
      llvm::cl::desc("share panels, rows and heads among threads"),
      llvm::cl::init(false)};
};
// [/expand]

// [thread-buffers]
/// A buffer of a parallel loop's body moves out of the loop, to where a thread
/// begins: one for each thread. What is left of the scope around it goes away.
struct ThreadBuffersPass
    : PassWrapper<ThreadBuffersPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ThreadBuffersPass)
  StringRef getArgument() const final { return "ch14-thread-buffers"; }
  StringRef getDescription() const final {
    return "buffers of parallel loops are allocated once for each thread";
  }
  void runOnOperation() final {
    getOperation()->walk([](omp::ParallelOp parallel) {
      Block &entry = parallel.getRegion().front();
      parallel->walk([&](memref::AllocaOp buffer) {
        buffer->moveBefore(&entry, entry.begin());
      });
    });
  }
};
// [/thread-buffers]

} // namespace

std::unique_ptr<Pass> createExpandKernelsPass(Tile tile, bool threads) {
  return std::make_unique<ExpandKernelsPass>(tile, threads);
}

void registerPasses() {
  registerPass([]() -> std::unique_ptr<Pass> {
    return std::make_unique<ExpandKernelsPass>();
  });
  registerPass([]() -> std::unique_ptr<Pass> {
    return std::make_unique<ThreadBuffersPass>();
  });
  registerPass(createLowerAppendPass);
  registerPass(createClockPass);
}

// [pipeline]
void buildPipeline(OpPassManager &pm, Tile tile, bool threads, bool clock) {
  if (clock)
    pm.addNestedPass<func::FuncOp>(createClockPass());
  pm.addPass(createExpandKernelsPass(tile, threads));
  pm.addPass(ch11::createApproximateMathPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());

  // A view of a layer's weights becomes an offset from their start.
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  if (threads) {
    pm.addPass(createConvertSCFToOpenMPPass());
    pm.addPass(std::make_unique<ThreadBuffersPass>());
    pm.addPass(createCanonicalizerPass()); // alloca_scope wants it
  }
  pm.addPass(createSCFToControlFlowPass());

  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = true; // the bf16 dot
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createConvertMathToLLVMPass());
  if (threads)
    pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}
// [/pipeline]

std::unique_ptr<MLIRContext> makeContext() {
  return ch1::makeContext(registerDialects);
}

} // namespace ch14

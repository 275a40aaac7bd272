// lowering.cpp - from whatever a text may use to the llvm dialect.
//
//   own names -> [tensors to buffers] -> linalg, vector, affine to loops
//             -> cf -> llvm
//
// A text may mix dialects at any level, so this is a list of everything, in the
// order of the chapters before: a pass that finds nothing to do does nothing.
// Only what concerns tensors is left out where there are none, because the text
// frees itself then what it allocates.
#include "ch8/Text.h"

#include "ch1/Compat.h"
#include "ch1/Diagnostics.h"
#include "ch4/Bufferize.h"
#include "ch6/ApproximateMath.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToFuncs/MathToFuncs.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Dialect/Vector/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/Transforms/Passes.h"
#include "mlir/Dialect/Vector/Transforms/SubsetOpInterfaceImpl.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace ch8 {

std::string compiledName(StringRef name) { return "text." + name.str(); }

namespace {

// [own-names]
/// @exp becomes @text.exp: what a text defines does not stand in for what the
/// passes and LLVM call by name, such as exp, malloc and memcpy. And arrays
/// that Python passes as tensors are read only.
struct OwnNamesPass : PassWrapper<OwnNamesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OwnNamesPass)
  StringRef getArgument() const final { return "ch8-own-names"; }
  StringRef getDescription() const final {
    return "rename all symbols, mark tensor arguments as read only";
  }
  void runOnOperation() final {
    ModuleOp module = getOperation();
    for (auto symbol :
         llvm::make_early_inc_range(module.getOps<SymbolOpInterface>())) {
      auto name =
          StringAttr::get(&getContext(), compiledName(symbol.getName()));
      if (failed(SymbolTable::replaceAllSymbolUses(symbol, name, module)))
        return signalPassFailure();
      SymbolTable::setSymbolName(symbol, name);
    }
    for (auto function : module.getOps<func::FuncOp>())
      for (BlockArgument argument : function.getArguments())
        if (function.isPublic() && isa<TensorType>(argument.getType()))
          function.setArgAttr(
              argument.getArgNumber(),
              bufferization::BufferizationDialect::kWritableAttrName,
              BoolAttr::get(&getContext(), false));
  }
};
// [/own-names]

/// memref.copy of strided buffers would call into a library that is not loaded
/// here; loops do not.
struct CopyToLoops : OpRewritePattern<memref::CopyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::CopyOp op,
                                PatternRewriter &rewriter) const override {
    auto source = dyn_cast<MemRefType>(op.getSource().getType());
    auto target = dyn_cast<MemRefType>(op.getTarget().getType());
    if (!source || !target)
      return rewriter.notifyMatchFailure(op, "a buffer without a rank");
    if (source.getLayout().isIdentity() && target.getLayout().isIdentity())
      return rewriter.notifyMatchFailure(op, "a dense copy becomes memcpy");
    linalg::makeMemRefCopyOp(rewriter, op.getLoc(), op.getSource(),
                             op.getTarget());
    rewriter.eraseOp(op);
    return success();
  }
};

struct CopiesToLoopsPass
    : PassWrapper<CopiesToLoopsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CopiesToLoopsPass)
  StringRef getArgument() const final { return "ch8-copies-to-loops"; }
  StringRef getDescription() const final {
    return "copies between strided buffers become linalg.generic";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<linalg::LinalgDialect>();
  }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    patterns.add<CopyToLoops>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace

/// What the passes ask of dialects beyond their ops: how to bufferize, who
/// frees, how to become LLVM IR. With it the context knows the llvm dialect,
/// and so it comes after the text was read.
static void registerForPasses(DialectRegistry &registry) {
  ch4::registerDialects(registry);
  cf::registerBufferizableOpInterfaceExternalModels(registry);
  vector::registerBufferizableOpInterfaceExternalModels(registry);
  vector::registerSubsetOpInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

// [buffers]
/// Tensors become buffers; a result becomes the last argument; every buffer
/// gets somebody who frees it (ch.4).
static void addBufferization(PassManager &passes) {
  passes.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  passes.addPass(bufferization::createOneShotBufferizePass(bufferize));
  bufferization::BufferResultsToOutParamsPassOptions outParams;
  outParams.hoistStaticAllocs = true;
  ch1::compat::modifyPublicFunctions(outParams);
  passes.addPass(bufferization::createBufferResultsToOutParamsPass(outParams));
  bufferization::buildBufferDeallocationPipeline(
      passes, bufferization::BufferDeallocationPipelineOptions());
}
// [/buffers]

// [lowering]
void buildLowering(PassManager &passes, bool hasTensors) {
  passes.addPass(std::make_unique<OwnNamesPass>());
  if (hasTensors)
    addBufferization(passes);
  passes.addPass(createConvertBufferizationToMemRefPass());

  // Structured ops become loops, and loops become branches.
  passes.addPass(std::make_unique<CopiesToLoopsPass>());
  passes.addPass(createConvertLinalgToLoopsPass());
  passes.addPass(createForallToForLoopPass());
  passes.addNestedPass<func::FuncOp>(
      vector::createLowerVectorMultiReductionPass());
  passes.addPass(createConvertVectorToSCFPass());
  passes.addPass(memref::createExpandOpsPass());
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(arith::createArithExpandOpsPass());
  passes.addPass(createConvertMathToFuncs());
  passes.addPass(ch6::createApproximateMathPass());
  passes.addPass(createSCFToControlFlowPass());

  // Each dialect becomes the llvm dialect. Of math, what LLVM has; libm the
  // rest (ch.6).
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}
// [/lowering]

// [translated]
/// An op that no pass took would fail later as "unrealized_conversion_cast":
/// name it here.
static void checkTranslated(ModuleOp module) {
  ch1::DiagnosticCollector diagnostics(module.getContext());
  module.walk([](Operation *op) {
    if (isa<LLVM::LLVMDialect, BuiltinDialect>(op->getDialect()))
      return WalkResult::advance();
    op->emitOpError("is not translated by any pass of this chapter");
    return WalkResult::interrupt();
  });
  if (!diagnostics.text().empty())
    diagnostics.raise("the text was not lowered");
}
// [/translated]

void lower(Source &source, ch1::Stages *stages) {
  DialectRegistry registry;
  registerForPasses(registry);
  source.context->appendDialectRegistry(registry);
  source.context->loadAllAvailableDialects();
  PassManager passes(source.context.get());
  buildLowering(passes, source.hasTensors);
  ch1::runPipeline(passes, *source.module, stages);
  checkTranslated(*source.module);
  for (auto &[name, entry] : source.functions)
    if (entry.signature)
      checkExpansion(*entry.signature,
                     source.module->lookupSymbol(compiledName(name)));
  // A pass on functions was recorded after each of them.
  if (stages)
    for (size_t i = stages->size(); i-- > 1;)
      if ((*stages)[i].pass == (*stages)[i - 1].pass)
        stages->erase(stages->begin() + (i - 1));
}

} // namespace ch8

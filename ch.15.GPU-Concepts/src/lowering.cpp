//===- lowering.cpp - two ways on from the gpu dialect --------------------===//
//
//   gpu.launch_func --ch15-launch-to-loops--> scf.parallel --> threads of the
//                                             async runtime      this machine
//   gpu.module --convert-gpu-to-nvvm--> nvvm and llvm
//              --gpu-module-to-binary--> PTX                     an NVIDIA GPU
//
// Second step of the chapter.
//
//===----------------------------------------------------------------------===//

#include "ch15/Kernels.h"
#include "ch15/Passes.h"
#include "ch6/ApproximateMath.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/AsyncToLLVM/AsyncToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVGPUToNVVM/NVGPUToNVVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Async/IR/Async.h"
#include "mlir/Dialect/Async/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch15 {

void registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, async::AsyncDialect,
                  cf::ControlFlowDialect, func::FuncDialect, gpu::GPUDialect,
                  LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
                  nvgpu::NVGPUDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  // What convert-gpu-to-nvvm asks these dialects for: their own conversions.
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  registerConvertMemRefToLLVMInterface(registry);
  registerConvertNVVMToLLVMInterface(registry);
  // How gpu-module-to-binary makes PTX: the kernels' own way to LLVM IR, and
  // LLVM's code generator for NVIDIA's GPUs.
  registerGPUDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  NVVM::registerNVVMTargetInterfaceExternalModels(registry);
}

static std::unique_ptr<Pass> approximateMath() {
  return ch6::createApproximateMathPass("ch15-approximate-math");
}

void buildCpuPipeline(OpPassManager &pm) {
  pm.addPass(createLaunchToLoopsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(approximateMath());
  // scf.parallel -> tasks of some blocks each, for a pool of threads.
  AsyncParallelForPassOptions tasks;
  tasks.numWorkerThreads = -1; // as many as the runtime has
  tasks.minTaskSize = 1;
  pm.addPass(createAsyncParallelForPass(tasks));
  pm.addPass(createAsyncToAsyncRuntimePass());
  pm.addPass(createAsyncRuntimeRefCountingPass());
  pm.addPass(createAsyncRuntimeRefCountingOptPass());
  pm.addPass(createConvertAsyncToLLVMPass());
  // The rest is as in ch.6.
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

// [ptx]
void buildPtxPipeline(OpPassManager &pm, const std::string &chip) {
  pm.addPass(createDeviceOnlyPass());
  GpuNVVMAttachTargetOptions target;
  target.chip = chip;
  target.features = "+ptx80"; // without it, LLVM 22 aborts for sm_90
  target.optLevel = 3;
  pm.addPass(createGpuNVVMAttachTarget(target));
  pm.addPass(createDeviceMathPass());
  pm.addPass(createDeviceUnrollPass());
  // Loops become branches; nvgpu, gpu and the rest become nvvm and llvm.
  pm.addNestedPass<gpu::GPUModuleOp>(createConvertNVGPUToNVVMPass());
  pm.addPass(createConvertNVVMToLLVMPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  ConvertGpuOpsToNVVMOpsOptions device;
  device.indexBitwidth = 64;
  pm.addNestedPass<gpu::GPUModuleOp>(createConvertGpuOpsToNVVMOps(device));
  pm.addPass(createKernelAbiPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = "isa"; // text; the driver makes machine code of it
  pm.addPass(createGpuModuleToBinaryPass(binary));
}
// [/ptx]

void registerPasses() {
  registerPass(createLaunchToLoopsPass);
  registerPass(createDeviceOnlyPass);
  registerPass(createDeviceMathPass);
  registerPass(createDeviceUnrollPass);
  registerPass(createKernelAbiPass);
  registerPass(approximateMath);
}

} // namespace ch15

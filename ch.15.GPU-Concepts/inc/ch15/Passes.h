//===- Passes.h - the passes of ch.15, and two pipelines of passes --------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

#include <memory>
#include <string>

namespace ch15 {

/// ch15-launch-to-loops: a launch becomes loops over its blocks, in parallel,
/// and over the threads of a block, one after another. A thread's code is cut
/// at its barriers, and each piece gets loops of its own.
std::unique_ptr<mlir::Pass> createLaunchToLoopsPass();

/// ch15-device-only: leaves what runs on the device. Tensor maps become kernel
/// parameters of 128 bytes.
std::unique_ptr<mlir::Pass> createDeviceOnlyPass();

/// ch15-device-math: exp, fma and floor become what the device has
/// instructions for, where convert-gpu-to-nvvm would call CUDA's libdevice.
std::unique_ptr<mlir::Pass> createDeviceMathPass();

/// ch15-device-unroll: an innermost loop whose length is not known takes four
/// turns at once, so that a thread has four loads under way and not one.
std::unique_ptr<mlir::Pass> createDeviceUnrollPass();

/// ch15-kernel-abi: says how tensor maps and dynamic workgroup memory come to a
/// kernel, which convert-gpu-to-nvvm does not.
std::unique_ptr<mlir::Pass> createKernelAbiPass();

/// From gpu to the llvm dialect, for this machine.
void buildCpuPipeline(mlir::OpPassManager &pm);
/// From gpu to a gpu.binary with PTX for `chip`, "sm_90".
void buildPtxPipeline(mlir::OpPassManager &pm, const std::string &chip);

void registerPasses();

} // namespace ch15

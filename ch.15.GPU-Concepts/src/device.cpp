//===- device.cpp - what is to be done to a module for the device ---------===//
//
//   func.func @matmul_f16(...)                  gone: here Python is the host
//   gpu.func @matmul_f16(%A: !nvgpu.tensormap.descriptor<...>, ...)
//     -> gpu.func @matmul_f16(%A: !llvm.ptr {llvm.byval = 128 bytes}, ...)
//
// A tensor map is 128 bytes that the host fills in. NVIDIA's advice is to hand
// them over as a parameter and to let the copy engine read them right there, in
// the parameters. In LLVM IR that is a pointer with two attributes: `byval`,
// the parameter is what it points to, and `nvvm.grid_constant`, nobody writes
// to it, so a kernel needs no copy of its own. The second is accepted on kernels
// in the llvm dialect only, hence a second pass.
//
//   math.fma, math.floor -> llvm.call_intrinsic "llvm.fma", "llvm.floor"
//
// convert-gpu-to-nvvm would make calls of them, to functions in a library that
// comes with CUDA. LLVM has an instruction for each.
//
//===----------------------------------------------------------------------===//

#include "ch15/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace {

struct DeviceOnlyPass : PassWrapper<DeviceOnlyPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DeviceOnlyPass)
  StringRef getArgument() const final { return "ch15-device-only"; }
  StringRef getDescription() const final {
    return "leaves what runs on the device; tensor maps become parameters";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() final {
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      function.erase();
    getOperation().walk(passTensorMaps);
  }

  // [parameters]
  static void passTensorMaps(gpu::GPUFuncOp kernel) {
    auto b = ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(),
                                                &kernel.front());
    auto bytes = LLVM::LLVMArrayType::get(b.getI64Type(), 16);
    SmallVector<Type> types(kernel.getFunctionType().getInputs());
    for (auto [i, type] : llvm::enumerate(types)) {
      if (!isa<nvgpu::TensorMapDescriptorType>(type))
        continue;
      BlockArgument argument = kernel.getArgument(i);
      argument.setType(LLVM::LLVMPointerType::get(b.getContext()));
      auto cast = UnrealizedConversionCastOp::create(b, type, argument);
      argument.replaceAllUsesExcept(cast.getResult(0), cast);
      kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(bytes));
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        b.getI64IntegerAttr(64));
      type = argument.getType();
    }
    kernel.setFunctionType(b.getFunctionType(types, {}));
  }
  // [/parameters]
};

struct DeviceMathPass : PassWrapper<DeviceMathPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DeviceMathPass)
  StringRef getArgument() const final { return "ch15-device-math"; }
  StringRef getDescription() const final {
    return "fma and floor become intrinsics instead of calls of CUDA's library";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<LLVM::LLVMDialect>();
  }

  // [math]
  void runOnOperation() final {
    getOperation().walk([](Operation *op) {
      StringRef name = isa<math::FmaOp>(op)     ? "llvm.fma"
                       : isa<math::FloorOp>(op) ? "llvm.floor"
                                                : "";
      if (name.empty())
        return;
      OpBuilder b(op);
      auto call = LLVM::CallIntrinsicOp::create(
          b, op->getLoc(), op->getResult(0).getType(), b.getStringAttr(name),
          op->getOperands());
      op->replaceAllUsesWith(call->getResults());
      op->erase();
    });
  }
  // [/math]
};

struct GridConstantPass
    : PassWrapper<GridConstantPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(GridConstantPass)
  StringRef getArgument() const final { return "ch15-grid-constant"; }
  StringRef getDescription() const final {
    return "kernels use parameters of many bytes where they are";
  }

  void runOnOperation() final {
    getOperation().walk([](LLVM::LLVMFuncOp kernel) {
      if (!kernel->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
        return;
      for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
        if (kernel.getArgAttr(i, LLVM::LLVMDialect::getByValAttrName()))
          kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                            UnitAttr::get(kernel.getContext()));
    });
  }
};

} // namespace

std::unique_ptr<Pass> ch15::createDeviceOnlyPass() {
  return std::make_unique<DeviceOnlyPass>();
}

std::unique_ptr<Pass> ch15::createDeviceMathPass() {
  return std::make_unique<DeviceMathPass>();
}

std::unique_ptr<Pass> ch15::createGridConstantPass() {
  return std::make_unique<GridConstantPass>();
}

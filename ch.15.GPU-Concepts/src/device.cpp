//===- device.cpp - what is to be done to a module for the device ---------===//
//
//   func.func @matmul_f16(...)                  gone: here Python is the host
//   gpu.func @matmul_f16(%A: !nvgpu.tensormap.descriptor<...>, ...)
//     -> llvm.func @matmul_f16(%A: !llvm.ptr {llvm.byval = 128 bytes,
//                                             nvvm.grid_constant}, ...)
//
// A tensor map is 128 bytes that the host fills in. NVIDIA's advice is to hand
// them over as a parameter and to let the copy engine read them right there. In
// LLVM IR that is a pointer with two attributes: `byval`, the parameter is what
// it points to, and `grid_constant`, nobody writes to it, so a kernel needs no
// copy of its own. convert-gpu-to-nvvm loses the first and the second is only
// accepted behind it, hence two passes: one marks, the other one says it.
//
//   math.fma, math.floor -> llvm.call_intrinsic "llvm.fma", "llvm.floor"
//   math.exp             -> a power of two, by one instruction
//
// convert-gpu-to-nvvm would make calls of them, to functions in a library that
// comes with CUDA.
//
//===----------------------------------------------------------------------===//

#include "ch15/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace {

/// Marks a parameter that is a tensor map: an attribute that one needs anyway
/// and convert-gpu-to-nvvm keeps.
StringRef mark() { return LLVM::LLVMDialect::getAlignAttrName(); }

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

  static void passTensorMaps(gpu::GPUFuncOp kernel) {
    auto b =
        ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(), &kernel.front());
    SmallVector<Type> types(kernel.getFunctionType().getInputs());
    for (auto [i, type] : llvm::enumerate(types)) {
      if (!isa<nvgpu::TensorMapDescriptorType>(type))
        continue;
      BlockArgument argument = kernel.getArgument(i);
      argument.setType(LLVM::LLVMPointerType::get(b.getContext()));
      auto cast = UnrealizedConversionCastOp::create(b, type, argument);
      argument.replaceAllUsesExcept(cast.getResult(0), cast);
      kernel.setArgAttr(i, mark(), b.getI64IntegerAttr(64));
      type = argument.getType();
    }
    kernel.setFunctionType(b.getFunctionType(types, {}));
  }
};

struct DeviceMathPass : PassWrapper<DeviceMathPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DeviceMathPass)
  StringRef getArgument() const final { return "ch15-device-math"; }
  StringRef getDescription() const final {
    return "exp, fma and floor become instructions instead of library calls";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect>();
  }

  static Value call(ImplicitLocOpBuilder &b, StringRef name, ValueRange x) {
    return LLVM::CallIntrinsicOp::create(b, x[0].getType(),
                                         b.getStringAttr(name), x)
        ->getResult(0);
  }

  /// exp(x) = 2^y with y = x * log2(e). The rounding error of y would be that
  /// of the result times y, so it is computed (two fma) and made good at the
  /// end: 2^(y + e) = 2^y * (1 + e * ln(2)). Beyond [-150, 150] it is 0 or inf.
  static Value exp(ImplicitLocOpBuilder &b, Value x) {
    auto number = [&](double value) -> Value {
      return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
    };
    constexpr double log2e = 1.4426950408889634;
    Value high = number(log2e), low = number(log2e - float(log2e));
    x = arith::MaximumFOp::create(b, x, number(-150));
    x = arith::MinimumFOp::create(b, x, number(150));
    Value y = arith::MulFOp::create(b, x, high);
    Value minus = arith::NegFOp::create(b, y);
    Value error = call(b, "llvm.fma", {x, high, minus});
    error = call(b, "llvm.fma", {x, low, error});
    Value factor =
        call(b, "llvm.fma", {error, number(0.6931471805599453), number(1)});
    return arith::MulFOp::create(b, call(b, "llvm.exp2", y), factor);
  }

  void runOnOperation() final {
    getOperation().walk([](Operation *op) {
      ImplicitLocOpBuilder b(op->getLoc(), op);
      Value result;
      if (isa<math::FmaOp>(op))
        result = call(b, "llvm.fma", op->getOperands());
      else if (isa<math::FloorOp>(op))
        result = call(b, "llvm.floor", op->getOperands());
      else if (isa<math::ExpOp>(op) && op->getOperand(0).getType().isF32())
        result = exp(b, op->getOperand(0));
      else
        return;
      op->replaceAllUsesWith(ValueRange{result});
      op->erase();
    });
  }
};

struct DeviceUnrollPass
    : PassWrapper<DeviceUnrollPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DeviceUnrollPass)
  DeviceUnrollPass() = default;
  DeviceUnrollPass(const DeviceUnrollPass &other) : PassWrapper(other) {}
  StringRef getArgument() const final { return "ch15-device-unroll"; }
  StringRef getDescription() const final {
    return "innermost loops of unknown length take several turns at once";
  }

  void runOnOperation() final {
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) {
      bool isInnermost = !loop.getBody()
                              ->walk([](LoopLikeOpInterface) {
                                return WalkResult::interrupt();
                              })
                              .wasInterrupted();
      bool isKnown = getConstantIntValue(loop.getLowerBound()) &&
                     getConstantIntValue(loop.getUpperBound());
      bool loads = !loop.getBody()->getOps<memref::LoadOp>().empty();
      if (loop->getParentOfType<gpu::GPUFuncOp>() && isInnermost && !isKnown &&
          loads)
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops)
      if (failed(loopUnrollByFactor(loop, factor)))
        return signalPassFailure();
  }

  Option<unsigned> factor{*this, "factor", llvm::cl::desc("turns at once"),
                          llvm::cl::init(4)};
};

struct KernelAbiPass : PassWrapper<KernelAbiPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelAbiPass)
  StringRef getArgument() const final { return "ch15-kernel-abi"; }
  StringRef getDescription() const final {
    return "says how tensor maps and dynamic workgroup memory come to a kernel";
  }

  void runOnOperation() final {
    Builder b(&getContext());
    auto bytes = LLVM::LLVMArrayType::get(b.getI64Type(), 16);
    getOperation().walk([&](LLVM::LLVMFuncOp kernel) {
      for (unsigned i = 0; i < kernel.getNumArguments(); ++i) {
        if (!kernel.getArgAttr(i, mark()))
          continue;
        kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(),
                          TypeAttr::get(bytes));
        kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                          b.getUnitAttr());
      }
    });
    // Memory whose size the launch says is an array of no size, declared here
    // and defined by nobody. convert-gpu-to-nvvm defines it.
    getOperation().walk([](LLVM::GlobalOp memory) {
      auto type = dyn_cast<LLVM::LLVMArrayType>(memory.getGlobalType());
      if (type && type.getNumElements() == 0)
        memory.setLinkage(LLVM::Linkage::External);
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

std::unique_ptr<Pass> ch15::createDeviceUnrollPass() {
  return std::make_unique<DeviceUnrollPass>();
}

std::unique_ptr<Pass> ch15::createKernelAbiPass() {
  return std::make_unique<KernelAbiPass>();
}

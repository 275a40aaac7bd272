//===- builder.cpp - what the kernels' builders say again and again -------===//
#include "Builder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace ch15 {

Attribute workgroup(MLIRContext *context) {
  return gpu::AddressSpaceAttr::get(context, gpu::AddressSpace::Workgroup);
}

Value index(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(b, b.getIndexAttr(value));
}

Value add(ImplicitLocOpBuilder &b, Value l, Value r) {
  return arith::AddIOp::create(b, l, r);
}

Value mul(ImplicitLocOpBuilder &b, Value l, Value r) {
  return arith::MulIOp::create(b, l, r);
}

Value less(ImplicitLocOpBuilder &b, Value l, Value r) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, l, r);
}

Value ceilDiv(ImplicitLocOpBuilder &b, Value size, int64_t parts) {
  Value up = add(b, size, index(b, parts - 1));
  return arith::DivUIOp::create(b, up, index(b, parts));
}

void ifThen(ImplicitLocOpBuilder &b, Value condition, Body then) {
  auto op = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  ImplicitLocOpBuilder inner(b.getLoc(), op.getThenBodyBuilder());
  then(inner);
}

Value fold(ImplicitLocOpBuilder &b, Value from, Value to, Value step,
           Value init, Fold body) {
  auto loop = scf::ForOp::create(
      b, from, to, step, init,
      [&](OpBuilder &nested, Location loc, Value i, ValueRange carried) {
        ImplicitLocOpBuilder inner(loc, nested);
        scf::YieldOp::create(inner, body(inner, i, carried[0]));
      });
  return loop.getResult(0);
}

KernelModule::KernelModule(ImplicitLocOpBuilder &b, StringRef name,
                           FunctionType hostType, FunctionType kernelType,
                           ArrayRef<int32_t> block, TypeRange shared) {
  module = ModuleOp::create(b.getLoc());
  // Says that functions in here may launch what is in a gpu.module.
  (*module)->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                     b.getUnitAttr());
  b.setInsertionPointToEnd(module->getBody());
  host = func::FuncOp::create(b, name, hostType);
  host->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), b.getUnitAttr());
  host.addEntryBlock();

  auto kernels = gpu::GPUModuleOp::create(b, "kernels");
  b.setInsertionPointToStart(kernels.getBody());
  kernel = gpu::GPUFuncOp::create(b, name, kernelType, shared);
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  kernel.setKnownBlockSizeAttr(b.getDenseI32ArrayAttr(block));
}

void launch(ImplicitLocOpBuilder &b, KernelModule &m, ArrayRef<Value> grid,
            ArrayRef<int32_t> block, ValueRange arguments, Value sharedBytes) {
  gpu::KernelDim3 blocks{grid[0], grid[1], grid[2]};
  gpu::KernelDim3 threads{index(b, block[0]), index(b, block[1]),
                          index(b, block[2])};
  gpu::LaunchFuncOp::create(b, m.kernel, blocks, threads, sharedBytes,
                            arguments);
  func::ReturnOp::create(b);
}

} // namespace ch15

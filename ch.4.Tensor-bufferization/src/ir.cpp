// ir.cpp - builds the IR of this chapter: a product of values, not of memory.
//
//   %C = linalg.matmul(%A, %B, zeros)       tensors: each op makes a new value
//   return %C                               naive, out_parameter
//   materialize %C in the memref %out       destination
//
// First step of the chapter: here -> lowering.cpp -> jit.cpp. The body is the
// same for all variants; what differs is how the result leaves the function.
#include "ch4/Bufferize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace ch4 {

// [gemm-type]
FunctionType gemmType(MLIRContext *context, Variant variant) {
  Builder b(context);
  constexpr int64_t any = ShapedType::kDynamic;
  auto tensor = RankedTensorType::get({any, any}, b.getF32Type());
  if (variant != Variant::Destination)
    return b.getFunctionType({tensor, tensor}, {tensor});
  // A and B are values. C is a place, in C order: NumPy makes it for us.
  auto memref = MemRefType::get({any, any}, b.getF32Type());
  return b.getFunctionType({tensor, tensor, memref}, {});
}
// [/gemm-type]

/// A x B, as a value.
static Value product(ImplicitLocOpBuilder &b, Value A, Value B) {
  // [M, N]: the rows of A, the columns of B.
  Value c0 = arith::ConstantOp::create(b, b.getIndexAttr(0));
  Value c1 = arith::ConstantOp::create(b, b.getIndexAttr(1));
  Value M = tensor::DimOp::create(b, A, c0);
  Value N = tensor::DimOp::create(b, B, c1);
  // [product]
  // A tensor of this shape that nobody has given numbers yet: the fill does.
  Value empty = tensor::EmptyOp::create(b, A.getType(), ValueRange{M, N});
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
  Value zeros = linalg::FillOp::create(b, zero, empty).getResult(0);
  return linalg::MatmulOp::create(b, TypeRange{A.getType()}, ValueRange{A, B},
                                  ValueRange{zeros})
      .getResult(0);
  // [/product]
}

// [build-gemm]
OwningOpRef<ModuleOp> buildGemm(MLIRContext *context, Variant variant) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, "gemm", gemmType(context, variant));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  Value C = product(b, entry->getArgument(0), entry->getArgument(1));
  if (variant == Variant::Destination) {
    // `restrict`: no other name of this memory is used as a tensor here.
    bufferization::MaterializeInDestinationOp::create(
        b, /*result=*/Type(), C, entry->getArgument(2), /*restrict=*/true,
        /*writable=*/true);
    func::ReturnOp::create(b);
  } else {
    func::ReturnOp::create(b, C);
  }
  ch1::verifyOrThrow(*module);
  return module;
}
// [/build-gemm]

} // namespace ch4

// ir.cpp - builds the IR of this chapter: ch.1's function, for any shape.
//
//   memref<8x32xf32>                            ch.1: sizes are in the type
//   memref<?x?xf32, strided<[?, ?], offset: ?>> here: sizes, strides and
//                                               offset come with the call
//
// Only the types differ. The body, the dialects and the passes are ch.1's.
#include "ch2/Gemm.h"

#include "ch1/Gemm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"
#include <array>

using namespace mlir;

namespace ch2 {

// [gemm-type]
static FunctionType gemmType(MLIRContext *context) {
  Builder b(context);
  constexpr int64_t any = ShapedType::kDynamic; // printed as ?
  auto layout =
      StridedLayoutAttr::get(context, /*offset=*/any, /*strides=*/{any, any});
  auto matrix = MemRefType::get({any, any}, b.getF32Type(), layout);
  return b.getFunctionType({matrix, matrix, matrix}, /*results=*/{});
}
// [/gemm-type]

// [build-gemm]
static OwningOpRef<ModuleOp> buildGemm(MLIRContext *context) {
  OpBuilder b(context);
  Location loc = b.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, loc, "gemm", gemmType(context));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());

  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto [A, B, C] = std::array<Value, 3>{
      entry->getArgument(0), entry->getArgument(1), entry->getArgument(2)};
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
  linalg::FillOp::create(b, loc, ValueRange{zero}, ValueRange{C});
  linalg::MatmulOp::create(b, loc, ValueRange{A, B}, ValueRange{C});
  func::ReturnOp::create(b, loc);

  ch1::verifyOrThrow(*module);
  return module;
}
// [/build-gemm]

// [recipe]
ch1::Recipe recipe() {
  return {"gemm", gemmType, ch1::registerDialects, buildGemm,
          ch1::buildLowering};
}
// [/recipe]

} // namespace ch2

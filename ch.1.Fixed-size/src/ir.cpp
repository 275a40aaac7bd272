// ir.cpp - builds the IR of this chapter: one function around linalg.matmul.
//
//   func.func @gemm(%A: memref<8x32xf32>, %B: memref<32x16xf32>,
//                   %C: memref<8x16xf32>) {
//     linalg.fill   0 -> %C
//     linalg.matmul %A, %B -> %C        adds to what %C holds: hence the fill
//   }
//
// First step of the chapter: here -> lowering.cpp -> jit.cpp. The shapes are
// part of the types; a function for any shape is ch.2's subject.
#include "ch1/Gemm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ch1 {

// [dialects]
void registerDialects(DialectRegistry &registry) {
  // What buildGemm() builds with, and what a reader's own IR may use besides.
  registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                  memref::MemRefDialect, LLVM::LLVMDialect>();
  registry.insert<cf::ControlFlowDialect, scf::SCFDialect>();
}
// [/dialects]

// [gemm-type]
FunctionType gemmType(MLIRContext *context) {
  Builder b(context);
  Type f32 = b.getF32Type();
  auto typeA = MemRefType::get({kM, kK}, f32);
  auto typeB = MemRefType::get({kK, kN}, f32);
  auto typeC = MemRefType::get({kM, kN}, f32);
  return b.getFunctionType({typeA, typeB, typeC}, /*results=*/{});
}
// [/gemm-type]

// [build-gemm]
OwningOpRef<ModuleOp> buildGemm(MLIRContext *context) {
  OpBuilder b(context);
  Location loc = b.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);

  // The signature. The result is written into an argument: nothing is
  // allocated.
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, loc, "gemm", gemmType(context));
  // Asks for a second entry, _mlir_ciface_gemm, that takes pointers to
  // descriptors: the one that C++ can call.
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());

  // The body.
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Value A = entry->getArgument(0);
  Value B = entry->getArgument(1);
  Value C = entry->getArgument(2);
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
  linalg::FillOp::create(b, loc, ValueRange{zero}, ValueRange{C});
  linalg::MatmulOp::create(b, loc, ValueRange{A, B}, ValueRange{C});
  func::ReturnOp::create(b, loc);

  verifyOrThrow(*module);
  return module;
}
// [/build-gemm]

} // namespace ch1

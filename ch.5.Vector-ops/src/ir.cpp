// ir.cpp - builds C = alpha * A + B three times, from one multiplication and
// one addition.
//
//   "scf"      scf.for i = 0 to n:            C[i] = alpha * A[i] + B[i]
//   "linalg"   linalg.generic:                c = alpha * a + b, for all
//   "vector"   scf.for i = 0 to n step 16:    C[i..i+16] = ...
//              then once, under a mask:       the n % 16 elements left
//
// First step of the chapter: here -> lowering.cpp -> ch.1's jit. The function
// around the three bodies is the same, so they can be called alike.
#include "ch5/Saxpy.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <stdexcept>

using namespace mlir;

namespace ch5 {

void registerDialects(DialectRegistry &registry) {
  registry
      .insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
              linalg::LinalgDialect, LLVM::LLVMDialect, memref::MemRefDialect,
              scf::SCFDialect, vector::VectorDialect>();
}

// [type]
FunctionType saxpyType(MLIRContext *context) {
  Builder b(context);
  Type f32 = b.getF32Type();
  // No layout: elements lie side by side, which is what a vector wants.
  auto array = MemRefType::get({ShapedType::kDynamic}, f32);
  return b.getFunctionType({f32, array, array, array}, /*results=*/{});
}
// [/type]

namespace {

/// The function's arguments.
struct Arguments {
  Value alpha, A, B, C;
};

Value indexConstant(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(b, b.getIndexAttr(value));
}

// [multiply-add]
/// alpha * x + y, of numbers or of vectors: arith takes both. Two operations
/// and two roundings, as in NumPy.
Value multiplyAdd(ImplicitLocOpBuilder &b, Value alpha, Value x, Value y) {
  Value product = arith::MulFOp::create(b, alpha, x);
  return arith::AddFOp::create(b, product, y);
}
// [/multiply-add]

// [scf]
void buildLoop(ImplicitLocOpBuilder &b, const Arguments &args) {
  Value one = indexConstant(b, 1);
  Value zero = indexConstant(b, 0);
  Value n = memref::DimOp::create(b, args.A, zero);
  auto loop = scf::ForOp::create(b, /*from=*/zero, /*to=*/n, /*step=*/one);
  b.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar();
  Value x = memref::LoadOp::create(b, args.A, i);
  Value y = memref::LoadOp::create(b, args.B, i);
  memref::StoreOp::create(b, multiplyAdd(b, args.alpha, x, y), args.C, i);
}
// [/scf]

// [linalg]
void buildGeneric(ImplicitLocOpBuilder &b, const Arguments &args) {
  // For one loop over i: an operand's element i, and an operand without one.
  AffineMap each = b.getMultiDimIdentityMap(1);          // (i) -> (i)
  AffineMap same = AffineMap::get(1, 0, b.getContext()); // (i) -> ()
  linalg::GenericOp::create(
      b, /*ins=*/ValueRange{args.alpha, args.A, args.B},
      /*outs=*/ValueRange{args.C}, ArrayRef{same, each, each, each},
      utils::IteratorType::parallel,
      [](OpBuilder &builder, Location loc, ValueRange elements) {
        ImplicitLocOpBuilder b(loc, builder);
        Value sum = multiplyAdd(b, elements[0], elements[1], elements[2]);
        linalg::YieldOp::create(b, sum);
      });
}
// [/linalg]

// [step]
/// C[i..i+16] = alpha * A[i..i+16] + B[i..i+16]; where there is a mask, only in
/// the places whose bit is set.
void buildVectorStep(ImplicitLocOpBuilder &b, const Arguments &args,
                     Value alphas, Value padding, Value i, Value mask = {}) {
  auto type = cast<VectorType>(alphas.getType());
  auto map = AffineMapAttr::get(b.getMultiDimIdentityMap(1));
  // Our promise: what is read and written, under the mask, is in the array.
  auto inBounds = b.getBoolArrayAttr({true});
  Value x = vector::TransferReadOp::create(b, type, args.A, i, map, padding,
                                           mask, inBounds);
  Value y = vector::TransferReadOp::create(b, type, args.B, i, map, padding,
                                           mask, inBounds);
  Value sum = multiplyAdd(b, alphas, x, y);
  vector::TransferWriteOp::create(b, sum, args.C, i, map, mask, inBounds);
}
// [/step]

// [vector]
void buildVectors(ImplicitLocOpBuilder &b, const Arguments &args) {
  auto type = VectorType::get(kVectorSize, b.getF32Type());
  Value zero = indexConstant(b, 0);
  Value size = indexConstant(b, kVectorSize);
  Value n = memref::DimOp::create(b, args.A, zero);
  Value rest = arith::RemUIOp::create(b, n, size);
  Value full = arith::SubIOp::create(b, n, rest); // a multiple of 16
  Value alphas = vector::BroadcastOp::create(b, type, args.alpha); // 16 times
  Value padding = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));

  // Whole vectors: all of them lie inside the arrays.
  auto loop = scf::ForOp::create(b, zero, full, size);
  {
    OpBuilder::InsertionGuard guard(b); // back behind the loop at the end
    b.setInsertionPointToStart(loop.getBody());
    buildVectorStep(b, args, alphas, padding, loop.getInductionVar());
  }

  // The rest, 0 to 15 elements: bit k of the mask is set where k < rest.
  // Nothing is read or written where it is not.
  Value mask = vector::CreateMaskOp::create(b, type.clone(b.getI1Type()), rest);
  buildVectorStep(b, args, alphas, padding, full, mask);
}
// [/vector]

using BuildBody = void (*)(ImplicitLocOpBuilder &, const Arguments &);

BuildBody bodyOf(const std::string &kernel) {
  if (kernel == "scf")
    return buildLoop;
  if (kernel == "linalg")
    return buildGeneric;
  if (kernel == "vector")
    return buildVectors;
  throw std::invalid_argument(
      "kernel: expected 'scf', 'linalg' or 'vector', got '" + kernel + "'");
}

} // namespace

// [function]
OwningOpRef<ModuleOp> buildSaxpy(MLIRContext *context,
                                 const std::string &kernel) {
  BuildBody buildBody = bodyOf(kernel);
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, "saxpy", saxpyType(context));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());

  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto end = func::ReturnOp::create(b);
  b.setInsertionPoint(end);
  buildBody(b, {entry->getArgument(0), entry->getArgument(1),
                entry->getArgument(2), entry->getArgument(3)});

  ch1::verifyOrThrow(*module);
  return module;
}
// [/function]

} // namespace ch5

// dialect.cpp - the verifiers of the step's ops, and their registration.
//
// Types say rank and element type. What they cannot say, that the sizes of
// several buffers belong together, is checked here.
#include "ch11/Lowering.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "ch14/StepOps.cpp.inc"

static int64_t dim(Value memref, unsigned i) {
  return cast<MemRefType>(memref.getType()).getDimSize(i);
}

/// Sizes that are both known must be equal.
static LogicalResult same(Operation *op, StringRef what, int64_t expected,
                          int64_t actual) {
  if (transformer::sizesAgree(expected, actual))
    return success();
  return op->emitOpError() << what << ": expected " << expected << ", got "
                           << actual;
}

static LogicalResult atLeast(Operation *op, StringRef what, int64_t expected,
                             int64_t actual) {
  if (ShapedType::isDynamic(actual) || actual >= expected)
    return success();
  return op->emitOpError() << what << ": expected at least " << expected
                           << ", got " << actual;
}

/// Sizes that kernels are generated for must be known when compiling.
static LogicalResult isStatic(Operation *op, StringRef what, Value memref,
                              unsigned firstDim) {
  for (unsigned i = firstDim; i < cast<MemRefType>(memref.getType()).getRank();
       ++i)
    if (ShapedType::isDynamic(dim(memref, i)))
      return op->emitOpError()
             << what << ": dimension " << i << " must be static";
  return success();
}

namespace transformer {

LogicalResult RowsLinearOp::verify() {
  Type x = getX().getType().getElementType();
  Type weight = getWeight().getType().getElementType();
  bool floats = x.isF32() && !weight.isInteger();
  bool integers = x.isInteger() && weight.isInteger();
  if (!floats && !integers && !(x.isBF16() && weight.isBF16()))
    return emitOpError() << "element types of x and weight: expected f32 and "
                            "f32 or bf16, bf16 and bf16, or i16 and i8, got "
                         << x << " and " << weight;
  if (integers != bool(getRowScales()))
    return emitOpError() << (integers ? "integers need scales"
                                      : "scales belong to integers");
  if (failed(isStatic(*this, "weight", getWeight(), 0)))
    return failure();
  if (isPaired() && dim(getWeight(), 2) % 2)
    return emitOpError() << "weight: expected pairs, got rows of "
                         << dim(getWeight(), 2);
  int64_t n = dim(getWeight(), 0) * getPanel();
  if (getBias() && failed(same(*this, "size of bias", n, dim(getBias(), 0))))
    return failure();
  if (integers && (failed(same(*this, "size of column scales", n,
                               dim(getColumnScales(), 0))) ||
                   failed(same(*this, "size of row scales", dim(getX(), 0),
                               dim(getRowScales(), 0)))))
    return failure();
  if (failed(atLeast(*this, "columns of x", getDepth(), dim(getX(), 1))) ||
      failed(same(*this, "columns of out", n, dim(getOut(), 1))) ||
      failed(same(*this, "rows of out", dim(getX(), 0), dim(getOut(), 0))))
    return failure();
  return success();
}

LogicalResult RowsQuantizeOp::verify() {
  if (getOut().getType().getElementType().isInteger() != bool(getScales()))
    return emitOpError() << "scales belong to integers, and integers need them";
  if (failed(isStatic(*this, "out", getOut(), 1)))
    return failure();
  if (getScales() && failed(same(*this, "size of scales", dim(getX(), 0),
                                 dim(getScales(), 0))))
    return failure();
  if (failed(atLeast(*this, "columns of x", getColumns(), dim(getX(), 1))) ||
      failed(atLeast(*this, "columns of out", getColumns(), dim(getOut(), 1))))
    return failure();
  return same(*this, "rows of out", dim(getX(), 0), dim(getOut(), 0));
}

LogicalResult RowsNormOp::verify() {
  if (failed(isStatic(*this, "gamma", getGamma(), 0)))
    return failure();
  int64_t d = dim(getGamma(), 0);
  if (failed(same(*this, "size of beta", d, dim(getBeta(), 0))) ||
      failed(atLeast(*this, "columns of x", d, dim(getX(), 1))) ||
      failed(atLeast(*this, "columns of out", d, dim(getOut(), 1))))
    return failure();
  return same(*this, "rows of out", dim(getX(), 0), dim(getOut(), 0));
}

LogicalResult RowsEmbedOp::verify() {
  if (failed(isStatic(*this, "table", getTable(), 0)))
    return failure();
  int64_t d = dim(getWpe(), 1);
  if (failed(isStatic(*this, "wpe", getWpe(), 1)) ||
      failed(same(*this, "depth of table", getPaired() ? (d + 1) / 2 : d,
                  dim(getTable(), 1))) ||
      failed(atLeast(*this, "columns of out", d, dim(getOut(), 1))))
    return failure();
  return same(*this, "size of positions", dim(getTokens(), 0),
              dim(getPositions(), 0));
}

LogicalResult RowsGatherOp::verify() {
  if (failed(isStatic(*this, "out", getOut(), 1)))
    return failure();
  if (failed(same(*this, "columns of out", dim(getX(), 1), dim(getOut(), 1))))
    return failure();
  return same(*this, "rows of out", dim(getRows(), 0), dim(getOut(), 0));
}

/// keys [pages, H, head_dim, page_size], values [pages, H, page_size,
/// head_dim].
static LogicalResult verifyCache(Operation *op, Value keys, Value values) {
  if (failed(isStatic(op, "keys", keys, 1)) ||
      failed(isStatic(op, "values", values, 1)) ||
      failed(same(op, "pages of values", dim(keys, 0), dim(values, 0))) ||
      failed(same(op, "heads of values", dim(keys, 1), dim(values, 1))) ||
      failed(same(op, "page size of values", dim(keys, 3), dim(values, 2))))
    return failure();
  return same(op, "head size of values", dim(keys, 2), dim(values, 3));
}

LogicalResult PagedStoreOp::verify() {
  if (failed(verifyCache(*this, getKeys(), getValues())))
    return failure();
  return atLeast(*this, "columns of qkv",
                 3 * dim(getKeys(), 1) * dim(getKeys(), 2), dim(getQkv(), 1));
}

LogicalResult PagedAttentionOp::verify() {
  if (failed(verifyCache(*this, getKeys(), getValues())))
    return failure();
  int64_t width = dim(getKeys(), 1) * dim(getKeys(), 2);
  if (failed(atLeast(*this, "columns of qkv", width, dim(getQkv(), 1))))
    return failure();
  return atLeast(*this, "columns of out", width, dim(getOut(), 1));
}

/// past [P, D], next [T, D] -> [P + T, D]
LogicalResult AppendOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor operands,
                                         SmallVectorImpl<Type> &types) {
  auto past = dyn_cast<RankedTensorType>(operands.getPast().getType());
  auto next = dyn_cast<RankedTensorType>(operands.getNext().getType());
  if (!past || !next || past.getRank() != 2 || next.getRank() != 2)
    return emitOptionalError(loc, "expected two matrices, got ",
                             operands.getPast().getType(), " and ",
                             operands.getNext().getType());
  bool known = !past.isDynamicDim(0) && !next.isDynamicDim(0);
  int64_t rows =
      known ? past.getDimSize(0) + next.getDimSize(0) : ShapedType::kDynamic;
  types.push_back(past.clone({rows, past.getDimSize(1)}));
  return success();
}

LogicalResult AppendOp::verify() {
  int64_t past = getPast().getType().getDimSize(1);
  int64_t next = getNext().getType().getDimSize(1);
  return same(*this, "columns of next", past, next);
}

} // namespace transformer

// [register]
void ch14::registerDialects(DialectRegistry &registry) {
  ch11::registerDialects(registry);
  registry.insert<memref::MemRefDialect, omp::OpenMPDialect, scf::SCFDialect,
                  tensor::TensorDialect, vector::VectorDialect,
                  x86vector::X86VectorDialect>();
  registerOpenMPDialectTranslation(registry);
  registry.addExtension(+[](MLIRContext *,
                            transformer::TransformerDialect *dialect) {
    dialect
        ->registerOps<transformer::RowsLinearOp, transformer::RowsQuantizeOp,
                      transformer::RowsNormOp, transformer::RowsEmbedOp,
                      transformer::RowsGatherOp, transformer::PagedStoreOp,
                      transformer::PagedAttentionOp, transformer::AppendOp>();
  });
}
// [/register]

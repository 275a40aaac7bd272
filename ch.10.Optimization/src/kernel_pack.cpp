//===- kernel_pack.cpp - operands in the order in which they are read -----===//
//
//   A [M, K] -> [M/rows, K, rows]        a block of rows, k after k
//   B [K, N] -> [N/panel, K, panel]      a panel of columns, k after k
//
// Reading beyond a matrix gives zeros, so a shape that fits nothing is filled
// up on the way, without a copy of its own. The panels of a constant are made
// by a function of their own, once.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include "ch9/Compiler.h"
#include "ch9/Graph.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace ch10 {

/// What is read and written at once: so many steps of k.
constexpr int64_t kBlock = 16;

/// The element of a packed operand, and how many steps of k are in one.
static Type packedElement(Builder &b, const Cut &cut) {
  return cut.bf16 ? Type(b.getI32Type()) : b.getF32Type();
}
static int64_t packedDepth(const Cut &cut, int64_t k) {
  return cut.bf16 ? (k + 1) / 2 : k;
}

// [pairs]
/// Numbers rounded to bfloat16, two neighbours of the last axis in one i32:
/// [columns, 2 * pairs] f32 -> [columns, pairs] i32.
static Value toPairs(KernelBuilder &b, Value v) {
  auto type = cast<VectorType>(v.getType());
  SmallVector<int64_t> shape(type.getShape());
  Value rounded =
      arith::TruncFOp::create(b, VectorType::get(shape, b.getBF16Type()), v);
  shape.back() /= 2;
  return vector::BitCastOp::create(b, VectorType::get(shape, b.getI32Type()),
                                   rounded);
}
// [/pairs]

// [block]
/// `count` rows of a matrix [rows, K] (kLast), or columns of one [K, columns],
/// from `first` on, into `into` [K, count]: sixteen steps of k at a time. What
/// lies beyond the matrix is 0.
static Value packBlock(KernelBuilder &b, const Cut &cut, Value matrix,
                       bool kLast, Value first, int64_t count, Value into) {
  auto type = cast<RankedTensorType>(matrix.getType());
  int64_t k = type.getDimSize(kLast ? 1 : 0);
  int64_t perStep = cut.bf16 ? 2 : 1;
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  bool wholeK = k % (kBlock * perStep) == 0;
  int64_t other = type.getDimSize(kLast ? 0 : 1);
  bool wholeRest = !ShapedType::isDynamic(other) && other % count == 0;
  auto body = [&](Value at, ValueRange carried) -> Values {
    Value from = b.mul(at, perStep);
    SmallVector<int64_t> shape = {count, kBlock * perStep};
    SmallVector<Value> place = {first, from};
    SmallVector<bool> whole = {wholeRest, wholeK};
    if (!kLast) {
      std::swap(shape[0], shape[1]);
      std::swap(place[0], place[1]);
      std::swap(whole[0], whole[1]);
    }
    Value v = vector::TransferReadOp::create(
        b, VectorType::get(shape, b.getF32Type()), matrix, place, zero,
        b.getMultiDimIdentityMap(2), whole);
    SmallVector<int64_t> swap = {1, 0};
    if (cut.bf16) { // pairs lie side by side along k
      if (!kLast)
        v = vector::TransposeOp::create(b, v, swap);
      v = vector::TransposeOp::create(b, toPairs(b, v), swap);
    } else if (kLast) {
      v = vector::TransposeOp::create(b, v, swap);
    }
    auto written = vector::TransferWriteOp::create(
        b, v, carried[0], ValueRange{at, b.index(0)},
        b.getMultiDimIdentityMap(2), ArrayRef<bool>{wholeK, true});
    return {written.getResult()};
  };
  return b.loop(b.index(0), b.index(packedDepth(cut, k)), kBlock, into,
                body)[0];
}
// [/block]

/// [count, depth, width], one [depth, width] after the other.
static Value packAll(KernelBuilder &b, const Cut &cut, OpFoldResult count,
                     int64_t depth, int64_t width,
                     function_ref<Value(Value i, Value into)> pack) {
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  OpFoldResult d = b.getIndexAttr(depth), w = b.getIndexAttr(width);
  Value empty = tensor::EmptyOp::create(b, ArrayRef<OpFoldResult>{count, d, w},
                                        packedElement(b, cut));
  auto slice = [&](Value i) {
    return KernelBuilder::Slice{{i, zero, zero}, {one, d, w}};
  };
  return b.parallel(count, empty, slice, [&](Value i, Value part) {
    SmallVector<ReassociationIndices> groups = {{0, 1}, {2}};
    Value flat = tensor::CollapseShapeOp::create(b, part, groups);
    Value done = pack(i, flat);
    return tensor::ExpandShapeOp::create(b, part.getType(), done, groups)
        .getResult();
  });
}

Value packRows(KernelBuilder &b, const Cut &cut, Value a, Value blocks,
               function_ref<Value(Value)> firstRow) {
  int64_t k = cast<RankedTensorType>(a.getType()).getDimSize(1);
  return packAll(b, cut, getAsOpFoldResult(blocks), packedDepth(cut, k),
                 cut.rows, [&](Value i, Value into) {
                   return packBlock(b, cut, a, /*kLast=*/true, firstRow(i),
                                    cut.rows, into);
                 });
}

RankedTensorType panelsType(KernelBuilder &b, const Cut &cut, const Product &p,
                            int64_t count) {
  return RankedTensorType::get({count, packedDepth(cut, p.k), cut.panel()},
                               packedElement(b, cut));
}

Value packPanels(KernelBuilder &b, const Cut &cut, const Product &p,
                 Value first, int64_t count) {
  return packAll(b, cut, b.getIndexAttr(count), packedDepth(cut, p.k),
                 cut.panel(), [&](Value i, Value into) {
                   return packBlock(b, cut, p.b, p.transposed,
                                    b.mul(b.add(first, i), cut.panel()),
                                    cut.panel(), into);
                 });
}

//===--- Constants --------------------------------------------------------===//

int64_t numPanels(const Cut &cut, const Product &p) {
  constexpr int64_t most = 4; // side by side in a tile
  return llvm::alignTo(llvm::divideCeil(p.n, cut.panel()), most);
}

// [prepare]
/// @prepare_N: the panels of argument N into the caller's memory.
static std::string addPrepare(ModuleOp module, const Cut &cut, Product p,
                              BlockArgument argument) {
  std::string name = "prepare_" + std::to_string(argument.getArgNumber());
  OpBuilder at(module.getContext());
  KernelBuilder b(argument.getLoc(), at);
  b.setInsertionPointToEnd(module.getBody());
  RankedTensorType packed = panelsType(b, cut, p, numPanels(cut, p));
  auto out = MemRefType::get(packed.getShape(), packed.getElementType());
  auto function = func::FuncOp::create(
      b, name, b.getFunctionType({p.b.getType(), out}, {}));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  function.setArgAttr(0, bufferization::BufferizationDialect::kWritableAttrName,
                      b.getBoolAttr(false));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  p.b = entry->getArgument(0);
  Value panels = packPanels(b, cut, p, b.index(0), numPanels(cut, p));
  auto write = bufferization::MaterializeInDestinationOp::create(
      b, panels, entry->getArgument(1));
  write.setRestrict(true);
  write.setWritable(true);
  func::ReturnOp::create(b);
  return name;
}

StringRef constantType(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
               : nullptr;
  auto type = function ? function.getArgAttrOfType<StringAttr>(
                             argument.getArgNumber(), ch9::kConstantAttr)
                       : nullptr;
  return type ? type.getValue() : StringRef();
}

llvm::SmallPtrSet<Value, 4>
prepareConstants(ModuleOp module,
                 ArrayRef<std::pair<Operation *, Product>> products,
                 function_ref<Cut(const Product &)> cutOf) {
  Builder b(module.getContext());
  llvm::SmallPtrSet<Value, 4> done;
  SmallVector<Attribute> entries;
  for (auto &[op, p] : products) {
    if (constantType(p.b).empty() || done.contains(p.b))
      continue;
    auto argument = cast<BlockArgument>(p.b);
    // Whoever else reads it would find other numbers than before.
    bool transposed = p.transposed;
    if (!llvm::all_of(argument.getUsers(), [&](Operation *user) {
          return llvm::any_of(products, [&](auto &other) {
            return other.first == user && other.second.b == argument &&
                   other.second.a != argument &&
                   other.second.transposed == transposed;
          });
        }))
      continue;
    Cut cut = cutOf(p);
    std::string function = addPrepare(module, cut, p, argument);
    KernelBuilder at(argument.getLoc(), module.getContext());
    RankedTensorType type = panelsType(at, cut, p, numPanels(cut, p));
    std::string layout = llvm::formatv(
        "{0}panels of {1} columns of {2}", cut.bf16 ? "bfloat16 " : "",
        cut.panel(), p.transposed ? "the transpose" : "the matrix");
    entries.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("leaf", b.getI64IntegerAttr(argument.getArgNumber())),
         b.getNamedAttr("function", b.getStringAttr(function)),
         b.getNamedAttr("layout", b.getStringAttr(layout)),
         b.getNamedAttr("shape", b.getDenseI64ArrayAttr(type.getShape())),
         b.getNamedAttr("type",
                        b.getStringAttr(cut.bf16 ? "int32" : "float32"))}));
    done.insert(argument);
    argument.setType(type);
    auto owner = cast<func::FuncOp>(argument.getOwner()->getParentOp());
    owner.setType(b.getFunctionType(owner.getBody().getArgumentTypes(),
                                    owner.getFunctionType().getResults()));
  }
  if (!entries.empty())
    module->setAttr(ch9::kPreparedAttr, b.getArrayAttr(entries));
  return done;
}
// [/prepare]

} // namespace ch10

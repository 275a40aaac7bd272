// ir.cpp - builds @step: one pass of a GPT-2 over a flat list of tokens.
//
//   x = embed(tokens, positions)
//   for each layer l:                       one loop: weights are stacked by
//   layer
//     qkv = linear(norm(x), Wqkv[l])
//     cache[l] <- keys and values of qkv    at slots
//     x += linear(attention(qkv, cache[l]), Wo[l])
//     x += linear(gelu(linear(norm(x), Wup[l])), Wdown[l])
//   logits = head(norm(x at rows))          only the rows that are asked for
//
// The numbers of tokens, sequences, pages and layers are all dynamic: a
// prefill, a chunk of one, a decode of many and any mix are the same function.
#include "ch14/Step.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace ch14 {

static constexpr int64_t kAny = ShapedType::kDynamic;

// [weights]
SmallVector<WeightShape> weightShapes(const StepShape &s) {
  int64_t L = -1, D = s.width, F = s.inner, nr = s.tile.panel;
  return {{"table", {s.panels(s.vocabulary), D, nr}},
          {"wpe", {s.positions, D}},
          {"norm1_gamma", {L, D}},
          {"norm1_beta", {L, D}},
          {"qkv", {L, s.panels(3 * D), D, nr}},
          {"qkv_bias", {L, s.padded(3 * D)}},
          {"out", {L, s.panels(D), D, nr}},
          {"out_bias", {L, s.padded(D)}},
          {"norm2_gamma", {L, D}},
          {"norm2_beta", {L, D}},
          {"up", {L, s.panels(F), D, nr}},
          {"up_bias", {L, s.padded(F)}},
          {"down", {L, s.panels(D), F, nr}},
          {"down_bias", {L, s.padded(D)}},
          {"final_gamma", {D}},
          {"final_beta", {D}}};
}
// [/weights]

/// The part of `stacked` that belongs to `layer`: one dimension less, no copy.
static Value layerOf(ImplicitLocOpBuilder &b, Value stacked, Value layer) {
  auto type = cast<MemRefType>(stacked.getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)), sizes,
      strides(rank, b.getIndexAttr(1));
  offsets[0] = layer;
  sizes.push_back(b.getIndexAttr(1));
  for (int64_t i = 1; i < rank; ++i)
    sizes.push_back(
        type.isDynamicDim(i)
            ? OpFoldResult(memref::DimOp::create(b, stacked, i).getResult())
            : OpFoldResult(b.getIndexAttr(type.getDimSize(i))));
  MemRefType viewed = memref::SubViewOp::inferRankReducedResultType(
      type.getShape().drop_front(), type, offsets, sizes, strides);
  return memref::SubViewOp::create(b, viewed, stacked, offsets, sizes, strides);
}

/// The first `count` rows of a buffer.
static Value firstRows(ImplicitLocOpBuilder &b, Value rows, Value count) {
  auto type = cast<MemRefType>(rows.getType());
  return memref::SubViewOp::create(
      b, rows, ArrayRef<OpFoldResult>{b.getIndexAttr(0), b.getIndexAttr(0)},
      ArrayRef<OpFoldResult>{count, b.getIndexAttr(type.getDimSize(1))},
      ArrayRef<OpFoldResult>{b.getIndexAttr(1), b.getIndexAttr(1)});
}

OwningOpRef<ModuleOp> buildStep(MLIRContext *context, const StepShape &s) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());

  // The signature.
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  SmallVector<Type> types(4, MemRefType::get({kAny}, i32));
  types.push_back(MemRefType::get({kAny, kAny}, i32)); // tables
  types.push_back(MemRefType::get({kAny}, i32));       // rows
  for (WeightShape &weight : weightShapes(s)) {
    for (int64_t &size : weight.sizes)
      size = size < 0 ? kAny : size;
    types.push_back(MemRefType::get(weight.sizes, f32));
  }
  int64_t H = s.heads, HD = s.headSize(), PS = s.pageSize;
  types.push_back(MemRefType::get({kAny, kAny, H, HD, PS}, f32));
  types.push_back(MemRefType::get({kAny, kAny, H, PS, HD}, f32));
  for (int64_t columns :
       {s.width, s.width, 3 * s.width, s.width, s.inner, s.vocabulary})
    types.push_back(MemRefType::get({kAny, s.padded(columns)}, f32));

  auto function = func::FuncOp::create(b, "step", b.getFunctionType(types, {}));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  auto arguments = entry->getArguments();
  Value tokens = arguments[0], positions = arguments[1], slots = arguments[2],
        sequences = arguments[3], tables = arguments[4], rows = arguments[5];
  ValueRange w = arguments.slice(6, kNumWeights);
  ValueRange rest = arguments.drop_front(6 + kNumWeights);
  Value keys = rest[0], values = rest[1], x = rest[2], h = rest[3],
        qkv = rest[4], mix = rest[5], inner = rest[6], logits = rest[7];

  using namespace transformer;
  FloatAttr epsilon = b.getF32FloatAttr(s.epsilon);
  auto linear = [&](Value in, Value weight, Value bias, Value out,
                    bool gelu = false, bool accumulate = false) {
    RowsLinearOp::create(b, in, weight, bias, out, gelu, accumulate);
  };

  // [step-body]
  RowsEmbedOp::create(b, tokens, positions, w[kTable], w[kWpe], x);

  Value zero = arith::ConstantOp::create(b, b.getIndexAttr(0));
  Value one = arith::ConstantOp::create(b, b.getIndexAttr(1));
  Value layers = memref::DimOp::create(b, w[kQkv], 0);
  auto loop = scf::ForOp::create(b, zero, layers, one);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    auto of = [&](Value stacked) {
      return layerOf(b, stacked, loop.getInductionVar());
    };
    Value layerKeys = of(keys), layerValues = of(values);
    // [layer]
    RowsNormOp::create(b, x, of(w[kNorm1Gamma]), of(w[kNorm1Beta]), h, epsilon);
    linear(h, of(w[kQkv]), of(w[kQkvBias]), qkv);
    PagedStoreOp::create(b, qkv, slots, layerKeys, layerValues);
    PagedAttentionOp::create(b, qkv, positions, sequences, tables, layerKeys,
                             layerValues, mix);
    linear(mix, of(w[kOut]), of(w[kOutBias]), x, false, /*accumulate=*/true);

    RowsNormOp::create(b, x, of(w[kNorm2Gamma]), of(w[kNorm2Beta]), h, epsilon);
    linear(h, of(w[kUp]), of(w[kUpBias]), inner, /*gelu=*/true);
    linear(inner, of(w[kDown]), of(w[kDownBias]), x, false,
           /*accumulate=*/true);
    // [/layer]
  }

  Value count = memref::DimOp::create(b, rows, 0);
  Value lastX = firstRows(b, mix, count), lastH = firstRows(b, h, count);
  RowsGatherOp::create(b, x, rows, lastX);
  RowsNormOp::create(b, lastX, w[kFinalGamma], w[kFinalBeta], lastH, epsilon);
  linear(lastH, w[kTable], /*bias=*/nullptr, logits);
  // [/step-body]
  func::ReturnOp::create(b);

  ch1::verifyOrThrow(*module);
  return module;
}

} // namespace ch14

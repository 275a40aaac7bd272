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
  int64_t L = -1, D = s.width, F = s.inner, nr = s.panelWidth();
  int64_t KD = s.panelRows(D), KF = s.panelRows(F);
  const char *matrix = s.dtype == Dtype::Float32    ? "float32"
                       : s.dtype == Dtype::BFloat16 ? "uint16"
                                                    : "int8";
  SmallVector<WeightShape> shapes = {
      {"table", {s.panels(s.vocabulary), KD, nr}, matrix},
      {"wpe", {s.positions, D}},
      {"norm1_gamma", {L, D}},
      {"norm1_beta", {L, D}},
      {"qkv", {L, s.panels(3 * D), KD, nr}, matrix},
      {"qkv_bias", {L, s.padded(3 * D)}},
      {"out", {L, s.panels(D), KD, nr}, matrix},
      {"out_bias", {L, s.padded(D)}},
      {"norm2_gamma", {L, D}},
      {"norm2_beta", {L, D}},
      {"up", {L, s.panels(F), KD, nr}, matrix},
      {"up_bias", {L, s.padded(F)}},
      {"down", {L, s.panels(D), KF, nr}, matrix},
      {"down_bias", {L, s.padded(D)}},
      {"final_gamma", {D}},
      {"final_beta", {D}}};
  if (s.dtype == Dtype::Int8)
    shapes.append({{"table_scales", {s.padded(s.vocabulary)}},
                   {"qkv_scales", {L, s.padded(3 * D)}},
                   {"out_scales", {L, s.padded(D)}},
                   {"up_scales", {L, s.padded(F)}},
                   {"down_scales", {L, s.padded(D)}}});
  return shapes;
}
// [/weights]

// [scratch]
SmallVector<ScratchBuffer> scratchBuffers(const StepShape &s) {
  // Rows whose length is a multiple of 4096 bytes would all begin in the same
  // set of the first-level cache: one line more moves them apart.
  auto rows = [&](int64_t columns, int64_t bytes) {
    int64_t line = 64 / bytes;
    columns = (columns + line - 1) / line * line;
    return ScratchBuffer{columns * bytes % 1024 ? columns : columns + line,
                         bytes};
  };
  SmallVector<ScratchBuffer> buffers;
  for (int64_t columns : {s.width, s.width, 3 * s.width, s.width, s.inner})
    buffers.push_back(rows(s.padded(columns), 4));
  if (isPaired(s.dtype))
    buffers.push_back(rows(2 * s.panelRows(std::max(s.width, s.inner)), 2));
  if (s.dtype == Dtype::Int8)
    buffers.push_back({1, 4});
  return buffers;
}
// [/scratch]

/// The element type of an array of NumPy's `dtype`; uint16 holds bfloat16.
static Type typeOf(ImplicitLocOpBuilder &b, StringRef dtype) {
  if (dtype == "float32")
    return b.getF32Type();
  if (dtype == "uint16")
    return b.getBF16Type();
  return b.getI8Type();
}

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

/// The first `count` rows of a buffer, and their first `columns` numbers.
static Value firstRows(ImplicitLocOpBuilder &b, Value rows, Value count,
                       int64_t columns) {
  return memref::SubViewOp::create(
      b, rows, ArrayRef<OpFoldResult>{b.getIndexAttr(0), b.getIndexAttr(0)},
      ArrayRef<OpFoldResult>{count, b.getIndexAttr(columns)},
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
    types.push_back(MemRefType::get(weight.sizes, typeOf(b, weight.dtype)));
  }
  int64_t H = s.heads, HD = s.headSize(), PS = s.pageSize, D = s.width,
          F = s.inner;
  types.push_back(MemRefType::get({kAny, kAny, H, HD, PS}, f32));
  types.push_back(MemRefType::get({kAny, kAny, H, PS, HD}, f32));
  for (ScratchBuffer buffer : scratchBuffers(s)) {
    Type type = f32;
    if (buffer.bytes == 2)
      type = s.dtype == Dtype::BFloat16 ? Type(b.getBF16Type())
                                        : Type(b.getI16Type());
    types.push_back(buffer.columns == 1
                        ? MemRefType::get({kAny}, type)
                        : MemRefType::get({kAny, buffer.columns}, type));
  }
  types.push_back(MemRefType::get({kAny, s.padded(s.vocabulary)}, f32));

  auto function = func::FuncOp::create(b, "step", b.getFunctionType(types, {}));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  auto arguments = entry->getArguments();
  Value tokens = arguments[0], positions = arguments[1], slots = arguments[2],
        sequences = arguments[3], tables = arguments[4], rows = arguments[5];
  size_t numWeights = weightShapes(s).size();
  ValueRange w = arguments.slice(6, numWeights);
  ValueRange rest = arguments.drop_front(6 + numWeights);
  Value keys = rest[0], values = rest[1], logits = rest.back();
  Value count = memref::DimOp::create(b, tokens, 0);
  auto buffer = [&](int i, int64_t columns) {
    return firstRows(b, rest[2 + i], count, s.padded(columns));
  };
  Value x = buffer(0, s.width), h = buffer(1, s.width),
        qkv = buffer(2, 3 * s.width), mix = buffer(3, s.width),
        inner = buffer(4, s.inner);

  using namespace transformer;
  FloatAttr epsilon = b.getF32FloatAttr(s.epsilon);
  bool integers = s.dtype == Dtype::Int8;

  /// What follows belongs to this part of the step; see clock.cpp.
  auto part = [&](StringRef name) {
    b.setLoc(NameLoc::get(b.getStringAttr(name)));
  };

  // [ready]
  /// Rows as a product takes them: as they are, or rounded to 16 bits, in a
  /// buffer that all products of the step use in turn.
  auto ready = [&](Value in, int64_t depth) -> std::pair<Value, Value> {
    if (!isPaired(s.dtype))
      return {in, nullptr};
    Value rows = memref::DimOp::create(b, in, 0);
    Value factors = firstRows(b, rest[7], rows, 2 * s.panelRows(depth));
    Value scales;
    // The greatest sum of depth products of an i8 and an i16 fits 32 bits.
    int64_t limit =
        std::min<int64_t>(32767, (int64_t(1) << 31) / (127 * (depth + 1)));
    if (integers)
      scales = memref::SubViewOp::create(
          b, rest[8], ArrayRef<OpFoldResult>{b.getIndexAttr(0)},
          ArrayRef<OpFoldResult>{rows},
          ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
    Location product = b.getLoc();
    part("quantize");
    RowsQuantizeOp::create(b, in, factors, scales, depth, limit);
    b.setLoc(product);
    return {factors, scales};
  };
  // [/ready]
  auto linear = [&](Value in, int64_t depth, Value weight, Value columnScales,
                    Value bias, Value out, bool gelu = false,
                    bool accumulate = false) {
    auto [factors, rowScales] = ready(in, depth);
    RowsLinearOp::create(b, factors, weight, rowScales, columnScales, bias, out,
                         gelu, accumulate);
  };

  // [step-body]
  part("embed");
  RowsEmbedOp::create(b, tokens, positions, w[kTable],
                      integers ? w[kTableScales] : Value(), w[kWpe], x,
                      isPaired(s.dtype));

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
    auto scales = [&](Weight weight) {
      return integers ? of(w[weight]) : Value();
    };
    Value layerKeys = of(keys), layerValues = of(values);
    // [layer]
    part("norm 1");
    RowsNormOp::create(b, x, of(w[kNorm1Gamma]), of(w[kNorm1Beta]), h, epsilon);
    part("qkv");
    linear(h, D, of(w[kQkv]), scales(kQkvScales), of(w[kQkvBias]), qkv);
    part("store");
    PagedStoreOp::create(b, qkv, slots, layerKeys, layerValues);
    part("attention");
    PagedAttentionOp::create(b, qkv, positions, sequences, tables, layerKeys,
                             layerValues, mix);
    part("out");
    linear(mix, D, of(w[kOut]), scales(kOutScales), of(w[kOutBias]), x, false,
           /*accumulate=*/true);

    part("norm 2");
    RowsNormOp::create(b, x, of(w[kNorm2Gamma]), of(w[kNorm2Beta]), h, epsilon);
    part("up");
    linear(h, D, of(w[kUp]), scales(kUpScales), of(w[kUpBias]), inner,
           /*gelu=*/true);
    part("down");
    linear(inner, F, of(w[kDown]), scales(kDownScales), of(w[kDownBias]), x,
           false, /*accumulate=*/true);
    // [/layer]
  }

  Value wanted = memref::DimOp::create(b, rows, 0);
  Value lastX = firstRows(b, mix, wanted, s.padded(D)),
        lastH = firstRows(b, h, wanted, s.padded(D));
  part("last rows");
  RowsGatherOp::create(b, x, rows, lastX);
  part("final norm");
  RowsNormOp::create(b, lastX, w[kFinalGamma], w[kFinalBeta], lastH, epsilon);
  part("head");
  linear(lastH, D, w[kTable], integers ? w[kTableScales] : Value(),
         /*bias=*/nullptr, logits);
  // [/step-body]
  func::ReturnOp::create(b);

  ch1::verifyOrThrow(*module);
  return module;
}

} // namespace ch14

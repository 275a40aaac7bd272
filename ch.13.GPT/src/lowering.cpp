//===- lowering.cpp - the ops of ch.13 become linalg ----------------------===//
//
//   embedding         linalg.generic that gathers rows
//   columns           tensor.extract_slice, a view after bufferization
//   causal_mask       linalg.generic without inputs
//   masked_softmax    linalg.generic that adds, transformer.softmax
//   rope              two tables of cos and sin, one linalg.generic that
//   rotates
//     --ch12::buildPipeline--> everything else
//
// First in the pipeline: what comes out are linalg and ops of ch.11, which the
// pipeline of ch.12 lowers as it always did.
//
//===----------------------------------------------------------------------===//

#include "ch13/Lowering.h"
#include "ch11/Lowering.h"
#include "ch12/Lowering.h"
#include "ch13/GptOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"

#include <cmath>

using namespace mlir;
using namespace transformer;

namespace {

/// A linalg.generic of parallel loops that fills a tensor of `type` from
/// `inputs`, which are read through `maps`.
Value tabulate(ImplicitLocOpBuilder &b, Value empty, ValueRange inputs,
               ArrayRef<AffineMap> maps, const ch9::ElementFn &body) {
  auto type = cast<RankedTensorType>(empty.getType());
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(b.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, TypeRange{type}, inputs, empty, allMaps, loops,
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        ImplicitLocOpBuilder inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, elements.drop_back()));
      });
  return generic.getResult(0);
}

/// transformer.embedding %table[%ids]
///   -> linalg.generic over (t, d) { tensor.extract %table[ids[t], d] }
struct LowerEmbedding : OpConversionPattern<EmbeddingOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EmbeddingOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value table = operands.getTable(), ids = operands.getIds();
    SmallVector<OpFoldResult> sizes = {
        tensor::getMixedSize(b, b.getLoc(), ids, 0),
        tensor::getMixedSize(b, b.getLoc(), table, 1)};
    Value empty = tensor::EmptyOp::create(b, sizes, b.getF32Type());
    // [embedding]
    AffineMap token = b.getMultiDimIdentityMap(2).getMajorSubMap(1);
    auto gather = [table](ImplicitLocOpBuilder &b, ValueRange id) -> Value {
      Value row = arith::IndexCastOp::create(b, b.getIndexType(), id[0]);
      Value column = linalg::IndexOp::create(b, 1);
      return tensor::ExtractOp::create(b, table, ValueRange{row, column});
    };
    rewriter.replaceOp(op, tabulate(b, empty, ids, token, gather));
    // [/embedding]
    return success();
  }
};

/// transformer.columns %x from 36 count 36
///   -> tensor.extract_slice %x[0, 36] [T, 36] [1, 1]
struct LowerColumns : OpConversionPattern<ColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ColumnsOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    // To extract_slice, offset 0 of no rows is out of bounds.
    if (op.getType().getDimSize(0) == 0) {
      rewriter.replaceOpWithNewOp<tensor::EmptyOp>(op, op.getType().getShape(),
                                                   b.getF32Type());
      return success();
    }
    auto number = [&b](int64_t n) -> OpFoldResult { return b.getIndexAttr(n); };
    OpFoldResult numRows =
        tensor::getMixedSize(b, b.getLoc(), operands.getInput(), 0);
    rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
        op, op.getType(), operands.getInput(),
        ArrayRef<OpFoldResult>{number(0), number(op.getFirst())},
        ArrayRef<OpFoldResult>{numRows, number(op.getCount())},
        ArrayRef<OpFoldResult>{number(1), number(1)});
    return success();
  }
};

/// transformer.causal_mask
///   -> linalg.generic over (row, column) { column <= row ? 0 : -inf }
struct LowerCausalMask : OpConversionPattern<CausalMaskOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(CausalMaskOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value empty =
        tensor::EmptyOp::create(b, op.getType().getShape(), b.getF32Type());
    // [mask]
    auto element = [](ImplicitLocOpBuilder &b, ValueRange) -> Value {
      Value row = linalg::IndexOp::create(b, 0);
      Value column = linalg::IndexOp::create(b, 1);
      Value seen =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ule, column, row);
      Value zero = ch9::constant(b, 0.0);
      Value never = ch9::constant(b, -INFINITY);
      return arith::SelectOp::create(b, seen, zero, never);
    };
    // [/mask]
    rewriter.replaceOp(op, tabulate(b, empty, {}, {}, element));
    return success();
  }
};

/// transformer.masked_softmax %x, %mask
///   -> transformer.softmax of linalg.generic { arith.addf %x, %mask }
struct LowerMaskedSoftmax : OpConversionPattern<MaskedSoftmaxOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MaskedSoftmaxOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    // With an axis of heads the mask lacks the first axis: it is the same for
    // all of them, which is how ch9::elementwise reads it.
    Value masked =
        ch9::elementwise(b, {operands.getInput(), operands.getMask()},
                         [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
                           return arith::AddFOp::create(b, e[0], e[1]);
                         });
    rewriter.replaceOpWithNewOp<SoftmaxOp>(op, masked);
    return success();
  }
};

/// Row t, column i of a table [T, W/2]: `turn` (cos or sin) of the angle
/// (first + t) * base^(-2i/W). In double: at position 1000 a float angle is
/// already off by 1e-4.
template <typename Turn>
Value makeTable(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes,
                double slope, int64_t first) {
  Value empty = tensor::EmptyOp::create(b, sizes, b.getF32Type());
  auto element = [slope, first](ImplicitLocOpBuilder &b, ValueRange) -> Value {
    auto asDouble = [&b](unsigned loop) -> Value {
      Value index = linalg::IndexOp::create(b, loop);
      Value integer = arith::IndexCastOp::create(b, b.getI64Type(), index);
      return arith::SIToFPOp::create(b, b.getF64Type(), integer);
    };
    // [rope-angle]
    // base^(-2i/W) = exp(i * slope), slope = -2 ln(base) / W
    Value factor = arith::ConstantOp::create(b, b.getF64FloatAttr(slope));
    Value exponent = arith::MulFOp::create(b, asDouble(1), factor);
    Value frequency = math::ExpOp::create(b, exponent);
    Value position = asDouble(0);
    if (first) {
      Value before = arith::ConstantOp::create(b, b.getF64FloatAttr(first));
      position = arith::AddFOp::create(b, position, before);
    }
    Value angle = arith::MulFOp::create(b, position, frequency);
    return arith::TruncFOp::create(b, b.getF32Type(), Turn::create(b, angle));
    // [/rope-angle]
  };
  return tabulate(b, empty, {}, {}, element);
}

/// transformer.rope: x [T, D] is seen as [T, heads, W/2, 2]; with c and s the
/// tables of cos and sin,
///
///   y[t,h,i,0] = x[t,h,i,0] * c[t,i] - x[t,h,i,1] * s[t,i]
///   y[t,h,i,1] = x[t,h,i,1] * c[t,i] + x[t,h,i,0] * s[t,i]
///
/// The tables are the same for q, k and every layer; CSE keeps one of each.
struct LowerRope : OpConversionPattern<RopeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(RopeOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    RankedTensorType type = op.getInput().getType();
    int64_t heads = op.getNumHeads();
    int64_t width = type.getDimSize(1) / heads; // W
    double slope =
        -2.0 * std::log(double(op.getBase().convertToFloat())) / width;

    SmallVector<OpFoldResult> tableSizes = {
        tensor::getMixedSize(b, b.getLoc(), operands.getInput(), 0),
        b.getIndexAttr(width / 2)};
    int64_t first = op.getFirst().value_or(0);
    Value cosines = makeTable<math::CosOp>(b, tableSizes, slope, first);
    Value sines = makeTable<math::SinOp>(b, tableSizes, slope, first);

    SmallVector<ReassociationIndices> groups = {{0}, {1, 2, 3}};
    auto pairsType = type.clone({type.getDimSize(0), heads, width / 2, 2});
    Value pairs = tensor::ExpandShapeOp::create(b, pairsType,
                                                operands.getInput(), groups);
    // [rope]
    AffineMap all = b.getMultiDimIdentityMap(4); // (t, h, i, p)
    AffineMap tokenAndPair = all.getSubMap({0, 2});
    Value rotated =
        tabulate(b, ch9::emptyLike(b, pairs), {pairs, cosines, sines},
                 {all, tokenAndPair, tokenAndPair},
                 [pairs](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
                   Value token = linalg::IndexOp::create(b, 0);
                   Value head = linalg::IndexOp::create(b, 1);
                   Value pair = linalg::IndexOp::create(b, 2);
                   Value which = linalg::IndexOp::create(b, 3); // 0 or 1
                   Value one = arith::ConstantOp::create(b, b.getIndexAttr(1));
                   Value other = arith::SubIOp::create(b, one, which);
                   Value partner = tensor::ExtractOp::create(
                       b, pairs, ValueRange{token, head, pair, other});
                   Value own = arith::MulFOp::create(b, e[0], e[1]);
                   Value crossed = arith::MulFOp::create(b, partner, e[2]);
                   Value isSecond = arith::CmpIOp::create(
                       b, arith::CmpIPredicate::eq, which, one);
                   Value sum = arith::AddFOp::create(b, own, crossed);
                   Value difference = arith::SubFOp::create(b, own, crossed);
                   return arith::SelectOp::create(b, isSecond, sum, difference);
                 });
    // [/rope]
    rewriter.replaceOpWithNewOp<tensor::CollapseShapeOp>(op, type, rotated,
                                                         groups);
    return success();
  }
};

struct LowerPass : PassWrapper<LowerPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerPass)
  StringRef getArgument() const final { return "ch13-lower"; }
  StringRef getDescription() const final {
    return "the ops of ch.13 become linalg and ops of earlier chapters";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry
        .insert<arith::ArithDialect, linalg::LinalgDialect, math::MathDialect,
                tensor::TensorDialect, TransformerDialect>();
  }
  void runOnOperation() final {
    ConversionTarget target(getContext());
    target.addIllegalOp<EmbeddingOp, ColumnsOp, CausalMaskOp, MaskedSoftmaxOp,
                        RopeOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    ch13::populateLowerPatterns(patterns);
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void ch13::populateLowerPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerEmbedding, LowerColumns, LowerCausalMask,
               LowerMaskedSoftmax, LowerRope>(patterns.getContext());
}

std::unique_ptr<Pass> ch13::createLowerPass() {
  return std::make_unique<LowerPass>();
}

void ch13::registerPasses() { registerPass(createLowerPass); }

void ch13::registerDialects(DialectRegistry &registry) {
  ch12::registerDialects(registry);
  registerOps(registry);
}

// [pipeline]
void ch13::buildPipeline(OpPassManager &pm) {
  pm.addPass(createLowerPass());
  // Merges the tables of angles. Later it would merge too much: see ch.11.
  pm.addPass(createCSEPass());
  ch12::buildPipeline(pm);
}
// [/pipeline]

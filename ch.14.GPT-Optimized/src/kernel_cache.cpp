// kernel_cache.cpp - the kernels that move rows: embed, gather, store to pages.
//
//   transformer.rows_embed    out[t] = table[tokens[t]] + wpe[positions[t]]
//   transformer.rows_gather   out[r] = x[rows[r]]
//   transformer.paged_store   keys, values of row t -> slot slots[t]
//
// Almost no arithmetic: what they cost is memory traffic.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

struct EmbedKernel : Kernel<RowsEmbedOp> {
  using Kernel::Kernel;
  void emit(KernelBuilder &b, RowsEmbedOp op) const override {
    int64_t width = op.getWpe().getType().getDimSize(1);
    int64_t pair = op.getPaired() ? 2 : 1;
    int64_t nr = op.getTable().getType().getDimSize(2) / pair;
    b.parallelRows(b.dim(op.getTokens(), 0), [&](Value row) {
      Value token = b.loadIndex(op.getTokens(), row);
      Value position = b.loadIndex(op.getPositions(), row);
      Value panel = b.floorDiv(token, nr), lane = b.rem(token, nr);
      Value scale;
      if (op.getScales())
        scale = memref::LoadOp::create(b, op.getScales(), token);
      // A token is one lane of its panel: a walk with stride nr.
      b.loop(b.index(0), b.index(width), 1, [&](Value column) {
        Value k = b.floorDiv(column, pair);
        Value n = b.add(b.mul(lane, pair), b.rem(column, pair));
        Value number =
            memref::LoadOp::create(b, op.getTable(), ValueRange{panel, k, n});
        Value place = memref::LoadOp::create(b, op.getWpe(),
                                             ValueRange{position, column});
        Value sum = arith::AddFOp::create(b, asFloat(b, number, scale), place);
        memref::StoreOp::create(b, sum, op.getOut(), ValueRange{row, column});
      });
    });
  }

private:
  static Value asFloat(KernelBuilder &b, Value number, Value scale) {
    if (number.getType().isF32())
      return number;
    if (!scale)
      return arith::ExtFOp::create(b, b.getF32Type(), number);
    Value integer = arith::SIToFPOp::create(b, b.getF32Type(), number);
    return arith::MulFOp::create(b, integer, scale);
  }
};

struct GatherKernel : Kernel<RowsGatherOp> {
  using Kernel::Kernel;
  void emit(KernelBuilder &b, RowsGatherOp op) const override {
    int64_t width = op.getOut().getType().getDimSize(1);
    b.loop(b.index(0), b.dim(op.getRows(), 0), 1, [&](Value row) {
      Value from = b.loadIndex(op.getRows(), row);
      b.columns(width, [&](Value column, int64_t lanes) {
        b.store(b.load(op.getX(), {from, column}, lanes), op.getOut(),
                {row, column});
      });
    });
  }
};

// [store]
struct StoreKernel : Kernel<PagedStoreOp> {
  using Kernel::Kernel;
  void emit(KernelBuilder &b, PagedStoreOp op) const override {
    auto keys = op.getKeys().getType();
    int64_t heads = keys.getDimSize(1), headSize = keys.getDimSize(2),
            pageSize = keys.getDimSize(3), width = heads * headSize;
    b.parallelRows(b.dim(op.getSlots(), 0), [&](Value row) {
      Value slot = b.loadIndex(op.getSlots(), row);
      Value page = b.floorDiv(slot, pageSize), place = b.rem(slot, pageSize);
      b.loop(b.index(0), b.index(heads), 1, [&](Value head) {
        Value key = b.add(b.index(width), b.mul(head, headSize));
        Value value = b.add(b.index(2 * width), b.mul(head, headSize));
        b.loop(b.index(0), b.index(headSize), 1, [&](Value d) {
          Value k = memref::LoadOp::create(b, op.getQkv(),
                                           ValueRange{row, b.add(key, d)});
          memref::StoreOp::create(b, k, op.getKeys(),
                                  ValueRange{page, head, d, place});
        });
        b.columns(headSize, [&](Value d, int64_t lanes) {
          Value v = b.load(op.getQkv(), {row, b.add(value, d)}, lanes);
          b.store(v, op.getValues(), {page, head, place, d});
        });
      });
    });
  }
};
// [/store]

} // namespace

void populateCacheKernels(RewritePatternSet &patterns, Tile tile,
                          bool threads) {
  patterns.add<EmbedKernel, GatherKernel, StoreKernel>(patterns.getContext(),
                                                       tile, threads);
}

} // namespace ch14

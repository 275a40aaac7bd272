// Attention.h - the loops that take the place of one paged_attention.
//
// kernel_attention.cpp decides which rows go together and how far they look;
// attention_block.cpp does what happens to them in one block of pages.
#pragma once

#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

namespace ch14 {

class Attention {
public:
  Attention(KernelBuilder &b, transformer::PagedAttentionOp op);
  void emit();

private:
  /// The first `places` places of a sequence's pages from `page` on.
  struct Block {
    mlir::Value sequence, page, places;
  };

  void group(mlir::Value count);
  // r is a row of the group: rowOf(r) of all.
  void start(mlir::Value r);
  void scores(Block block, mlir::Value r, int64_t count);
  void softmax(mlir::Value r, mlir::Value places);
  void renew(mlir::Value r, mlir::Value pages, mlir::Value places);
  void correct(mlir::Value r, mlir::Value oldMax, mlir::Value m);
  void mix(Block block, mlir::Value r, int64_t count);
  void finish(mlir::Value r);

  mlir::Value rowOf(mlir::Value r) { return b.add(first, r); }
  mlir::Value sequenceOf(mlir::Value r) {
    return b.loadIndex(op.getSequences(), rowOf(r));
  }
  /// Tokens that a row sees: those before it, and itself.
  mlir::Value lengthOf(mlir::Value r) {
    return b.add(b.loadIndex(op.getPositions(), rowOf(r)), b.index(1));
  }
  /// Where the p-th page of the block lies.
  mlir::Value pageOf(Block block, mlir::Value p) {
    return b.loadIndex(op.getTables(), {block.sequence, b.add(block.page, p)});
  }
  /// How many pages hold so many places.
  mlir::Value pagesOf(mlir::Value places) {
    return b.floorDiv(b.add(places, b.index(P - 1)), P);
  }
  /// o lies where it is wanted in the end.
  mlir::Value loadOut(mlir::Value r, int64_t at, int64_t lanes) {
    return b.load(op.getOut(), {rowOf(r), b.add(column, b.index(at))}, lanes);
  }
  void storeOut(mlir::Value o, mlir::Value r, int64_t at) {
    b.store(o, op.getOut(), {rowOf(r), b.add(column, b.index(at))});
  }

  KernelBuilder &b;
  transformer::PagedAttentionOp op;
  const int64_t H, D;      // heads, head_dim
  const int64_t P, N;      // places of a page, pages of a block
  const int64_t registers; // that hold sums
  const int64_t vectors;   // of a page's places
  const int64_t G;         // rows of a group
  llvm::SmallVector<std::pair<int64_t, int64_t>> pieces; // of D: (at, lanes)

  mlir::Value head, column, first; // of qkv and out; the group's first row
  mlir::Value maxima, sums;        // m [G], l [G]
  /// s, then p [G, places]: of two blocks, for the pages that are computed at
  /// once may end behind the last.
  mlir::Value weights;
};

} // namespace ch14

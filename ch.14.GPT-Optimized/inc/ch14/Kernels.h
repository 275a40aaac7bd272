// Kernels.h - how the step's ops become loops over vectors.
//
// Every kernel is written in terms of a few words: a loop, a row of vectors, a
// sum over the lanes of a vector. kernels.cpp defines these; a kernel_*.cpp
// file uses them for one family of ops.
#pragma once

#include "ch14/Step.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace ch14 {

using Values = llvm::SmallVector<mlir::Value>;

/// An ImplicitLocOpBuilder with the vocabulary of this chapter's kernels.
class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  KernelBuilder(mlir::Location loc, mlir::PatternRewriter &rewriter, Tile tile,
                bool threads)
      : ImplicitLocOpBuilder(loc, rewriter), tile(tile), threads(threads) {}

  const Tile tile;
  const bool threads; // parallel loops are shared among threads

  mlir::Value index(int64_t value);
  mlir::Value f32(double value);
  mlir::Value dim(mlir::Value memref, int64_t i);

  /// The element of an i32 buffer at `indices`, as an index.
  mlir::Value loadIndex(mlir::Value memref, mlir::ValueRange indices);

  mlir::Value add(mlir::Value a, mlir::Value b);  // index
  mlir::Value sub(mlir::Value a, mlir::Value b);  // index
  mlir::Value mul(mlir::Value a, int64_t b);      // index
  mlir::Value floorDiv(mlir::Value a, int64_t b); // index, a >= 0
  mlir::Value rem(mlir::Value a, int64_t b);      // index, a >= 0

  using Body = llvm::function_ref<void(mlir::Value iv)>;
  using CarryBody =
      llvm::function_ref<Values(mlir::Value iv, mlir::ValueRange)>;
  /// for (iv = lower; iv < upper; iv += step) body(iv)
  void loop(mlir::Value lower, mlir::Value upper, int64_t step, Body body);
  /// The same with values carried from one iteration to the next.
  Values loop(mlir::Value lower, mlir::Value upper, int64_t step,
              mlir::ValueRange carried, CarryBody body);

  /// for (iv = lower; iv < upper; ++iv) body(iv), in any order, shared among
  /// threads where there are several.
  void parallel(mlir::Value lower, mlir::Value upper, Body body);
  /// The same for rows that cost little each: few of them are not worth waking
  /// a thread. `body` is called twice where there are threads.
  void parallelRows(mlir::Value count, Body body);
  /// if (condition) then() else otherwise()
  void branch(mlir::Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise);
  mlir::Value less(mlir::Value a, mlir::Value b);    // index, unsigned
  mlir::Value equal(mlir::Value a, mlir::Value b);   // index
  mlir::Value smaller(mlir::Value a, mlir::Value b); // of two indices, unsigned
  mlir::Value larger(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

  /// A few numbers on the stack of the thread that is here: of the loop that
  /// threads share, or of the function.
  mlir::Value stackBuffer(llvm::ArrayRef<int64_t> sizes, mlir::Type type);

  mlir::VectorType vector(int64_t lanes);
  mlir::Value splat(mlir::Value scalar, int64_t lanes);
  /// `lanes` neighbours of the memref's own type.
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices, int64_t lanes);
  void store(mlir::Value vector, mlir::Value memref, mlir::ValueRange indices);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);

  /// All lanes combined, by halving: the same tree for every row.
  mlir::Value
  reduce(mlir::Value vector,
         llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  mlir::Value sum(mlir::Value vector);
  mlir::Value maximum(mlir::Value vector);
  mlir::Value max(mlir::Value a, mlir::Value b);

  /// Runs over `count` columns in vectors: a loop over whole vectors, then one
  /// narrower vector for the rest. `body(first column, lanes)`.
  void columns(int64_t count,
               llvm::function_ref<void(mlir::Value, int64_t lanes)> body);
  /// The same, combining what body gives into one scalar, beginning with 0:
  /// lane by lane, then over the lanes.
  mlir::Value reduceColumns(
      int64_t count,
      llvm::function_ref<mlir::Value(mlir::Value, int64_t lanes)> body,
      llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  mlir::Value
  sumColumns(int64_t count,
             llvm::function_ref<mlir::Value(mlir::Value, int64_t lanes)> body);
};

/// GELU, tanh form: 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))).
/// With ch11-approximate-math's tanh (4.90 ulp) it is within 2.59 ulp of the
/// true value for v >= 0, 6.42 ulp for v >= -1, and 6.3e-7 below: accuracy.py
/// looked at every float32.
mlir::Value gelu(KernelBuilder &b, mlir::Value v);

// [kernel]
/// The pattern of one op: emit() writes the loops that take its place.
template <typename Op> struct Kernel : mlir::OpRewritePattern<Op> {
  Kernel(mlir::MLIRContext *context, Tile tile, bool threads)
      : mlir::OpRewritePattern<Op>(context), tile(tile), threads(threads) {}
  const Tile tile;
  const bool threads;

  virtual void emit(KernelBuilder &b, Op op) const = 0;

  /// Why this kernel cannot take the op; null where it can.
  virtual const char *declines(Op op) const { return nullptr; }

  mlir::LogicalResult
  matchAndRewrite(Op op, mlir::PatternRewriter &rewriter) const override {
    if (const char *reason = declines(op))
      return rewriter.notifyMatchFailure(op, reason);
    KernelBuilder b(op.getLoc(), rewriter, tile, threads);
    emit(b, op);
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
// [/kernel]

void populateLinearKernel(mlir::RewritePatternSet &, Tile, bool threads);
void populateNormKernel(mlir::RewritePatternSet &, Tile, bool threads);
void populateQuantizeKernel(mlir::RewritePatternSet &, Tile, bool threads);
void populateCacheKernels(mlir::RewritePatternSet &, Tile, bool threads);
void populateAttentionKernel(mlir::RewritePatternSet &, Tile, bool threads);

} // namespace ch14

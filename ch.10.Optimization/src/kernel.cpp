//===- kernel.cpp - products as loops over register tiles -----------------===//
//
// Finds the products, chooses a cut for each, and what belongs to a product:
// the op behind it, the constants' panels. The loops are made in the files that
// Kernel.h names, all on tensors, so that bufferization decides what is a
// buffer. The number of rows may be unknown: the blocks have a fixed height,
// how many there are is found when the program is called, and several cuts are
// compiled, of which the number of rows chooses one.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "TiledPass.h"
#include "ch10/Passes.h"

#include "ch9/Compiler.h"
#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace ch10 {

namespace {

//===--- How a product is cut ---------------------------------------------===//

// [cut]
/// Rows of a tile, and panels side by side, for a product of at most `rows`
/// rows, of any number where that is -1. Few rows leave registers free, and
/// those hold further panels: what is loaded of A is used for all of them, and
/// B comes in as several streams.
Cut cutFor(const Target &target, int64_t rows, bool bf16) {
  const Tile &tile = target.tile;
  if (rows < 0)
    rows = tile.rows;
  int64_t panels = rows <= tile.rows / 4 ? 4 : rows <= tile.rows / 2 ? 2 : 1;
  return {tile, rows, panels, bf16, bf16 && target.dot};
}

/// Of a known number of rows: blocks of equal height, 9 rows are 5 and 4.
Cut cutForExactly(const Target &target, int64_t rows, bool bf16) {
  int64_t blocks = llvm::divideCeil(rows, target.tile.rows);
  return cutFor(target, llvm::divideCeil(rows, blocks), bf16);
}
// [/cut]

//===--- The pass ---------------------------------------------------------===//

/// Multiply-adds below which threads are not woken: some microseconds' work.
constexpr int64_t kLittle = int64_t(1) << 20;

/// Whether the product's B is a constant of bfloat16.
bool isBF16(const Product &p) { return constantType(p.b) == "bfloat16"; }

struct KernelPass : TiledPass<KernelPass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelPass)
  KernelPass(const Target &target) : TiledPass(target.tile) {
    dot = target.dot;
  }
  KernelPass(const KernelPass &other) : TiledPass(other) { dot = other.dot; }
  StringRef getArgument() const final { return "ch10-kernel"; }
  StringRef getDescription() const final {
    return "products become loops over register tiles";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<bufferization::BufferizationDialect, memref::MemRefDialect,
                    scf::SCFDialect, tensor::TensorDialect,
                    vector::VectorDialect, x86vector::X86VectorDialect>();
  }

  void runOnOperation() final {
    std::optional<Tile> tile = getTile();
    if (!tile)
      return;
    target = {*tile, dot && tile->lanes == 16, false}; // it takes 16 pairs
    SmallVector<std::pair<Operation *, Product>> products;
    getOperation().walk([&](linalg::LinalgOp op) {
      std::optional<Product> p = productOf(op);
      if (p && p->m && p->k && p->n)
        products.emplace_back(op, *p);
    });
    auto prepared =
        prepareConstants(getOperation(), products, [&](const Product &p) {
          return cutFor(target, -1, isBF16(p));
        });
    for (auto &[op, p] : products) {
      // What it multiplies may have been another product, and is loops now.
      p.a = op->getOperand(0);
      p.b = op->getOperand(1);
      expand(op, p, prepared.contains(p.b));
    }
  }

  // [expand]
  void expand(Operation *op, const Product &p, bool prepared) {
    Value result = op->getResult(0);
    bool bf16 = isBF16(p);
    bool streamed = !prepared && streams(p, bf16);
    auto epilogue = result.hasOneUse()
                        ? dyn_cast<linalg::GenericOp>(*result.user_begin())
                        : nullptr;
    if (epilogue && !isEpilogue(epilogue, result))
      epilogue = nullptr;
    Operation *last = epilogue ? epilogue.getOperation() : op;
    OpBuilder at(last);
    KernelBuilder b(op->getLoc(), at);
    b.little = p.m > 0 && p.m * p.k * p.n < kLittle;
    Loops loops{b, p, epilogue, result, prepared};
    Value made;
    if (streamed) {
      made = loops.stream(cutForExactly(target, p.m, bf16));
    } else if (p.m > 0) {
      made = loops.build(cutForExactly(target, p.m, bf16), b.index(p.m));
    } else {
      Value m = tensor::DimOp::create(b, p.a, 0);
      made = choose(b, m, {1, target.tile.rows / 4, target.tile.rows / 2},
                    result.getType(), [&](int64_t rows) {
                      return loops.build(cutFor(target, rows, bf16), m);
                    });
    }
    last->getResult(0).replaceAllUsesWith(made);
    last->erase();
    if (epilogue)
      op->erase();
  }
  // [/expand]

  // [choose]
  /// build(n) for the first n of `sizes` that m does not exceed, else
  /// build(-1).
  Value choose(KernelBuilder &b, Value m, ArrayRef<int64_t> sizes, Type type,
               function_ref<Value(int64_t)> build) {
    while (sizes.size() > 1 && sizes[0] >= sizes[1])
      sizes = sizes.drop_front();
    if (sizes.empty())
      return build(-1);
    Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, m,
                                       b.index(sizes[0]));
    auto either = scf::IfOp::create(b, TypeRange{type}, fits, true, true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(either.thenBlock());
    scf::YieldOp::create(b, build(sizes[0]));
    b.setInsertionPointToStart(either.elseBlock());
    scf::YieldOp::create(b, choose(b, m, sizes.drop_front(), type, build));
    return either.getResult(0);
  }
  // [/choose]

  Target target = hostTarget();
  Option<bool> dot{*this, "dot",
                   llvm::cl::desc("multiply pairs of bfloat16 by AVX512-BF16"),
                   llvm::cl::init(hostHasBF16Dot())};
};

} // namespace

Target hostTarget() { return {hostTile(), hostHasBF16Dot(), false}; }

std::unique_ptr<Pass> createKernelPass(const Target &target) {
  return std::make_unique<KernelPass>(target);
}

} // namespace ch10

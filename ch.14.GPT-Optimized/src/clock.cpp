// clock.cpp - a step that says how long each of its parts took.
//
//   --ch14-clock
//
//   @step(…)             ->  @step(…, %ticks: memref<?xi64>)
//     op  loc("qkv")           t = clock()
//                              op
//                              ticks[qkv] += clock() - t
//
// The ops of a step carry the name of their part as their location (ir.cpp).
// The clock is the processor's counter; what a tick is in seconds, the caller
// finds out from ticks[number of parts], which is the whole call. Twelve layers
// read the counter 300 times: microseconds.
#include "ch14/Step.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ch14 {

namespace {

using Parts = llvm::SmallSetVector<StringAttr, 16>;

/// The name of the part that an op of the step belongs to; null for others.
StringAttr partOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  bool ours =
      isa_and_nonnull<transformer::TransformerDialect>(op->getDialect());
  return ours && name ? name.getName() : StringAttr();
}

Parts partsOf(Operation *root) {
  Parts parts;
  root->walk([&](Operation *op) {
    if (StringAttr part = partOf(op))
      parts.insert(part);
  });
  return parts;
}

// [clock]
struct ClockPass : PassWrapper<ClockPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ClockPass)
  StringRef getArgument() const final { return "ch14-clock"; }
  StringRef getDescription() const final {
    return "a last argument receives the time of each part of the step";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<LLVM::LLVMDialect>();
  }
  void runOnOperation() final {
    func::FuncOp function = getOperation();
    Parts parts = partsOf(function);
    auto type = MemRefType::get({ShapedType::kDynamic},
                                IntegerType::get(&getContext(), 64));
    unsigned last = function.getNumArguments();
    if (failed(function.insertArgument(last, type, {}, function.getLoc())))
      return signalPassFailure();
    Value ticks = function.getArgument(last);
    ImplicitLocOpBuilder b(function.getLoc(), function.getContext());
    auto clock = [&]() -> Value {
      return LLVM::CallIntrinsicOp::create(
                 b, b.getI64Type(), b.getStringAttr("llvm.readcyclecounter"),
                 ValueRange{})
          .getResults();
    };
    auto measure = [&](Block *block, Block::iterator from, Block::iterator to,
                       int64_t part) {
      b.setInsertionPoint(block, from);
      Value begin = clock();
      b.setInsertionPoint(block, to);
      Value taken = arith::SubIOp::create(b, clock(), begin);
      Value at = arith::ConstantOp::create(b, b.getIndexAttr(part));
      Value sum = memref::LoadOp::create(b, ticks, at);
      memref::StoreOp::create(b, arith::AddIOp::create(b, sum, taken), ticks,
                              at);
    };
    function.walk([&](Operation *op) {
      if (StringAttr part = partOf(op))
        measure(op->getBlock(), op->getIterator(), std::next(op->getIterator()),
                llvm::find(parts, part) - parts.begin());
    });
    Block &body = function.getBody().front();
    measure(&body, body.begin(), std::prev(body.end()), parts.size());
  }
};
// [/clock]

} // namespace

std::vector<std::string> partNames(ModuleOp step) {
  std::vector<std::string> names;
  for (StringAttr part : partsOf(step))
    names.push_back(part.str());
  return names;
}

std::unique_ptr<Pass> createClockPass() {
  return std::make_unique<ClockPass>();
}

} // namespace ch14

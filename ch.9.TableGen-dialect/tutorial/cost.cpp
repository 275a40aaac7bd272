//===- cost.cpp - step 8: a question that a pass asks of ops --------------===//
#include "NN.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace nn;

// [count]
/// A multiplication and an addition for each of M * N * K.
std::optional<int64_t> MatmulOp::countFlops() {
  RankedTensorType lhs = getLhs().getType(), rhs = getRhs().getType();
  if (!lhs.hasStaticShape() || !rhs.hasStaticShape())
    return std::nullopt;
  return 2 * lhs.getNumElements() * rhs.getDimSize(1);
}
// [/count]

// [pass]
namespace nn {
#define GEN_PASS_DEF_COST
#include "NNPasses.h.inc"
} // namespace nn

namespace {

struct CostPass : nn::impl::CostBase<CostPass> {
  using CostBase::CostBase;

  void runOnOperation() final {
    getOperation()->walk([&](CostOpInterface op) {
      std::optional<int64_t> flops = op.countFlops();
      if (flops && *flops >= atLeast)
        op.emitRemark() << *flops << " operations";
    });
    markAllAnalysesPreserved(); // it only looks
  }
};

} // namespace
// [/pass]

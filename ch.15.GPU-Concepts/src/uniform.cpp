//===- uniform.cpp - which values are the same for all threads of a block -===//
//
//   %b = gpu.block_id x          the same
//   %n = memref.dim %A, %c0      the same: made of what is the same
//   %t = gpu.thread_id x         different
//   %s = arith.addi %b, %t       different: made of what is different
//   %x = memref.load %A[%b]      who knows: another thread may have stored
//   there
//
// "Different" means "not certainly the same": what a loop carries and what an
// operation with a region makes count as different too.
//
//===----------------------------------------------------------------------===//

#include "Uniform.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace ch15 {

/// Replaces all operations of one kind; one argument for each of x, y, z, whose
/// location is that of the first operation.
template <typename Op>
static std::array<Value, 3> makeArguments(gpu::GPUFuncOp kernel) {
  std::array<SmallVector<Op>, 3> found;
  kernel.walk([&](Op op) {
    found[static_cast<size_t>(op.getDimension())].push_back(op);
  });
  std::array<Value, 3> arguments;
  for (auto [argument, ops] : llvm::zip(arguments, found)) {
    argument = kernel.front().addArgument(IndexType::get(kernel.getContext()),
                                          ops.empty() ? kernel.getLoc()
                                                      : ops.front().getLoc());
    for (Op op : ops) {
      op.getResult().replaceAllUsesWith(argument);
      op.erase();
    }
  }
  return arguments;
}

Ids makeIdsArguments(gpu::GPUFuncOp kernel) {
  Ids ids;
  ids.thread = makeArguments<gpu::ThreadIdOp>(kernel);
  ids.block = makeArguments<gpu::BlockIdOp>(kernel);
  ids.blockDim = makeArguments<gpu::BlockDimOp>(kernel);
  ids.gridDim = makeArguments<gpu::GridDimOp>(kernel);
  return ids;
}

bool Uniform::isUniform(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  bool is = false;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Operation *owner = argument.getOwner()->getParentOp();
    if (isa<gpu::GPUFuncOp>(owner))
      is = !llvm::is_contained(ids.thread, value);
    else if (auto loop = dyn_cast<scf::ForOp>(owner))
      is = value == loop.getInductionVar() && isUniform(loop.getLowerBound()) &&
           isUniform(loop.getStep());
  } else {
    is = isOnce(value.getDefiningOp());
  }
  return known[value] = is;
}

bool Uniform::isOnce(Operation *op) {
  return op->getNumRegions() == 0 && op->getNumResults() != 0 &&
         isMemoryEffectFree(op) &&
         llvm::all_of(op->getOperands(),
                      [&](Value operand) { return isUniform(operand); });
}

LogicalResult Uniform::refuse(Operation *op, Value value, StringRef what) {
  InFlightDiagnostic error = op->emitOpError(what);
  // Back to where it becomes different.
  while (Operation *made = value.getDefiningOp()) {
    Value different;
    for (Value operand : made->getOperands())
      if (!isUniform(operand))
        different = operand;
    if (!different) {
      error.attachNote(made->getLoc()) << "this may differ between threads";
      return failure();
    }
    value = different;
  }
  StringRef source = llvm::is_contained(ids.thread, value)
                         ? "a thread id, which differs between threads"
                         : "what a loop carries, which may differ";
  error.attachNote(value.getLoc()) << "it depends on " << source;
  return failure();
}

} // namespace ch15

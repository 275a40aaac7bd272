//===- launch_to_loops.cpp - runs a launch without a GPU ------------------===//
//
//   gpu.launch_func @matmul blocks in (gx, gy, 1) threads in (16, 16, 1)
//     ->
//   scf.parallel (by, bx)                     the blocks, in any order
//     func.call @matmul_block(bx, by, ...)
//
//   @matmul_block: what one block does
//     for y, for x: a                         all threads, up to the barrier
//     for y, for x: b                         all threads, from there on
//
// A barrier says: nobody goes on before all are here. Run the threads one after
// another, each up to the barrier, and that is so. Hence a kernel
// `a; gpu.barrier; b` becomes two loops over the threads, and a barrier in a
// loop cuts the body of that loop, which then runs around the loops over the
// threads. Three kinds of values:
//
//   the same for all threads (block ids, sizes)  computed once for each block
//   of one piece only                            computed where it is
//   made in one piece, used in another           a slot for each thread
//
// Refused, each with a sentence: a barrier that only some threads may reach,
// operations in which threads talk to each other (shuffles), tensor cores.
//
//===----------------------------------------------------------------------===//

#include "Uniform.h"
#include "ch15/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace {

Value index(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(b, b.getIndexAttr(value));
}

/// A memref in memory that only a GPU has -> the same in ordinary memory.
Type inHostMemory(Type type) {
  auto memory = dyn_cast<MemRefType>(type);
  if (!memory || !memory.getMemorySpace())
    return type;
  return MemRefType::get(memory.getShape(), memory.getElementType(),
                         memory.getLayout());
}

void toHostMemory(Operation *copy) {
  copy->walk([](Operation *op) {
    for (Value result : op->getResults())
      result.setType(inHostMemory(result.getType()));
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        argument.setType(inHostMemory(argument.getType()));
  });
}

bool hasBarrier(Operation *op) {
  return op->walk([](gpu::BarrierOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

/// Whether a thread can keep it in memory.
LogicalResult checkCanBeKept(Operation *op, Type type) {
  if (BaseMemRefType::isValidElementType(type) && !isa<BaseMemRefType>(type))
    return success();
  return op->emitOpError("makes a value of type ")
         << type << " that lives across a barrier, which is not supported";
}

//===----------------------------------------------------------------------===//
// One block: pieces of code between barriers
//===----------------------------------------------------------------------===//

/// Writes the body of one kernel for all threads of a block.
class Splitter {
public:
  /// `threads`: how many along x, y, z.
  Splitter(func::FuncOp into, ch15::Ids ids, ArrayRef<int64_t> threads)
      : b(into.getLoc(), OpBuilder::atBlockBegin(&into.front())),
        entry(into.front()), ids(ids), uniform(ids),
        threads(threads.begin(), threads.end()) {}

  /// A value of the kernel that all threads share.
  void map(Value kernelValue, Value value) { shared.map(kernelValue, value); }
  /// Memory of a single thread, which no other one sees.
  void setPrivate(BlockArgument memory) {
    privates[memory] = {};
    uniform.setDifferent(memory);
  }

  LogicalResult run(Block &body) { return split(body, {}); }

private:
  /// What is between two barriers, and what is to be kept at its end.
  struct Piece {
    SmallVector<Operation *> ops;
    SmallVector<std::pair<Value, Value>> keep; // (value, its slot)
    Operation *next = nullptr; // the loop or the yield that `keep` is for
  };

  LogicalResult split(Block &body, ArrayRef<Value> yieldSlots);
  LogicalResult splitFor(scf::ForOp loop, Piece &before);
  LogicalResult splitIf(scf::IfOp op);
  LogicalResult emit(Piece &piece);
  Value slotFor(Value value);
  FailureOr<Value> privateMemory(Value memory, Operation *user);

  ImplicitLocOpBuilder b; // outside of the loops over threads
  Block &entry;
  ch15::Ids ids;
  ch15::Uniform uniform;
  SmallVector<int64_t> threads;
  IRMapping shared;             // what is the same for all threads
  DenseMap<Value, Value> slots; // what each thread keeps, [z, y, x]
  DenseMap<Value, std::pair<Value, unsigned>> privates; // memory, its piece
  unsigned number = 0;                                  // of the piece
};

// [split]
/// Cuts `body` at its barriers. What its terminator yields goes into the slots.
LogicalResult Splitter::split(Block &body, ArrayRef<Value> yieldSlots) {
  Piece piece;
  for (Operation &op : body.without_terminator()) {
    if (isa<gpu::BarrierOp>(op)) { // this is where a piece ends
      if (failed(emit(piece)))
        return failure();
    } else if (hasBarrier(&op)) {
      LogicalResult done = failure();
      if (auto loop = dyn_cast<scf::ForOp>(op))
        done = splitFor(loop, piece);
      else if (auto branch = dyn_cast<scf::IfOp>(op))
        done = succeeded(emit(piece)) ? splitIf(branch) : failure();
      else
        op.emitOpError("has a barrier inside; only scf.for and scf.if are cut");
      if (failed(done))
        return failure();
    } else if (uniform.isOnce(&op)) { // once for the block, not for each thread
      toHostMemory(b.clone(op, shared));
    } else {
      piece.ops.push_back(&op);
    }
  }
  for (auto [value, slot] :
       llvm::zip(body.getTerminator()->getOperands(), yieldSlots))
    piece.keep.emplace_back(value, slot);
  piece.next = body.getTerminator();
  return emit(piece);
}
// [/split]

/// scf.for with a barrier -> scf.for around the loops over threads. What the
/// loop carries is in slots, as each thread carries its own.
LogicalResult Splitter::splitFor(scf::ForOp loop, Piece &before) {
  for (Value bound :
       {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()})
    if (!uniform.isUniform(bound))
      return uniform.refuse(loop, bound,
                            "has a barrier, and bounds that may differ between "
                            "the threads of a block");
  SmallVector<Value> carried;
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    if (failed(checkCanBeKept(loop, result.getType())))
      return failure();
    Value slot = slotFor(argument);
    slots[result] = slot;
    carried.push_back(slot);
    before.keep.emplace_back(init, slot);
  }
  before.next = loop;
  if (failed(emit(before)))
    return failure();
  auto outer = scf::ForOp::create(b, shared.lookup(loop.getLowerBound()),
                                  shared.lookup(loop.getUpperBound()),
                                  shared.lookup(loop.getStep()));
  shared.map(loop.getInductionVar(), outer.getInductionVar());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(outer.getBody()->getTerminator());
  return split(*loop.getBody(), carried);
}

/// scf.if with a barrier -> scf.if around the loops over threads.
LogicalResult Splitter::splitIf(scf::IfOp op) {
  if (!uniform.isUniform(op.getCondition()))
    return uniform.refuse(op, op.getCondition(),
                          "has a barrier that only some threads of a block may "
                          "reach");
  SmallVector<Value> results;
  for (Value result : op.getResults()) {
    if (failed(checkCanBeKept(op, result.getType())))
      return failure();
    results.push_back(slotFor(result));
  }
  bool hasElse = !op.getElseRegion().empty();
  auto outer = scf::IfOp::create(b, shared.lookup(op.getCondition()), hasElse);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(outer.thenBlock()->getTerminator());
  if (failed(split(*op.thenBlock(), results)))
    return failure();
  if (!hasElse)
    return success();
  b.setInsertionPoint(outer.elseBlock()->getTerminator());
  return split(*op.elseBlock(), results);
}

/// A place for each thread's own value, in the frame of the function.
Value Splitter::slotFor(Value value) {
  if (Value slot = slots.lookup(value))
    return slot;
  SmallVector<int64_t> shape;
  for (int64_t count : llvm::reverse(threads)) // z, y, x
    if (count != 1)
      shape.push_back(count);
  auto at = ImplicitLocOpBuilder::atBlockBegin(value.getLoc(), &entry);
  Value slot =
      memref::AllocaOp::create(at, MemRefType::get(shape, value.getType()));
  slots[value] = slot;
  return slot;
}

/// Threads run one after another, so one piece's private memory serves all of
/// them. Across a barrier it would not: that is refused.
FailureOr<Value> Splitter::privateMemory(Value memory, Operation *user) {
  auto &[alloca, piece] = privates[memory];
  if (!alloca) {
    auto type = cast<MemRefType>(inHostMemory(memory.getType()));
    auto at = ImplicitLocOpBuilder::atBlockBegin(memory.getLoc(), &entry);
    alloca = memref::AllocaOp::create(at, type);
    piece = number;
  }
  if (piece != number) {
    user->emitOpError("uses private memory on both sides of a barrier, which "
                      "is not supported");
    return failure();
  }
  return alloca;
}

/// One piece, for all threads: loops over them, and in the innermost one
///   what earlier pieces kept, the operations, what later pieces want.
LogicalResult Splitter::emit(Piece &piece) {
  ++number;
  if (piece.ops.empty() && piece.keep.empty())
    return success();
  DenseSet<Operation *> inside(piece.ops.begin(), piece.ops.end());

  // What is made here and used behind the barrier. (The loop or the yield that
  // comes next finds its operands in `keep` already.)
  for (Operation *op : piece.ops) {
    for (Value result : op->getResults()) {
      bool isWanted = llvm::any_of(result.getUsers(), [&](Operation *user) {
        Operation *outer = op->getBlock()->findAncestorOpInBlock(*user);
        return !inside.contains(outer) && user != piece.next;
      });
      if (!isWanted)
        continue;
      if (failed(checkCanBeKept(op, result.getType())))
        return failure();
      piece.keep.emplace_back(result, slotFor(result));
    }
  }

  // The loops over threads, x innermost.
  OpBuilder::InsertionGuard guard(b);
  IRMapping own = shared;
  SmallVector<Value> at; // this thread's place in a slot
  for (int axis = 2; axis >= 0; --axis) {
    Value id = index(b, 0);
    if (threads[axis] != 1) {
      auto loop =
          scf::ForOp::create(b, id, index(b, threads[axis]), index(b, 1));
      b.setInsertionPoint(loop.getBody()->getTerminator());
      id = loop.getInductionVar();
      at.push_back(id);
    }
    own.map(ids.thread[axis], id);
  }

  // What earlier pieces kept.
  auto fetch = [&](Value value, Operation *user) -> LogicalResult {
    if (own.contains(value))
      return success();
    if (privates.count(value)) {
      FailureOr<Value> memory = privateMemory(value, user);
      if (failed(memory))
        return failure();
      own.map(value, *memory);
    } else if (Value slot = slots.lookup(value)) {
      own.map(value, memref::LoadOp::create(b, slot, at));
    }
    return success(); // else: made inside
  };
  for (Operation *op : piece.ops) {
    WalkResult fetched = op->walk([&](Operation *nested) {
      for (Value operand : nested->getOperands())
        if (!inside.contains(operand.getDefiningOp()) &&
            failed(fetch(operand, nested)))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (fetched.wasInterrupted())
      return failure();
  }
  for (auto [value, slot] : piece.keep)
    if (!inside.contains(value.getDefiningOp()) &&
        failed(fetch(value, entry.getParentOp())))
      return failure();

  for (Operation *op : piece.ops)
    toHostMemory(b.clone(*op, own));
  for (auto [value, slot] : piece.keep)
    memref::StoreOp::create(b, own.lookup(value), slot, at);
  piece = {};
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct LaunchToLoopsPass
    : PassWrapper<LaunchToLoopsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LaunchToLoopsPass)
  StringRef getArgument() const final { return "ch15-launch-to-loops"; }
  StringRef getDescription() const final {
    return "launches become loops over blocks and threads";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, func::FuncDialect,
                    memref::MemRefDialect, scf::SCFDialect>();
  }

  void runOnOperation() final {
    SmallVector<gpu::LaunchFuncOp> launches;
    getOperation().walk([&](gpu::LaunchFuncOp op) { launches.push_back(op); });
    for (gpu::LaunchFuncOp op : launches)
      if (failed(replace(op)))
        return signalPassFailure();
    for (auto module :
         llvm::make_early_inc_range(getOperation().getOps<gpu::GPUModuleOp>()))
      module.erase();
    getOperation()->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  }

  LogicalResult replace(gpu::LaunchFuncOp launch);
  LogicalResult check(gpu::LaunchFuncOp launch, gpu::GPUFuncOp kernel);
  FailureOr<func::FuncOp> makeBlock(gpu::GPUFuncOp kernel,
                                    ArrayRef<int64_t> threads);
};

/// What can be said about a kernel before it is cut.
LogicalResult LaunchToLoopsPass::check(gpu::LaunchFuncOp launch,
                                       gpu::GPUFuncOp kernel) {
  if (!launch.getAsyncDependencies().empty() || launch.getAsyncToken() ||
      launch.hasClusterSize() || launch.getDynamicSharedMemorySize())
    return launch.emitOpError(
        "with async tokens, clusters or dynamic workgroup "
        "memory is not supported");
  if (launch.getKernelOperands().getTypes() !=
      kernel.getFunctionType().getInputs())
    return launch.emitOpError("gives the kernel arguments of other types than "
                              "it declares");
  if (!kernel.getBody().hasOneBlock())
    return kernel.emitOpError("must be structured, one block with scf.for and "
                              "scf.if, to be cut at its barriers");
  WalkResult walked = kernel.walk([](Operation *op) {
    bool isKnown =
        isa<gpu::GPUFuncOp, gpu::ThreadIdOp, gpu::BlockIdOp, gpu::BlockDimOp,
            gpu::GridDimOp, gpu::BarrierOp, gpu::ReturnOp>(op);
    if (!isKnown && isa_and_nonnull<gpu::GPUDialect, nvgpu::NVGPUDialect,
                                    NVVM::NVVMDialect>(op->getDialect())) {
      op->emitOpError("cannot be run one thread after another");
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

/// func.func private @kernel_block(bx, by, bz, gx, gy, gz, arguments): what one
/// block does.
FailureOr<func::FuncOp>
LaunchToLoopsPass::makeBlock(gpu::GPUFuncOp kernel, ArrayRef<int64_t> threads) {
  OpBuilder at(kernel->getParentOp());
  SmallVector<Type> types(6, at.getIndexType());
  llvm::append_range(types, kernel.getFunctionType().getInputs());
  auto function = func::FuncOp::create(at, kernel.getLoc(),
                                       (kernel.getName() + "_block").str(),
                                       at.getFunctionType(types, {}));
  function.setPrivate();
  SymbolTable(getOperation()).insert(function); // with a name of its own
  Block *body = function.addEntryBlock();
  at.setInsertionPointToEnd(body);
  func::ReturnOp::create(at, kernel.getLoc());

  // A copy of the kernel whose ids are arguments, wherever they were asked for.
  OwningOpRef<gpu::GPUFuncOp> copy = kernel.clone();
  ch15::Ids ids = ch15::makeIdsArguments(*copy);
  Splitter splitter(function, ids, threads);
  ImplicitLocOpBuilder b(kernel.getLoc(), OpBuilder::atBlockBegin(body));
  for (int axis = 0; axis < 3; ++axis) {
    splitter.map(ids.block[axis], body->getArgument(axis));
    splitter.map(ids.gridDim[axis], body->getArgument(3 + axis));
    splitter.map(ids.blockDim[axis], index(b, threads[axis]));
  }
  for (unsigned i = 0; i < kernel.getFunctionType().getNumInputs(); ++i)
    splitter.map(copy->getArgument(i), body->getArgument(6 + i));
  // A block's memory is the memory of the function that runs it.
  for (unsigned i = 0; i < kernel.getNumWorkgroupAttributions(); ++i) {
    BlockArgument memory =
        copy->getArgument(kernel.getFirstWorkgroupAttributionIndex() + i);
    auto type = cast<MemRefType>(inHostMemory(memory.getType()));
    splitter.map(memory, memref::AllocaOp::create(b, type));
  }
  for (unsigned i = 0; i < kernel.getNumPrivateAttributions(); ++i)
    splitter.setPrivate(
        copy->getArgument(kernel.getFirstPrivateAttributionIndex() + i));
  if (failed(splitter.run(copy->front())))
    return failure();
  return function;
}

/// gpu.launch_func -> scf.parallel over the blocks
LogicalResult LaunchToLoopsPass::replace(gpu::LaunchFuncOp launch) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(
      launch, launch.getKernel());
  if (!kernel)
    return launch.emitOpError("launches what is no gpu.func");
  if (failed(check(launch, kernel)))
    return failure();
  gpu::KernelDim3 block = launch.getBlockSizeOperandValues();
  SmallVector<int64_t> threads;
  for (Value size : {block.x, block.y, block.z}) {
    APInt constant;
    if (!matchPattern(size, m_ConstantInt(&constant)))
      return launch.emitOpError("must have a constant block size");
    threads.push_back(constant.getSExtValue());
  }
  FailureOr<func::FuncOp> function = makeBlock(kernel, threads);
  if (failed(function))
    return failure();

  ImplicitLocOpBuilder b(launch.getLoc(), launch);
  gpu::KernelDim3 sizes = launch.getGridSizeOperandValues();
  SmallVector<Value> grid, upper;
  for (Value size : {sizes.x, sizes.y, sizes.z})
    grid.push_back(size.getType().isIndex()
                       ? size
                       : arith::IndexCastOp::create(b, b.getIndexType(), size));
  SmallVector<Value> ids(3, index(b, 0));
  SmallVector<int> axes; // those with more than one block
  for (int axis = 2; axis >= 0; --axis) {
    if (matchPattern(grid[axis], m_One()))
      continue;
    axes.push_back(axis);
    upper.push_back(grid[axis]);
  }
  if (!axes.empty()) {
    SmallVector<Value> zeros(axes.size(), index(b, 0)),
        ones(axes.size(), index(b, 1));
    auto loop = scf::ParallelOp::create(b, zeros, upper, ones);
    b.setInsertionPointToStart(loop.getBody());
    for (auto [axis, id] : llvm::zip(axes, loop.getInductionVars()))
      ids[axis] = id;
  }
  SmallVector<Value> arguments = ids;
  llvm::append_range(arguments, grid);
  llvm::append_range(arguments, launch.getKernelOperands());
  func::CallOp::create(b, *function, arguments);
  launch.erase();
  return success();
}

} // namespace

std::unique_ptr<Pass> ch15::createLaunchToLoopsPass() {
  return std::make_unique<LaunchToLoopsPass>();
}

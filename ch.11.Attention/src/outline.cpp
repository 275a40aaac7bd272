//===- outline.cpp - one function for each kernel, equal ones only once ---===//
//
//   linalg.matmul %a, %b -> %c        call @kernel_0(%a, %b, %c)
//   linalg.matmul %d, %e -> %f   -->  call @kernel_0(%d, %e, %f)
//   linalg.generic %f -> %g           call @kernel_1(%f, %g)
//
// Between bufferization and loops. Without it, all loops of an expression sit
// in one function, and LLVM's time grows faster than the square of their
// number: a transformer of 12 layers took minutes. With it, LLVM sees each
// kernel alone, and the second layer compiles nothing, because its kernels are
// the first's.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;

/// On a kernel whose results overlap none of its other arguments.
static constexpr const char *kNoAlias = "transformer.noalias";

namespace {

/// The buffer that a view looks at.
Value rootOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer;
}

/// Whether what `op` writes is apart from all that it reads. Different
/// allocations are; the arguments of @forward are by its contract.
bool writesApart(linalg::LinalgOp op) {
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Value written = rootOf(init.get());
    if (!isa<BlockArgument>(written) &&
        !written.getDefiningOp<memref::AllocOp>())
      return false;
    for (OpOperand &other : op->getOpOperands())
      if (&other != &init && isa<MemRefType>(other.get().getType()) &&
          rootOf(other.get()) == written)
        return false;
  }
  return true;
}

// [outline]
struct OutlineKernelsPass
    : PassWrapper<OutlineKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OutlineKernelsPass)
  StringRef getArgument() const final { return "ch11-outline-kernels"; }
  StringRef getDescription() const final {
    return "each linalg op becomes a function, equal ones the same function";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<func::FuncDialect, LLVM::LLVMDialect>();
  }

  void runOnOperation() final {
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    SetVector<func::FuncOp> callers;
    llvm::StringMap<func::FuncOp> kernels;
    for (linalg::LinalgOp op : ops) {
      callers.insert(op->getParentOfType<func::FuncOp>());
      outline(op, kernels);
    }
    // What is left is a long list of calls, in which LLVM would look for
    // something to improve for seconds, and find nothing.
    OpBuilder b(&getContext());
    for (func::FuncOp caller : callers)
      if (caller.getBody().hasOneBlock() &&
          llvm::all_of(caller.getOps(),
                       [](Operation &op) { return op.getNumRegions() == 0; }))
        caller->setAttr("passthrough",
                        b.getStrArrayAttr({"noinline", "optnone"}));
  }

  void outline(linalg::LinalgOp op, llvm::StringMap<func::FuncOp> &kernels) {
    // What the op uses: constants move into the kernel, the rest is passed.
    SetVector<Value> used(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), used);
    SmallVector<Value> constants, arguments;
    for (Value value : used)
      (matchPattern(value, m_Constant()) ? constants : arguments)
          .push_back(value);

    func::FuncOp kernel = makeKernel(op, constants, arguments);
    // Its text is the key, so it is printed before it has a name of its own.
    std::string text;
    llvm::raw_string_ostream os(text);
    kernel->print(os, OpPrintingFlags().useLocalScope());
    auto [known, isNew] = kernels.try_emplace(text, kernel);
    if (isNew)
      kernel.setName("kernel_" + std::to_string(kernels.size() - 1));
    else
      kernel.erase();
    OpBuilder b(op);
    func::CallOp::create(b, op.getLoc(), known->second, arguments);
    op->erase();
  }

  func::FuncOp makeKernel(linalg::LinalgOp op, ValueRange constants,
                          ValueRange arguments) {
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    auto kernel = func::FuncOp::create(
        b, op.getLoc(), "kernel",
        b.getFunctionType(TypeRange(arguments), TypeRange()));
    kernel.setPrivate();
    kernel->setAttr(
        "llvm.linkage",
        LLVM::LinkageAttr::get(&getContext(), LLVM::Linkage::Internal));
    // LLVM would put a function that is called once back where it came from.
    kernel->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
    if (writesApart(op))
      kernel->setAttr(kNoAlias, b.getUnitAttr());

    Block *body = kernel.addEntryBlock();
    b.setInsertionPointToStart(body);
    IRMapping mapping;
    mapping.map(arguments, body->getArguments());
    for (Value constant : constants)
      b.clone(*constant.getDefiningOp(), mapping);
    b.clone(*op, mapping);
    func::ReturnOp::create(b, op.getLoc());
    return kernel;
  }
};
// [/outline]

/// A memref has become two pointers and some numbers by now; where the kernel
/// says so, LLVM may believe that the pointers lead to different places.
struct KernelNoAliasPass
    : PassWrapper<KernelNoAliasPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelNoAliasPass)
  StringRef getArgument() const final { return "ch11-kernel-noalias"; }
  StringRef getDescription() const final {
    return "pointers of kernels that write apart get llvm.noalias";
  }
  void runOnOperation() final {
    getOperation().walk([](LLVM::LLVMFuncOp function) {
      if (!function->removeAttr(kNoAlias))
        return;
      for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
        if (isa<LLVM::LLVMPointerType>(type))
          function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                              UnitAttr::get(function.getContext()));
    });
  }
};

} // namespace

std::unique_ptr<Pass> ch11::createOutlineKernelsPass() {
  return std::make_unique<OutlineKernelsPass>();
}

std::unique_ptr<Pass> ch11::createKernelNoAliasPass() {
  return std::make_unique<KernelNoAliasPass>();
}

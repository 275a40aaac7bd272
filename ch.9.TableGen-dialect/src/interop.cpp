//===- interop.cpp - IR that Python built, by the chapter's pipeline ------===//
//
//   mlir.ir.Context --capsule--> MLIRContext   our dialects are registered
//   there mlir.ir.Module  --capsule--> ModuleOp      copied, lowered, compiled,
//   called
//
// The MLIR project's Python bindings and this module load the same libMLIR.so,
// so an object of one is an object of the other; a capsule carries its address.
// Nothing of the bindings is needed to build this file but a header that LLVM's
// package has. With bindings that bring a libMLIR.so of their own (a wheel made
// elsewhere) this would crash: scripts/mlir-python builds the right ones.
//
//===----------------------------------------------------------------------===//

#include "ch9/Interop.h"

#include "ch1/Diagnostics.h"
#include "ch1/Jit.h"

#include "mlir-c/Bindings/Python/Interop.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir;

namespace ch9 {

// [capsule]
/// The address in an object of mlir.ir, which is of the class that `kind`
/// names. Throws TypeError for any other object.
static void *addressIn(const py::object &object, const char *name,
                       const char *kind, const char *capsuleName) {
  py::object capsule =
      py::getattr(object, MLIR_PYTHON_CAPI_PTR_ATTR, py::none());
  if (!PyCapsule_IsValid(capsule.ptr(), capsuleName))
    throw py::type_error(
        std::string(name) + ": expected an mlir.ir." + kind + ", got " +
        py::type::of(object).attr("__name__").cast<std::string>());
  return PyCapsule_GetPointer(capsule.ptr(), capsuleName);
}

static ModuleOp moduleOf(const py::object &object) {
  return unwrap(MlirModule{
      addressIn(object, "module", "Module", MLIR_PYTHON_CAPSULE_MODULE)});
}

static MLIRContext *contextOf(const py::object &object) {
  return unwrap(MlirContext{
      addressIn(object, "context", "Context", MLIR_PYTHON_CAPSULE_CONTEXT)});
}
// [/capsule]

/// What the pipeline needs, made known to a context that is not ours.
static void registerDialects(const Language &language, MLIRContext *context) {
  DialectRegistry registry;
  language.registerDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
}

/// The @forward of a module: tensors of f32 with fixed shapes in, one out.
static func::FuncOp checkForward(ModuleOp module) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.isDeclaration() || !forward.getBody().hasOneBlock())
    throw py::value_error("module: expected a func.func @forward of one block");
  auto isTensor = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape() &&
           tensor.getElementType().isF32() && !tensor.getEncoding();
  };
  if (forward.getNumResults() != 1 ||
      !isTensor(forward.getResultTypes().front()) ||
      !llvm::all_of(forward.getArgumentTypes(), isTensor)) {
    std::string what = "module: expected @forward to take tensors of f32 with "
                       "fixed shapes and to return one, got ";
    llvm::raw_string_ostream(what) << forward.getFunctionType();
    throw py::value_error(what);
  }
  return forward;
}

// [out-parameter]
/// The result becomes an argument that is written into: the convention of
/// buildModule().
static void addOutParameter(func::FuncOp forward) {
  OpBuilder b(forward.getContext());
  auto type = cast<RankedTensorType>(forward.getResultTypes().front());
  for (unsigned i = 0; i < forward.getNumArguments(); ++i)
    forward.setArgAttr(i,
                       bufferization::BufferizationDialect::kWritableAttrName,
                       b.getBoolAttr(false));
  auto buffer = MemRefType::get(type.getShape(), type.getElementType());
  unsigned last = forward.getNumArguments();
  (void)forward.insertArgument(last, buffer, {}, forward.getLoc());
  (void)forward.eraseResult(0);
  Operation *end = forward.getBody().front().getTerminator();
  b.setInsertionPoint(end);
  auto write = bufferization::MaterializeInDestinationOp::create(
      b, end->getLoc(), end->getOperand(0), forward.getArgument(last));
  write.setRestrict(true);
  write.setWritable(true);
  end->eraseOperand(0);
  forward->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                   b.getUnitAttr());
}
// [/out-parameter]

// [execute]
static py::array execute(const Language &language, const py::object &module,
                         const std::vector<py::object> &arrays) {
  ModuleOp original = moduleOf(module);
  func::FuncOp declared = checkForward(original);
  if (arrays.size() != declared.getNumArguments())
    throw py::value_error("arrays: expected " +
                          std::to_string(declared.getNumArguments()) +
                          ", one for each argument of @forward, got " +
                          std::to_string(arrays.size()));
  std::vector<py::array> inputs;
  std::vector<ch1::Descriptor> descriptors;
  for (auto [i, array] : llvm::enumerate(arrays)) {
    auto type = cast<RankedTensorType>(declared.getArgumentTypes()[i]);
    inputs.push_back(ch1::contiguous(
        ch1::checkArray(array, "arrays[" + std::to_string(i) + "]", "float32",
                        type.getShape())));
    descriptors.emplace_back(inputs.back());
  }
  auto type = cast<RankedTensorType>(declared.getResultTypes().front());
  py::array_t<float> result(
      std::vector<py::ssize_t>(type.getShape().begin(), type.getShape().end()));
  descriptors.emplace_back(result);

  // Python's module stays as it is: a copy is lowered. With the GIL held, since
  // the context is Python's and its diagnostics may go to Python.
  registerDialects(language, original.getContext());
  OwningOpRef<ModuleOp> copy = original.clone();
  addOutParameter(checkForward(*copy));
  PassManager passes(copy->getContext());
  language.buildPipeline(passes);
  ch1::runPipeline(passes, *copy);
  Program program(*copy);
  {
    py::gil_scoped_release release;
    program.call(descriptors);
  }
  return std::move(result);
}
// [/execute]

void bindInterop(py::module_ &m, const Language &language) {
  m.def(
      "register_dialects",
      [language](const py::object &context) {
        registerDialects(language, contextOf(context));
      },
      py::arg("context"),
      "register_dialects(context): makes this chapter's dialect, and those "
      "that "
      "its pipeline needs, known to an mlir.ir.Context. TypeError for anything "
      "else.");
  m.def(
      "execute",
      [language](const py::object &module,
                 const std::vector<py::object> &arrays) {
        return execute(language, module, arrays);
      },
      py::arg("module"), py::arg("arrays"),
      "execute(module, arrays) -> array\n\n"
      "Lowers a copy of an mlir.ir.Module by this chapter's pipeline, compiles "
      "it and calls its @forward, which takes float32 tensors of fixed shapes "
      "and returns one. The module's context must know the dialect "
      "(register_dialects). Compiles at each call. TypeError or ValueError for "
      "an argument that does not fit, CompileError with MLIR's diagnostics.");
}

} // namespace ch9

// A pipeline that runs nothing: it looks for a module inside the module.
//
// says: 1 function, 0 of them converted

#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

int main() {
  registerPass([] { return createConvertFuncToLLVMPass(); });
  MLIRContext context;
  context.loadDialect<func::FuncDialect, LLVM::LLVMDialect>();
  auto module = parseSourceString<ModuleOp>("func.func private @f()", &context);
  PassManager passes(&context);
  const char *pipeline = "builtin.module(convert-func-to-llvm)";
  // instead: const char *pipeline = "convert-func-to-llvm";
  if (failed(parsePassPipeline(pipeline, passes)) ||
      failed(passes.run(*module)))
    return 1;
  auto converted = llvm::range_size(module->getOps<LLVM::LLVMFuncOp>());
  llvm::outs() << "1 function, " << converted << " of them converted\n";
  return converted != 1;
}

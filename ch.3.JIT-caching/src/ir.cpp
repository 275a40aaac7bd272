// ir.cpp - ch.2's function, and the same with one shape in its types.
//
//   memref<?x?xf32, strided<[?, ?], offset: ?>>    one function for all shapes
//   memref<8x32xf32>                               one for each shape, as ch.1
//
// The operations in the function are the same: linalg.fill and linalg.matmul
// take the sizes from the types of their operands. So the second is made from
// the first.
#include "ch3/Program.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include <stdexcept>

using namespace mlir;

namespace ch3 {

static FunctionType fixedType(MLIRContext *context, int64_t m, int64_t k,
                              int64_t n) {
  Builder b(context);
  Type f32 = b.getF32Type();
  return b.getFunctionType({MemRefType::get({m, k}, f32),
                            MemRefType::get({k, n}, f32),
                            MemRefType::get({m, n}, f32)},
                           /*results=*/{});
}

static OwningOpRef<ModuleOp> buildFixed(MLIRContext *context,
                                        FunctionType type) {
  OwningOpRef<ModuleOp> module = ch2::recipe().build(context);
  auto function = module->lookupSymbol<func::FuncOp>("gemm");
  function.setType(type);
  for (auto [argument, argumentType] :
       llvm::zip_equal(function.getArguments(), type.getInputs()))
    argument.setType(argumentType);
  ch1::verifyOrThrow(*module);
  return module;
}

ch1::Recipe recipe(Shape shape) {
  ch1::Recipe recipe = ch2::recipe();
  if (!shape)
    return recipe;
  auto [m, k, n] = *shape;
  if (m < 0 || k < 0 || n < 0)
    throw std::invalid_argument("shape: expected sizes of at least 0, got (" +
                                std::to_string(m) + ", " + std::to_string(k) +
                                ", " + std::to_string(n) + ")");
  recipe.type = [m = m, k = k, n = n](MLIRContext *context) {
    return fixedType(context, m, k, n);
  };
  recipe.build = [type = recipe.type](MLIRContext *context) {
    return buildFixed(context, type(context));
  };
  return recipe;
}

} // namespace ch3

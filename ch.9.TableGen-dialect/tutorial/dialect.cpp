//===- dialect.cpp - the generated definitions, and what registers them ---===//
#include "NN.h"
#include "opt.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace nn;

// [dialect]
#include "NNDialect.cpp.inc"

#define GET_OP_CLASSES
#include "NN.cpp.inc"

void NNDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "NN.cpp.inc"
      >();
}
// [/dialect]

// [interfaces]
#if __has_include("NNInterfaces.cpp.inc") // from step 8 on
#include "NNInterfaces.cpp.inc"
#endif
// [/interfaces]

// [passes]
#if __has_include("NNPasses.h.inc") // from step 8 on
namespace nn {
#define GEN_PASS_DECL
#include "NNPasses.h.inc"
#define GEN_PASS_REGISTRATION
#include "NNPasses.h.inc"
} // namespace nn
#endif
// [/passes]

// [register]
void registerNN(DialectRegistry &registry) {
  registry.insert<NNDialect>();
#if __has_include("NNPasses.h.inc")
  nn::registerNNPasses();
#endif
}
// [/register]

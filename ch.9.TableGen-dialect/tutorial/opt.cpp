//===- opt.cpp - the main program of every step's tool --------------------===//
#include "opt.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

// [main]
int main(int argc, char **argv) {
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                  tensor::TensorDialect>();
  registerNN(registry);
  registerTransformsPasses(); // --canonicalize, --cse
  return asMainReturnCode(MlirOptMain(argc, argv, "a step's tool\n", registry));
}
// [/main]

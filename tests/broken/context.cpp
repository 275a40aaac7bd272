// C++ made an operation of a dialect that its context never loaded.
//
// says: error: 'arith.constant' op created with unregistered dialect

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

int main() {
  MLIRContext context;
  // insert: context.loadDialect<arith::ArithDialect>();
  OpBuilder b(&context);
  Location loc = b.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToStart(module->getBody());
  arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.0f));
  if (failed(verify(*module)))
    return 1;
  llvm::outs() << *module << "\n";
}

// Recipe.h - what a chapter compiles: how it is built, and how it is lowered.
#pragma once

#include "ch1/Pipeline.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace ch1 {

// [recipe]
/// One function and its way from the first IR to the llvm dialect.
struct Recipe {
  /// The function's name, and its type in the IR as built.
  std::string function;
  std::function<mlir::FunctionType(mlir::MLIRContext *)> type;
  /// What the IR may use.
  void (*registerDialects)(mlir::DialectRegistry &);
  /// The IR as built.
  std::function<mlir::OwningOpRef<mlir::ModuleOp>(mlir::MLIRContext *)> build;
  /// The passes to the llvm dialect.
  std::function<void(mlir::PassManager &)> lowering;
};
// [/recipe]

/// IR that a reader gives in place of a chapter's own.
using Text = std::optional<std::string>;

/// A context with these dialects, loaded, and with the translations of the
/// builtin and the llvm dialect to LLVM IR.
std::unique_ptr<mlir::MLIRContext>
makeContext(void (*registerDialects)(mlir::DialectRegistry &));

/// A recipe's module, not lowered, with the context that owns it: the recipe's
/// own, or the one that is written in `text`. Throws CompileError where the
/// text is not valid or does not define the recipe's function with the recipe's
/// type.
struct Built {
  std::unique_ptr<mlir::MLIRContext> context; // outlives the module
  mlir::OwningOpRef<mlir::ModuleOp> module;

  explicit Built(const Recipe &recipe, const Text &text = {});
};

/// The same after all passes of the recipe, with the stages on request.
struct Lowered : Built {
  Stages stages;

  explicit Lowered(const Recipe &recipe, const Text &text = {},
                   bool recordStages = false);
};

} // namespace ch1

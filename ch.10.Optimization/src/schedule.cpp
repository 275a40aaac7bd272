//===- schedule.cpp - schedules, from their files into a module -----------===//
//
//   schedules/NAME.mlir --CMake--> text in this library --ch10-schedule-->
//   @__transform_main in the module --transform-interpreter--> the rest changed
//   --ch10-drop-schedule--> gone
//
// The same files work with mlir-opt:
//   mlir-opt --transform-preload-library=transform-library-paths=FILE \
//            --transform-interpreter
//
//===----------------------------------------------------------------------===//

#include "ch10/Passes.h"

#include "mlir/Dialect/Transform/IR/TransformDialect.h"
#include "mlir/Dialect/Transform/IR/TransformOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;

namespace {

struct Schedule {
  const char *name, *text;
};

const Schedule schedules[] = {
#include "ch10/Schedules.inc"
};

// [schedule]
struct SchedulePass : PassWrapper<SchedulePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SchedulePass)
  SchedulePass() = default;
  SchedulePass(const SchedulePass &other) : PassWrapper(other) {
    name = other.name;
  }
  StringRef getArgument() const final { return "ch10-schedule"; }
  StringRef getDescription() const final {
    return "puts a schedule of ch.10 into the module";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<transform::TransformDialect>();
  }
  void runOnOperation() final {
    for (const Schedule &schedule : schedules) {
      if (name != schedule.name)
        continue;
      OwningOpRef<ModuleOp> parsed =
          parseSourceString<ModuleOp>(schedule.text, &getContext(), name);
      if (!parsed)
        return signalPassFailure();
      ModuleOp module = getOperation();
      module->setAttr(transform::TransformDialect::kWithNamedSequenceAttrName,
                      UnitAttr::get(&getContext()));
      module.getBody()->getOperations().splice(
          module.getBody()->end(), parsed->getBody()->getOperations());
      return;
    }
    getOperation().emitError("there is no schedule '") << name << "'";
    signalPassFailure();
  }

  Option<std::string> name{
      *this, "name", llvm::cl::desc("the schedule's file, without .mlir")};
};
// [/schedule]

struct DropSchedulePass
    : PassWrapper<DropSchedulePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DropSchedulePass)
  StringRef getArgument() const final { return "ch10-drop-schedule"; }
  StringRef getDescription() const final { return "takes the schedule out"; }
  void runOnOperation() final {
    getOperation()->removeAttr(
        transform::TransformDialect::kWithNamedSequenceAttrName);
    for (auto sequence : llvm::make_early_inc_range(
             getOperation().getOps<transform::NamedSequenceOp>()))
      sequence->erase();
  }
};

} // namespace

std::unique_ptr<Pass> ch10::createSchedulePass(StringRef name) {
  auto pass = std::make_unique<SchedulePass>();
  pass->name = name.str();
  return pass;
}

std::unique_ptr<Pass> ch10::createDropSchedulePass() {
  return std::make_unique<DropSchedulePass>();
}

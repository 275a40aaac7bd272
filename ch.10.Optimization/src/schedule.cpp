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

#include "TiledPass.h"
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
struct SchedulePass : ch10::TiledPass<SchedulePass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SchedulePass)
  SchedulePass(StringRef schedule, const ch10::Tile &tile) : TiledPass(tile) {
    name = schedule.str();
  }
  SchedulePass(const SchedulePass &other) : TiledPass(other) {
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
    std::optional<ch10::Tile> tile = getTile();
    if (!tile)
      return;
    for (const Schedule &schedule : schedules) {
      if (name != schedule.name)
        continue;
      OwningOpRef<ModuleOp> parsed =
          parseSourceString<ModuleOp>(schedule.text, &getContext(), name);
      if (!parsed)
        return signalPassFailure();
      setTile(*parsed, *tile);
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

  /// A schedule's own sizes are those of 8 x 32; the machine's take their
  /// place.
  static void setTile(ModuleOp schedule, const ch10::Tile &tile) {
    schedule.walk([&](transform::ParamConstantOp size) {
      for (auto [mark, value] : {std::pair{"ch10.rows", tile.rows},
                                 std::pair{"ch10.columns", tile.columns}})
        if (size->hasAttr(mark))
          size.setValueAttr(IntegerAttr::get(
              cast<IntegerAttr>(size.getValue()).getType(), value));
    });
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

std::unique_ptr<Pass> ch10::createSchedulePass(StringRef name,
                                               const Tile &tile) {
  return std::make_unique<SchedulePass>(name, tile);
}

std::unique_ptr<Pass> ch10::createDropSchedulePass() {
  return std::make_unique<DropSchedulePass>();
}

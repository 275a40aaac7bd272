// jit.cpp - chooses the tile for this host, compiles the step once for each
// shape.
#include "ch14/CompiledStep.h"

#include "llvm/TargetParser/Host.h"
#include <chrono>
#include <map>
#include <mutex>
#include <tuple>

using namespace mlir;

namespace ch14 {

// [choose-tile]
Tile hostTile() {
  static const Tile tile = [] {
    auto features = llvm::sys::getHostCPUFeatures();
    if (features.lookup("avx512f"))
      return Tile{16, 8, 32, "AVX-512: 32 registers of 16 floats"};
    if (features.lookup("avx2") && features.lookup("fma"))
      return Tile{8, 4, 16, "AVX2: 16 registers of 8 floats"};
    return Tile{4, 4, 8, "no AVX2: registers of 4 floats"};
  }();
  return tile;
}
// [/choose-tile]

LoweredStep::LoweredStep(const StepShape &shape, bool recordStages)
    : module(buildStep(context.get(), shape)) {
  PassManager passes(context.get());
  buildPipeline(passes, shape.tile);
  ch1::runPipeline(passes, *module, recordStages ? &stages : nullptr);
}

CompiledStep::CompiledStep(const StepShape &shape) {
  auto start = std::chrono::steady_clock::now();
  jit = std::make_unique<ch1::Jit>(*LoweredStep(shape).module);
  jit->lookup("_mlir_ciface_step"); // compiles now, not at the first call
  seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
}

void CompiledStep::call(ArrayRef<void *> descriptors) const {
  // The packed convention: a pointer to each argument, and each argument is a
  // pointer to a descriptor.
  SmallVector<void *> pointers(descriptors), packed;
  for (void *&pointer : pointers)
    packed.push_back(&pointer);
  jit->invoke("_mlir_ciface_step", packed);
}

// [get]
std::shared_ptr<const CompiledStep> CompiledStep::get(const StepShape &s) {
  using Key =
      std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, float>;
  struct Entry {
    std::mutex compiling;
    std::weak_ptr<const CompiledStep> step;
  };
  static std::mutex lock;
  static std::map<Key, std::shared_ptr<Entry>> entries;

  std::shared_ptr<Entry> entry;
  {
    std::lock_guard<std::mutex> guard(lock);
    auto &slot = entries[{s.vocabulary, s.positions, s.width, s.heads, s.inner,
                          s.pageSize, s.epsilon}];
    if (!slot)
      slot = std::make_shared<Entry>();
    entry = slot;
  }
  // One lock a shape: others compile other shapes meanwhile.
  std::lock_guard<std::mutex> guard(entry->compiling);
  std::shared_ptr<const CompiledStep> step = entry->step.lock();
  if (!step) {
    step = std::make_shared<const CompiledStep>(s);
    entry->step = step; // weak: code lives as long as a model uses it
  }
  return step;
}
// [/get]

} // namespace ch14

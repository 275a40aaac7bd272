// jit.cpp - compiles the step, once for each shape.
#include "ch10/Threads.h"
#include "ch14/CompiledStep.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>

using namespace mlir;

namespace ch14 {

static constexpr std::pair<const char *, Dtype> kDtypes[] = {
    {"float32", Dtype::Float32},
    {"bfloat16", Dtype::BFloat16},
    {"int8", Dtype::Int8}};

std::optional<Dtype> dtypeOf(StringRef name) {
  for (auto [known, dtype] : kDtypes)
    if (name == known)
      return dtype;
  return std::nullopt;
}

const char *nameOf(Dtype dtype) {
  return kDtypes[static_cast<int>(dtype)].first;
}

bool isPaired(Dtype dtype) {
  return dtype == Dtype::Int8 ||
         (dtype == Dtype::BFloat16 && ch10::hostHasBF16Dot());
}

LoweredStep::LoweredStep(const StepShape &shape, bool recordStages)
    : module(buildStep(context.get(), shape)) {
  PassManager passes(context.get());
  buildPipeline(passes, shape.tile, shape.threads, shape.clock);
  ch1::runPipeline(passes, *module, recordStages ? &stages : nullptr);
}

CompiledStep::CompiledStep(const StepShape &shape) {
  auto start = std::chrono::steady_clock::now();
  ch1::JitOptions options;
  if (shape.threads)
    options.symbols = ch10::openMPSymbols();
  jit = std::make_unique<ch1::Jit>(*LoweredStep(shape).module, options);
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

namespace {

using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                       float, int64_t, Dtype, bool, bool>;

/// One shape. The lock is held by the thread that compiles it; code lives as
/// long as a model uses it.
struct Entry {
  std::mutex compiling;
  std::weak_ptr<const CompiledStep> step;
};

/// Never destroyed: at the end of the process a thread may still be computing.
struct Registry {
  std::mutex lock; // guards what follows, never held while compiling
  std::map<Key, std::shared_ptr<Entry>> entries;
  // Code of the latest shapes outlives its models, for the next model.
  static constexpr size_t kKept = 4;
  std::deque<std::shared_ptr<const CompiledStep>> kept; // latest first
};
Registry &registry = *new Registry();

std::shared_ptr<Entry> entryOf(const Key &key) {
  std::lock_guard<std::mutex> guard(registry.lock);
  auto &entries = registry.entries;
  // Forget shapes that nobody uses or compiles.
  for (auto it = entries.begin(); it != entries.end();)
    it = it->second.use_count() == 1 && it->second->step.expired()
             ? entries.erase(it)
             : std::next(it);
  std::shared_ptr<Entry> &entry = entries[key];
  if (!entry)
    entry = std::make_shared<Entry>();
  return entry;
}

void keep(const std::shared_ptr<const CompiledStep> &step) {
  std::shared_ptr<const CompiledStep> dropped; // freed outside of the lock
  std::lock_guard<std::mutex> guard(registry.lock);
  auto &kept = registry.kept;
  kept.erase(std::remove(kept.begin(), kept.end(), step), kept.end());
  kept.push_front(step);
  if (kept.size() > Registry::kKept) {
    dropped = std::move(kept.back());
    kept.pop_back();
  }
}

} // namespace

std::shared_ptr<const CompiledStep> CompiledStep::get(const StepShape &s) {
  std::shared_ptr<Entry> entry =
      entryOf({s.vocabulary, s.positions, s.width, s.heads, s.inner, s.pageSize,
               s.epsilon, s.tile.lanes, s.dtype, s.threads, s.clock});
  std::shared_ptr<const CompiledStep> step;
  {
    // One lock a shape: others compile other shapes meanwhile.
    std::lock_guard<std::mutex> guard(entry->compiling);
    step = entry->step.lock();
    if (!step) {
      step = std::make_shared<const CompiledStep>(s);
      entry->step = step;
    }
  }
  keep(step);
  return step;
}

} // namespace ch14

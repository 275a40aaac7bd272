// jit.cpp - compiles the step, once for each shape and, with a disk cache, once
// for each machine.
//
//   StepShape --buildStep--> module --codeKey--> known on disk? --+--> address
//                               +--pipeline, LLVM--> object, stored --+
#include "ch1/Diagnostics.h"
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

ch1::JitOptions jitOptions(const StepShape &shape) {
  ch1::JitOptions options;
  options.positionIndependent = true; // an object file, loaded anywhere
  if (shape.threads)
    options.symbols = ch10::openMPSymbols();
  return options;
}

LoweredStep::LoweredStep(const StepShape &shape, bool recordStages)
    : module(buildStep(context.get(), shape)) {
  PassManager passes(context.get());
  buildPipeline(passes, shape.tile, shape.threads, shape.clock);
  ch1::runPipeline(passes, *module, recordStages ? &stages : nullptr);
}

namespace {

/// The module as it is built, what is to be done with it, and the key of what
/// comes out.
struct PlannedStep {
  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> module;
  PassManager passes;
  ch1::JitOptions options;

  explicit PlannedStep(const StepShape &shape)
      : module(buildStep(context.get(), shape)), passes(context.get()),
        options(jitOptions(shape)) {
    buildPipeline(passes, shape.tile, shape.threads, shape.clock);
  }
  std::string key() {
    // Any function of this extension will do to say which build it is.
    return ch3::codeKey(*module, passes, options,
                        reinterpret_cast<const void *>(&buildStep));
  }
};

constexpr char kKind[] = "code", kEntry[] = "_mlir_ciface_step";

} // namespace

// [stored]
/// The step from the disk; null where it is not there.
static std::unique_ptr<ch3::StoredCode>
load(ch3::DiskCache &disk, StringRef key, const ch1::JitOptions &options) {
  std::optional<ch3::FileBytes> object =
      disk.get(key, kKind, ch3::Check::Sha256);
  if (!object)
    return nullptr; // not there, or not to be trusted
  try {
    auto code = std::make_unique<ch3::StoredCode>(
        StringRef(object->bytes().data(), object->bytes().size()), options);
    code->lookup(kEntry);
    return code;
  } catch (const ch1::CompileError &error) { // whole, but of no use
    disk.reject(error.what());
    return nullptr;
  }
}

CompiledStep::CompiledStep(const StepShape &shape, ch3::DiskCache *disk) {
  auto start = std::chrono::steady_clock::now();
  PlannedStep plan(shape);
  std::string key;
  if (disk) {
    key = plan.key();
    code = load(*disk, key, plan.options);
    fromDisk = code != nullptr;
  }
  if (!code) {
    ch1::runPipeline(plan.passes, *plan.module);
    std::string object = ch1::objectCode(*plan.module, plan.options);
    code = std::make_unique<ch3::StoredCode>(object, plan.options);
    code->lookup(kEntry); // links now, not at the first call
    if (disk)
      disk->put(key, kKind, ch3::Check::Sha256, {object.data(), object.size()});
  }
  seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
}
// [/stored]

std::string CompiledStep::key(const StepShape &shape) {
  return PlannedStep(shape).key();
}

void CompiledStep::call(ArrayRef<void *> descriptors) const {
  // The packed convention: a pointer to each argument, and each argument is a
  // pointer to a descriptor.
  SmallVector<void *> pointers(descriptors), packed;
  for (void *&pointer : pointers)
    packed.push_back(&pointer);
  code->invoke(kEntry, packed);
}

namespace {

using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                       float, int64_t, Dtype, bool, bool, std::string>;

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

std::shared_ptr<const CompiledStep> CompiledStep::get(const StepShape &s,
                                                      ch3::DiskCache *disk) {
  std::shared_ptr<Entry> entry =
      entryOf({s.vocabulary, s.positions, s.width, s.heads, s.inner, s.pageSize,
               s.epsilon, s.tile.lanes, s.dtype, s.threads, s.clock,
               disk ? disk->folder : std::string()});
  std::shared_ptr<const CompiledStep> step;
  {
    // One lock a shape: others compile other shapes meanwhile.
    std::lock_guard<std::mutex> guard(entry->compiling);
    step = entry->step.lock();
    if (!step) {
      step = std::make_shared<const CompiledStep>(s, disk);
      entry->step = step;
    }
  }
  keep(step);
  return step;
}

} // namespace ch14

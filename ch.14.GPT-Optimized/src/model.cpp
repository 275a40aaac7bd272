// model.cpp - weights, the memory a call works in, and the call.
#include "ch14/Model.h"
#include "ch1/Arrays.h"
#include "ch10/Threads.h"

#include "llvm/Support/Alignment.h"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace py = pybind11;
using ch1::kAnySize;
using llvm::ArrayRef;

namespace ch14 {

//===--- Memory -----------------------------------------------------------===//

/// Zeroed, aligned to a cache line; large blocks to a huge page.
static void *allocate(size_t bytes) {
  constexpr size_t hugePage = size_t(2) << 20;
  bytes = std::max<size_t>(bytes, 64);
  size_t alignment = bytes >= hugePage ? hugePage : 64;
  bytes = llvm::alignTo(bytes, llvm::Align(alignment));
  void *memory = std::aligned_alloc(alignment, bytes);
  if (!memory)
    throw std::bad_alloc();
  if (alignment == hugePage)
    madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  return memory;
}

py::array alignedZeros(const std::vector<int64_t> &shape,
                       const py::dtype &dtype) {
  int64_t count = 1;
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, size, &count) ||
        count > (int64_t(1) << 48))
      throw py::value_error("shape: expected sizes of an array that fits into "
                            "memory, got " +
                            ch1::shapeText(shape));
  void *memory = allocate(count * dtype.itemsize());
  py::capsule owner(memory, [](void *p) { std::free(p); });
  return py::array(dtype, shape, memory, owner);
}

/// The rows between one layer's ops. Numbers left from an earlier call are
/// overwritten before they are read.
struct Model::Scratch {
  int64_t rows = 0;
  std::vector<std::unique_ptr<void, decltype(&std::free)>> buffers;

  void grow(const StepShape &s, int64_t wanted) {
    if (wanted <= rows)
      return;
    buffers.clear();
    for (ScratchBuffer buffer : scratchBuffers(s))
      buffers.emplace_back(allocate(wanted * buffer.columns * buffer.bytes),
                           &std::free);
    rows = wanted;
  }
};

std::unique_ptr<Model::Scratch> Model::takeScratch(int64_t rows) {
  std::unique_ptr<Scratch> scratch;
  {
    std::lock_guard<std::mutex> guard(lock);
    if (!idle.empty()) {
      scratch = std::move(idle.back());
      idle.pop_back();
    }
  }
  if (!scratch)
    scratch = std::make_unique<Scratch>();
  scratch->grow(shape, rows);
  return scratch;
}

//===--- A model --------------------------------------------------------===//

void checkShape(const StepShape &s) {
  auto positive = [](const char *name, int64_t value) {
    if (value < 1)
      throw py::value_error(std::string(name) + ": expected 1 or more, got " +
                            std::to_string(value));
  };
  positive("vocabulary", s.vocabulary);
  positive("positions", s.positions);
  positive("width", s.width);
  positive("heads", s.heads);
  positive("inner", s.inner);
  positive("page_size", s.pageSize);
  if (s.pageSize > 256)
    throw py::value_error("page_size: expected 1 to 256, got " +
                          std::to_string(s.pageSize));
  if (s.width % s.heads)
    throw py::value_error("heads: expected a divisor of the width " +
                          std::to_string(s.width) + ", got " +
                          std::to_string(s.heads));
}

static StepShape forThreads(StepShape shape, int64_t numThreads) {
  checkShape(shape);
  if (numThreads < 1 || numThreads > ch10::kMaxThreads)
    throw py::value_error("num_threads: expected 1 to " +
                          std::to_string(ch10::kMaxThreads) + ", got " +
                          std::to_string(numThreads));
  shape.threads = numThreads > 1;
  return shape;
}

Model::Model(StepShape s, const py::dict &given, int64_t numThreads,
             ch3::DiskCache *disk)
    : shape(forThreads(s, numThreads)), numThreads(numThreads) {
  for (const WeightShape &weight : weightShapes(s)) {
    if (!given.contains(weight.name))
      throw py::value_error(std::string("weights: '") + weight.name +
                            "' is missing");
    py::object object = given[weight.name];
    py::array array =
        ch1::checkArray(object, weight.name, weight.dtype, weight.sizes);
    if (!(array.flags() & py::array::c_style))
      throw py::value_error(std::string(weight.name) +
                            ": expected an array in C order");
    if (weight.sizes[0] == kAnySize) {
      if (weights.size() == kNorm1Gamma)
        layers = array.shape(0);
      else if (array.shape(0) != layers)
        throw py::value_error(std::string(weight.name) + ": expected " +
                              std::to_string(layers) + " layers, got " +
                              std::to_string(array.shape(0)));
    }
    weights.push_back(std::move(array));
  }
  py::gil_scoped_release release;
  compiled = CompiledStep::get(shape, disk);
  if (shape.clock) {
    auto context = makeContext();
    for (const std::string &part : partNames(*buildStep(context.get(), shape)))
      partSeconds.emplace_back(part, 0);
  }
}

std::vector<std::pair<std::string, double>> Model::takePartSeconds() {
  std::lock_guard<std::mutex> guard(lock);
  auto taken = partSeconds;
  for (auto &[name, seconds] : partSeconds)
    seconds = 0;
  return taken;
}

Model::~Model() = default;

//===--- The call ---------------------------------------------------------===//

py::array Model::step(const Batch &batch) {
  int64_t count = batch.tokens.size();
  py::array_t<float> logits(
      {batch.rows.size(), shape.padded(shape.vocabulary)});
  std::unique_ptr<Scratch> scratch = takeScratch(count);

  std::vector<ch1::Descriptor> arguments;
  for (const py::array *array : {&batch.tokens, &batch.positions, &batch.slots,
                                 &batch.sequences, &batch.tables, &batch.rows})
    arguments.emplace_back(*array);
  for (const py::array &weight : weights)
    arguments.emplace_back(weight);
  arguments.emplace_back(batch.keys);
  arguments.emplace_back(batch.values);
  for (auto [memory, buffer] :
       llvm::zip(scratch->buffers, scratchBuffers(shape))) {
    llvm::SmallVector<int64_t> sizes = {count, buffer.columns};
    arguments.emplace_back(memory.get(), ArrayRef<int64_t>(sizes).take_front(
                                             buffer.columns == 1 ? 1 : 2));
  }
  arguments.emplace_back(logits);
  std::vector<int64_t> ticks(partSeconds.size() + 1, 0);
  if (shape.clock)
    arguments.emplace_back(ticks.data(),
                           ArrayRef<int64_t>{int64_t(ticks.size())});
  std::vector<void *> descriptors;
  for (ch1::Descriptor &argument : arguments)
    descriptors.push_back(argument.get());
  {
    py::gil_scoped_release release;
    if (shape.threads)
      ch10::useThreads(numThreads); // of the loops that this thread enters
    auto begin = std::chrono::steady_clock::now();
    compiled->call(descriptors);
    std::chrono::duration<double> taken =
        std::chrono::steady_clock::now() - begin;
    std::lock_guard<std::mutex> guard(lock);
    for (size_t i = 0; i < partSeconds.size(); ++i)
      partSeconds[i].second += taken.count() * ticks[i] / ticks.back();
    idle.push_back(std::move(scratch));
  }
  // The head is computed in whole panels; the padding is cut off here.
  py::slice real(0, shape.vocabulary, 1);
  return py::object(logits[py::make_tuple(py::ellipsis(), real)])
      .cast<py::array>();
}

} // namespace ch14

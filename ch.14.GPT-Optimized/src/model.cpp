// model.cpp - checks what comes from Python, then calls the step.
//
// The compiled code trusts its indices. Every one of them is checked here, so a
// wrong token, slot or page is a sentence and never a wild read.
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

//===--- Checks -----------------------------------------------------------===//

/// An i32 array as the kernels read it: a copy, so that what is checked is what
/// is read, even if another thread writes to the caller's array meanwhile.
static py::array indices(const py::object &object, const char *name,
                         ArrayRef<int64_t> sizes) {
  py::array array = ch1::checkArray(object, name, "int32", sizes);
  return array.attr("copy")("C").cast<py::array>();
}

static const int32_t *data(const py::array &array) {
  return static_cast<const int32_t *>(array.data());
}

/// Every element in [0, limit).
static void checkRange(const py::array &array, const std::string &name,
                       int64_t limit, const std::string &ofWhat) {
  const int32_t *values = data(array);
  for (py::ssize_t i = 0; i < array.size(); ++i)
    if (values[i] < 0 || values[i] >= limit)
      throw py::value_error(name + "[" + std::to_string(i) +
                            "]: expected 0 to " + std::to_string(limit - 1) +
                            " (" + ofWhat + "), got " +
                            std::to_string(values[i]));
}

/// A buffer that the step reads or writes in place: dense, aligned, writable.
static py::array inPlace(const py::object &object, const char *name,
                         ArrayRef<int64_t> sizes) {
  py::array array = ch1::checkArray(object, name, "float32", sizes);
  if (!(array.flags() & py::array::c_style) || !array.writeable() ||
      reinterpret_cast<uintptr_t>(array.data()) % alignof(float))
    throw py::value_error(std::string(name) +
                          ": expected a writable array in C order, since it is "
                          "used in place");
  return array;
}

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

/// Slots and pages must say the same, and pages must exist.
static void checkPages(const StepShape &s, const py::array &positions,
                       const py::array &slots, const py::array &sequences,
                       const py::array &tables, int64_t numPages) {
  int64_t width = tables.shape(1);
  std::vector<int64_t> needed(tables.shape(0), 0); // pages read, by sequence
  for (py::ssize_t t = 0; t < positions.size(); ++t) {
    int64_t sequence = data(sequences)[t], position = data(positions)[t];
    int64_t page = position / s.pageSize;
    if (page >= width)
      throw py::value_error("page_tables: expected at least " +
                            std::to_string(page + 1) + " pages for position " +
                            std::to_string(position) + ", got " +
                            std::to_string(width));
    needed[sequence] = std::max(needed[sequence], page + 1);
    int64_t slot = int64_t(data(tables)[sequence * width + page]) * s.pageSize +
                   position % s.pageSize;
    if (slot != data(slots)[t])
      throw py::value_error(
          "slots[" + std::to_string(t) + "]: expected " + std::to_string(slot) +
          " (the page table's place for position " + std::to_string(position) +
          " of sequence " + std::to_string(sequence) + "), got " +
          std::to_string(data(slots)[t]));
  }
  for (size_t sequence = 0; sequence < needed.size(); ++sequence)
    for (int64_t p = 0; p < needed[sequence]; ++p) {
      int32_t page = data(tables)[sequence * width + p];
      if (page < 0 || page >= numPages)
        throw py::value_error(
            "page_tables[" + std::to_string(sequence) + ", " +
            std::to_string(p) + "]: expected a page of 0 to " +
            std::to_string(numPages - 1) + ", got " + std::to_string(page));
    }
}

/// Two tokens in one slot would leave it to their order who is remembered.
static void checkSlotsDiffer(const py::array &slots) {
  std::vector<int32_t> sorted(data(slots), data(slots) + slots.size());
  std::sort(sorted.begin(), sorted.end());
  auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    throw py::value_error("slots: expected each slot at most once, got " +
                          std::to_string(*twice) + " twice");
}

py::array Model::step(const py::object &tokensIn, const py::object &positionsIn,
                      const py::object &slotsIn, const py::object &sequencesIn,
                      const py::object &tablesIn, const py::object &rowsIn,
                      const py::object &kCache, const py::object &vCache) {
  py::array tokens = indices(tokensIn, "tokens", {kAnySize});
  int64_t count = tokens.size();
  py::array positions = indices(positionsIn, "positions", {count});
  py::array slots = indices(slotsIn, "slots", {count});
  py::array sequences = indices(sequencesIn, "sequences", {count});
  py::array tables = indices(tablesIn, "page_tables", {kAnySize, kAnySize});
  py::array rows = indices(rowsIn, "logit_rows", {kAnySize});
  int64_t H = shape.heads, HD = shape.headSize(), PS = shape.pageSize;
  py::array keys = inPlace(kCache, "k_cache", {layers, kAnySize, H, HD, PS});
  int64_t numPages = keys.shape(1);
  py::array values = inPlace(vCache, "v_cache", {layers, numPages, H, PS, HD});

  checkRange(tokens, "tokens", shape.vocabulary, "the vocabulary");
  checkRange(positions, "positions", shape.positions, "the model's positions");
  if (count && !tables.shape(0))
    throw py::value_error(
        "sequences[0]: expected a row of page_tables, which has none");
  checkRange(sequences, "sequences", tables.shape(0), "rows of page_tables");
  checkRange(rows, "logit_rows", count, "rows of tokens");
  checkPages(shape, positions, slots, sequences, tables, numPages);
  checkSlotsDiffer(slots);
  if (rows.size() > count)
    throw py::value_error("logit_rows: expected at most as many as tokens, " +
                          std::to_string(count) + ", got " +
                          std::to_string(rows.size()));

  py::array_t<float> logits({rows.size(), shape.padded(shape.vocabulary)});
  std::unique_ptr<Scratch> scratch = takeScratch(count);

  std::vector<ch1::Descriptor> arguments;
  for (const py::array &array :
       {tokens, positions, slots, sequences, tables, rows})
    arguments.emplace_back(array);
  for (const py::array &weight : weights)
    arguments.emplace_back(weight);
  arguments.emplace_back(keys);
  arguments.emplace_back(values);
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

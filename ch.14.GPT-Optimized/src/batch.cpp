// batch.cpp - checks what a step gets from Python.
//
// The compiled code trusts its indices. Every one of them is checked here, so a
// wrong token, slot or page is a sentence and never a wild read.
#include "ch14/Batch.h"
#include "ch1/Arrays.h"

#include <algorithm>

namespace py = pybind11;
using ch1::kAnySize;
using llvm::ArrayRef;

namespace ch14 {

/// An i32 array as the kernels read it: a copy.
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

Batch::Batch(const StepShape &shape, int64_t layers, const py::object &tokensIn,
             const py::object &positionsIn, const py::object &slotsIn,
             const py::object &sequencesIn, const py::object &tablesIn,
             const py::object &rowsIn, const py::object &kCache,
             const py::object &vCache) {
  tokens = indices(tokensIn, "tokens", {kAnySize});
  int64_t count = tokens.size();
  positions = indices(positionsIn, "positions", {count});
  slots = indices(slotsIn, "slots", {count});
  sequences = indices(sequencesIn, "sequences", {count});
  tables = indices(tablesIn, "page_tables", {kAnySize, kAnySize});
  rows = indices(rowsIn, "logit_rows", {kAnySize});
  int64_t H = shape.heads, HD = shape.headSize(), PS = shape.pageSize;
  keys = inPlace(kCache, "k_cache", {layers, kAnySize, H, HD, PS});
  int64_t numPages = keys.shape(1);
  values = inPlace(vCache, "v_cache", {layers, numPages, H, PS, HD});

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
}

} // namespace ch14

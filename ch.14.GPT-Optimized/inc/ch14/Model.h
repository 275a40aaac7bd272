// Model.h - weights bound to a compiled step, and the memory a call works in.
#pragma once

#include "ch14/Batch.h"
#include "ch14/CompiledStep.h"
#include <mutex>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <vector>

namespace ch14 {

/// A new array of zeros, aligned to 64 bytes, in huge pages where it is large.
pybind11::array alignedZeros(const std::vector<int64_t> &shape,
                             const pybind11::dtype &dtype);

/// Throws ValueError for a size that no model has.
void checkShape(const StepShape &shape);

/// One GPT-2: its weights, checked once, and the compiled step for its shape.
class Model {
public:
  /// `weights` maps the names of weightShapes() to arrays in C order.
  /// disk: where compiled code is kept, or null. Throws ValueError for a number
  /// of threads below 1.
  Model(StepShape shape, const pybind11::dict &weights, int64_t numThreads,
        ch3::DiskCache *disk);

  /// The logits float32 [R, vocabulary] of `batch.rows`, a view of rows that
  /// are padded to whole panels.
  pybind11::array step(const Batch &batch);

  ~Model();

  /// (part, seconds) of all calls since the last time this was asked, in the
  /// order of the step; empty without shape.clock.
  std::vector<std::pair<std::string, double>> takePartSeconds();

  double compileSeconds() const { return compiled->compileSeconds(); }
  bool isFromDisk() const { return compiled->isFromDisk(); }
  int64_t numLayers() const { return layers; }
  const StepShape shape;
  const int64_t numThreads;

private:
  struct Scratch;
  /// Takes a scratch with room for `rows` tokens; calls at the same time get
  /// different ones.
  std::unique_ptr<Scratch> takeScratch(int64_t rows);

  int64_t layers = 0;
  std::vector<pybind11::array> weights; // in the order of Weight
  std::shared_ptr<const CompiledStep> compiled;
  std::mutex lock;
  std::vector<std::unique_ptr<Scratch>> idle;
  std::vector<std::pair<std::string, double>> partSeconds; // with a clock
};

} // namespace ch14

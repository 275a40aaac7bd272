// bindings.cpp - the Python module ch14_gpt_optimized.
#include "ch1/Arrays.h"
#include "ch14/CachedForward.h"
#include "ch14/DiskCachePython.h"
#include "ch14/Model.h"
#include <pybind11/stl.h>

namespace py = pybind11;

namespace ch14 {

namespace {

StepShape makeShape(int64_t vocabulary, int64_t positions, int64_t width,
                    int64_t heads, int64_t inner, int64_t pageSize,
                    float epsilon, std::optional<int64_t> lanes,
                    const std::string &dtype, bool threads = false,
                    bool clock = false) {
  StepShape shape;
  std::optional<Tile> tile = lanes ? tileOf(*lanes) : hostTile();
  if (!tile)
    throw py::value_error("lanes: expected 16, 8, 4 or None, got " +
                          std::to_string(*lanes));
  std::optional<Dtype> known = dtypeOf(dtype);
  if (!known)
    throw py::value_error(
        "dtype: expected 'float32', 'bfloat16' or 'int8', got '" + dtype + "'");
  shape.tile = *tile;
  shape.dtype = *known;
  shape.threads = threads;
  shape.clock = clock;
  shape.vocabulary = vocabulary;
  shape.positions = positions;
  shape.width = width;
  shape.heads = heads;
  shape.inner = inner;
  shape.pageSize = pageSize;
  shape.epsilon = epsilon;
  return shape;
}

/// Defines m.name(vocabulary=…, …) = function(shape), called without the GIL;
/// the defaults are those of the bundled model.
template <typename Function>
void bindInspection(py::module_ &m, const char *name, Function function,
                    const char *doc) {
  m.def(
      name,
      [function](int64_t vocabulary, int64_t positions, int64_t width,
                 int64_t heads, int64_t inner, int64_t pageSize,
                 std::optional<int64_t> lanes, const std::string &dtype,
                 bool threads) {
        StepShape shape = makeShape(vocabulary, positions, width, heads, inner,
                                    pageSize, 1e-5f, lanes, dtype, threads);
        checkShape(shape);
        py::gil_scoped_release release;
        return function(shape);
      },
      py::arg("vocabulary") = 1024, py::arg("positions") = 1024,
      py::arg("width") = 256, py::arg("heads") = 4, py::arg("inner") = 1024,
      py::arg("page_size") = 16, py::arg("lanes") = py::none(),
      py::arg("dtype") = "float32", py::arg("threads") = false, doc);
}

} // namespace

} // namespace ch14

PYBIND11_MODULE(ch14_gpt_optimized, m) {
  using namespace ch14;
  m.doc() = "Chapter 14: GPT-2 inference by one compiled step over a paged KV "
            "cache.";
  ch1::bindCompileError(m);

  bindInspection(
      m, "ir",
      [](const StepShape &shape) {
        auto context = makeContext();
        return ch1::print(*buildStep(context.get(), shape));
      },
      "The step as it is built, for a GPT-2 of this shape.");
  bindInspection(
      m, "stages",
      [](const StepShape &shape) {
        std::vector<std::pair<std::string, std::string>> result;
        for (ch1::Stage &stage : LoweredStep(shape, true).stages)
          result.emplace_back(std::move(stage.pass), std::move(stage.ir));
        return result;
      },
      "[(pass name, IR after it)], the first being (\"input\", ir()).");
  bindInspection(
      m, "llvm_ir",
      [](const StepShape &shape) {
        return ch1::llvmIR(*LoweredStep(shape).module);
      },
      "The optimized LLVM IR of the step.");
  bindInspection(
      m, "assembly",
      [](const StepShape &shape) {
        return ch1::assembly(*LoweredStep(shape).module, jitOptions(shape));
      },
      "The assembly of the step on this machine.");

  bindInspection(
      m, "code_key",
      [](const StepShape &shape) { return CompiledStep::key(shape); },
      "All that the step's machine code depends on: its key on disk.");

  m.def(
      "aligned_zeros",
      [](const std::vector<int64_t> &shape, const py::object &dtype) {
        return alignedZeros(shape, py::dtype::from_args(dtype));
      },
      py::arg("shape"), py::arg("dtype") = "float32",
      "A new array of zeros in C order, aligned to a cache line, and to huge "
      "pages\nwhere it is large.");
  m.def(
      "host_tile",
      [] {
        Tile tile = hostTile();
        py::dict result;
        result["lanes"] = tile.lanes;
        result["rows"] = tile.rows;
        result["panel"] = tile.columns;
        result["reason"] = tile.reason;
        return result;
      },
      "The register tile chosen for this machine, and why.");
  m.def(
      "weight_shapes",
      [](int64_t vocabulary, int64_t positions, int64_t width, int64_t inner,
         int64_t layers, std::optional<int64_t> lanes,
         const std::string &dtype) {
        py::dict result;
        for (WeightShape &weight :
             weightShapes(makeShape(vocabulary, positions, width, 1, inner, 16,
                                    1e-5f, lanes, dtype))) {
          for (int64_t &size : weight.sizes)
            size = size < 0 ? layers : size;
          py::tuple sizes = py::cast(
              std::vector<int64_t>(weight.sizes.begin(), weight.sizes.end()));
          result[weight.name] = py::make_tuple(sizes, weight.dtype);
        }
        return result;
      },
      py::arg("vocabulary"), py::arg("positions"), py::arg("width"),
      py::arg("inner"), py::arg("layers"), py::arg("lanes") = py::none(),
      py::arg("dtype") = "float32",
      "{name: (shape, dtype)} of the packed weights that Model takes for "
      "weights of\n`dtype`. A bfloat16 is kept as the uint16 of its bits. "
      "Matrices are panels\n[…, N / nr, K, nr], or with pairs […, N / nr, "
      "K / 2, 2 nr].");

  bindDiskCache(m);
  py::class_<Model>(m, "Model",
                    "Packed weights bound to the compiled step of their shape.")
      .def(py::init([](const py::dict &weights, int64_t vocabulary,
                       int64_t positions, int64_t width, int64_t heads,
                       int64_t inner, int64_t pageSize, float epsilon,
                       std::optional<int64_t> lanes, const std::string &dtype,
                       int64_t numThreads, bool clock, ch3::DiskCache *disk) {
             return std::make_unique<Model>(
                 makeShape(vocabulary, positions, width, heads, inner, pageSize,
                           epsilon, lanes, dtype, false, clock),
                 weights, numThreads, disk);
           }),
           py::arg("weights"), py::kw_only(), py::arg("vocabulary"),
           py::arg("positions"), py::arg("width"), py::arg("heads"),
           py::arg("inner"), py::arg("page_size") = 16,
           py::arg("epsilon") = 1e-5f, py::arg("lanes") = py::none(),
           py::arg("dtype") = "float32", py::arg("num_threads") = 1,
           py::arg("clock") = false, py::arg("disk_cache") = py::none(),
           "weights: {name: array}, see weight_shapes. lanes: floats in a "
           "vector (16, 8\nor 4; None: this host's), which decides the "
           "register tile and so how\nweights are packed; every choice gives "
           "right results on every host.\ndtype: how the weights are kept. "
           "num_threads: threads that share a step's\npanels, rows and heads; "
           "no number of them changes a bit. RuntimeError where\nthere is no "
           "OpenMP runtime for more than one. clock: count the time of each "
           "part of the step\n(take_part_seconds), at the cost of a compile "
           "of its own. disk_cache: a DiskCache in which compiled code is "
           "looked for\nand kept (None: nowhere).")
      .def(
          "step",
          [](Model &model, const py::object &tokens,
             const py::object &positions, const py::object &slots,
             const py::object &sequences, const py::object &pageTables,
             const py::object &logitRows, const py::object &kCache,
             const py::object &vCache) {
            return model.step({model.shape, model.numLayers(), tokens,
                               positions, slots, sequences, pageTables,
                               logitRows, kCache, vCache});
          },
          py::arg("tokens"), py::arg("positions"), py::arg("slots"),
          py::arg("sequences"), py::arg("page_tables"), py::arg("logit_rows"),
          py::arg("k_cache"), py::arg("v_cache"),
          "One pass over a flat list of T tokens from any number of "
          "sequences.\n\n"
          "tokens, positions, slots, sequences: int32 [T]. Token t stands at\n"
          "positions[t] of sequence sequences[t]; its key and value are "
          "written to\n"
          "slots[t] = page * page_size + place, as page_tables says; it "
          "attends to\n"
          "positions 0 to positions[t]. page_tables: int32 [S, P]. "
          "logit_rows:\n"
          "int32 [R], the rows whose logits are wanted. k_cache: float32\n"
          "[layers, pages, heads, head_dim, page_size]; v_cache: float32\n"
          "[layers, pages, heads, page_size, head_dim]; both written in "
          "place.\n"
          "Returns float32 [R, vocabulary]. TypeError for a dtype, ValueError "
          "for a\n"
          "shape or an index out of range. The GIL is released; concurrent "
          "calls\n"
          "must write to different slots.")
      .def("take_part_seconds", &Model::takePartSeconds,
           "[(part, seconds)] of all steps since the last call of this, in the "
           "order of\nthe step: embed, norm 1, qkv, … head. Empty without "
           "clock=True.")
      .def_property_readonly(
          "compile_seconds", &Model::compileSeconds,
          "Seconds it took to compile the step, or to load it from the disk "
          "(once for\neach shape in a process).")
      .def_property_readonly("is_from_disk", &Model::isFromDisk,
                             "Was the code on the disk already?")
      .def_property_readonly("num_layers", &Model::numLayers)
      .def_readonly("num_threads", &Model::numThreads);

  bindCachedForward(m);

  ch1::bindPythonNames(
      m, {{"ch14_weights", {"PackedWeights", "load_gpt2_weights"}},
          {"ch14_disk_cache",
           {"DiskCacheInfo", "disk_cache_info", "clear_disk_cache"}},
          {"ch14_cache", {"KVCache"}},
          {"ch14_model", {"GPT2"}},
          {"ch14_generate", {"generate", "generate_ids"}}});
}

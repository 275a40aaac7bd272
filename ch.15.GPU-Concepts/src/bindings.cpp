//===- bindings.cpp - the Python module ch15_gpu_concepts -----------------===//
//
//   arrays -> check --+-- "cpu":  descriptors -> host function -> array
//                     +-- "cuda": PTX -> ch15_cuda.py, the driver -> array
//
//===----------------------------------------------------------------------===//

#include "ch15/Jit.h"

#include "ch1/Arrays.h"
#include "ch1/Diagnostics.h"
#include "ch1/Inspect.h"
#include "ch3/Python.h"

namespace py = pybind11;
using ch1::Text;

namespace ch15 {

namespace {

using Unlocked = py::call_guard<py::gil_scoped_release>;

/// Whether it is "cuda". Throws for what is neither that nor "cpu".
bool isCuda(const std::string &device) {
  if (device != "cpu" && device != "cuda")
    throw py::value_error("device: expected 'cpu' or 'cuda', got '" + device +
                          "'");
  return device == "cuda";
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

using Arrays = std::vector<py::array>;

/// The host function of a kernel, compiled, on descriptors of the arrays.
void callOnCpu(const std::string &kernel, const Arrays &arrays,
               const Text &text) {
  std::vector<ch1::Descriptor> descriptors(arrays.begin(), arrays.end());
  std::vector<void *> d;
  for (ch1::Descriptor &descriptor : descriptors)
    d.push_back(descriptor.get());
  py::gil_scoped_release release;
  auto program = cpuProgram(kernel, text);
  if (d.size() == 2)
    reinterpret_cast<void (*)(void *, void *)>(program->function)(d[0], d[1]);
  else
    reinterpret_cast<void (*)(void *, void *, void *)>(program->function)(
        d[0], d[1], d[2]);
}

/// The kernel on the GPU: ch15_cuda.py knows the driver, we know the PTX and
/// the launch.
void callOnCuda(const Kernel &kernel, const Arrays &arrays, const Text &text) {
  py::object cuda = py::module_::import("ch15_cuda");
  std::string chip = kernel.chip;
  if (chip != "sm_90a")
    chip = cuda.attr("chip")().cast<std::string>();
  else
    cuda.attr("require_hopper")(kernel.name);
  std::string ptx;
  {
    py::gil_scoped_release release;
    ptx = ptxProgram(kernel.name, chip, text)->ptx;
  }
  Launch launch = kernel.launch(ch1::shapeOf(arrays.back()));
  auto grid = py::tuple(py::cast(launch.grid)),
       block = py::tuple(py::cast(launch.block));
  if (chip == "sm_90a")
    cuda.attr("run_tensor_cores")(ptx, kernel.name, grid, block,
                                  launch.sharedBytes, TensorTile().columns,
                                  arrays);
  else
    cuda.attr("run")(ptx, kernel.name, grid, block, launch.sharedBytes, arrays);
}

/// Inputs that were checked, and the result to be written. Returns the result.
py::array call(const std::string &kernel, Arrays arrays,
               const std::string &device, const Text &text = {}) {
  if (isCuda(device))
    callOnCuda(findKernel(kernel), arrays, text);
  else
    callOnCpu(kernel, arrays, text);
  return arrays.back();
}

py::array input(py::handle object, const char *name, const char *dtype,
                llvm::ArrayRef<int64_t> shape) {
  return ch1::contiguous(ch1::checkArray(object, name, dtype, shape));
}

py::array vectorAdd(py::handle a, py::handle b, const std::string &device,
                    const Text &text) {
  isCuda(device); // its sentence comes first
  py::array A = input(a, "a", "float32", {ch1::kAnySize});
  py::array B = input(b, "b", "float32", {A.shape(0)});
  py::array_t<float> C(A.shape(0));
  return call("vector_add", {A, B, C}, device, text);
}

/// A [M, K] and B [K, N], checked, and a new C [M, N].
Arrays factors(py::handle a, py::handle b, const char *dtype) {
  py::array A = input(a, "a", dtype, {ch1::kAnySize, ch1::kAnySize});
  py::array B = input(b, "b", dtype, {A.shape(1), ch1::kAnySize});
  return {A, B, py::array_t<float>({A.shape(0), B.shape(1)})};
}

py::array matmul(py::handle a, py::handle b, const std::string &device,
                 const Text &text) {
  isCuda(device);
  return call("matmul", factors(a, b, "float32"), device, text);
}

py::array matmulF16(py::handle a, py::handle b, const std::string &device,
                    const Text &text) {
  if (!isCuda(device))
    throw py::value_error("device: matmul_f16 is made of instructions that "
                          "only a GPU has; expected 'cuda', got 'cpu'");
  return call("matmul_f16", factors(a, b, "float16"), device, text);
}

py::array softmax(py::handle object, const std::string &device,
                  const Text &text) {
  isCuda(device);
  py::array x = ch1::checkArray(object, "x", "float32");
  if (x.ndim() != 1 && x.ndim() != 2)
    throw py::value_error("x: expected shape (any,) or (any, any), got " +
                          ch1::shapeText(ch1::shapeOf(x)));
  py::array rows = ch1::contiguous(x);
  if (x.ndim() == 1) // a vector is one row
    rows = rows.attr("reshape")(1, -1).cast<py::array>();
  if (x.ndim() == 1 && x.size() == 0)
    return py::array_t<float>(0);
  py::array_t<float> y({rows.shape(0), rows.shape(1)});
  return call("softmax", {rows, y}, device, text)
      .attr("reshape")(x.attr("shape"))
      .cast<py::array>();
}

/// Any kernel by its name, on IR that a reader wrote.
py::array run(const std::string &ir, const std::string &kernel,
              const py::args &arrays, const std::string &device) {
  findKernel(kernel);
  size_t expected = kernel == "softmax" ? 1 : 2;
  if (arrays.size() != expected)
    throw py::type_error(kernel + ": expected " + std::to_string(expected) +
                         (expected == 1 ? " array" : " arrays") + ", got " +
                         std::to_string(arrays.size()));
  if (kernel == "vector_add")
    return vectorAdd(arrays[0], arrays[1], device, ir);
  if (kernel == "matmul")
    return matmul(arrays[0], arrays[1], device, ir);
  if (kernel == "matmul_f16")
    return matmulF16(arrays[0], arrays[1], device, ir);
  return softmax(arrays[0], device, ir);
}

//===----------------------------------------------------------------------===//
// To read
//===----------------------------------------------------------------------===//

ch1::Recipe recipe(const std::string &kernel, const std::string &device) {
  if (!isCuda(device))
    return cpuRecipe(kernel);
  std::string chip = findKernel(kernel).chip;
  return ptxRecipe(kernel, chip == "sm_90a" ? chip : "sm_90");
}

std::string ir(const std::string &kernel) {
  return ch1::print(*ch1::Built(cpuRecipe(kernel)).module);
}

TensorTile checkTile(int64_t consumers, int64_t columns, int64_t stages,
                     int64_t group) {
  auto check = [](const char *name, int64_t value, int64_t most, int64_t step) {
    if (value < step || value > most || value % step)
      throw py::value_error(std::string(name) + ": expected a multiple of " +
                            std::to_string(step) + " up to " +
                            std::to_string(most) + ", got " +
                            std::to_string(value));
  };
  check("consumers", consumers, 3, 1);
  check("columns", columns, 256, 64);
  check("stages", stages, 16, 1);
  check("group", group, 1024, 1);
  TensorTile tile{consumers, columns, stages, group};
  if (tile.sharedBytes() > 227 * 1024)
    throw py::value_error("stages: expected what fits into 232448 bytes, got " +
                          std::to_string(tile.sharedBytes()));
  return tile;
}

void bindTile(py::module_ &m) {
  m.def(
      "matmul_f16_ir",
      [](int64_t consumers, int64_t columns, int64_t stages, int64_t group) {
        TensorTile tile = checkTile(consumers, columns, stages, group);
        auto context = ch1::makeContext(registerDialects);
        auto module = buildTensorMatmul(context.get(), tile);
        ch1::verifyOrThrow(*module);
        return ch1::print(*module);
      },
      py::arg("consumers") = 2, py::arg("columns") = 256, py::arg("stages") = 4,
      py::arg("group") = 8,
      "The IR of matmul_f16, also for another tile: 64 * consumers rows by "
      "`columns` columns of C for each block, `stages` tiles of A and B in "
      "workgroup memory, blocks in groups of so many rows.");
  m.def(
      "launch",
      [](const std::string &kernel, const std::vector<int64_t> &sizes,
         int64_t consumers, int64_t columns, int64_t stages, int64_t group) {
        const Kernel &found = findKernel(kernel);
        size_t rank = kernel == "vector_add" ? 1 : 2;
        if (sizes.size() != rank)
          throw py::value_error("sizes: expected " + std::to_string(rank) +
                                " of the result, got " +
                                std::to_string(sizes.size()));
        Launch launch = found.launch(sizes);
        if (kernel == "matmul_f16")
          launch = launchTensorMatmul(
              sizes, checkTile(consumers, columns, stages, group));
        return py::make_tuple(py::tuple(py::cast(launch.grid)),
                              py::tuple(py::cast(launch.block)),
                              launch.sharedBytes);
      },
      py::arg("kernel"), py::arg("sizes"), py::kw_only(),
      py::arg("consumers") = 2, py::arg("columns") = 256, py::arg("stages") = 4,
      py::arg("group") = 8,
      "(grid, block, bytes of dynamic workgroup memory) of the launch for a "
      "result of these sizes; grid and block are (x, y, z).");
}

void bindInspection(py::module_ &m) {
  const char *irDoc = "The IR as it is built: a host function that launches, "
                      "and a gpu.module with the kernel.";
  for (const char *kernel : {"vector_add", "matmul", "softmax"})
    m.def((std::string(kernel) + "_ir").c_str(),
          [kernel] { return ir(kernel); }, Unlocked(), irDoc);
  m.def("ir", &ir, py::arg("kernel") = "vector_add", Unlocked(), irDoc);
  m.def(
      "stages",
      [](const std::string &kernel, const std::string &device,
         const Text &text) {
        return ch1::stageList(
            ch1::Lowered(recipe(kernel, device), text, true).stages);
      },
      py::arg("kernel") = "vector_add", py::arg("device") = "cpu",
      py::arg("ir") = py::none(), Unlocked(),
      R"([(pass name, IR after it)], the first being ("input", ir()).

device: "cpu" for the way to the llvm dialect, "cuda" for the way to PTX.)");
  m.def(
      "llvm_ir",
      [](const std::string &kernel, const Text &text) {
        return ch1::llvmIR(*ch1::Lowered(cpuRecipe(kernel), text).module,
                           jitOptions());
      },
      py::arg("kernel") = "vector_add", py::arg("ir") = py::none(), Unlocked(),
      "The LLVM IR for this machine, optimized.");
  m.def(
      "assembly",
      [](const std::string &kernel, const Text &text) {
        return ch1::assembly(*ch1::Lowered(cpuRecipe(kernel), text).module,
                             jitOptions());
      },
      py::arg("kernel") = "vector_add", py::arg("ir") = py::none(), Unlocked(),
      "This machine's assembly; a GPU's is ptx().");
  m.def(
      "ptx",
      [](const std::string &kernel, const std::string &chip, const Text &text) {
        return ptxProgram(kernel, chip, text)->ptx;
      },
      py::arg("kernel"), py::arg("chip") = "sm_90", py::arg("ir") = py::none(),
      Unlocked(),
      R"(The kernel as PTX, NVIDIA's assembly for all its GPUs.

kernel: "vector_add", "matmul", "softmax" for chip "sm_80" … "sm_90a", or
"matmul_f16" for "sm_90a". ir: IR of yours in place of the chapter's. No CUDA is
needed. ValueError for another kernel or chip.)");
}

} // namespace

} // namespace ch15

PYBIND11_MODULE(ch15_gpu_concepts, m) {
  using namespace ch15;
  m.doc() = "Chapter 15: kernels of the gpu dialect, on a CPU and as PTX.";
  ch1::bindCompileError(m);
  auto device = py::arg("device") = "cpu";
  m.def(
      "vector_add",
      [](py::handle a, py::handle b, const std::string &device) {
        return vectorAdd(a, b, device, {});
      },
      py::arg("a"), py::arg("b"), device,
      R"(vector_add(a, b, device="cpu") -> a + b

a, b: float32 [n], any strides. Returns a new float32 [n]. device: "cpu", or
"cuda" where there is an NVIDIA GPU, its driver and the package cuda-bindings
(RuntimeError with a sentence where not). TypeError for another dtype or kind,
ValueError for another rank, shape or device.)");
  m.def(
      "matmul",
      [](py::handle a, py::handle b, const std::string &device) {
        return matmul(a, b, device, {});
      },
      py::arg("a"), py::arg("b"), device,
      R"(matmul(a, b, device="cpu") -> a @ b

a: float32 [M, K]; b: float32 [K, N]; any strides. Returns a new float32 [M, N].
Errors as for vector_add.)");
  m.def(
      "softmax",
      [](py::handle x, const std::string &device) {
        return softmax(x, device, {});
      },
      py::arg("x"), device,
      R"(softmax(x, device="cpu") -> exp(x - max) / sum, row by row

x: float32 [n] or [rows, n], any strides. Returns a new float32 array of x's
shape. Errors as for vector_add.)");
  m.def(
      "matmul_f16",
      [](py::handle a, py::handle b, const std::string &device) {
        return matmulF16(a, b, device, {});
      },
      py::arg("a"), py::arg("b"), py::arg("device") = "cuda",
      R"(matmul_f16(a, b, device="cuda") -> a @ b, on the tensor cores

a: float16 [M, K]; b: float16 [K, N]; any strides. Sums and result are float32.
Needs a GPU of compute capability 9.0 (H100, H200). Errors as for vector_add.)");
  m.def("run", &run, py::arg("ir"), py::arg("kernel"), py::kw_only(), device,
        R"(run(ir, kernel, *arrays, device="cpu") -> array

Lowers, compiles and calls the kernel of that name in IR that you wrote or
changed, with the launch that its host function makes (on a GPU: with the one
that launch() says). CompileError with MLIR's diagnostics where it cannot be
compiled. IR that reads or writes outside its arguments crashes Python.)");
  bindInspection(m);
  bindTile(m);
  ch3::bindCache(m, cache());
}

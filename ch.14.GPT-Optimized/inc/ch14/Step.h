// Step.h - one inference step: its shape, its IR, its lowering, its call.
#pragma once

#include "ch1/Jit.h"
#include "ch1/Pipeline.h"
#include "ch10/Tile.h"
#include "mlir/IR/OwningOpRef.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ch14 {

using ch10::hostTile;
using ch10::Tile;
using ch10::tileOf;

/// How the weights of the linear layers are kept, and multiplied.
enum class Dtype {
  Float32,
  BFloat16, // sums in float32
  Int8,     // a scale for each column; rows as 16-bit integers, sums in int32
};
std::optional<Dtype> dtypeOf(llvm::StringRef name); // "float32", …
const char *nameOf(Dtype dtype);
/// Are two neighbours of k multiplied at once? Always for integers; for bf16
/// where the host has the instruction (AVX512-BF16).
bool isPaired(Dtype dtype);

/// What a compiled step depends on. Not in it, and so free at run time: number
/// of layers, tokens, sequences and pages.
struct StepShape {
  int64_t vocabulary, positions, width, heads, inner, pageSize;
  float epsilon;
  Tile tile = hostTile();
  Dtype dtype = Dtype::Float32;
  bool threads = false; // is the work shared among threads?
  bool clock = false;   // does it say how long each part took?

  int64_t headSize() const { return width / heads; }
  /// `columns` in whole panels, and as many columns as these have.
  int64_t panels(int64_t columns) const {
    return (columns + tile.columns - 1) / tile.columns;
  }
  int64_t padded(int64_t columns) const {
    return panels(columns) * tile.columns;
  }
  /// The sizes of a panel of K rows.
  int64_t panelRows(int64_t depth) const {
    return isPaired(dtype) ? (depth + 1) / 2 : depth;
  }
  int64_t panelWidth() const {
    return tile.columns * (isPaired(dtype) ? 2 : 1);
  }
};

/// A context with everything that the step passes through.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// The module with @step (ir.cpp). Arguments, in this order; `?` is free:
///   tokens ?, positions ?, slots ?, sequences ?, tables ?x?, rows ?      i32
///   the weights of `Weight`, in its order                               f32
///   keys ?x?xHxHDxPS, values ?x?xHxPSxHD                                 f32
///   the buffers of scratchBuffers(), ?xcolumns; result: logits          f32
mlir::OwningOpRef<mlir::ModuleOp> buildStep(mlir::MLIRContext *context,
                                            const StepShape &shape);

/// ch14-expand-kernels: the step's ops become loops over vectors.
std::unique_ptr<mlir::Pass> createExpandKernelsPass(Tile tile = hostTile(),
                                                    bool threads = false);
/// ch14-clock: the step gets a last argument, ticks ?xi64, to which it adds the
/// time of each part and of the whole call.
std::unique_ptr<mlir::Pass> createClockPass();
/// The parts of a step as it is built, in the order of their ticks.
std::vector<std::string> partNames(mlir::ModuleOp step);
/// ch14-lower-append: transformer.append becomes two tensor.insert_slice.
std::unique_ptr<mlir::Pass> createLowerAppendPass();
void registerPasses();

/// From the step's ops to the llvm dialect (lowering.cpp).
void buildPipeline(mlir::OpPassManager &passes, Tile tile = hostTile(),
                   bool threads = false, bool clock = false);

/// The weights as the step takes them. L: layers, P(n): panels of n columns.
/// In pairs a panel is [D / 2, 2 nr].
enum Weight {
  kTable,      // [P(V), D, nr]    token embedding and head
  kWpe,        // [positions, D]
  kNorm1Gamma, // [L, D]
  kNorm1Beta,
  kQkv, // [L, P(3D), D, nr]
  kQkvBias,
  kOut, // [L, P(D), D, nr]
  kOutBias,
  kNorm2Gamma,
  kNorm2Beta,
  kUp, // [L, P(F), D, nr]
  kUpBias,
  kDown, // [L, P(D), F, nr]
  kDownBias,
  kFinalGamma, // [D]
  kFinalBeta,
  // Of int8 only: the scales of the columns.
  kTableScales, // [padded V]
  kQkvScales,   // [L, padded 3D]
  kOutScales,
  kUpScales,
  kDownScales
};

/// Name and shape of each weight; -1 for the number of layers.
struct WeightShape {
  const char *name;
  llvm::SmallVector<int64_t> sizes;
  /// In NumPy's words; bfloat16 is "uint16", its bits.
  const char *dtype = "float32";
};
llvm::SmallVector<WeightShape> weightShapes(const StepShape &shape);

/// A buffer of the step's own: rows of `columns` numbers of `bytes` each, of
/// which an op uses the first few. One column: a vector with a number a row.
struct ScratchBuffer {
  int64_t columns, bytes;
};
/// x, h, qkv, mix, inner, and with pairs: the rows as factors, their scales.
llvm::SmallVector<ScratchBuffer> scratchBuffers(const StepShape &shape);

} // namespace ch14

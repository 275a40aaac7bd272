//===- ir.cpp - three kernels, from the easiest to one with many barriers -===//
//
//   vector_add   a thread for each element; the last block has threads to spare
//   matmul       a block for each tile of C; tiles of A and B in workgroup
//                memory, a barrier before they are read and one after
//   softmax      a block for each row, however long; a maximum and a sum over
//                all threads of the block
//
// Each is a module of two functions. The host function @name computes how many
// blocks there are and launches @kernels::@name, which says what one thread
// does. First step of the chapter; lowering.cpp has two ways on from here.
//
//===----------------------------------------------------------------------===//

#include "Builder.h"
#include "ch15/Kernels.h"

#include "ch1/Pipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"

#include <limits>
#include <stdexcept>

using namespace mlir;

namespace ch15 {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

/// f32, of any size along each axis, in C order.
static MemRefType arrayType(MLIRContext *context, int64_t rank) {
  return MemRefType::get(SmallVector<int64_t>(rank, kDynamic),
                         Float32Type::get(context));
}

static FunctionType functionOf(MLIRContext *context, int64_t rank,
                               int64_t count) {
  SmallVector<Type> arguments(count, arrayType(context, rank));
  return FunctionType::get(context, arguments, {});
}

static Value constant(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

static Value dim(ImplicitLocOpBuilder &b, Value array, int64_t axis) {
  return memref::DimOp::create(b, array, index(b, axis));
}

static Value thread(ImplicitLocOpBuilder &b, gpu::Dimension along) {
  return gpu::ThreadIdOp::create(b, along);
}

static Value block(ImplicitLocOpBuilder &b, gpu::Dimension along) {
  return gpu::BlockIdOp::create(b, along);
}

static int64_t parts(int64_t size, int64_t part) {
  return (size + part - 1) / part;
}

//===----------------------------------------------------------------------===//
// vector_add
//===----------------------------------------------------------------------===//

static FunctionType vectorAddType(MLIRContext *context) {
  return functionOf(context, /*rank=*/1, /*count=*/3);
}

static OwningOpRef<ModuleOp> buildVectorAdd(MLIRContext *context) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  FunctionType type = vectorAddType(context);
  int32_t threads[] = {kThreads, 1, 1};
  KernelModule m(b, "vector_add", type, type, threads, /*shared=*/{});

  // One thread: element i, if there is one.
  b.setInsertionPointToStart(&m.kernel.front());
  Value A = m.kernel.getArgument(0), B = m.kernel.getArgument(1),
        C = m.kernel.getArgument(2);
  Value first = mul(b, block(b, gpu::Dimension::x),
                    gpu::BlockDimOp::create(b, gpu::Dimension::x));
  Value i = add(b, first, thread(b, gpu::Dimension::x));
  ifThen(b, less(b, i, dim(b, C, 0)), [&](ImplicitLocOpBuilder &b) {
    Value sum = arith::AddFOp::create(b, memref::LoadOp::create(b, A, i),
                                      memref::LoadOp::create(b, B, i));
    memref::StoreOp::create(b, sum, C, i);
  });
  gpu::ReturnOp::create(b);

  // The host: as many blocks of 256 threads as cover all elements.
  b.setInsertionPointToStart(&m.host.front());
  Value blocks = ceilDiv(b, dim(b, m.host.getArgument(2), 0), kThreads);
  Value one = index(b, 1);
  launch(b, m, {blocks, one, one}, threads, m.host.getArguments());
  return std::move(m.module);
}

static Launch launchVectorAdd(ArrayRef<int64_t> sizes) {
  return {{parts(sizes[0], kThreads), 1, 1}, {kThreads, 1, 1}};
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

static FunctionType matmulType(MLIRContext *context) {
  return functionOf(context, /*rank=*/2, /*count=*/3);
}

/// array[i, j], or 0 where there is no such element.
static Value elementOrZero(ImplicitLocOpBuilder &b, Value array, Value i,
                           Value j) {
  Value inside = arith::AndIOp::create(b, less(b, i, dim(b, array, 0)),
                                       less(b, j, dim(b, array, 1)));
  auto op = scf::IfOp::create(
      b, inside,
      [&](OpBuilder &nested, Location loc) {
        Value x = memref::LoadOp::create(nested, loc, array, ValueRange{i, j});
        scf::YieldOp::create(nested, loc, x);
      },
      [&](OpBuilder &nested, Location loc) {
        ImplicitLocOpBuilder b(loc, nested);
        scf::YieldOp::create(b, constant(b, 0));
      });
  return op.getResult(0);
}

static OwningOpRef<ModuleOp> buildMatmul(MLIRContext *context) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  FunctionType type = matmulType(context);
  int32_t threads[] = {kTile, kTile, 1};
  auto tile = MemRefType::get({kTile, kTile}, b.getF32Type(),
                              MemRefLayoutAttrInterface{}, workgroup(context));
  KernelModule m(b, "matmul", type, type, threads, {tile, tile});

  b.setInsertionPointToStart(&m.kernel.front());
  Value A = m.kernel.getArgument(0), B = m.kernel.getArgument(1),
        C = m.kernel.getArgument(2);
  Value tileA = m.kernel.getWorkgroupAttributions()[0],
        tileB = m.kernel.getWorkgroupAttributions()[1];

  // [matmul]
  // This thread's element of C: x along a row, so that threads that are
  // neighbours read and write neighbours in memory.
  Value tx = thread(b, gpu::Dimension::x), ty = thread(b, gpu::Dimension::y);
  Value size = index(b, kTile), zero = index(b, 0), one = index(b, 1);
  Value row = add(b, mul(b, block(b, gpu::Dimension::y), size), ty);
  Value column = add(b, mul(b, block(b, gpu::Dimension::x), size), tx);
  Value steps = ceilDiv(b, dim(b, A, 1), kTile);
  Value sum = fold(
      b, zero, steps, one, constant(b, 0),
      [&](ImplicitLocOpBuilder &b, Value step, Value before) {
        // The block fetches a tile of A and one of B, an element a thread.
        Value k = mul(b, step, size);
        Value x = elementOrZero(b, A, row, add(b, k, tx));
        memref::StoreOp::create(b, x, tileA, ValueRange{ty, tx});
        Value y = elementOrZero(b, B, add(b, k, ty), column);
        memref::StoreOp::create(b, y, tileB, ValueRange{ty, tx});
        gpu::BarrierOp::create(b); // the tiles are complete
        Value after = fold(
            b, zero, size, one, before,
            [&](ImplicitLocOpBuilder &b, Value i, Value sum) -> Value {
              Value x = memref::LoadOp::create(b, tileA, ValueRange{ty, i});
              Value y = memref::LoadOp::create(b, tileB, ValueRange{i, tx});
              return math::FmaOp::create(b, x, y, sum);
            });
        gpu::BarrierOp::create(b); // all have read: they may be overwritten
        return after;
      });
  Value inside = arith::AndIOp::create(b, less(b, row, dim(b, C, 0)),
                                       less(b, column, dim(b, C, 1)));
  ifThen(b, inside, [&](ImplicitLocOpBuilder &b) {
    memref::StoreOp::create(b, sum, C, ValueRange{row, column});
  });
  // [/matmul]
  gpu::ReturnOp::create(b);

  b.setInsertionPointToStart(&m.host.front());
  Value result = m.host.getArgument(2);
  Value blocksX = ceilDiv(b, dim(b, result, 1), kTile);
  Value blocksY = ceilDiv(b, dim(b, result, 0), kTile);
  launch(b, m, {blocksX, blocksY, index(b, 1)}, threads, m.host.getArguments());
  return std::move(m.module);
}

static Launch launchMatmul(ArrayRef<int64_t> sizes) {
  return {{parts(sizes[1], kTile), parts(sizes[0], kTile), 1},
          {kTile, kTile, 1}};
}

//===----------------------------------------------------------------------===//
// softmax
//===----------------------------------------------------------------------===//

static FunctionType softmaxType(MLIRContext *context) {
  return functionOf(context, /*rank=*/2, /*count=*/2);
}

using Combine = llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)>;

// [reduce]
/// One number for the whole block out of one of each thread:
///
///   shared   0 1 2 3 4 5 6 7      each thread its own
///            +-------+            the first half adds the second
///            +---+                the first quarter the second
///            +-+                  ... and all threads read what is in front
static Value reduceBlock(ImplicitLocOpBuilder &b, Value mine, Value shared,
                         Value t, Combine combine) {
  memref::StoreOp::create(b, mine, shared, t);
  gpu::BarrierOp::create(b);
  auto halvings = scf::ForOp::create(
      b, index(b, 0), index(b, llvm::Log2_64(kThreads)), index(b, 1));
  {
    ImplicitLocOpBuilder in(b.getLoc(),
                            OpBuilder::atBlockBegin(halvings.getBody()));
    Value half = arith::ShRUIOp::create(in, index(in, kThreads / 2),
                                        halvings.getInductionVar());
    ifThen(in, less(in, t, half), [&](ImplicitLocOpBuilder &b) {
      Value here = memref::LoadOp::create(b, shared, t);
      Value there = memref::LoadOp::create(b, shared, add(b, t, half));
      memref::StoreOp::create(b, combine(b, here, there), shared, t);
    });
    gpu::BarrierOp::create(in); // outside of the `if`: all threads come here
  }
  Value all = memref::LoadOp::create(b, shared, index(b, 0));
  gpu::BarrierOp::create(b); // all have read: `shared` may be used again
  return all;
}
// [/reduce]

static OwningOpRef<ModuleOp> buildSoftmax(MLIRContext *context) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  FunctionType type = softmaxType(context);
  int32_t threads[] = {kThreads, 1, 1};
  auto numbers =
      MemRefType::get({kThreads}, b.getF32Type(), MemRefLayoutAttrInterface{},
                      workgroup(context));
  KernelModule m(b, "softmax", type, type, threads, {numbers});

  b.setInsertionPointToStart(&m.kernel.front());
  Value X = m.kernel.getArgument(0), Y = m.kernel.getArgument(1);
  Value shared = m.kernel.getWorkgroupAttributions()[0];

  // A row may be longer than the block: thread t takes elements t, t + 256, …
  Value t = thread(b, gpu::Dimension::x), row = block(b, gpu::Dimension::x);
  Value n = dim(b, X, 1), step = index(b, kThreads);
  auto load = [&](ImplicitLocOpBuilder &b, Value j) -> Value {
    return memref::LoadOp::create(b, X, ValueRange{row, j});
  };
  auto larger = [](ImplicitLocOpBuilder &b, Value l, Value r) -> Value {
    return arith::MaximumFOp::create(b, l, r);
  };
  auto plus = [](ImplicitLocOpBuilder &b, Value l, Value r) -> Value {
    return arith::AddFOp::create(b, l, r);
  };

  Value lowest = constant(b, -std::numeric_limits<float>::infinity());
  Value max = fold(b, t, n, step, lowest,
                   [&](ImplicitLocOpBuilder &b, Value j, Value before) {
                     return larger(b, before, load(b, j));
                   });
  max = reduceBlock(b, max, shared, t, larger);

  auto shifted = [&](ImplicitLocOpBuilder &b, Value j) -> Value {
    Value x = arith::SubFOp::create(b, load(b, j), max);
    return math::ExpOp::create(b, x);
  };
  Value sum = fold(b, t, n, step, constant(b, 0),
                   [&](ImplicitLocOpBuilder &b, Value j, Value before) {
                     return plus(b, before, shifted(b, j));
                   });
  sum = reduceBlock(b, sum, shared, t, plus);

  // One division for each thread, not for each element.
  Value share = arith::DivFOp::create(b, constant(b, 1), sum);
  auto loop = scf::ForOp::create(b, t, n, step);
  ImplicitLocOpBuilder in(b.getLoc(), OpBuilder::atBlockBegin(loop.getBody()));
  Value j = loop.getInductionVar();
  Value y = arith::MulFOp::create(in, shifted(in, j), share);
  memref::StoreOp::create(in, y, Y, ValueRange{row, j});
  gpu::ReturnOp::create(b);

  b.setInsertionPointToStart(&m.host.front());
  Value one = index(b, 1);
  launch(b, m, {dim(b, m.host.getArgument(0), 0), one, one}, threads,
         m.host.getArguments());
  return std::move(m.module);
}

static Launch launchSoftmax(ArrayRef<int64_t> sizes) {
  return {{sizes[0], 1, 1}, {kThreads, 1, 1}};
}

//===----------------------------------------------------------------------===//
// All of them
//===----------------------------------------------------------------------===//

const Kernel &findKernel(const std::string &name) {
  static const Kernel all[] = {
      {"vector_add", "sm_80", vectorAddType, buildVectorAdd, launchVectorAdd},
      {"matmul", "sm_80", matmulType, buildMatmul, launchMatmul},
      {"softmax", "sm_80", softmaxType, buildSoftmax, launchSoftmax},
      {"matmul_f16", "sm_90a", tensorMatmulType,
       [](MLIRContext *context) { return buildTensorMatmul(context, {}); },
       [](ArrayRef<int64_t> sizes) { return launchTensorMatmul(sizes, {}); }},
  };
  std::string known;
  for (const Kernel &kernel : all) {
    if (name == kernel.name)
      return kernel;
    known += (known.empty() ? "'" : ", '") + std::string(kernel.name) + "'";
  }
  throw std::invalid_argument("kernel: expected one of " + known + ", got '" +
                              name + "'");
}

} // namespace ch15

//===- tensor_cores.cpp - a product on Hopper's tensor cores --------------===//
//
//   C[M, N] (f32) = A[M, K] (f16) x B[K, N] (f16), a tile of C for each block
//
//   warp group 2        fetches: tiles of A and B, 64 steps of k at a time
//        | full[s]                        ^ empty[s]
//        v                                |
//   stages 0 .. 3 in workgroup memory: a ring
//        |                                ^
//        v                                |
//   warp groups 0, 1    multiply: 64 rows of the tile each, C in registers
//
// Nobody waits for everybody: there is one gpu.barrier, at the start. After
// that a stage has two mbarriers, `full` (its bytes have come) and `empty` (all
// have read it), and each waits only for the one it needs.
//
// The copies are made by the tensor memory accelerator (TMA), which is given a
// map of the whole array and the coordinates of a tile. Beyond the edges it
// reads zeros, so no size has to fit; C must have room for whole tiles.
//
//===----------------------------------------------------------------------===//

#include "Builder.h"
#include "ch15/Kernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;

namespace ch15 {

static constexpr int64_t kDepth = 64;        // steps of k in a tile: 128 bytes
static constexpr int64_t kColumnsOfBox = 64; // of B, for one copy: 128 bytes
static constexpr int64_t kPatience = 10'000'000; // ns, then a wait looks again

namespace {

/// The types that everything here is made of.
struct Types {
  Type f16, f32;
  MemRefType bytes, tileA, boxB, rowsA, tileB;
  Type mapA, mapB, barriers, accumulator, descriptorA, descriptorB, token;

  Types(MLIRContext *context, const TensorTile &tile);
};

Types::Types(MLIRContext *context, const TensorTile &tile) {
  f16 = Float16Type::get(context);
  f32 = Float32Type::get(context);
  Attribute shared = workgroup(context);
  auto memory = [&](ArrayRef<int64_t> shape, Type element) {
    return MemRefType::get(shape, element, MemRefLayoutAttrInterface{}, shared);
  };
  bytes = memory({ShapedType::kDynamic}, IntegerType::get(context, 8));
  tileA = memory({tile.rows(), kDepth}, f16);
  boxB = memory({kDepth, kColumnsOfBox}, f16);
  rowsA = memory({64, kDepth}, f16);
  tileB = memory({kDepth, tile.columns}, f16);
  // A row of a tile is 128 bytes. Within eight rows the 16-byte pieces are
  // exchanged ("swizzled"), so that eight rows of one column lie in different
  // banks. The copy does it, and the tensor cores undo it.
  auto map = [&](MemRefType box) {
    return nvgpu::TensorMapDescriptorType::get(
        context, box, nvgpu::TensorMapSwizzleKind::SWIZZLE_128B,
        nvgpu::TensorMapL2PromoKind::L2PROMO_128B,
        nvgpu::TensorMapOOBKind::OOB_ZERO,
        nvgpu::TensorMapInterleaveKind::INTERLEAVE_NONE);
  };
  mapA = map(tileA);
  mapB = map(boxB);
  barriers = nvgpu::MBarrierGroupType::get(context, shared, tile.stages);
  accumulator = nvgpu::WarpgroupAccumulatorType::get(
      context, VectorType::get({64, tile.columns}, f32));
  descriptorA = nvgpu::WarpgroupMatrixDescriptorType::get(context, rowsA);
  descriptorB = nvgpu::WarpgroupMatrixDescriptorType::get(context, tileB);
  token = nvgpu::MBarrierTokenType::get(context);
}

Value equals(ImplicitLocOpBuilder &b, Value l, Value r) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, l, r);
}

Value boolean(ImplicitLocOpBuilder &b, bool value) {
  return arith::ConstantOp::create(b, b.getBoolAttr(value));
}

/// Builds the kernel. One object for what its parts share.
struct Builder {
  const TensorTile &tile;
  Types types;
  Value mapA, mapB, C, steps;        // arguments
  Value m0, n0;                      // this block's first row and column
  Value memory, full, empty, thread; // workgroup memory; which thread this is

  Builder(MLIRContext *context, const TensorTile &tile)
      : tile(tile), types(context, tile) {}

  void place(ImplicitLocOpBuilder &b, Value numRows, Value numColumns);
  void prepare(ImplicitLocOpBuilder &b);
  void fetch(ImplicitLocOpBuilder &b);
  void multiply(ImplicitLocOpBuilder &b, Value consumer);

  Value view(ImplicitLocOpBuilder &b, Value stage, Value offset,
             MemRefType type);
  void wait(ImplicitLocOpBuilder &b, Value barriers, Value stage, Value phase);
  SmallVector<Value> next(ImplicitLocOpBuilder &b, Value stage, Value phase);
};

/// The part of a stage that begins `offset` bytes behind its start.
Value Builder::view(ImplicitLocOpBuilder &b, Value stage, Value offset,
                    MemRefType type) {
  Value start = mul(b, stage, index(b, tile.stageBytes()));
  return memref::ViewOp::create(b, type, memory, add(b, start, offset),
                                ValueRange{});
}

void Builder::wait(ImplicitLocOpBuilder &b, Value barriers, Value stage,
                   Value phase) {
  nvgpu::MBarrierTryWaitParityOp::create(b, barriers, phase,
                                         index(b, kPatience), stage);
}

/// The stage after `stage`, and the parity to wait for there: it changes with
/// each round of the ring.
SmallVector<Value> Builder::next(ImplicitLocOpBuilder &b, Value stage,
                                 Value phase) {
  Value following = add(b, stage, index(b, 1));
  Value round = equals(b, following, index(b, tile.stages));
  return {arith::SelectOp::create(b, round, index(b, 0), following),
          arith::XOrIOp::create(b, phase, round)};
}

/// Which tile of C is this block's. Blocks run about in the order of their
/// numbers. Those that run together shall need few different tiles of A and B,
/// so numbers go down `group` rows of tiles before they go on to the right:
///
///     0  3  6  9         group = 3
///     1  4  7 10
///     2  5  8 11
///    12 14 16 18         what is left at the bottom
///    13 15 17 19
void Builder::place(ImplicitLocOpBuilder &b, Value numRows, Value numColumns) {
  Value number = gpu::BlockIdOp::create(b, gpu::Dimension::x);
  Value group = index(b, tile.group);
  Value perGroup = mul(b, group, numColumns);
  Value above = mul(b, arith::DivUIOp::create(b, number, perGroup), group);
  Value left = arith::SubIOp::create(b, numRows, above);
  Value height = arith::MinUIOp::create(b, left, group);
  Value inGroup = arith::RemUIOp::create(b, number, perGroup);
  Value row = add(b, above, arith::RemUIOp::create(b, inGroup, height));
  Value column = arith::DivUIOp::create(b, inGroup, height);
  m0 = mul(b, row, index(b, tile.rows()));
  n0 = mul(b, column, index(b, tile.columns));
}

/// The workgroup memory and the mbarriers.
void Builder::prepare(ImplicitLocOpBuilder &b) {
  // A swizzled tile must begin at a multiple of 1024 bytes; what the launch
  // gives begins at one of 16.
  Value all = gpu::DynamicSharedMemoryOp::create(b, types.bytes);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, all);
  Value missing = arith::AndIOp::create(
      b, arith::SubIOp::create(b, index(b, 0), address), index(b, 1023));
  Value size = index(b, tile.stages * tile.stageBytes());
  memory = memref::ViewOp::create(b, types.bytes, all, missing, size);

  full = nvgpu::MBarrierCreateOp::create(b, types.barriers);
  empty = nvgpu::MBarrierCreateOp::create(b, types.barriers);
  Value isFirst = equals(b, thread, index(b, 0));
  ifThen(b, isFirst, [&](ImplicitLocOpBuilder &b) {
    for (int64_t stage = 0; stage < tile.stages; ++stage) {
      // Full when the thread that fetches has said how much, and all came.
      nvgpu::MBarrierInitOp::create(b, full, index(b, 1), index(b, stage),
                                    /*predicate=*/Value());
      // Empty when every warp that multiplies has said so.
      nvgpu::MBarrierInitOp::create(b, empty, index(b, 4 * tile.consumers),
                                    index(b, stage), /*predicate=*/Value());
    }
    NVVM::FenceMbarrierInitOp::create(b); // the copy engine sees them too
  });
  gpu::BarrierOp::create(b);
}

/// The last warp group.
void Builder::fetch(ImplicitLocOpBuilder &b) {
  NVVM::SetMaxRegisterOp::create(b, tile.fetchRegisters(),
                                 NVVM::SetMaxRegisterAction::decrease);
  Value isFirst = equals(b, thread, index(b, 128 * tile.consumers));
  ifThen(b, isFirst, [&](ImplicitLocOpBuilder &b) {
    // One thread is enough: a copy of a whole tile is one instruction.
    Value zero = index(b, 0), one = index(b, 1);
    auto loop = scf::ForOp::create(b, zero, steps, one,
                                   ValueRange{zero, boolean(b, true)});
    ImplicitLocOpBuilder in(b.getLoc(),
                            OpBuilder::atBlockBegin(loop.getBody()));
    Value stage = loop.getRegionIterArg(0), phase = loop.getRegionIterArg(1);
    wait(in, empty, stage, phase);
    nvgpu::MBarrierArriveExpectTxOp::create(
        in, full, index(in, tile.stageBytes()), stage, /*predicate=*/Value());
    Value k = mul(in, loop.getInductionVar(), index(in, kDepth));
    auto copy = [&](Value map, ValueRange at, Value to) {
      nvgpu::TmaAsyncLoadOp::create(in, to, full, map, at, stage,
                                    /*multicastMask=*/Value(),
                                    /*predicate=*/Value());
    };
    // Coordinates: the one along a row comes first.
    copy(mapA, {k, m0}, view(in, stage, zero, types.tileA));
    int64_t bytesA = tile.rows() * kDepth * 2;
    int64_t bytesOfBox = kDepth * kColumnsOfBox * 2;
    for (int64_t box = 0; box < tile.columns / kColumnsOfBox; ++box) {
      Value offset = index(in, bytesA + box * bytesOfBox);
      Value column = add(in, n0, index(in, box * kColumnsOfBox));
      copy(mapB, {column, k}, view(in, stage, offset, types.boxB));
    }
    scf::YieldOp::create(in, next(in, stage, phase));
  });
}

/// Warp groups 0, 1, …: `consumer` says which.
void Builder::multiply(ImplicitLocOpBuilder &b, Value consumer) {
  NVVM::SetMaxRegisterOp::create(b, tile.multiplyRegisters(),
                                 NVVM::SetMaxRegisterAction::increase);
  Value zero = index(b, 0), one = index(b, 1), rows = index(b, 64);
  Value row = mul(b, consumer, rows);
  Value offsetA = mul(b, row, index(b, kDepth * 2));
  Value lane = arith::RemUIOp::create(b, thread, index(b, 32));
  Value isFirstLane = equals(b, lane, zero);

  // [multiply]
  Value none =
      nvgpu::WarpgroupMmaInitAccumulatorOp::create(b, types.accumulator);
  auto loop = scf::ForOp::create(
      b, zero, steps, one, ValueRange{none, zero, boolean(b, false), zero});
  ImplicitLocOpBuilder in(b.getLoc(), OpBuilder::atBlockBegin(loop.getBody()));
  Value sum = loop.getRegionIterArg(0), stage = loop.getRegionIterArg(1),
        phase = loop.getRegionIterArg(2), before = loop.getRegionIterArg(3);
  wait(in, full, stage, phase);
  Value offsetB = index(in, tile.rows() * kDepth * 2);
  Value x = nvgpu::WarpgroupGenerateDescriptorOp::create(
      in, types.descriptorA, view(in, stage, offsetA, types.rowsA), mapA);
  Value y = nvgpu::WarpgroupGenerateDescriptorOp::create(
      in, types.descriptorB, view(in, stage, offsetB, types.tileB), mapB);
  // B lies with its columns side by side. When we go on, all products but this
  // one are done, so the stage before has been read.
  Value product = nvgpu::WarpgroupMmaOp::create(
      in, types.accumulator, x, y, /*waitGroup=*/b.getI64IntegerAttr(1),
      /*transposeA=*/UnitAttr(), /*transposeB=*/b.getUnitAttr(), sum);
  Value isLater = arith::CmpIOp::create(in, arith::CmpIPredicate::ne,
                                        loop.getInductionVar(), zero);
  ifThen(in, arith::AndIOp::create(in, isLater, isFirstLane),
         [&](ImplicitLocOpBuilder &b) {
           nvgpu::MBarrierArriveOp::create(b, types.token, empty, before);
         });
  SmallVector<Value> following = next(in, stage, phase);
  scf::YieldOp::create(in,
                       ValueRange{product, following[0], following[1], stage});
  NVVM::WgmmaWaitGroupSyncOp::create(b, b.getI64IntegerAttr(0));
  // [/multiply]

  // This op finds a thread's rows by the number of its warp in the *block*, so
  // all groups are given the place of the first: group 1 has warps 4 to 7 and
  // writes from row 64 on. (Hence those who multiply are the first groups.)
  SmallVector<OpFoldResult> offsets = {m0, n0};
  SmallVector<OpFoldResult> sizes = {b.getIndexAttr(64),
                                     b.getIndexAttr(tile.columns)};
  SmallVector<OpFoldResult> ones(2, b.getIndexAttr(1));
  Value first = memref::SubViewOp::create(b, C, offsets, sizes, ones);
  nvgpu::WarpgroupMmaStoreOp::create(b, loop.getResult(0), first);
}

} // namespace

FunctionType tensorMatmulType(MLIRContext *context) {
  auto matrix = [&](Type element) {
    return MemRefType::get({ShapedType::kDynamic, ShapedType::kDynamic},
                           element);
  };
  Type half = matrix(Float16Type::get(context));
  return FunctionType::get(context,
                           {half, half, matrix(Float32Type::get(context))}, {});
}

OwningOpRef<ModuleOp> buildTensorMatmul(MLIRContext *context,
                                        const TensorTile &tile) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  Builder kernel(context, tile);
  FunctionType hostType = tensorMatmulType(context);
  auto kernelType = FunctionType::get(context,
                                      {kernel.types.mapA, kernel.types.mapB,
                                       hostType.getInput(2), b.getIndexType(),
                                       b.getIndexType(), b.getIndexType()},
                                      {});
  int32_t threads[] = {int32_t(tile.threads()), 1, 1};
  KernelModule m(b, "matmul_f16", hostType, kernelType, threads, {});
  // One block on a multiprocessor: its registers may be dealt out anew.
  m.kernel->setAttr("nvvm.minctasm", b.getI32IntegerAttr(1));

  b.setInsertionPointToStart(&m.kernel.front());
  kernel.mapA = m.kernel.getArgument(0);
  kernel.mapB = m.kernel.getArgument(1);
  kernel.C = m.kernel.getArgument(2);
  kernel.steps = m.kernel.getArgument(3);
  kernel.thread = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
  kernel.place(b, m.kernel.getArgument(4), m.kernel.getArgument(5));
  kernel.prepare(b);

  // The number of the warp group, from lane 0: the same for the whole warp, and
  // this way the compiler sees that it is.
  Value number = arith::DivUIOp::create(b, kernel.thread, index(b, 128));
  number = arith::IndexCastOp::create(b, b.getI32Type(), number);
  Value lane0 = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value width = arith::ConstantOp::create(b, b.getI32IntegerAttr(32));
  number =
      gpu::ShuffleOp::create(b, number, lane0, width, gpu::ShuffleMode::IDX)
          .getShuffleResult();
  number = arith::IndexCastOp::create(b, b.getIndexType(), number);
  Value isLast = equals(b, number, index(b, tile.consumers));
  auto roles = scf::IfOp::create(b, isLast, /*withElseRegion=*/true);
  ImplicitLocOpBuilder last(b.getLoc(), roles.getThenBodyBuilder());
  kernel.fetch(last);
  ImplicitLocOpBuilder others(b.getLoc(), roles.getElseBodyBuilder());
  kernel.multiply(others, number);
  gpu::ReturnOp::create(b);

  // The host makes the maps: where the array begins, its sizes, the box that
  // one copy takes.
  b.setInsertionPointToStart(&m.host.front());
  Value A = m.host.getArgument(0), B = m.host.getArgument(1),
        C = m.host.getArgument(2);
  auto map = [&](Value array, Type type, ArrayRef<int64_t> box) -> Value {
    auto unranked = UnrankedMemRefType::get(kernel.types.f16, Attribute());
    Value any = memref::CastOp::create(b, unranked, array);
    SmallVector<Value> sizes = {index(b, box[0]), index(b, box[1])};
    return nvgpu::TmaCreateDescriptorOp::create(b, type, any, sizes);
  };
  Value mapA = map(A, kernel.types.mapA, {tile.rows(), kDepth});
  Value mapB = map(B, kernel.types.mapB, {kDepth, kColumnsOfBox});
  Value zero = index(b, 0), one = index(b, 1);
  Value steps = ceilDiv(b, memref::DimOp::create(b, A, one), kDepth);
  Value numRows = ceilDiv(b, memref::DimOp::create(b, C, zero), tile.rows());
  Value numColumns = ceilDiv(b, memref::DimOp::create(b, C, one), tile.columns);
  Value blocks = mul(b, numRows, numColumns);
  Value bytes =
      arith::ConstantOp::create(b, b.getI32IntegerAttr(tile.sharedBytes()));
  launch(b, m, {blocks, one, one}, threads,
         {mapA, mapB, C, steps, numRows, numColumns}, bytes);
  return std::move(m.module);
}

Launch launchTensorMatmul(ArrayRef<int64_t> sizes, const TensorTile &tile) {
  int64_t rows = llvm::divideCeil(sizes[0], tile.rows());
  int64_t columns = llvm::divideCeil(sizes[1], tile.columns);
  return {{rows * columns, 1, 1}, {tile.threads(), 1, 1}, tile.sharedBytes()};
}

} // namespace ch15

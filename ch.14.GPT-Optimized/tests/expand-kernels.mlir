// Each op of a step becomes loops over vectors; with vectors of 16, the tile is 8 x 32.
// RUN: ch14-opt --ch14-expand-kernels=lanes=16 --canonicalize --cse %s | FileCheck %s
// RUN: ch14-opt --ch14-expand-kernels=lanes=16 %s | FileCheck %s --check-prefix=GONE

// GONE-NOT: transformer.

// One row takes four panels at a time, two rows two. More are split into blocks of 8 to 3, so many in a chunk that
// their rows stay in the second-level cache; a chunk goes through all panels. A block's accumulators enter the loop
// over k, are multiplied into, and are stored after it, once for each height. The next panel is asked for meanwhile.
// CHECK-LABEL: func.func @linear
// CHECK:         %[[SUMS:.*]] = memref.alloca() {{.*}} : memref<256x32xf32>
// CHECK:         scf.if
// CHECK:           :8 = scf.for %{{.*}} = %c0 to %c64 step %c2 iter_args(
// CHECK-NOT:       prefetch
// CHECK:         else
// CHECK:           scf.for %{{.*}} = %c0 to %c2 step %c1
// CHECK:             :8 = scf.for %{{.*}} = %c0 to %c64 step %c2 iter_args(
// CHECK:           scf.for %{{.*}} = %c0 to %{{.*}} step %c32
// CHECK:             scf.for %[[PANEL:.*]] = %c0 to %c4 step %c1
// CHECK:               scf.for %{{.*}} = %c0 to %{{.*}} step %c1
// CHECK:                 :16 = scf.for %{{.*}} = %c0 to %c64 step %c2 iter_args(
// CHECK:                   memref.prefetch
// CHECK-NOT:               store
// CHECK:                   vector.load %{{.*}} : memref<4x64x32xf32>, vector<16xf32>
// CHECK:                   vector.load %{{.*}} : memref<4x64x32xf32>, vector<16xf32>
// CHECK-NOT:               store
// CHECK-COUNT-32:          vector.fma {{.*}} : vector<16xf32>
// CHECK-NOT:               fma
// CHECK:                   scf.yield
// CHECK:                 vector.store {{.*}}, %[[SUMS]]
// CHECK:                 :14 = scf.for
// CHECK:                 :12 = scf.for
// CHECK:                 :10 = scf.for
// CHECK:                 :8 = scf.for
// CHECK:                 :6 = scf.for
// CHECK:                   memref.prefetch
// CHECK:               scf.for
// CHECK:                 vector.load %[[SUMS]]
// CHECK:                 arith.addf
// CHECK:                 vector.store {{.*}}, %arg3
func.func @linear(%x: memref<?x64xf32>, %w: memref<4x64x32xf32>, %b: memref<128xf32>, %out: memref<?x128xf32>) {
  transformer.rows_linear %x, %w bias %b into %out
      : memref<?x64xf32>, memref<4x64x32xf32>, memref<?x128xf32>, memref<128xf32>
  return
}

// The epilogues happen once for all sizes of a block: gelu, then what out held.
// CHECK-LABEL: func.func @epilogues
// CHECK:         scf.yield
// CHECK:         math.tanh {{.*}} : vector<16xf32>
// CHECK:         %[[OLD:.*]] = vector.load %arg2
// CHECK:         arith.addf %[[OLD]]
// CHECK:         vector.store
func.func @epilogues(%x: memref<?x9xf32>, %w: memref<1x9x32xf32>, %out: memref<?x32xf32>) {
  transformer.rows_linear %x, %w into %out {gelu, accumulate}
      : memref<?x9xf32>, memref<1x9x32xf32>, memref<?x32xf32>
  return
}

// 36 columns: two vectors of 16 and one of 4. Mean, variance, result.
// CHECK-LABEL: func.func @norm
// CHECK:         scf.for
// CHECK:           scf.for %{{.*}} = %c0 to %c32 step %c16 iter_args({{.*}}) -> (vector<16xf32>)
// CHECK:           vector.load {{.*}} vector<4xf32>
// CHECK:           scf.for %{{.*}} = %c0 to %c32 step %c16 iter_args({{.*}}) -> (vector<16xf32>)
// CHECK:           math.sqrt
// CHECK:           scf.for %{{.*}} = %c0 to %c32 step %c16
// CHECK:             vector.fma
// CHECK:             vector.store
func.func @norm(%x: memref<?x64xf32>, %g: memref<36xf32>, %b: memref<36xf32>, %out: memref<?x64xf32>) {
  transformer.rows_norm %x, %g, %b into %out {epsilon = 1.0e-5 : f32}
      : memref<?x64xf32>, memref<36xf32>, memref<36xf32>, memref<?x64xf32>
  return
}

// A token is a lane of a panel of the packed table.
// CHECK-LABEL: func.func @embed
// CHECK:         scf.for
// CHECK:           %[[PANEL:.*]] = arith.divui %{{.*}}, %c32
// CHECK:           %[[LANE:.*]] = arith.remui %{{.*}}, %c32
// CHECK:           scf.for %[[COLUMN:.*]] = %c0 to %c8
// CHECK:             memref.load %arg2[%[[PANEL]], %[[COLUMN]], %[[LANE]]]
func.func @embed(%tokens: memref<?xi32>, %at: memref<?xi32>, %table: memref<2x8x32xf32>, %wpe: memref<10x8xf32>,
                 %out: memref<?x32xf32>) {
  transformer.rows_embed %tokens, %at, %table, %wpe into %out
      : memref<?xi32>, memref<?xi32>, memref<2x8x32xf32>, memref<10x8xf32>, memref<?x32xf32>
  return
}

// CHECK-LABEL: func.func @gather
// CHECK:         %[[FROM:.*]] = arith.index_cast
// CHECK:         vector.load %arg0[%[[FROM]],
// CHECK:         vector.store
func.func @gather(%x: memref<?x32xf32>, %rows: memref<?xi32>, %out: memref<?x32xf32>) {
  transformer.rows_gather %x at %rows into %out : memref<?x32xf32>, memref<?xi32>, memref<?x32xf32>
  return
}

// Slot s is place s % 4 of page s / 4. Keys go down a column, values along a row.
// CHECK-LABEL: func.func @store
// CHECK:         %[[PAGE:.*]] = arith.divui %{{.*}}, %c4
// CHECK:         %[[PLACE:.*]] = arith.remui %{{.*}}, %c4
// CHECK:         memref.store %{{.*}}, %arg2[%[[PAGE]], %[[HEAD:.*]], %{{.*}}, %[[PLACE]]]
// CHECK:         vector.store %{{.*}}, %arg3[%[[PAGE]], %[[HEAD]], %[[PLACE]],
func.func @store(%qkv: memref<?x96xf32>, %slots: memref<?xi32>, %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>) {
  transformer.paged_store %qkv, %slots into %k, %v
      : memref<?x96xf32>, memref<?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>
  return
}

// Blocks of 64 places, here 16 pages of 4. Eight rows of one sequence share a look at two pages at a time; a row that is
// not among its own takes 16 at a time. Then the softmax, row by row: the maximum, and only where it has changed the
// correction, then the weights and their sum. A block that is not whole has a mask, and every row its own last place.
// CHECK-LABEL: func.func @attention
// CHECK:         %[[WEIGHTS:.*]] = memref.alloca() {{.*}} : memref<8x128xf32>
// CHECK:         scf.for %{{.*}} = %c0 to %{{.*}} step %c64
// CHECK:           scf.if
// CHECK:             scf.for %{{.*}} step %c2
// CHECK:               :16 = scf.for %{{.*}} = %c0 to %c16 step %c1 iter_args(
// CHECK-COUNT-16:        vector.fma {{.*}} : vector<4xf32>
// CHECK-COUNT-16:      vector.store {{.*}}, %[[WEIGHTS]]
// CHECK:           else
// CHECK:             scf.for %{{.*}} step %c16
// CHECK:               :16 = scf.for %{{.*}} = %c0 to %c16 step %c1 iter_args(
// CHECK:           scf.for
// CHECK:             scf.if
// CHECK-NOT:           vector.create_mask
// CHECK:               arith.cmpf une
// CHECK:               scf.if
// CHECK:                 math.exp {{.*}} : f32
// CHECK:               scf.for
// CHECK:                 math.exp {{.*}} : vector<4xf32>
// CHECK:             else
// CHECK:               vector.create_mask {{.*}} : vector<4xi1>
// CHECK:               math.exp {{.*}} : vector<4xf32>
// CHECK:           scf.if
// CHECK:             :8 = scf.for
// CHECK:               :8 = scf.for
// CHECK-COUNT-8:         vector.fma {{.*}} : vector<16xf32>
// CHECK:           else
// CHECK:             vector.fma {{.*}} : vector<16xf32>
// CHECK:         scf.for
// CHECK:           arith.divf
func.func @attention(%qkv: memref<?x96xf32>, %at: memref<?xi32>, %of: memref<?xi32>, %tables: memref<?x?xi32>,
                     %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>, %out: memref<?x32xf32>) {
  transformer.paged_attention %qkv, %at, %of, %tables, %k, %v into %out
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>,
        memref<?x32xf32>
  return
}

// Integers in pairs: widened to 16 bits, multiplied two by two, scaled once the sum is complete.
// CHECK-LABEL: func.func @integers
// CHECK:         arith.extsi {{.*}} : vector<32xi8> to vector<32xi16>
// CHECK:         llvm.call_intrinsic "llvm.x86.{{.*}}pmadd{{.*}}"
// CHECK:         arith.addi {{.*}} : vector<16xi32>
// CHECK:         arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:         arith.mulf
func.func @integers(%x: memref<?x64xi16>, %w: memref<4x32x64xi8>, %r: memref<?xf32>, %c: memref<128xf32>,
                    %out: memref<?x128xf32>) {
  transformer.rows_linear %x, %w scales %r, %c into %out
      : memref<?x64xi16>, memref<4x32x64xi8>, memref<?x128xf32> scales memref<?xf32>, memref<128xf32>
  return
}

// A bfloat16 weight is widened where it is loaded, and a pair of them multiplied by one instruction.
// CHECK-LABEL: func.func @bfloat16
// CHECK:         arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK:         x86vector.avx512.dot {{.*}} : vector<32xbf16> -> vector<16xf32>
func.func @bfloat16(%x: memref<?x64xf32>, %w: memref<4x64x32xbf16>, %pairs: memref<?x64xbf16>,
                    %v: memref<4x32x64xbf16>, %out: memref<?x128xf32>) {
  transformer.rows_linear %x, %w into %out : memref<?x64xf32>, memref<4x64x32xbf16>, memref<?x128xf32>
  transformer.rows_linear %pairs, %v into %out : memref<?x64xbf16>, memref<4x32x64xbf16>, memref<?x128xf32>
  return
}

// CHECK-LABEL: func.func @quantize
// CHECK:         arith.maximumf
// CHECK:         math.roundeven
// CHECK:         arith.fptosi
// CHECK:         arith.trunci {{.*}} to vector<16xi16>
func.func @quantize(%x: memref<?x32xf32>, %out: memref<?x32xi16>, %s: memref<?xf32>) {
  transformer.rows_quantize %x into %out scales %s {columns = 32 : i64, limit = 32767 : i64}
      : memref<?x32xf32>, memref<?x32xi16>, memref<?xf32>
  return
}

// Each op of a step becomes loops over vectors; with vectors of 16, the tile is 8 x 32.
// RUN: ch14-opt --ch14-expand-kernels=lanes=16 --canonicalize --cse %s | FileCheck %s
// RUN: ch14-opt --ch14-expand-kernels=lanes=16 %s | FileCheck %s --check-prefix=GONE

// GONE-NOT: transformer.

// 8 rows x 2 vectors of accumulators enter the loop over k, are multiplied into, and are stored after it.
// CHECK-LABEL: func.func @linear
// CHECK:         scf.for %[[PANEL:.*]] = %c0 to %c4
// CHECK:           scf.for %[[ROW:.*]] = %c0 to %{{.*}} step %c8
// CHECK:             %[[ACC:.*]]:16 = scf.for %{{.*}} = %c0 to %c64 step %c4 iter_args(
// CHECK-SAME:          vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
// CHECK-NOT:           store
// CHECK:               vector.load %{{.*}} : memref<4x64x32xf32>, vector<16xf32>
// CHECK:               vector.load %{{.*}} : memref<4x64x32xf32>, vector<16xf32>
// CHECK-NOT:           store
// CHECK-COUNT-64:      vector.fma {{.*}} : vector<16xf32>
// CHECK-NOT:           fma
// CHECK:               scf.yield
// CHECK:             arith.addf %[[ACC]]#0
// CHECK:             vector.store
// The rest of the rows: a block of 4, of 2 and of 1, with the same loop over k.
// CHECK:           scf.for {{.*}} step %c4
// CHECK:             :8 = scf.for {{.*}} = %c0 to %c64 step %c4 iter_args(
// CHECK:           scf.for {{.*}} step %c2
// CHECK:             :4 = scf.for {{.*}} = %c0 to %c64 step %c4 iter_args(
// CHECK:           scf.for {{.*}} step %c1
// CHECK:             :2 = scf.for {{.*}} = %c0 to %c64 step %c4 iter_args(
func.func @linear(%x: memref<?x64xf32>, %w: memref<4x64x32xf32>, %b: memref<128xf32>, %out: memref<?x128xf32>) {
  transformer.rows_linear %x, %w bias %b into %out
      : memref<?x64xf32>, memref<4x64x32xf32>, memref<?x128xf32>, memref<128xf32>
  return
}

// The epilogues happen while the sums are in registers: gelu, then what out held.
// CHECK-LABEL: func.func @epilogues
// CHECK:         scf.yield
// CHECK-NOT:     store
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

// The state of the online softmax (maximum, sum, 16 outputs) is carried from page to page.
// CHECK-LABEL: func.func @attention
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             %[[STATE:.*]]:3 = scf.for {{.*}} iter_args({{.*}}) -> (f32, f32, vector<16xf32>)
// CHECK:               vector.create_mask %{{.*}} : vector<4xi1>
// CHECK:               math.exp {{.*}} : vector<4xf32>
// CHECK:               vector.fma {{.*}} : vector<16xf32>
// CHECK:             arith.divf %[[STATE]]#2
func.func @attention(%qkv: memref<?x96xf32>, %at: memref<?xi32>, %of: memref<?xi32>, %tables: memref<?x?xi32>,
                     %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>, %out: memref<?x32xf32>) {
  transformer.paged_attention %qkv, %at, %of, %tables, %k, %v into %out
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>,
        memref<?x32xf32>
  return
}

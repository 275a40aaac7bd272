// The pass takes weights that are packed for its tile, and names those that are not.
// RUN: ch14-opt --ch14-expand-kernels=lanes=8 %s | FileCheck %s
// RUN: not ch14-opt --ch14-expand-kernels=lanes=16 %s 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not ch14-opt --ch14-expand-kernels=lanes=4 %s 2>&1 | FileCheck %s --check-prefix=FOUR
// RUN: not ch14-opt --ch14-expand-kernels=lanes=6 %s 2>&1 | FileCheck %s --check-prefix=SIX

// CHECK-LABEL: func.func @packed_for_avx2
// CHECK-NOT:   transformer.
// CHECK:       vector.fma {{.*}} : vector<8xf32>

// OTHER: error: 'transformer.rows_linear' op has no kernel for its types and the tile of 16 lanes and panels of 32
// FOUR:  error: 'transformer.rows_linear' op has no kernel for its types and the tile of 4 lanes and panels of 8
// SIX:   error: lanes: expected 16, 8 or 4, got 6
func.func @packed_for_avx2(%x: memref<?x8xf32>, %w: memref<2x8x16xf32>, %out: memref<?x32xf32>) {
  transformer.rows_linear %x, %w into %out : memref<?x8xf32>, memref<2x8x16xf32>, memref<?x32xf32>
  return
}

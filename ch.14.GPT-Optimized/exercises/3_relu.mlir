// Exercise 3: another epilogue, in TableGen and C++.
//
// Give transformer.rows_linear a unit attribute `relu` beside `gelu`: max(v, 0), applied where gelu is. The verifier
// refuses both at once. As it is, the op takes {relu} for a note that means nothing.
//
// RUN: ch14-opt --ch14-expand-kernels=lanes=16 --split-input-file --verify-diagnostics %s | FileCheck %s

// CHECK-LABEL: func.func @relu
// CHECK:         scf.yield
// CHECK:         %[[SUM:.*]] = arith.addf
// CHECK-NOT:     vector.store
// CHECK:         {{arith.maximumf|arith.maxnumf|arith.select}} {{.*}}vector<16xf32>
// CHECK:         vector.store
// CHECK-NOT:     relu
func.func @relu(%x: memref<?x8xf32>, %w: memref<1x8x32xf32>, %o: memref<?x32xf32>, %b: memref<32xf32>) {
  transformer.rows_linear %x, %w bias %b into %o {relu}
      : memref<?x8xf32>, memref<1x8x32xf32>, memref<?x32xf32>, memref<32xf32>
  return
}

// -----

func.func @both(%x: memref<?x8xf32>, %w: memref<1x8x32xf32>, %o: memref<?x32xf32>) {
  // expected-error @below {{expected gelu or relu, got both}}
  transformer.rows_linear %x, %w into %o {gelu, relu} : memref<?x8xf32>, memref<1x8x32xf32>, memref<?x32xf32>
  return
}

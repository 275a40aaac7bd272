// The whole way: nothing but the llvm dialect is left, and nothing is called or allocated.
// RUN: ch14-opt --ch14-pipeline %s | FileCheck %s

// CHECK-NOT: {{(transformer|scf|cf|vector|math|arith|memref|func|affine|index)\.}}
// CHECK-NOT: llvm.call @
// CHECK:     llvm.func @attention
// CHECK-NOT: {{(transformer|scf|cf|vector|math|arith|memref|func|affine|index)\.}}
// CHECK-NOT: llvm.call @
// CHECK:     llvm.intr.fma
func.func @attention(%qkv: memref<?x96xf32>, %at: memref<?xi32>, %of: memref<?xi32>, %tables: memref<?x?xi32>,
                     %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>, %out: memref<?x32xf32>) {
  transformer.paged_attention %qkv, %at, %of, %tables, %k, %v into %out
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>,
        memref<?x32xf32>
  return
}

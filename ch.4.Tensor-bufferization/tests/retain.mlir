// One of two buffers is returned: the other is freed, by a comparison of addresses.
// RUN: mlir-opt %s --ownership-based-buffer-deallocation --canonicalize --buffer-deallocation-simplification | FileCheck %s --check-prefix=OWN
// RUN: mlir-opt %s --buffer-deallocation-pipeline | FileCheck %s

// OWN-LABEL: func.func @one_of_two
// OWN:         bufferization.dealloc (%alloc : memref<4xf32>) if (%true) retain (%[[CHOSEN:.*]] : memref<4xf32>)
// OWN:         bufferization.dealloc (%alloc_0 : memref<4xf32>) if (%true) retain (%[[CHOSEN]] : memref<4xf32>)

// CHECK-LABEL:   func.func @one_of_two
// CHECK-COUNT-2:   memref.alloc
// CHECK:           arith.cmpi ne
// CHECK-NEXT:      scf.if
// CHECK-NEXT:        memref.dealloc
// CHECK:           arith.cmpi ne
// CHECK-NEXT:      scf.if
// CHECK-NEXT:        memref.dealloc
// [one-of-two]
func.func @one_of_two(%which: i1, %f: f32) -> memref<4xf32> {
  %a = memref.alloc() : memref<4xf32>
  %b = memref.alloc() : memref<4xf32>
  linalg.fill ins(%f : f32) outs(%a : memref<4xf32>)
  linalg.fill ins(%f : f32) outs(%b : memref<4xf32>)
  %chosen = arith.select %which, %a, %b : memref<4xf32>
  return %chosen : memref<4xf32>
}
// [/one-of-two]

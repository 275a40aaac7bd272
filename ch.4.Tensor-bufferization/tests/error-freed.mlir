// Memory that somebody frees already, where the pass is to find out who should.
// RUN: not mlir-opt %s --ownership-based-buffer-deallocation 2>&1 | FileCheck %s
// CHECK: error: memory free side-effect on MemRef value not supported!
func.func @freed(%f: f32, %i: index) -> f32 {
  %m = memref.alloc() : memref<4xf32>
  memref.store %f, %m[%i] : memref<4xf32>
  %r = memref.load %m[%i] : memref<4xf32>
  memref.dealloc %m : memref<4xf32>
  return %r : f32
}

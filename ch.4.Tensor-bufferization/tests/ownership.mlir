// Whose is the buffer that comes out of an `if`? Known only at run time, so a bit goes with it.
// RUN: mlir-opt %s --ownership-based-buffer-deallocation --canonicalize | FileCheck %s --check-prefixes=OWN
// RUN: mlir-opt %s --buffer-deallocation-pipeline | FileCheck %s

// OWN-LABEL: func.func @choose
// OWN:         %[[CHOSEN:.*]]:2 = scf.if %arg0 -> (memref<4xf32>, i1)
// OWN:           scf.yield %arg1, %false
// OWN:           scf.yield %alloc, %{{.*}}
// OWN:         bufferization.dealloc ({{.*}}) if (%[[CHOSEN]]#1)

// CHECK-LABEL: func.func @choose
// CHECK:         %[[OURS:.*]] = arith.xori %arg0, %true
// CHECK:         %[[CHOSEN:.*]] = scf.if %arg0
// CHECK:         memref.copy %[[CHOSEN]], %arg3
// CHECK:         scf.if %[[OURS]] {
// CHECK-NEXT:      memref.dealloc
// [choose]
func.func @choose(%which: i1, %given: memref<4xf32>, %f: f32, %out: memref<4xf32>) {
  %chosen = scf.if %which -> memref<4xf32> {
    scf.yield %given : memref<4xf32>
  } else {
    %own = memref.alloc() : memref<4xf32>
    linalg.fill ins(%f : f32) outs(%own : memref<4xf32>)
    scf.yield %own : memref<4xf32>
  }
  memref.copy %chosen, %out : memref<4xf32> to memref<4xf32>
  return
}
// [/choose]

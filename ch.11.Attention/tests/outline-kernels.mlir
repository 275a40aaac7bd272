// --ch11-outline-kernels: a function for each linalg op, one for equal ones; and what becomes of its promise.
// RUN: ch11-opt --ch11-outline-kernels --split-input-file %s | FileCheck %s
// RUN: ch11-opt --ch11-outline-kernels --convert-linalg-to-loops --convert-scf-to-cf --finalize-memref-to-llvm \
// RUN:   --convert-arith-to-llvm --convert-func-to-llvm --ch11-kernel-noalias --split-input-file %s \
// RUN:   | FileCheck %s --check-prefix=LLVM

// Equal ops call one kernel, although their operands differ; another constant is another kernel.
// CHECK-LABEL: func.func @equal
// CHECK-SAME:      %[[A:.*]]: memref<4xf32>, %[[B:.*]]: memref<4xf32>
// CHECK-SAME:      passthrough = ["noinline", "optnone"]
// CHECK:         call @kernel_0(%[[A]])
// CHECK:         call @kernel_0(%[[B]])
// CHECK:         call @kernel_1(%[[A]])
// CHECK:       func.func private @kernel_0(%[[X:.*]]: memref<4xf32>)
// CHECK-SAME:      llvm.linkage = #llvm.linkage<internal>, passthrough = ["noinline"], transformer.noalias
// CHECK:         %[[ONE:.*]] = arith.constant 1.0
// CHECK:         linalg.fill ins(%[[ONE]] : f32) outs(%[[X]] : memref<4xf32>)
// CHECK:       func.func private @kernel_1
// CHECK:         arith.constant 2.0
// CHECK-NOT:   @kernel_2
// LLVM-LABEL:  llvm.func @equal
// LLVM:        llvm.func internal @kernel_0(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64
// LLVM-NOT:    transformer.noalias
func.func @equal(%a: memref<4xf32>, %b: memref<4xf32>) {
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  linalg.fill ins(%one : f32) outs(%a : memref<4xf32>)
  linalg.fill ins(%one : f32) outs(%b : memref<4xf32>)
  linalg.fill ins(%two : f32) outs(%a : memref<4xf32>)
  return
}

// -----

// What a body uses and no operand gives becomes an argument.
// CHECK-LABEL: func.func @captured
// CHECK-SAME:      %[[A:.*]]: memref<4xf32>, %[[FACTOR:.*]]: f32
// CHECK:         call @kernel_0(%[[A]], %[[FACTOR]])
func.func @captured(%a: memref<4xf32>, %factor: f32) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%a : memref<4xf32>) {
  ^bb0(%e: f32):
    %0 = arith.mulf %e, %factor : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A kernel that writes where it reads makes no promise, also when it is through a view.
// CHECK-LABEL: func.func @in_place
// CHECK:       func.func private @kernel_0
// CHECK-NOT:   transformer.noalias
// LLVM-LABEL:  llvm.func @in_place
// LLVM-NOT:    llvm.noalias
func.func @in_place(%a: memref<4xf32>) {
  %whole = memref.subview %a[0] [4] [1] : memref<4xf32> to memref<4xf32, strided<[1]>>
  linalg.copy ins(%whole : memref<4xf32, strided<[1]>>) outs(%a : memref<4xf32>)
  return
}

// -----

// A function that still has loops of its own is worth optimizing.
// CHECK-LABEL: func.func @loop
// CHECK-NOT:     optnone
// CHECK:         scf.for
// CHECK:           call @kernel_0
// LLVM-LABEL:  llvm.func @loop
func.func @loop(%a: memref<4xf32>, %from: index, %to: index, %step: index) {
  %one = arith.constant 1.0 : f32
  scf.for %i = %from to %to step %step {
    linalg.fill ins(%one : f32) outs(%a : memref<4xf32>)
  }
  return
}

// -----

// Tensors have no kernels yet.
// CHECK-LABEL: func.func @tensors
// CHECK:         linalg.fill
// CHECK-NOT:   @kernel
func.func @tensors(%a: tensor<4xf32>) -> tensor<4xf32> {
  %one = arith.constant 1.0 : f32
  %0 = linalg.fill ins(%one : f32) outs(%a : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

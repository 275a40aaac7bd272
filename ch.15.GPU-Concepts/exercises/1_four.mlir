// Exercise 1: four elements for each thread.
//
// This is vector_add. On an H200 it moves 83 % of what a copy moves: a thread has two loads under way, and is over. Let a
// block of 256 threads add 1024 elements, each thread four of them: which four, so that neighbours still read neighbours?
// The host launches a quarter of the blocks. (exercises/check.py counts the blocks, and bench/ch15.py
// measures the solution.)
module attributes {gpu.container_module} {
  func.func @vector_add(%A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    %n = memref.dim %C, %c0 : memref<?xf32>
    %up = arith.addi %n, %c256 : index
    %more = arith.subi %up, %c1 : index
    %blocks = arith.divui %more, %c256 : index
    gpu.launch_func @kernels::@vector_add blocks in (%blocks, %c1, %c1) threads in (%c256, %c1, %c1) args(%A : memref<?xf32>, %B : memref<?xf32>, %C : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @vector_add(%A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
      %c0 = arith.constant 0 : index
      %c256 = arith.constant 256 : index
      %block = gpu.block_id x
      %thread = gpu.thread_id x
      %n = memref.dim %C, %c0 : memref<?xf32>
      %first = arith.muli %block, %c256 : index
      %i = arith.addi %first, %thread : index
      %inside = arith.cmpi ult, %i, %n : index
      scf.if %inside {
        %a = memref.load %A[%i] : memref<?xf32>
        %b = memref.load %B[%i] : memref<?xf32>
        %c = arith.addf %a, %b : f32
        memref.store %c, %C[%i] : memref<?xf32>
      }
      gpu.return
    }
  }
}

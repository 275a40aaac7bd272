// Thread t of a block takes elements t, t + 256, t + 512, t + 768: all loads first, then the stores. The last block may
// have fewer, and takes them one by one.
module attributes {gpu.container_module} {
  func.func @vector_add(%A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    %c1024 = arith.constant 1024 : index
    %n = memref.dim %C, %c0 : memref<?xf32>
    %up = arith.addi %n, %c1024 : index
    %more = arith.subi %up, %c1 : index
    %blocks = arith.divui %more, %c1024 : index
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
      %c1024 = arith.constant 1024 : index
      %start = arith.muli %block, %c1024 : index
      %first = arith.addi %start, %thread : index
      %last = arith.addi %first, %c1024 : index
      %full = arith.cmpi ule, %last, %n : index
      scf.if %full {
        %d0 = arith.constant 0 : index
        %i0 = arith.addi %first, %d0 : index
        %a0 = memref.load %A[%i0] : memref<?xf32>
        %b0 = memref.load %B[%i0] : memref<?xf32>
        %d1 = arith.constant 256 : index
        %i1 = arith.addi %first, %d1 : index
        %a1 = memref.load %A[%i1] : memref<?xf32>
        %b1 = memref.load %B[%i1] : memref<?xf32>
        %d2 = arith.constant 512 : index
        %i2 = arith.addi %first, %d2 : index
        %a2 = memref.load %A[%i2] : memref<?xf32>
        %b2 = memref.load %B[%i2] : memref<?xf32>
        %d3 = arith.constant 768 : index
        %i3 = arith.addi %first, %d3 : index
        %a3 = memref.load %A[%i3] : memref<?xf32>
        %b3 = memref.load %B[%i3] : memref<?xf32>
        %c0s = arith.addf %a0, %b0 : f32
        memref.store %c0s, %C[%i0] : memref<?xf32>
        %c1s = arith.addf %a1, %b1 : f32
        memref.store %c1s, %C[%i1] : memref<?xf32>
        %c2s = arith.addf %a2, %b2 : f32
        memref.store %c2s, %C[%i2] : memref<?xf32>
        %c3s = arith.addf %a3, %b3 : f32
        memref.store %c3s, %C[%i3] : memref<?xf32>
      } else {
        %end = arith.minui %last, %n : index
        scf.for %i = %first to %end step %c256 {
          %a = memref.load %A[%i] : memref<?xf32>
          %b = memref.load %B[%i] : memref<?xf32>
          %c = arith.addf %a, %b : f32
          memref.store %c, %C[%i] : memref<?xf32>
        }
      }
      gpu.return
    }
  }
}

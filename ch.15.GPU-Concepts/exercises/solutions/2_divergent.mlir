// All threads take all turns. Each load asks for its own element, and only the store asks for that of C.
module attributes {gpu.container_module} {
  func.func @matmul(%A: memref<?x?xf32>, %B: memref<?x?xf32>, %C: memref<?x?xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c15 = arith.constant 15 : index
    %c16 = arith.constant 16 : index
    %M = memref.dim %C, %c0 : memref<?x?xf32>
    %N = memref.dim %C, %c1 : memref<?x?xf32>
    %m = arith.addi %M, %c15 : index
    %n = arith.addi %N, %c15 : index
    %y = arith.divui %m, %c16 : index
    %x = arith.divui %n, %c16 : index
    gpu.launch_func @kernels::@matmul blocks in (%x, %y, %c1) threads in (%c16, %c16, %c1) args(%A : memref<?x?xf32>, %B : memref<?x?xf32>, %C : memref<?x?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @matmul(%A: memref<?x?xf32>, %B: memref<?x?xf32>, %C: memref<?x?xf32>)
        workgroup(%tileA : memref<16x16xf32, #gpu.address_space<workgroup>>, %tileB : memref<16x16xf32, #gpu.address_space<workgroup>>)
        kernel attributes {known_block_size = array<i32: 16, 16, 1>} {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c15 = arith.constant 15 : index
      %c16 = arith.constant 16 : index
      %zero = arith.constant 0.0 : f32
      %M = memref.dim %C, %c0 : memref<?x?xf32>
      %N = memref.dim %C, %c1 : memref<?x?xf32>
      %K = memref.dim %A, %c1 : memref<?x?xf32>
      %tx = gpu.thread_id x
      %ty = gpu.thread_id y
      %bx = gpu.block_id x
      %by = gpu.block_id y
      %top = arith.muli %by, %c16 : index
      %left = arith.muli %bx, %c16 : index
      %row = arith.addi %top, %ty : index
      %column = arith.addi %left, %tx : index
      %up = arith.addi %K, %c15 : index
      %steps = arith.divui %up, %c16 : index
      %isRow = arith.cmpi ult, %row, %M : index
      %isColumn = arith.cmpi ult, %column, %N : index
      %inside = arith.andi %isRow, %isColumn : i1
      %sum = scf.for %s = %c0 to %steps step %c1 iter_args(%before = %zero) -> (f32) {
        %k = arith.muli %s, %c16 : index
        %kx = arith.addi %k, %tx : index
        %ky = arith.addi %k, %ty : index
        %isX = arith.cmpi ult, %kx, %K : index
        %isY = arith.cmpi ult, %ky, %K : index
        %isA = arith.andi %isRow, %isX : i1
        %isB = arith.andi %isColumn, %isY : i1
        %a = scf.if %isA -> (f32) {
          %x = memref.load %A[%row, %kx] : memref<?x?xf32>
          scf.yield %x : f32
        } else {
          scf.yield %zero : f32
        }
        %b = scf.if %isB -> (f32) {
          %x = memref.load %B[%ky, %column] : memref<?x?xf32>
          scf.yield %x : f32
        } else {
          scf.yield %zero : f32
        }
        memref.store %a, %tileA[%ty, %tx] : memref<16x16xf32, #gpu.address_space<workgroup>>
        memref.store %b, %tileB[%ty, %tx] : memref<16x16xf32, #gpu.address_space<workgroup>>
        gpu.barrier
        %after = scf.for %i = %c0 to %c16 step %c1 iter_args(%partial = %before) -> (f32) {
          %x = memref.load %tileA[%ty, %i] : memref<16x16xf32, #gpu.address_space<workgroup>>
          %y = memref.load %tileB[%i, %tx] : memref<16x16xf32, #gpu.address_space<workgroup>>
          %z = math.fma %x, %y, %partial : f32
          scf.yield %z : f32
        }
        gpu.barrier
        scf.yield %after : f32
      }
      scf.if %inside {
        memref.store %sum, %C[%row, %column] : memref<?x?xf32>
      }
      gpu.return
    }
  }
}

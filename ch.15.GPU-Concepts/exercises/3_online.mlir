// Exercise 3: one reduction, two passes.
//
// softmax reads each row three times. A loop can carry the maximum so far and the sum so far (exercise 1 of chapter 6 does,
// for one thread). Do that here: each thread finds a pair for its own elements, then the block makes one pair of 256.
//
//   (m1, s1) + (m2, s2) = (m, s1 * exp(m1 - m) + s2 * exp(m2 - m))  with m = max(m1, m2)
//
// A thread beyond the end of a short row has the pair (-inf, 0), and -inf - -inf is NaN: take care of it. A row with a NaN,
// with +inf or with nothing but -inf must still be NaN everywhere.
module attributes {gpu.container_module} {
  func.func @softmax(%X: memref<?x?xf32>, %Y: memref<?x?xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    %rows = memref.dim %X, %c0 : memref<?x?xf32>
    gpu.launch_func @kernels::@softmax blocks in (%rows, %c1, %c1) threads in (%c256, %c1, %c1) args(%X : memref<?x?xf32>, %Y : memref<?x?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @softmax(%X: memref<?x?xf32>, %Y: memref<?x?xf32>)
        workgroup(%S : memref<256xf32, #gpu.address_space<workgroup>>) kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c8 = arith.constant 8 : index
      %c128 = arith.constant 128 : index
      %c256 = arith.constant 256 : index
      %zero = arith.constant 0.0 : f32
      %one = arith.constant 1.0 : f32
      %lowest = arith.constant 0xFF800000 : f32  // -inf
      %row = gpu.block_id x
      %t = gpu.thread_id x
      %n = memref.dim %X, %c1 : memref<?x?xf32>
      %m = scf.for %j = %t to %n step %c256 iter_args(%before = %lowest) -> (f32) {
        %x = memref.load %X[%row, %j] : memref<?x?xf32>
        %next = arith.maximumf %before, %x : f32
        scf.yield %next : f32
      }
      memref.store %m, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      scf.for %h = %c0 to %c8 step %c1 {
        %half = arith.shrui %c128, %h : index
        %active = arith.cmpi ult, %t, %half : index
        scf.if %active {
          %there = arith.addi %t, %half : index
          %x = memref.load %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
          %y = memref.load %S[%there] : memref<256xf32, #gpu.address_space<workgroup>>
          %z = arith.maximumf %x, %y : f32
          memref.store %z, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
        }
        gpu.barrier
      }
      %max = memref.load %S[%c0] : memref<256xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      %s = scf.for %j = %t to %n step %c256 iter_args(%before = %zero) -> (f32) {
        %x = memref.load %X[%row, %j] : memref<?x?xf32>
        %d = arith.subf %x, %max : f32
        %e = math.exp %d : f32
        %next = arith.addf %before, %e : f32
        scf.yield %next : f32
      }
      memref.store %s, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      scf.for %h = %c0 to %c8 step %c1 {
        %half = arith.shrui %c128, %h : index
        %active = arith.cmpi ult, %t, %half : index
        scf.if %active {
          %there = arith.addi %t, %half : index
          %x = memref.load %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
          %y = memref.load %S[%there] : memref<256xf32, #gpu.address_space<workgroup>>
          %z = arith.addf %x, %y : f32
          memref.store %z, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
        }
        gpu.barrier
      }
      %sum = memref.load %S[%c0] : memref<256xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      %share = arith.divf %one, %sum : f32
      scf.for %j = %t to %n step %c256 {
        %x = memref.load %X[%row, %j] : memref<?x?xf32>
        %d = arith.subf %x, %max : f32
        %e = math.exp %d : f32
        %y = arith.mulf %e, %share : f32
        memref.store %y, %Y[%row, %j] : memref<?x?xf32>
      }
      gpu.return
    }
  }
}

// exp(-inf - -inf) is NaN. So an element of -inf counts 0, and a sum of 0 stays 0 whatever it is multiplied with. A row of
// nothing but -inf has the sum 0 then, and its quotients are NaN, as they should be.
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
        workgroup(%S : memref<256xf32, #gpu.address_space<workgroup>>, %T : memref<256xf32, #gpu.address_space<workgroup>>) kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
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
      %m, %s = scf.for %j = %t to %n step %c256 iter_args(%mb = %lowest, %sb = %zero) -> (f32, f32) {
        %x = memref.load %X[%row, %j] : memref<?x?xf32>
        %mn = arith.maximumf %mb, %x : f32
        %od = arith.subf %mb, %mn : f32
        %oe = math.exp %od : f32
        %op = arith.mulf %sb, %oe : f32
        %onone = arith.cmpf oeq, %sb, %zero : f32
        %old = arith.select %onone, %zero, %op : f32
        %d = arith.subf %x, %mn : f32
        %f = math.exp %d : f32
        %isLowest = arith.cmpf oeq, %x, %lowest : f32
        %e = arith.select %isLowest, %zero, %f : f32
        %next = arith.addf %old, %e : f32
        scf.yield %mn, %next : f32, f32
      }
      memref.store %m, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
      memref.store %s, %T[%t] : memref<256xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      scf.for %h = %c0 to %c8 step %c1 {
        %half = arith.shrui %c128, %h : index
        %active = arith.cmpi ult, %t, %half : index
        scf.if %active {
          %there = arith.addi %t, %half : index
          %m1 = memref.load %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
          %m2 = memref.load %S[%there] : memref<256xf32, #gpu.address_space<workgroup>>
          %s1 = memref.load %T[%t] : memref<256xf32, #gpu.address_space<workgroup>>
          %s2 = memref.load %T[%there] : memref<256xf32, #gpu.address_space<workgroup>>
          %mm = arith.maximumf %m1, %m2 : f32
          %ad = arith.subf %m1, %mm : f32
          %ae = math.exp %ad : f32
          %ap = arith.mulf %s1, %ae : f32
          %anone = arith.cmpf oeq, %s1, %zero : f32
          %x1 = arith.select %anone, %zero, %ap : f32
          %bd = arith.subf %m2, %mm : f32
          %be = math.exp %bd : f32
          %bp = arith.mulf %s2, %be : f32
          %bnone = arith.cmpf oeq, %s2, %zero : f32
          %x2 = arith.select %bnone, %zero, %bp : f32
          %ss = arith.addf %x1, %x2 : f32
          memref.store %mm, %S[%t] : memref<256xf32, #gpu.address_space<workgroup>>
          memref.store %ss, %T[%t] : memref<256xf32, #gpu.address_space<workgroup>>
        }
        gpu.barrier
      }
      %max = memref.load %S[%c0] : memref<256xf32, #gpu.address_space<workgroup>>
      %sum = memref.load %T[%c0] : memref<256xf32, #gpu.address_space<workgroup>>
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

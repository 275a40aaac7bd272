// A launch becomes loops: over blocks in parallel, over the threads of a block once for each piece between barriers.
// RUN: ch15-opt --ch15-launch-to-loops --canonicalize --cse --split-input-file %s | FileCheck %s

// No barrier: one piece. The size is the same for all threads, so it is read once.
// CHECK-LABEL: func.func @host
// CHECK-SAME:      %[[BLOCKS:arg[0-9]+]]: index
// CHECK:         scf.parallel (%[[B:.+]]) = (%c0) to (%[[BLOCKS]]) step (%c1) {
// CHECK:           func.call @add_block(%[[B]], %c0, %c0, %[[BLOCKS]], %c1, %c1, %{{.+}})
// CHECK-LABEL: func.func private @add_block(
// CHECK-SAME:      %[[BX:.+]]: index, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index, %[[A:.+]]: memref<?xf32>)
// CHECK:         %[[FIRST:.+]] = arith.muli %[[BX]], %c256
// CHECK:         %[[N:.+]] = memref.dim %[[A]], %c0
// CHECK:         scf.for %[[T:.+]] = %c0 to %c256 step %c1 {
// CHECK:           %[[I:.+]] = arith.addi %[[FIRST]], %[[T]]
// CHECK:           %[[IN:.+]] = arith.cmpi ult, %[[I]], %[[N]]
// CHECK:           scf.if %[[IN]]
// CHECK-NOT:   gpu.
module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>, %blocks: index) {
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    gpu.launch_func @kernels::@add blocks in (%blocks, %c1, %c1) threads in (%c256, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @add(%A: memref<?xf32>) kernel {
      %b = gpu.block_id x
      %d = gpu.block_dim x
      %t = gpu.thread_id x
      %first = arith.muli %b, %d : index
      %i = arith.addi %first, %t : index
      %c0 = arith.constant 0 : index
      %n = memref.dim %A, %c0 : memref<?xf32>
      %inside = arith.cmpi ult, %i, %n : index
      scf.if %inside {
        %x = memref.load %A[%i] : memref<?xf32>
        %y = arith.addf %x, %x : f32
        memref.store %y, %A[%i] : memref<?xf32>
      }
      gpu.return
    }
  }
}

// -----

// A barrier: two pieces. Workgroup memory is memory of the function; %x is made before the barrier and used after it,
// so each thread has a slot for it.
// CHECK-LABEL: func.func @host
// One block: no loop over blocks.
// CHECK-NOT:     scf.parallel
// CHECK:         call @neighbour_block
// CHECK-LABEL: func.func private @neighbour_block(
// CHECK:         %[[SLOT:.+]] = memref.alloca() : memref<32xf32>
// CHECK:         %[[SHARED:.+]] = memref.alloca() : memref<32xf32>
// CHECK:         scf.for %[[T:.+]] = %c0 to %c32
// CHECK:           %[[X:.+]] = memref.load %{{.+}}[%[[T]]]
// CHECK:           memref.store %[[X]], %[[SHARED]][%[[T]]]
// CHECK:           memref.store %[[X]], %[[SLOT]][%[[T]]]
// CHECK:         }
// CHECK:         scf.for %[[U:.+]] = %c0 to %c32
// CHECK:           %[[KEPT:.+]] = memref.load %[[SLOT]][%[[U]]]
// CHECK:           %[[OTHER:.+]] = arith.xori %[[U]], %c1
// CHECK:           %[[Y:.+]] = memref.load %[[SHARED]][%[[OTHER]]]
// CHECK:           arith.addf %[[KEPT]], %[[Y]]
module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@neighbour blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @neighbour(%A: memref<?xf32>) workgroup(%S: memref<32xf32, #gpu.address_space<workgroup>>) kernel {
      %c1 = arith.constant 1 : index
      %t = gpu.thread_id x
      %x = memref.load %A[%t] : memref<?xf32>
      memref.store %x, %S[%t] : memref<32xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      %other = arith.xori %t, %c1 : index
      %y = memref.load %S[%other] : memref<32xf32, #gpu.address_space<workgroup>>
      %z = arith.addf %x, %y : f32
      memref.store %z, %A[%t] : memref<?xf32>
      gpu.return
    }
  }
}

// -----

// A barrier in a loop: the loop goes around the loops over threads, and what it carries is in slots. The branch is the
// same for all threads, so it goes outside too.
// CHECK-LABEL: func.func private @loop_block(
// CHECK:         %[[SLOT:.+]] = memref.alloca() : memref<4x8xf32>
// CHECK:         scf.for %{{.+}} = %c0 to %c4
// CHECK:           scf.for %{{.+}} = %c0 to %c8
// CHECK:             memref.store %{{.+}}, %[[SLOT]]
// CHECK:         scf.for %[[K:.+]] = %c0 to %[[N:.+]] step %c1 {
// CHECK:           %[[ODD:.+]] = arith.cmpi eq
// CHECK:           scf.if %[[ODD]] {
// CHECK:             scf.for %[[Y:.+]] = %c0 to %c4
// CHECK:               scf.for %[[X:.+]] = %c0 to %c8
// CHECK:                 %[[BEFORE:.+]] = memref.load %[[SLOT]][%[[Y]], %[[X]]]
// CHECK:                 memref.store %[[BEFORE]], %{{.+}}[%[[K]]]
// CHECK:           scf.for %[[Y2:.+]] = %c0 to %c4
// CHECK:             scf.for %[[X2:.+]] = %c0 to %c8
// CHECK:               %[[SUM:.+]] = arith.addf
// CHECK:               memref.store %[[SUM]], %[[SLOT]][%[[Y2]], %[[X2]]]
// CHECK-NOT:   gpu.barrier
module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c8 = arith.constant 8 : index
    gpu.launch_func @kernels::@loop blocks in (%c1, %c1, %c1) threads in (%c8, %c4, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @loop(%A: memref<?xf32>) kernel {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %zero = arith.constant 0.0 : f32
      %n = memref.dim %A, %c0 : memref<?xf32>
      %s = scf.for %k = %c0 to %n step %c1 iter_args(%before = %zero) -> (f32) {
        %bit = arith.andi %k, %c1 : index
        %odd = arith.cmpi eq, %bit, %c1 : index
        scf.if %odd {
          memref.store %before, %A[%k] : memref<?xf32>
          gpu.barrier
        }
        %x = memref.load %A[%k] : memref<?xf32>
        %next = arith.addf %before, %x : f32
        scf.yield %next : f32
      }
      memref.store %s, %A[%c0] : memref<?xf32>
      gpu.return
    }
  }
}

// -----

// Private memory of one piece serves all threads, one after another. A kernel that is launched twice is two functions.
// CHECK-LABEL: func.func @host
// CHECK:         call @private_block(
// CHECK:         call @private_block_0(
// CHECK-LABEL: func.func private @private_block(
// CHECK:         memref.alloca() : memref<2xf32>
// CHECK:       func.func private @private_block_0(
module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    gpu.launch_func @kernels::@private blocks in (%c1, %c1, %c1) threads in (%c4, %c1, %c1) args(%A : memref<?xf32>)
    gpu.launch_func @kernels::@private blocks in (%c1, %c1, %c1) threads in (%c1, %c4, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @private(%A: memref<?xf32>) private(%P: memref<2xf32, #gpu.address_space<private>>) kernel {
      %c0 = arith.constant 0 : index
      %t = gpu.thread_id x
      %x = memref.load %A[%t] : memref<?xf32>
      memref.store %x, %P[%c0] : memref<2xf32, #gpu.address_space<private>>
      %y = memref.load %P[%c0] : memref<2xf32, #gpu.address_space<private>>
      memref.store %y, %A[%t] : memref<?xf32>
      gpu.return
    }
  }
}

// What is to be done to a module for the device.
// RUN: ch15-opt --ch15-device-only --ch15-device-math --ch15-device-unroll %s | FileCheck %s
// RUN: ch15-opt --pass-pipeline="builtin.module(ch15-device-only,gpu.module(convert-gpu-to-nvvm{index-bitwidth=64}),ch15-kernel-abi)" %s | FileCheck %s --check-prefix=ABI

!map = !nvgpu.tensormap.descriptor<tensor = memref<64x64xf16, #gpu.address_space<workgroup>>, swizzle = swizzle_128b, l2promo = none, oob = zero, interleave = none>

// CHECK-NOT:   func.func
// ABI: llvm.mlir.global external @__dynamic_shmem__0() {addr_space = 3 : i32
module attributes {gpu.container_module} {
  func.func @host() {
    return
  }
  gpu.module @kernels {
    // A tensor map is a parameter of 128 bytes.
    // CHECK:       gpu.func @maps(%{{.+}}: !llvm.ptr {llvm.align = 64 : i64}, %{{.+}}: index)
    // ABI:         llvm.func @maps(%{{.+}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<16 x i64>, nvvm.grid_constant}, %{{.+}}: i64)
    gpu.func @maps(%map: !map, %k: index) kernel {
      %memory = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
      %byte = memref.load %memory[%k] : memref<?xi8, #gpu.address_space<workgroup>>
      memref.store %byte, %memory[%k] : memref<?xi8, #gpu.address_space<workgroup>>
      gpu.return
    }

    // CHECK-LABEL: gpu.func @math
    // CHECK-DAG:     llvm.call_intrinsic "llvm.floor"
    // CHECK-DAG:     llvm.call_intrinsic "llvm.exp2"
    // CHECK-NOT:     math.
    gpu.func @math(%x: f32, %A: memref<?xf32>) kernel {
      %c0 = arith.constant 0 : index
      %f = math.floor %x : f32
      %e = math.exp %f : f32
      %z = math.fma %e, %e, %x : f32
      memref.store %z, %A[%c0] : memref<?xf32>
      gpu.return
    }

    // Four turns at once, and the rest one by one; what is of a known length is left to LLVM.
    // CHECK-LABEL: gpu.func @loops
    // CHECK:         scf.for %{{.+}} = %{{.+}} to %{{.+}} step %{{.+}} iter_args
    // CHECK-COUNT-4:   memref.load
    // CHECK:           scf.yield
    // CHECK:         scf.for {{.+}} iter_args
    // CHECK-COUNT-1:   memref.load
    // CHECK:           scf.yield
    // CHECK:         scf.for {{.+}} iter_args
    // CHECK-COUNT-1:   memref.load
    // CHECK:           scf.yield
    // CHECK:         gpu.return
    gpu.func @loops(%A: memref<?xf32>, %n: index) kernel {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c16 = arith.constant 16 : index
      %zero = arith.constant 0.0 : f32
      %s = scf.for %i = %c0 to %n step %c1 iter_args(%before = %zero) -> (f32) {
        %x = memref.load %A[%i] : memref<?xf32>
        %next = arith.addf %before, %x : f32
        scf.yield %next : f32
      }
      %t = scf.for %i = %c0 to %c16 step %c1 iter_args(%before = %s) -> (f32) {
        %x = memref.load %A[%i] : memref<?xf32>
        %next = arith.addf %before, %x : f32
        scf.yield %next : f32
      }
      memref.store %t, %A[%c0] : memref<?xf32>
      gpu.return
    }
  }
}

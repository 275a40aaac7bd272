// What ch15-launch-to-loops refuses.
// RUN: ch15-opt --ch15-launch-to-loops --split-input-file --verify-diagnostics %s

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@divergent_if blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @divergent_if(%A: memref<?xf32>) kernel {
      %c7 = arith.constant 7 : index
      // expected-note @+1 {{it depends on a thread id, which differs between threads}}
      %t = gpu.thread_id x
      %few = arith.cmpi ult, %t, %c7 : index
      // expected-error @+1 {{'scf.if' op has a barrier that only some threads of a block may reach}}
      scf.if %few {
        gpu.barrier
      }
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xindex>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@divergent_for blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xindex>)
    return
  }
  gpu.module @kernels {
    gpu.func @divergent_for(%A: memref<?xindex>) kernel {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      // expected-note @+1 {{this may differ between threads}}
      %n = memref.load %A[%c0] : memref<?xindex>
      // expected-error @+1 {{'scf.for' op has a barrier, and bounds that may differ between the threads of a block}}
      scf.for %k = %c0 to %n step %c1 {
        gpu.barrier
      }
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@while blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @while(%A: memref<?xf32>) kernel {
      %true = arith.constant true
      // expected-error @+1 {{'scf.while' op has a barrier inside; only scf.for and scf.if are cut}}
      scf.while : () -> () {
        scf.condition(%true)
      } do {
        gpu.barrier
        scf.yield
      }
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@shuffle blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @shuffle(%A: memref<?xf32>) kernel {
      %one = arith.constant 1 : i32
      %width = arith.constant 32 : i32
      // expected-error @+1 {{'gpu.shuffle' op cannot be run one thread after another}}
      %x, %valid = gpu.shuffle xor %one, %one, %width : i32
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@view blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @view(%A: memref<?xf32>) kernel {
      %c0 = arith.constant 0 : index
      %x = arith.constant 0.0 : f32
      %t = gpu.thread_id x
      // expected-error @+1 {{that lives across a barrier, which is not supported}}
      %v = memref.subview %A[%t] [1] [1] : memref<?xf32> to memref<1xf32, strided<[1], offset: ?>>
      gpu.barrier
      memref.store %x, %v[%c0] : memref<1xf32, strided<[1], offset: ?>>
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@private blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @private(%A: memref<?xf32>) private(%P: memref<1xf32, #gpu.address_space<private>>) kernel {
      %c0 = arith.constant 0 : index
      %x = arith.constant 0.0 : f32
      memref.store %x, %P[%c0] : memref<1xf32, #gpu.address_space<private>>
      gpu.barrier
      // expected-error @+1 {{uses private memory on both sides of a barrier, which is not supported}}
      %y = memref.load %P[%c0] : memref<1xf32, #gpu.address_space<private>>
      memref.store %y, %A[%c0] : memref<?xf32>
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host(%A: memref<?xf32>, %threads: index) {
    %c1 = arith.constant 1 : index
    // expected-error @+1 {{'gpu.launch_func' op must have a constant block size}}
    gpu.launch_func @kernels::@nothing blocks in (%c1, %c1, %c1) threads in (%threads, %c1, %c1) args(%A : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @nothing(%A: memref<?xf32>) kernel {
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host() {
    %c1 = arith.constant 1 : index
    %bytes = arith.constant 64 : i32
    // expected-error @+1 {{with async tokens, clusters or dynamic workgroup memory is not supported}}
    gpu.launch_func @kernels::@nothing blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) dynamic_shared_memory_size %bytes
    return
  }
  gpu.module @kernels {
    gpu.func @nothing() kernel {
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @host() {
    %c1 = arith.constant 1 : index
    gpu.launch_func @kernels::@branch blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
  gpu.module @kernels {
    // expected-error @+1 {{must be structured, one block with scf.for and scf.if, to be cut at its barriers}}
    gpu.func @branch() kernel {
      cf.br ^next
    ^next:
      gpu.return
    }
  }
}

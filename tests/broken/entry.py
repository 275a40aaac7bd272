"""The entry point that takes descriptors is missing: nobody asked MLIR for it."""

# says: undefined symbol: _mlir_ciface_twice

import compiled

library = compiled.load("""
  func.func @twice(%x: f32) -> f32 {
  // instead: func.func @twice(%x: f32) -> f32 attributes {llvm.emit_c_interface} {
    %y = arith.addf %x, %x : f32
    return %y : f32
  }
""")
print("found", library._mlir_ciface_twice.__name__)

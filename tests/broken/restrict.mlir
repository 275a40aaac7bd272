// A buffer is read as a tensor, and nobody promised that nothing else writes to that buffer.
// run: mlir-opt %s --one-shot-bufferize
// says: error: 'bufferization.to_tensor' op to_tensor ops without `restrict` are not supported by One-Shot Analysis

func.func @element(%m: memref<8xf32>, %i: index) -> f32 {
  %t = bufferization.to_tensor %m : memref<8xf32> to tensor<8xf32>
  // instead: %t = bufferization.to_tensor %m restrict : memref<8xf32> to tensor<8xf32>
  %x = tensor.extract %t[%i] : tensor<8xf32>
  return %x : f32
}

// The pass has no option of that name.
// run: mlir-opt %s --one-shot-bufferize="bufferize-functions"
// instead: run: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries"
// says: error: <Pass-Options-Parser>: no such option bufferize-functions

func.func @same(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}

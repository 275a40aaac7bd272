// Bufferization cannot give a loop one buffer for each of its values: they change places at every turn.
// run: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries"
// instead: run: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries allow-return-allocs-from-loops"
// says: error: Yield operand #0 is not equivalent to the corresponding iter bbArg

func.func @ping_pong(%x: tensor<8xf32>, %y: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %first = arith.constant 0 : index
  %step = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %last:2 = scf.for %i = %first to %n step %step
      iter_args(%front = %x, %back = %y) -> (tensor<8xf32>, tensor<8xf32>) {
    %next = tensor.insert %zero into %front[%i] : tensor<8xf32>
    scf.yield %back, %next : tensor<8xf32>, tensor<8xf32>
  }
  return %last#0 : tensor<8xf32>
}

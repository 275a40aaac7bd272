// relu(x @ transpose(w)), computed: `tutorial/run tutorial/run.mlir`.
func.func private @printMemrefF32(tensor<*xf32>)

func.func @main() {
  %x = arith.constant dense<[[1.0, 2.0, 3.0], [-1.0, 0.0, 2.0]]> : tensor<2x3xf32>
  %w = arith.constant dense<[[0.0, 2.0, 1.0], [-3.0, 0.0, 0.0]]> : tensor<2x3xf32>
  %0 = nn.transpose %w : tensor<2x3xf32>
  %1 = nn.matmul %x, %0 : tensor<2x3xf32>, tensor<3x2xf32>
  %2 = nn.relu %1 : tensor<2x2xf32>
  %3 = tensor.cast %2 : tensor<2x2xf32> to tensor<*xf32>
  call @printMemrefF32(%3) : (tensor<*xf32>) -> ()
  return
}

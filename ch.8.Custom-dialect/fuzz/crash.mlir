
func.func @f(%a: tensor<4x8xf32>, %row: tensor<8xf32>) -> tensor<4x8xf32> {
  %empty = tensor.empty() : tensor<4x8xf32>
  %wide = linalg.broadcast ins(%row : tensor<8xf32>) outs(%empty : tensor<4x8xf32>) dimensions = [0]
  %sum = linalg.add ins(%a, %wide : tensor<4x8xf32>, tensor<4x8xf32>) outs(%empty : tensor<4x8xf32>) -> tensor<4x8xf32>
  %part = tensor.extract_slice %sum[1, 2] [2, 3] [1, 2] : tensor<4x8xf32> to tensor<2x3xf32>
  %more = linalg.exp ins(%part : tensor<2x3xf32>) outs(%part : tensor<2x3xf32>) -> tensor<2x3xf32>
  %result = tensor.insert_slice %more into %sum[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<4x8xf32>
  %padded = call @padded(%result) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %padded : tensor<4x8xf32>
}
func.func private @padded(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  return %padded : tensor<4x8xf32>
  %small = tensor.extract_slice %x[0, 0] [3, 7] [1, 1] : tensor<4x8xf32> to tensor<3x7xf32>
  %padded = tensor.pad %small low[1, 0] high[0, 1] {
  %padded = tensor.pad %small low[1, 0] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<3x7xf32> to tensor<4x8xf32>
  %zero = arith.constant 0.0 : f32
}
// Exercise 1: softmax in five loop nests.
//
// Fused, the graph's softmax has six: fill and max, exp, fill and sum, quotient. Two of these run over
// the same numbers in the same order, and one of them makes what the other reads. A linalg.generic may
// have two results, of different shapes: an init operand and an indexing map for each, and two values
// in its linalg.yield. Below is the IR that the graph builds.
//
//   python3 exercises/check.py 1
func.func @softmax(%x: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %row = tensor.empty() : tensor<4xf32>
  %all = tensor.empty() : tensor<4x5xf32>

  %max0 = linalg.fill ins(%lowest : f32) outs(%row : tensor<4xf32>) -> tensor<4xf32>
  %max = linalg.reduce { arith.maximumf } ins(%x : tensor<4x5xf32>) outs(%max0 : tensor<4xf32>) dimensions = [1]

  // TODO: from here to the sum, one linalg.generic beside the fill.
  %maxes = linalg.broadcast ins(%max : tensor<4xf32>) outs(%all : tensor<4x5xf32>) dimensions = [1]
  %below = linalg.sub ins(%x, %maxes : tensor<4x5xf32>, tensor<4x5xf32>) outs(%all : tensor<4x5xf32>) -> tensor<4x5xf32>
  %exp = linalg.exp ins(%below : tensor<4x5xf32>) outs(%all : tensor<4x5xf32>) -> tensor<4x5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%row : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.reduce { arith.addf } ins(%exp : tensor<4x5xf32>) outs(%sum0 : tensor<4xf32>) dimensions = [1]

  %sums = linalg.broadcast ins(%sum : tensor<4xf32>) outs(%all : tensor<4x5xf32>) dimensions = [1]
  %y = linalg.div ins(%exp, %sums : tensor<4x5xf32>, tensor<4x5xf32>) outs(%all : tensor<4x5xf32>) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

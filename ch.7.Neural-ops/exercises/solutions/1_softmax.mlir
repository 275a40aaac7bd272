func.func @softmax(%x: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %row = tensor.empty() : tensor<4xf32>
  %all = tensor.empty() : tensor<4x5xf32>

  %max0 = linalg.fill ins(%lowest : f32) outs(%row : tensor<4xf32>) -> tensor<4xf32>
  %max = linalg.reduce { arith.maximumf } ins(%x : tensor<4x5xf32>) outs(%max0 : tensor<4xf32>) dimensions = [1]

  // The sum takes each exponential while it is there.
  %sum0 = linalg.fill ins(%zero : f32) outs(%row : tensor<4xf32>) -> tensor<4xf32>
  %exp, %sum = linalg.generic {
    indexing_maps = [
      affine_map<(i, j) -> (i, j)>,
      affine_map<(i, j) -> (i)>,
      affine_map<(i, j) -> (i, j)>,
      affine_map<(i, j) -> (i)>
    ],
    iterator_types = ["parallel", "reduction"]
  } ins(%x, %max : tensor<4x5xf32>, tensor<4xf32>) outs(%all, %sum0 : tensor<4x5xf32>, tensor<4xf32>) {
  ^bb0(%element: f32, %largest: f32, %unused: f32, %so_far: f32):
    %below = arith.subf %element, %largest : f32
    %e = math.exp %below : f32
    %next = arith.addf %so_far, %e : f32
    linalg.yield %e, %next : f32, f32
  } -> (tensor<4x5xf32>, tensor<4xf32>)

  %sums = linalg.broadcast ins(%sum : tensor<4xf32>) outs(%all : tensor<4x5xf32>) dimensions = [1]
  %y = linalg.div ins(%exp, %sums : tensor<4x5xf32>, tensor<4x5xf32>) outs(%all : tensor<4x5xf32>) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

func.func @forward(%x: tensor<4x8xf32> {bufferization.writable = false},
                   %gamma: tensor<8xf32> {bufferization.writable = false}, %out: memref<4x8xf32>)
    attributes {llvm.emit_c_interface} {
  %zero = arith.constant 0.0 : f32
  %width = arith.constant 8.0 : f32
  %epsilon = arith.constant 1.0e-5 : f32
  %none = tensor.empty() : tensor<4xf32>
  %start = linalg.fill ins(%zero : f32) outs(%none : tensor<4xf32>) -> tensor<4xf32>
  %squares = linalg.generic {
      indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (t)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%start : tensor<4xf32>) {
  ^bb0(%e: f32, %sum: f32):
    %square = arith.mulf %e, %e : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<4xf32>
  %empty = tensor.empty() : tensor<4x8xf32>
  %unit = linalg.generic {
      indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (t)>, affine_map<(t, d) -> (t, d)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %squares : tensor<4x8xf32>, tensor<4xf32>) outs(%empty : tensor<4x8xf32>) {
  ^bb0(%e: f32, %sum: f32, %unused: f32):
    %mean = arith.divf %sum, %width : f32
    %positive = arith.addf %mean, %epsilon : f32
    %root = math.sqrt %positive : f32
    %quotient = arith.divf %e, %root : f32
    linalg.yield %quotient : f32
  } -> tensor<4x8xf32>
  %y = transformer.mul %unit, %gamma : tensor<4x8xf32>, tensor<8xf32>
  bufferization.materialize_in_destination %y in restrict writable %out : (tensor<4x8xf32>, memref<4x8xf32>) -> ()
  return
}

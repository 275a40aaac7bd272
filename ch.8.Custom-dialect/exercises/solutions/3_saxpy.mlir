#all = affine_map<(i) -> (i)>
func.func @saxpy(%alpha: f64, %x: memref<?xf32, strided<[?], offset: ?>>, %y: memref<?xf32, strided<[?], offset: ?>>,
                 %out: memref<?xf32>) {
  linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel"]}
      ins(%x, %y : memref<?xf32, strided<[?], offset: ?>>, memref<?xf32, strided<[?], offset: ?>>)
      outs(%out : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32, %old: f32):
    %wide_a = arith.extf %a : f32 to f64
    %wide_b = arith.extf %b : f32 to f64
    %product = arith.mulf %alpha, %wide_a : f64
    %sum = arith.addf %product, %wide_b : f64
    %narrow = arith.truncf %sum : f64 to f32
    linalg.yield %narrow : f32
  }
  return
}

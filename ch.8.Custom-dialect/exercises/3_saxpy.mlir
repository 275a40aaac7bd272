// Exercise 3: ch.5's saxpy for any signature.
//
// A function @saxpy of a number alpha (f64), two arrays x and y of f32 of any length and any stride, and the output:
// alpha * x + y. The arrays must be described as they are: a layout without strides would be a copy for each call that
// has some. The product is computed in f64 and rounded once, at the end.
//
//   python3 exercises/check.py 3
func.func @saxpy(%out: memref<?xf32>) {
  // TODO
  return
}

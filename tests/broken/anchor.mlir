// The pipeline is written for functions, and the tool runs it on a module.
// run: mlir-opt %s --pass-pipeline="func.func(convert-linalg-to-loops)"
// instead: run: mlir-opt %s --pass-pipeline="builtin.module(func.func(convert-linalg-to-loops))"
// says: error: can't run 'func.func' pass manager on 'builtin.module' op

func.func @zero(%m: memref<8xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%m : memref<8xf32>)
  return
}

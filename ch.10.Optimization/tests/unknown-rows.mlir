// An unknown number of rows: the schedules' passes say that they do not take it, the kernel does.
// RUN: ch10-opt --ch9-to-linalg --ch10-products --verify-diagnostics %s
// RUN: ch10-opt --ch9-to-linalg --ch10-pad --verify-diagnostics %s
// RUN: ch10-opt --ch9-to-linalg --ch10-pack --verify-diagnostics %s
// RUN: sed /expected-error/d %s | ch10-opt --ch9-to-linalg "--ch10-kernel=lanes=16" --canonicalize --cse - | FileCheck %s

// Three cuts, of which the number of rows chooses one: a tile of one row and four panels, of two and four, of four rows
// and two panels; else eight rows. The blocks are counted when the function is called.
// CHECK-LABEL: @unknown
// CHECK:         %[[M:.+]] = tensor.dim %arg0, %c0
// CHECK:         arith.cmpi ule, %[[M]], %c1
// CHECK:         scf.if
// CHECK:           scf.for %{{.+}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK:           arith.cmpi ule, %[[M]], %c2
// CHECK:           vector.transfer_write {{.+}} : vector<2x16xf32>
// CHECK:           arith.cmpi ule, %[[M]], %c4
// CHECK:           vector.transfer_write {{.+}} : vector<4x16xf32>
// CHECK:           vector.transfer_write {{.+}} : vector<8x16xf32>
func.func @unknown(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>) -> tensor<?x16xf32> {
  // expected-error @+1 {{has a number of rows that is not known yet: of the ladder, only 'baseline' and 'optimized' take that}}
  %0 = nn.linear %x, %w : tensor<?x8xf32>, tensor<16x8xf32>
  return %0 : tensor<?x16xf32>
}

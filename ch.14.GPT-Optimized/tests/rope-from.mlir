// ch.13's rope, for rows that stand at position 5 and after.
// RUN: ch13-opt --ch13-lower --split-input-file --verify-diagnostics %s | FileCheck %s

// CHECK-LABEL: func.func @from_five
// CHECK:         %[[FIVE:.*]] = arith.constant 5.000000e+00 : f64
// CHECK:         %[[AT:.*]] = arith.addf %{{.*}}, %[[FIVE]] : f64
// CHECK:         arith.mulf %[[AT]]
// CHECK:         math.cos
// CHECK:         math.sin
func.func @from_five(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %0 = transformer.rope %x heads 2 base 1.000000e+04 from 5 : tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @from_before(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  // expected-error @below {{attribute 'first' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = transformer.rope %x heads 2 base 1.000000e+04 from -1 : tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

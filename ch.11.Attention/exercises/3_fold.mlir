// Exercise 3: canonicalization makes one scale of two. Give transformer.scale a canonicalization pattern
// (hasCanonicalizer = 1 in TransformerOps.td, getCanonicalizationPatterns in dialect.cpp).
// Check: python3 exercises/check.py 3
// RUN: ch11-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: func.func @twice
// CHECK-SAME:      %[[X:.*]]: tensor<4xf32>
// CHECK-NEXT:    %[[Y:.*]] = transformer.scale %[[X]] by 1.500000e+00 : tensor<4xf32>
// CHECK-NEXT:    return %[[Y]]
func.func @twice(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = transformer.scale %x by 0.5 : tensor<4xf32>
  %1 = transformer.scale %0 by 3.0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}

// Who else needs the first result keeps it, and scaling by one is left alone.
// CHECK-LABEL: func.func @others
// CHECK-NEXT:    transformer.scale
// CHECK-NEXT:    transformer.softmax
// CHECK-NEXT:    transformer.scale
func.func @others(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = transformer.scale %x by 0.5 : tensor<4xf32>
  %1 = transformer.softmax %0 : tensor<4xf32>
  %2 = transformer.scale %1 by 3.0 : tensor<4xf32>
  return %2 : tensor<4xf32>
}

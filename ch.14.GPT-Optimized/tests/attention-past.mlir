// ch.11's attention and ch.13's rope, for tokens that stand after others.
// RUN: ch11-opt --ch11-decompose --split-input-file --verify-diagnostics %s | FileCheck %s

// Row t sees the keys 0 to 5 + t.
// CHECK-LABEL: func.func @after_five
// CHECK:         linalg.generic
// CHECK:           %[[ROW:.*]] = linalg.index 1
// CHECK:           %[[FIVE:.*]] = arith.constant 5 : index
// CHECK:           %[[AT:.*]] = arith.addi %[[ROW]], %[[FIVE]]
// CHECK:           %[[KEY:.*]] = linalg.index 2
// CHECK:           arith.cmpi ule, %[[KEY]], %[[AT]]
func.func @after_five(%q: tensor<2x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x8xf32>) -> tensor<2x8xf32> {
  %0 = transformer.attention %q, %k, %v heads 2 causal past 5 : tensor<2x8xf32>, tensor<7x8xf32>, tensor<7x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

// Without a past nothing is added.
// CHECK-LABEL: func.func @first
// CHECK-NOT:     arith.addi
func.func @first(%q: tensor<7x8xf32>) -> tensor<7x8xf32> {
  %0 = transformer.attention %q, %q, %q heads 2 causal : tensor<7x8xf32>, tensor<7x8xf32>, tensor<7x8xf32>
  return %0 : tensor<7x8xf32>
}

// -----

func.func @too_few_keys(%q: tensor<2x8xf32>, %k: tensor<6x8xf32>) -> tensor<2x8xf32> {
  // expected-error @below {{expected as many keys as past tokens and queries with causal, 7, got 6}}
  %0 = transformer.attention %q, %k, %k heads 2 causal past 5 : tensor<2x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @past_of_what(%q: tensor<2x8xf32>, %k: tensor<7x8xf32>) -> tensor<2x8xf32> {
  // expected-error @below {{expected causal where there is a past}}
  %0 = transformer.attention %q, %k, %k heads 2 past 5 : tensor<2x8xf32>, tensor<7x8xf32>, tensor<7x8xf32>
  return %0 : tensor<2x8xf32>
}

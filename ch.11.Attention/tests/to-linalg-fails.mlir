// The whole dialect is illegal after --ch11-to-linalg: an op without a pattern is an error, by name.
// RUN: ch11-opt --ch11-to-linalg --verify-diagnostics %s

func.func @attention(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  // expected-error @below {{failed to legalize operation 'transformer.attention' that was explicitly marked illegal}}
  %0 = transformer.attention %x, %x, %x heads 1 : tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

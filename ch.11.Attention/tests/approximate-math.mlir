// --ch11-approximate-math: exp and tanh become arithmetic, other functions stay.
// RUN: ch11-opt --ch11-approximate-math %s | FileCheck %s

// CHECK-LABEL: func.func @exp
// CHECK-NOT:     math.exp
// CHECK:         math.fma
func.func @exp(%x: f32) -> f32 {
  %0 = math.exp %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @tanh
// CHECK-NOT:     math.tanh
// CHECK:         arith.divf
func.func @tanh(%x: f32) -> f32 {
  %0 = math.tanh %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @others
// CHECK:         math.cos
// CHECK:         math.exp {{.*}} : f64
func.func @others(%x: f32, %y: f64) -> (f32, f64) {
  %0 = math.cos %x : f32
  %1 = math.exp %y : f64
  return %0, %1 : f32, f64
}

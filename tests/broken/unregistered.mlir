// The same for an operation in quotes: its dialect is in no registry of this program.
// run: mlir-opt %s
// instead: run: mlir-opt --allow-unregistered-dialect %s
// says: error: operation being parsed with an unregistered dialect

func.func @f(%x: f32) -> f32 {
  %y = "nn.relu"(%x) : (f32) -> f32
  return %y : f32
}

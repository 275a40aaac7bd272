// A product, and what comes after it, as loops over register tiles.
// RUN: ch10-opt --ch9-to-linalg --linalg-fuse-elementwise-ops "--ch10-kernel=lanes=16 dot=true" --canonicalize --cse --split-input-file %s | FileCheck %s
// RUN: ch10-opt --ch9-to-linalg --linalg-fuse-elementwise-ops "--ch10-kernel=lanes=8 dot=true" --canonicalize --cse --split-input-file %s | FileCheck %s --check-prefix=AVX2
// RUN: not ch10-opt "--ch10-kernel=lanes=5" --split-input-file %s 2>&1 | FileCheck %s --check-prefix=LANES

// LANES: error: lanes: expected 16, 8 or 4, got 5

// Small factors are read as they lie. The bias is added and relu computed on the tile's vectors. There is less to do than
// waking a thread takes, so panels come one after the other, in a loop.
// CHECK-LABEL: @small
// CHECK:         scf.for %{{.+}} = %c0{{.*}} to %c2{{.*}} step %c1{{.*}} iter_args(
// CHECK:           %[[PART:.+]] = tensor.extract_slice %{{.+}} : tensor<16x64xf32> to tensor<16x32xf32>
// CHECK:           scf.for {{.+}} iter_args(%[[C:.+]] = %[[PART]])
// CHECK:             %[[SUMS:.+]]:16 = scf.for
// CHECK:               vector.transfer_read %arg1[
// CHECK:               tensor.extract %arg0[
// CHECK:               vector.fma
// CHECK:             vector.transfer_read %arg2[
// CHECK:             arith.addf %[[SUMS]]#0, %{{.+}} : vector<16xf32>
// CHECK:             arith.maximumf %{{.+}} : vector<16xf32>
// CHECK:             vector.transfer_write %{{.+}} {in_bounds = [true, true]} : vector<8x16xf32>, tensor<16x32xf32>
// CHECK:           tensor.insert_slice
// CHECK-NOT:     linalg.generic
// 16 rows in tiles of 6 are 6 + 5 + 5.
// AVX2-LABEL: @small
// AVX2:         vector.transfer_write %{{.+}} {in_bounds = [true, true]} : vector<6x8xf32>, tensor<16x16xf32>
// AVX2:         vector.transfer_write %{{.+}} {in_bounds = [true, true]} : vector<5x8xf32>, tensor<16x16xf32>
func.func @small(%x: tensor<16x8xf32>, %w: tensor<8x64xf32>, %b: tensor<64xf32>) -> tensor<16x64xf32> {
  %0 = nn.matmul %x, %w : tensor<16x8xf32>, tensor<8x64xf32>
  %1 = nn.add %0, %b : tensor<16x64xf32>, tensor<64xf32>
  %2 = nn.relu %1 : tensor<16x64xf32>
  return %2 : tensor<16x64xf32>
}

// -----

// A constant's panels come as an argument: [3 panels, filled up to 4, k, 32 columns]. A function makes them, and an
// attribute of the module says so.
// CHECK:       module attributes {nn.prepared = [{function = "prepare_1", layout = "panels of 32 columns of the transpose", leaf = 1 : i64
// CHECK-SAME:    shape = array<i64: 4, 8, 32>, type = "float32"}]}
// CHECK-LABEL: @constant
// CHECK-SAME:    %arg1: tensor<4x8x32xf32> {nn.constant = "float32"}
// CHECK:         vector.transfer_read %arg1[
// CHECK:       func.func @prepare_1(%[[W:.+]]: tensor<70x8xf32> {bufferization.writable = false}, %[[OUT:.+]]: memref<4x8x32xf32>)
// CHECK:         vector.transfer_read %[[W]]
// CHECK:         vector.transpose
// CHECK:         bufferization.materialize_in_destination %{{.+}} in restrict writable %[[OUT]]
func.func @constant(%x: tensor<16x8xf32>, %w: tensor<70x8xf32> {nn.constant = "float32"}) -> tensor<16x70xf32> {
  %0 = nn.linear %x, %w : tensor<16x8xf32>, tensor<70x8xf32>
  return %0 : tensor<16x70xf32>
}

// -----

// A constant that somebody else reads too stays as it is.
// CHECK-NOT:   nn.prepared
// CHECK-LABEL: @read_by_others
// CHECK-SAME:    %arg1: tensor<8x8xf32> {nn.constant = "float32"}
func.func @read_by_others(%x: tensor<8x8xf32>, %w: tensor<8x8xf32> {nn.constant = "float32"}) -> tensor<8x8xf32> {
  %0 = nn.matmul %x, %w : tensor<8x8xf32>, tensor<8x8xf32>
  %1 = nn.add %0, %w : tensor<8x8xf32>, tensor<8x8xf32>
  return %1 : tensor<8x8xf32>
}

// -----

// bfloat16: two steps of k in an i32. With vectors of 16 the processor multiplies pairs, else they are widened.
// CHECK-LABEL: @bfloat16
// CHECK-SAME:    %arg1: tensor<4x4x32xi32>
// CHECK:         x86vector.avx512.dot
// CHECK:       func.func @prepare_1
// CHECK:         arith.truncf {{.+}} to vector<32x32xbf16>
// CHECK:         vector.bitcast {{.+}} to vector<32x16xi32>
// AVX2-LABEL: @bfloat16
// AVX2-NOT:     x86vector
// AVX2:         vector.fma
func.func @bfloat16(%x: tensor<8x8xf32>, %w: tensor<8x32xf32> {nn.constant = "bfloat16"}) -> tensor<8x32xf32> {
  %0 = nn.matmul %x, %w : tensor<8x8xf32>, tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----

// Few rows and a large factor that nobody packed: eight of its rows at a time, the sums wait in a buffer.
// CHECK-LABEL: @streamed
// CHECK:         scf.forall (%{{.+}}) in (2) shared_outs
// CHECK:           %[[SUMS:.+]] = linalg.fill
// CHECK:           scf.for %{{.+}} = %c0{{.*}} to %c256{{.*}} step %c8{{.*}} iter_args(%{{.+}} = %[[SUMS]])
// CHECK:             vector.fma
// CHECK:           tensor.parallel_insert_slice
func.func @streamed(%x: tensor<5x256xf32>, %w: tensor<256x2048xf32>) -> tensor<5x2048xf32> {
  %0 = nn.matmul %x, %w : tensor<5x256xf32>, tensor<256x2048xf32>
  return %0 : tensor<5x2048xf32>
}

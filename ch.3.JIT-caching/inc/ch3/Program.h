// Program.h - compiled gemms, and the cache that this chapter keeps them in.
#pragma once

#include "ch1/Jit.h"
#include "ch1/Recipe.h"
#include "ch2/Gemm.h"
#include "ch3/Cache.h"

#include <array>
#include <optional>

namespace ch3 {

// [program]
/// Machine code and the address of its @gemm. The address is good as long as
/// the code is, so the two are one object.
class Program {
public:
  Program(mlir::ModuleOp lowered, const ch1::JitOptions &options);
  ~Program();

  /// To be called while this object lives.
  ch2::GemmFunction gemm() const { return function; }

  /// How many there are: to see that none is forgotten in memory.
  static int64_t numLive();

private:
  ch1::Jit jit;
  ch2::GemmFunction function;
};
// [/program]

/// M, K and N, where they are fixed when the function is compiled.
using Shape = std::optional<std::array<int64_t, 3>>;

/// ch.2's function for every shape, or the same function with one shape in its
/// types (ir.cpp).
ch1::Recipe recipe(Shape shape);

/// All that goes into a compile, and so all that goes into a key.
struct Request {
  Shape shape;
  ch1::Text ir; // a reader's own IR
  int optLevel = 3;
};

/// Equal for two requests only where one program serves both (jit.cpp).
std::string keyOf(const Request &request);

/// The program for a request, from the cache. Throws CompileError.
std::shared_ptr<const Program> program(const Request &request);

/// Never destroyed: at the end of the process a thread may still be computing.
Cache<Program> &cache();

} // namespace ch3

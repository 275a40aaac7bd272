// jit.cpp - from a request to a program, by way of the cache.
//
//   Request --keyOf--> key --+-- known --------------------------> Program
//                            +-- new: recipe, lower, ch1::Jit ---> Program
#include "ch3/Program.h"

#include <atomic>

using namespace mlir;

namespace ch3 {

static std::atomic<int64_t> numLivePrograms = 0;

Program::Program(ModuleOp lowered, const ch1::JitOptions &options)
    : jit(lowered, options),
      function(reinterpret_cast<ch2::GemmFunction>(jit.lookup("gemm"))) {
  ++numLivePrograms; // here, where nothing throws any more
}

Program::~Program() { --numLivePrograms; }

int64_t Program::numLive() { return numLivePrograms; }

// [key]
std::string keyOf(const Request &request) {
  std::string key = "O" + std::to_string(request.optLevel);
  if (request.shape)
    for (int64_t size : *request.shape)
      key += " " + std::to_string(size);
  if (request.ir)
    key += "\n" + *request.ir; // whole: a hash of it could be that of another
  return key;
}
// [/key]

Cache<Program> &cache() {
  static auto &cache = *new Cache<Program>(/*capacity=*/64);
  return cache;
}

// [compile]
std::shared_ptr<const Program> program(const Request &request) {
  return cache().get(keyOf(request), [&] {
    ch1::Lowered lowered(recipe(request.shape), request.ir);
    ch1::JitOptions options;
    options.optLevel = request.optLevel;
    return std::make_shared<const Program>(*lowered.module, options);
  });
}
// [/compile]

} // namespace ch3

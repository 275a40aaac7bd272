//===- threads.cpp - OpenMP's runtime, for parallel loops -----------------===//
#include "ch10/Threads.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdexcept>

namespace ch10 {

namespace {

/// libomp, loaded once and never unloaded: its threads outlive every call.
/// Opened for us alone: PyTorch and others bring an OpenMP of their own, and
/// nobody's calls end in another's library.
struct Runtime {
  std::vector<std::pair<std::string, void *>> symbols;
  void (*setNumThreads)(int);

  Runtime() {
    static const char path[] =
#include "ch10/LibOmp.inc"
        ;
    void *library = path[0] ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!library)
      throw std::runtime_error(
          std::string("threads need OpenMP's runtime library, libomp, which ") +
          (path[0] ? "could not be loaded: " + std::string(dlerror())
                   : "was not there when the course was built") +
          "; install the package libomp-dev of the same LLVM (Debian: "
          "libomp-22-dev) and build again");
    for (const char *name :
         {"__kmpc_fork_call", "__kmpc_global_thread_num", "__kmpc_barrier",
          "__kmpc_for_static_init_8u", "__kmpc_for_static_init_4u",
          "__kmpc_for_static_fini", "__kmpc_push_num_threads",
          "omp_get_thread_num", "omp_get_num_threads"})
      symbols.emplace_back(name, find(library, name));
    setNumThreads =
        reinterpret_cast<void (*)(int)>(find(library, "omp_set_num_threads"));
  }

  static void *find(void *library, const char *name) {
    void *address = dlsym(library, name);
    if (!address)
      throw std::runtime_error(std::string("libomp has no function ") + name);
    return address;
  }
};

} // namespace

static const Runtime &runtime() {
  static const Runtime &one = *new Runtime; // tried again where it throws
  return one;
}

const std::vector<std::pair<std::string, void *>> &openMPSymbols() {
  return runtime().symbols;
}

void useThreads(int64_t count) {
  runtime().setNumThreads(static_cast<int>(count));
}

int64_t numProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 1;
  return CPU_COUNT(&set);
}

} // namespace ch10

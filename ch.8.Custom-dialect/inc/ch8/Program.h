// Program.h - compiled texts, and the cache that they are kept in.
#pragma once

#include "ch1/Jit.h"
#include "ch3/Cache.h"
#include "ch8/Call.h"

#include <map>
#include <memory>
#include <string>

namespace ch8 {

/// The machine code of a text, with all its functions.
class Program {
public:
  /// Reads, lowers and compiles. Throws CompileError.
  explicit Program(const std::string &text);

  struct Function {
    std::unique_ptr<Call> call; // none where it cannot be called
    void *address = nullptr;
    std::string refusal;
  };

  /// Throws std::invalid_argument (ValueError in Python) where there is none,
  /// CompileError where it cannot be called.
  const Function &function(const std::string &name) const;

private:
  std::unique_ptr<ch1::Jit> jit;
  std::map<std::string, Function> functions;
};

/// The programs of the texts seen so far. Never destroyed: at the end of the
/// process a thread may still be computing.
ch3::Cache<Program> &cache();

/// The program of a text, from the cache. A text that is not `trusted` is tried
/// in a process of its own before it is compiled in this one.
std::shared_ptr<const Program> program(const std::string &text, bool trusted);

} // namespace ch8

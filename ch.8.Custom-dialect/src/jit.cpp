// jit.cpp - from text to machine code, once for each text.
//
//   text -> [tried in a process of its own] -> read -> lower -> ch.1's Jit
//        -> an address and a prepared call for each function
#include "ch8/Program.h"

#include "ch1/Diagnostics.h"
#include "ch8/Text.h"

#include <stdexcept>

using namespace mlir;

namespace ch8 {

Program::Program(const std::string &text) {
  onLargeStack([&] {
    Source source = read(text);
    lower(source);
    jit = std::make_unique<ch1::Jit>(*source.module);
    for (auto &[name, entry] : source.functions) {
      Function &function = functions[name];
      function.refusal = entry.refusal;
      if (!entry.signature)
        continue;
      function.call = std::make_unique<Call>(std::move(*entry.signature));
      function.address = jit->lookup(compiledName(name));
    }
  });
}

const Program::Function &Program::function(const std::string &name) const {
  auto found = functions.find(name);
  if (found == functions.end()) {
    std::string names;
    for (const auto &[defined, function] : functions)
      names += (names.empty() ? "@" : ", @") + defined;
    throw std::invalid_argument("function: the text defines no @" + name +
                                ", it defines " +
                                (names.empty() ? "nothing" : names));
  }
  if (!found->second.call)
    throw ch1::CompileError(found->second.refusal);
  return found->second;
}

ch3::Cache<Program> &cache() {
  static auto &programs = *new ch3::Cache<Program>();
  return programs;
}

// [program]
std::shared_ptr<const Program> program(const std::string &text, bool trusted) {
  return cache().get(text, [&] {
    if (!trusted)
      tryInOwnProcess(text, Trial::Compile);
    return std::make_shared<const Program>(text);
  });
}
// [/program]

} // namespace ch8

// call.cpp - calls a function whose number of arguments is known only at run
// time.
//
//   words = {pointer, pointer, 0, 4, 3, 3, 1, pointer, …}      14 of them
//     --> wrapper<14>: function(words[0], words[1], …, words[13])
//
// A compiled function takes a memref as 3 + 2 * rank separate arguments, all of
// 64 bits. C++ must know how many there are when the call itself is compiled,
// so there is one wrapper for each number of words, and a table of them. Both
// x86-64 and AArch64 pass a pointer where they pass an integer of 64 bits,
// hence one type for all words.
#include "ch7/Program.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace ch7 {

// [wrappers]
// [spread]
template <size_t> using Word = int64_t;

template <size_t... I>
static void spread(void *function, const int64_t *words,
                   std::index_sequence<I...>) {
  using Expanded = void (*)(Word<I>...);
  reinterpret_cast<Expanded>(function)(words[I]...);
}

template <size_t N> static void wrapper(void *function, const int64_t *words) {
  spread(function, words, std::make_index_sequence<N>());
}
// [/spread]

using Wrapper = void (*)(void *function, const int64_t *words);

template <size_t... N>
static constexpr std::array<Wrapper, sizeof...(N)>
makeTable(std::index_sequence<N...>) {
  return {wrapper<N>...};
}

static constexpr auto kWrappers =
    makeTable(std::make_index_sequence<kMaxWords + 1>());

void callExpanded(void *function, llvm::ArrayRef<int64_t> words) {
  if (words.size() > kMaxWords)
    throw std::logic_error("no wrapper for so many words");
  kWrappers[words.size()](function, words.data());
}
// [/wrappers]

} // namespace ch7

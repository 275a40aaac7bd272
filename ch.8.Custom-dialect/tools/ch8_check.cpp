// ch8_check.cpp - compiles a text and forgets it, for src/process.cpp.
//
//   ch8_check read|compile < text        0: it can be done; 1: why not, on
//   stdout
//
// The last word is the exit status: whatever else ends this process, a crash or
// a limit, tells that the text must not be compiled anywhere else.
#include "ch1/Diagnostics.h"
#include "ch1/Jit.h"
#include "ch8/Text.h"

#include <cstdio>
#include <iostream>
#include <iterator>
#include <sys/resource.h>
#include <unistd.h>

// The address sanitizer maps terabytes.
#if defined(__SANITIZE_ADDRESS__)
static constexpr bool kSanitized = true;
#elif defined(__has_feature)
static constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
static constexpr bool kSanitized = false;
#endif

static void limit(int resource, size_t most) {
  rlimit both = {most, most};
  setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

int main(int argc, char **argv) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, ch8::kMaxCpuSeconds);
  if (!kSanitized)
    limit(RLIMIT_AS, ch8::kMaxBytes);
  bool readOnly = argc > 1 && std::string(argv[1]) == "read";
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  int status = 0;
  try {
    ch8::onLargeStack([&] {
      ch8::Source source = ch8::read(text);
      if (readOnly)
        return;
      ch8::lower(source);
      ch1::assembly(*source.module);
    });
  } catch (const ch1::CompileError &error) {
    std::fputs(error.what(), stdout);
    status = 1;
  }
  std::fflush(stdout);
  _exit(status); // no destructors: they have nothing to say
}

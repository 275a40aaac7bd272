// process.cpp - what keeps this process alive while text is compiled.
//
//   text --stdin--> ch8_check: read, lower, compile, forget --> exit status
//                     0  the same is done here
//                     1  it said why not: CompileError
//                     dead, or out of its limits: CompileError too
//
// MLIR's parser and passes are written for text that people and tools wrote,
// and there is text that crashes them (fuzz/crash.mlir). No check before the
// parser can find it; another process can.
#include "ch8/Text.h"

#include "ch1/Diagnostics.h"
#include "ch3/Cache.h"

#include "llvm/Support/SHA256.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char **environ;

namespace ch8 {

// [large-stack]
void onLargeStack(const std::function<void()> &task) {
  struct Work {
    const std::function<void()> &task;
    std::exception_ptr error;
  } work{task, nullptr};
  auto run = [](void *argument) -> void * {
    auto *work = static_cast<Work *>(argument);
    try {
      work->task();
    } catch (...) {
      work->error = std::current_exception();
    }
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t(256) << 20); // used as needed
  pthread_t thread;
  int failed = pthread_create(&thread, &attributes, run, &work);
  pthread_attr_destroy(&attributes);
  if (failed)
    throw ch1::CompileError("no thread to compile in: out of memory?");
  pthread_join(thread, nullptr);
  if (work.error)
    std::rethrow_exception(work.error);
}
// [/large-stack]

namespace {

/// A file in memory, closed at the end.
class MemoryFile {
public:
  MemoryFile() : file(memfd_create("ch8", MFD_CLOEXEC)) {
    if (file < 0)
      throw ch1::CompileError(std::string("no file in memory: ") +
                              std::strerror(errno));
  }
  ~MemoryFile() { close(file); }
  MemoryFile(const MemoryFile &) = delete;
  MemoryFile &operator=(const MemoryFile &) = delete;

  void write(const std::string &text) {
    for (size_t done = 0; done < text.size();) {
      ssize_t count =
          pwrite(file, text.data() + done, text.size() - done, done);
      if (count <= 0)
        throw ch1::CompileError("a text could not be handed over");
      done += count;
    }
  }

  std::string read() const {
    std::string text(lseek(file, 0, SEEK_END), '\0');
    ssize_t count = pread(file, text.data(), text.size(), 0);
    text.resize(count > 0 ? count : 0);
    return text;
  }

  const int file;
};

/// The helper lies beside this module.
std::string helper() {
  Dl_info info;
  dladdr(reinterpret_cast<void *>(&onLargeStack), &info);
  std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + "ch8_check";
}

/// Freed memory is overwritten in the helper, so that what is used after it was
/// freed is more likely to be noticed there.
std::vector<char *> environment() {
  std::vector<char *> variables;
  for (char **variable = environ; *variable; ++variable)
    variables.push_back(*variable);
  variables.push_back(const_cast<char *>("MALLOC_PERTURB_=165"));
  variables.push_back(nullptr);
  return variables;
}

// [spawn]
/// What is wrong with a text; "" for nothing. Throws CompileError where it
/// cannot be found out.
std::string problemOf(const std::string &text, Trial trial) {
  MemoryFile input, output;
  input.write(text);
  std::string program = helper(),
              mode = trial == Trial::Read ? "read" : "compile";
  char *arguments[] = {program.data(), mode.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input.file, 0);
  posix_spawn_file_actions_adddup2(&files, output.file, 1);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t child;
  int failed = posix_spawn(&child, program.c_str(), &files, nullptr, arguments,
                           environment().data());
  posix_spawn_file_actions_destroy(&files);
  if (failed)
    throw ch1::CompileError(program +
                            " could not be started: " + std::strerror(failed) +
                            ". Build the target ch8_check.");
  int status = 0;
  pid_t ended;
  do
    ended = waitpid(child, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended == child && WIFEXITED(status) && WEXITSTATUS(status) <= 1)
    return output.read();
  std::string problem = "the compiler did not survive this text";
  if (ended == child && WIFSIGNALED(status))
    problem += WTERMSIG(status) == SIGXCPU
                   ? ": it took more than " + std::to_string(kMaxCpuSeconds) +
                         " seconds"
                   : std::string(": ") + strsignal(WTERMSIG(status));
  if (ended == child && WIFEXITED(status)) // 127: a library was not found
    problem += ": exit status " + std::to_string(WEXITSTATUS(status));
  return problem;
}
// [/spawn]

} // namespace

void tryInOwnProcess(const std::string &text, Trial trial) {
  // What was found is kept, but not the text, which may be long.
  static auto &tried = *new ch3::Cache<std::string>(/*capacity=*/256);
  auto digest = llvm::SHA256::hash(
      {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
  std::string key(digest.begin(), digest.end());
  key += trial == Trial::Read ? 'r' : 'c';
  auto problem = tried.get(key, [&] {
    return std::make_shared<const std::string>(problemOf(text, trial));
  });
  if (!problem->empty())
    throw ch1::CompileError(*problem);
}

} // namespace ch8

// stored_code.cpp - machine code that a file can hold: its key, its way back.
//
//   module, passes --codeKey--> key -- known? --> object --StoredCode-->
//   address
//
// ExecutionEngine takes modules only, so an object goes to the layer below it:
// LLJIT, which links.
#include "ch1/Diagnostics.h"
#include "ch3/StoredCode.h"

#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Host.h"
#include <link.h>
#include <sys/stat.h>

using namespace mlir;

namespace ch3 {

//===--- The key ----------------------------------------------------------===//

namespace {

/// Looks for the loaded library that an address belongs to.
struct Library {
  uintptr_t address;
  std::string path;
  std::string buildId; // "" where the linker was not asked for one

  static int look(dl_phdr_info *info, size_t, void *given) {
    auto &library = *static_cast<Library *>(given);
    llvm::ArrayRef<ElfW(Phdr)> segments(info->dlpi_phdr, info->dlpi_phnum);
    auto begin = [&](const ElfW(Phdr) & segment) {
      return info->dlpi_addr + segment.p_vaddr;
    };
    if (llvm::none_of(segments, [&](const ElfW(Phdr) & segment) {
          return segment.p_type == PT_LOAD &&
                 library.address - begin(segment) < segment.p_memsz;
        }))
      return 0; // the next one
    library.path = info->dlpi_name;
    for (const ElfW(Phdr) &segment : segments)
      if (segment.p_type == PT_NOTE)
        library.readNotes(
            {reinterpret_cast<const char *>(begin(segment)), segment.p_memsz});
    return 1;
  }

  /// A note is a header, a name and a text, each in whole words of 4 bytes.
  void readNotes(llvm::StringRef notes) {
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
      ElfW(Nhdr) header;
      std::memcpy(&header, notes.data(), sizeof(header));
      notes = notes.drop_front(sizeof(header));
      llvm::StringRef name = notes.take_front(header.n_namesz);
      notes = notes.drop_front(
          std::min<size_t>(notes.size(), llvm::alignTo(header.n_namesz, 4)));
      if (header.n_type == NT_GNU_BUILD_ID && name == llvm::StringRef("GNU", 4))
        buildId = llvm::toHex(notes.take_front(header.n_descsz));
      notes = notes.drop_front(
          std::min<size_t>(notes.size(), llvm::alignTo(header.n_descsz, 4)));
    }
  }
};

} // namespace

// [build]
/// Which build of a library this is: the ID that its linker wrote into it, a
/// hash of its contents; or else where its file lies, its size and its time.
static std::string buildOf(const void *address) {
  Library library{reinterpret_cast<uintptr_t>(address), "", ""};
  dl_iterate_phdr(&Library::look, &library);
  if (!library.buildId.empty())
    return library.buildId;
  struct stat status = {};
  ::stat(library.path.c_str(), &status);
  return library.path + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec);
}
// [/build]

// [key]
std::string codeKey(ModuleOp module, PassManager &passes,
                    const ch1::JitOptions &options, const void *core) {
  static const std::string builds = [] {
    auto mlirFunction =
        static_cast<LogicalResult (*)(Operation *, bool)>(verify);
    return "llvm " LLVM_VERSION_STRING " " +
           buildOf(reinterpret_cast<void *>(&llvm::sys::getHostCPUName)) +
           "\nmlir " + buildOf(reinterpret_cast<void *>(mlirFunction));
  }();
  std::string key = builds + "\ncore " + buildOf(core) + "\nhost " +
                    ch1::hostText(options) + "\ncalls";
  for (const auto &[name, address] : options.symbols)
    key += " " + name;
  for (const std::string &library : options.sharedLibraries)
    key += " " + library;
  key += "\npasses ";
  llvm::raw_string_ostream os(key);
  passes.printAsTextualPipeline(os);
  os << "\n";
  // With locations, which a pass may look at.
  module->print(os, OpPrintingFlags().enableDebugInfo());
  return key;
}
// [/key]

//===--- The way back -----------------------------------------------------===//

template <typename T>
static T take(llvm::Expected<T> expected, const std::string &what) {
  if (!expected)
    throw ch1::CompileError(what + ": " + llvm::toString(expected.takeError()));
  return std::move(*expected);
}

static void check(llvm::Error error, const std::string &what) {
  if (error)
    throw ch1::CompileError(what + ": " + llvm::toString(std::move(error)));
}

// [load]
StoredCode::StoredCode(StringRef object, const ch1::JitOptions &options) {
  const std::string what = "stored code cannot be loaded";
  llvm::orc::LLJITBuilder builder;
  // The code has no constructors to run, so it needs no platform, which LLJIT
  // would compile.
  builder.setPlatformSetUp(llvm::orc::setUpInactivePlatform);
  jit = take(builder.create(), what);
  auto &session = jit->getExecutionSession();
  session.setErrorReporter(
      [](llvm::Error error) { llvm::consumeError(std::move(error)); });
  llvm::orc::SymbolMap symbols;
  for (const auto &[name, address] : options.symbols)
    symbols[jit->mangleAndIntern(name)] = {
        llvm::orc::ExecutorAddr::fromPtr(address),
        llvm::JITSymbolFlags::Exported};
  check(jit->getMainJITDylib().define(
            llvm::orc::absoluteSymbols(std::move(symbols))),
        what);
  check(jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)), what);
}
// [/load]

StoredCode::~StoredCode() = default;

void *StoredCode::lookup(StringRef function) const {
  return take(jit->lookup(function),
              "no stored function '" + function.str() + "'")
      .toPtr<void *>();
}

void StoredCode::invoke(StringRef function,
                        MutableArrayRef<void *> arguments) const {
  auto call =
      reinterpret_cast<void (*)(void **)>(lookup("_mlir_" + function.str()));
  call(arguments.data());
}

} // namespace ch3

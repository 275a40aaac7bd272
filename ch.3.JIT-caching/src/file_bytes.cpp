// file_bytes.cpp - what a file holds, mapped by huge pages or copied into them.
#include "ch3/FileBytes.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <utility>

namespace ch3 {

static constexpr uint64_t kHugePage = 2 << 20;
static constexpr uint64_t kSample = 4 * kHugePage;

/// Has the kernel mapped huge pages at `address`? Only its own report says.
static bool hasHugePages(const void *address) {
  // Its size is not known before it is read.
  auto report = llvm::MemoryBuffer::getFileAsStream("/proc/self/smaps");
  if (!report)
    return false;
  bool isOurs = false;
  for (llvm::StringRef line : llvm::split(
           (*report)->getBuffer(), '\n')) { // 7f01-7f09 r--p … / Key: n kB
    auto [first, rest] = line.split('-');
    uint64_t begin, end;
    if (!first.getAsInteger(16, begin) &&
        !rest.split(' ').first.getAsInteger(16, end))
      isOurs = begin <= uintptr_t(address) && uintptr_t(address) < end;
    else if (isOurs && line.consume_front("FilePmdMapped:"))
      return line.trim().split(' ').first != "0";
  }
  return false;
}

// [file-bytes]
FileBytes::FileBytes(const File &file, uint64_t offset) : offset(offset) {
  length = file.size();
  if (length < offset)
    throw FolderError("a file ends too early");
  size = length - offset;
  if (!size)
    return;
  void *all =
      ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file.get(), /*offset=*/0);
  if (all == MAP_FAILED)
    throw FolderError(std::string("a file cannot be mapped: ") +
                      std::strerror(errno));
  memory = static_cast<char *>(all);
  begin = memory + offset;
  if (length < kSample)
    return;
  // Newer kernels keep files in huge pages, on some file systems. Look at a few
  // of them: that tells what the others will be.
  ::madvise(memory, length, MADV_HUGEPAGE);
  for (uint64_t i = 0; i < kSample; i += kHugePage)
    (void)*const_cast<volatile char *>(memory + i);
  if (hasHugePages(memory))
    return;
  ::munmap(std::exchange(memory, nullptr), length);
  length = llvm::alignTo(size, kHugePage);
  memory = static_cast<char *>(std::aligned_alloc(kHugePage, length));
  if (!memory)
    throw std::bad_alloc();
  ::madvise(memory, length, MADV_HUGEPAGE);
  begin = memory;
  mapped = false;
}
// [/file-bytes]

FileBytes::FileBytes(FileBytes &&other)
    : memory(std::exchange(other.memory, nullptr)), length(other.length),
      begin(other.begin), size(other.size), offset(other.offset),
      mapped(other.mapped) {}

FileBytes::~FileBytes() {
  if (memory && mapped)
    ::munmap(memory, length);
  else
    std::free(memory);
}

void FileBytes::load(const File &file, uint64_t first, uint64_t count) {
  if (!mapped)
    file.read({begin + first, count}, offset + first);
}

} // namespace ch3

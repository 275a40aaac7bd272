// FileBytes.h - what a file holds, as memory that is fast to read.
//
//   mapped    the pages are those that the kernel keeps of the file: nothing is
//             copied, all processes share them, and so do those who read later
//   copied    where the kernel would map pages of 4 KiB only, of many bytes:
//             reading them in order takes almost twice as long
#pragma once

#include "ch3/PrivateFolder.h"

namespace ch3 {

/// The bytes of a file from `offset`, a multiple of the page size, to its end.
/// They must not be written. Whoever writes a file in place while somebody has
/// its bytes takes them from under him; PrivateFolder::write() never does.
class FileBytes {
public:
  /// Maps the file, or sets memory aside for a copy, which load() fills.
  /// Throws FolderError, or std::bad_alloc.
  FileBytes(const File &file, uint64_t offset);
  FileBytes(FileBytes &&other);
  FileBytes &operator=(FileBytes &&) = delete;
  ~FileBytes();

  llvm::ArrayRef<char> bytes() const { return {begin, size}; }
  bool isMapped() const { return mapped; }

  /// Makes the bytes [first, first + count) available: reads them, where they
  /// are a copy. To be called once for each byte, by any threads.
  void load(const File &file, uint64_t first, uint64_t count);

private:
  char *memory = nullptr; // of the file, or of the copy
  uint64_t length = 0;    // of memory
  char *begin = nullptr;
  uint64_t size = 0, offset;
  bool mapped = true;
};

} // namespace ch3

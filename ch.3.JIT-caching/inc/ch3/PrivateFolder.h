// PrivateFolder.h - a folder of files that nobody but this user can have
// written.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ch3 {

/// A file descriptor, closed at the end.
class File {
public:
  explicit File(int descriptor) : descriptor(descriptor) {}
  File(File &&other) : descriptor(other.descriptor) { other.descriptor = -1; }
  File &operator=(File &&) = delete;
  ~File();

  int get() const { return descriptor; }
  uint64_t size() const;
  /// Fills `bytes` from `offset` on. Throws where the file ends before that.
  void read(llvm::MutableArrayRef<char> bytes, uint64_t offset) const;
  /// Sets the time of the last change, here the last use, to now.
  void touch() const;

private:
  int descriptor;
};

/// Something about a folder or a file in it that keeps us from using it. what()
/// is a sentence with its name.
class FolderError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Whoever can write a file of machine code can run code as whoever loads it.
/// So a folder must belong to the user whom this process acts for, nobody else
/// may write in it, and of a file in it, the same holds and nobody else may
/// read it. All is asked of what was opened, never of a name, which could mean
/// another file by then.
class PrivateFolder {
public:
  using Clock = std::chrono::system_clock;
  struct Entry {
    std::string name;
    uint64_t bytes;
    Clock::time_point lastUse;
  };

  /// Opens the folder; nothing where there is none. Throws FolderError for a
  /// folder that is not private.
  static std::optional<PrivateFolder> open(const std::string &path);
  /// The same, and makes the folder (and those above it) where it is missing.
  static PrivateFolder make(const std::string &path);

  /// Opens a file to read it; nothing where there is none. Throws FolderError
  /// for a file that is not private, or is no file.
  std::optional<File> read(const std::string &name) const;

  /// Writes a file of these parts, whole or not at all: whoever reads `name`
  /// meanwhile gets the old file or the new one. Throws FolderError, e.g. on a
  /// full disk.
  void write(const std::string &name,
             llvm::ArrayRef<llvm::ArrayRef<char>> parts) const;

  /// The files of the folder, in no order.
  std::vector<Entry> list() const;

  /// Takes a file away. Returns whether it was there and is gone now.
  bool remove(const std::string &name) const;

  /// Does this name a file that is being written? One that stays so was left
  /// behind by a process that came to its end.
  static bool isUnfinished(llvm::StringRef name);

private:
  PrivateFolder(const std::string &path, File folder)
      : path(path), folder(std::move(folder)) {}

  std::string path; // for messages
  File folder;
};

} // namespace ch3

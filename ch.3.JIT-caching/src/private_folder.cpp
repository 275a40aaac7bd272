// private_folder.cpp - a folder of files that nobody else can have written.
#include "ch3/PrivateFolder.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ch3 {

static constexpr char kUnfinished[] = ".new-";

[[noreturn]] static void fail(const std::string &what) {
  throw FolderError(what + ": " + std::strerror(errno));
}

//===--- File -------------------------------------------------------------===//

File::~File() {
  if (descriptor >= 0)
    ::close(descriptor);
}

static struct stat statusOf(int descriptor, const std::string &name) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0)
    fail(name);
  return status;
}

uint64_t File::size() const {
  return statusOf(descriptor, "an open file").st_size;
}

void File::read(llvm::MutableArrayRef<char> bytes, uint64_t offset) const {
  while (!bytes.empty()) {
    ssize_t count = ::pread(descriptor, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      fail("an open file cannot be read");
    if (count == 0)
      throw FolderError("a file ends too early");
    bytes = bytes.drop_front(count);
    offset += count;
  }
}

void File::touch() const { ::futimens(descriptor, nullptr); }

//===--- Whose is it? -----------------------------------------------------===//

// [private]
/// Throws unless the user whom this process acts for owns it, and nobody else
/// has one of the rights in `forbidden`.
static void checkPrivate(const struct stat &status, mode_t forbidden,
                         const std::string &name) {
  if (status.st_uid != ::geteuid())
    throw FolderError(name + " belongs to the user with the number " +
                      std::to_string(status.st_uid) + "; expected " +
                      std::to_string(::geteuid()) + ", this process's own");
  if (status.st_mode & forbidden)
    throw FolderError(name + " has the mode " +
                      llvm::utostr((status.st_mode >> 6) & 7) +
                      llvm::utostr((status.st_mode >> 3) & 7) +
                      llvm::utostr(status.st_mode & 7) +
                      ", which gives others too many rights (chmod go-rwx)");
}

std::optional<File> PrivateFolder::read(const std::string &name) const {
  std::string full = path + "/" + name;
  // No link is followed, and a pipe in place of a file keeps nobody waiting.
  File file(::openat(folder.get(), name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT)
      return std::nullopt;
    fail(full);
  }
  struct stat status = statusOf(file.get(), full);
  if (!S_ISREG(status.st_mode))
    throw FolderError(full + " is no file");
  checkPrivate(status, S_IRWXG | S_IRWXO, full);
  return file;
}
// [/private]

std::optional<PrivateFolder> PrivateFolder::open(const std::string &given) {
  std::string path = llvm::StringRef(given).rtrim('/').str();
  File folder(
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.get() < 0) {
    if (errno == ENOENT)
      return std::nullopt;
    if (errno == ENOTDIR || errno == ELOOP)
      throw FolderError(path + " is a file or a link; expected a folder");
    fail(path);
  }
  checkPrivate(statusOf(folder.get(), path), S_IWGRP | S_IWOTH, path);
  return PrivateFolder(path, std::move(folder));
}

PrivateFolder PrivateFolder::make(const std::string &path) {
  // Where it is there already, or cannot be made, open() says more.
  (void)llvm::sys::fs::create_directories(path, /*IgnoreExisting=*/true,
                                          llvm::sys::fs::owner_all);
  if (std::optional<PrivateFolder> folder = open(path))
    return std::move(*folder);
  throw FolderError(path + " cannot be made: " + std::strerror(errno));
}

//===--- Writing ----------------------------------------------------------===//

static void writeAll(const File &file, llvm::ArrayRef<char> bytes,
                     const std::string &name) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      fail(name);
    bytes = bytes.drop_front(count);
  }
}

static std::string unfinishedName() {
  unsigned char random[16];
  if (::getentropy(random, sizeof(random)) != 0)
    fail("no random numbers");
  return kUnfinished + llvm::toHex(llvm::ArrayRef(random), /*LowerCase=*/true);
}

// [write]
void PrivateFolder::write(const std::string &name,
                          llvm::ArrayRef<llvm::ArrayRef<char>> parts) const {
  std::string full = path + "/" + name, unfinished = unfinishedName();
  File file(::openat(folder.get(), unfinished.c_str(),
                     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     S_IRUSR | S_IWUSR));
  if (file.get() < 0)
    fail(full);
  try {
    uint64_t size = 0;
    for (llvm::ArrayRef<char> part : parts)
      size += part.size();
    // A disk without room says so here, and not after gigabytes.
    if ((errno = ::posix_fallocate(file.get(), 0, size)))
      fail(full);
    for (llvm::ArrayRef<char> part : parts)
      writeAll(file, part, full);
    if (::renameat(folder.get(), unfinished.c_str(), folder.get(),
                   name.c_str()) != 0)
      fail(full);
  } catch (const FolderError &) {
    remove(unfinished);
    throw;
  }
}
// [/write]

//===--- What is there ----------------------------------------------------===//

std::vector<PrivateFolder::Entry> PrivateFolder::list() const {
  std::vector<Entry> entries;
  int again = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = again < 0 ? nullptr : ::fdopendir(again);
  if (!stream)
    fail(path);
  std::unique_ptr<DIR, int (*)(DIR *)> owner(stream, &::closedir);
  while (const dirent *next = ::readdir(stream)) {
    struct stat status;
    if (::fstatat(folder.get(), next->d_name, &status, AT_SYMLINK_NOFOLLOW) ==
            0 &&
        !S_ISDIR(status.st_mode))
      entries.push_back(
          {next->d_name, uint64_t(status.st_size),
           Clock::time_point(std::chrono::duration_cast<Clock::duration>(
               std::chrono::seconds(status.st_mtim.tv_sec) +
               std::chrono::nanoseconds(status.st_mtim.tv_nsec)))});
  }
  return entries;
}

bool PrivateFolder::remove(const std::string &name) const {
  return ::unlinkat(folder.get(), name.c_str(), 0) == 0;
}

bool PrivateFolder::isUnfinished(llvm::StringRef name) {
  return name.starts_with(kUnfinished);
}

} // namespace ch3

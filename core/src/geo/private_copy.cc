#include "geo/private_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "error.h"

namespace weir {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool write_all(int fd, const char* bytes, std::size_t size) {
  while (size != 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Says what keeps `file` from being copied, if anything.
weir_status_t check_kind(const struct stat& file, const char* quoted, weir_error_t* error) {
  if (S_ISDIR(file.st_mode)) {
    set_error(error, "%s is a directory: expected an .mmdb file", quoted);
    return WEIR_IO;
  }
  if (!S_ISREG(file.st_mode)) {
    set_error(error, "%s is not a regular file: expected an .mmdb file", quoted);
    return WEIR_IO;
  }
  if (file.st_size == 0) {
    set_error(error, "%s is empty: expected an .mmdb file", quoted);
    return WEIR_INVALID;
  }
  if (file.st_size > static_cast<off_t>(UINT32_MAX)) {
    set_error(error, "%s is too large: expected less than 4 GiB", quoted);
    return WEIR_INVALID;
  }
  return WEIR_OK;
}

weir_status_t copy(int from, int to, const struct stat& before, const char* quoted,
                   weir_error_t* error) {
  std::array<char, 1 << 16> buffer;
  off_t copied = 0;
  for (;;) {
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      set_error(error, "%s can't be read: %s", quoted, reason(errno).c_str());
      return WEIR_IO;
    }
    if (got == 0) break;
    copied += got;
    if (copied > before.st_size) break;  // it grows
    if (!write_all(to, buffer.data(), static_cast<std::size_t>(got))) {
      set_error(error, "%s can't be copied: %s", quoted, reason(errno).c_str());
      return WEIR_IO;
    }
  }
  struct stat after;
  if (copied != before.st_size || fstat(from, &after) != 0 || !same_state(before, after)) {
    set_error(error, "%s changed while it was read", quoted);
    return WEIR_IO;
  }
  return WEIR_OK;
}

}  // namespace

PrivateCopy::~PrivateCopy() {
  if (bytes_ != nullptr) munmap(const_cast<std::uint8_t*>(bytes_), size_);
  if (fd_ >= 0) close(fd_);
  if (is_named_file_) unlink(name_.c_str());
}

bool PrivateCopy::open_in_memory() {
  fd_ = memfd_create("weir-database", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd_ < 0) return false;
  name_ = std::string("/proc/self/fd/") + std::to_string(fd_);
  if (access(name_.c_str(), R_OK) == 0) return true;
  close(fd_);
  fd_ = -1;
  return false;
}

bool PrivateCopy::open_temporary_file() {
  const char* directory = std::getenv("TMPDIR");
  name_ = std::string(directory != nullptr ? directory : "/tmp") + "/weir-database-XXXXXX";
  fd_ = mkostemp(name_.data(), O_CLOEXEC);
  is_named_file_ = fd_ >= 0;
  return is_named_file_;
}

weir_status_t PrivateCopy::make(const char* path, weir_error_t* error, Place first) {
  const QuotedWord quoted(path, QuotedWord::kLongest);

  // Not to wait for a writer, should it be a pipe.
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat before;
  if (file.get() < 0 || fstat(file.get(), &before) != 0) {
    set_error(error, "%s can't be read: %s", quoted.c_str(), reason(errno).c_str());
    return WEIR_IO;
  }
  weir_status_t status = check_kind(before, quoted.c_str(), error);
  if (status != WEIR_OK) return status;

  if (!(first == Place::kMemory && open_in_memory()) && !open_temporary_file()) {
    set_error(error, "%s can't be copied: no memory file by name, and no temporary file in %s: %s",
              quoted.c_str(), name_.c_str(), reason(errno).c_str());
    return WEIR_IO;
  }
  status = copy(file.get(), fd_, before, quoted.c_str(), error);
  if (status != WEIR_OK) return status;
  if (place() == Place::kMemory) {
    fcntl(fd_, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  }

  const auto size = static_cast<std::size_t>(before.st_size);
  void* const mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
  if (mapping == MAP_FAILED) {
    set_error(error, "%s can't be copied: %s", quoted.c_str(), reason(errno).c_str());
    return WEIR_NO_MEMORY;
  }
  bytes_ = static_cast<const std::uint8_t*>(mapping);
  size_ = size;
  return WEIR_OK;
}

}  // namespace weir

#include "file_bytes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace lm {

std::vector<char> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw std::runtime_error(path + ": cannot be opened: " + std::strerror(errno));
  struct stat facts{};
  std::string error;
  std::vector<char> bytes;
  if (::fstat(file, &facts) != 0)
    error = std::strerror(errno);
  else if (!S_ISREG(facts.st_mode))  // a device has no end
    error = "is not a regular file";
  else
    bytes.resize(static_cast<std::size_t>(facts.st_size));
  std::size_t done = 0;
  while (error.empty() && done < bytes.size()) {
    const ssize_t n = ::read(file, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = std::strerror(errno);
    if (n == 0) error = "became shorter while it was read";
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  ::close(file);
  if (!error.empty()) throw std::runtime_error(path + ": " + error);
  return bytes;
}

}  // namespace lm

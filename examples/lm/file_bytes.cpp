#include "file_bytes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace lm {

namespace {

struct open_file {
  int number;
  explicit open_file(const std::string& path)
      : number(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (number < 0)
      throw std::runtime_error(std::string("cannot be opened: ") + std::strerror(errno));
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() { ::close(number); }

  /// The size of a regular file.
  std::size_t size() const {
    struct stat facts{};
    if (::fstat(number, &facts) != 0) throw std::runtime_error(std::strerror(errno));
    if (!S_ISREG(facts.st_mode))  // a device has no end
      throw std::runtime_error("is not a regular file");
    return static_cast<std::size_t>(facts.st_size);
  }
  /// Its bytes from `done` on.
  void read(std::span<char> bytes, std::size_t done) const {
    while (done < bytes.size()) {
      const ssize_t n = ::read(number, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw std::runtime_error(std::strerror(errno));
      if (n == 0) throw std::runtime_error("became shorter while it was read");
      done += static_cast<std::size_t>(n);
    }
  }
};

}  // namespace

std::vector<char> read_file(const std::string& path, void (*check)(std::span<const char>)) {
  std::size_t size = 0;
  try {
    const open_file file(path);
    size = file.size();
    std::vector<char> bytes(std::min<std::size_t>(size, 64));
    const std::size_t start = bytes.size();
    file.read(bytes, 0);
    check(bytes);
    bytes.resize(size);
    file.read(bytes, start);
    return bytes;
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(path + ": " + e.what());
  } catch (const std::bad_alloc&) {
    throw std::runtime_error(path + ": there is no memory for its " + std::to_string(size) +
                             " bytes");
  } catch (const std::length_error&) {
    throw std::runtime_error(path + ": there is no memory for its " + std::to_string(size) +
                             " bytes");
  }
}

}  // namespace lm

// Vectors of zeros that take memory where they are touched: an array of a program may be 8 GiB long
// and hold two rows.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <vector>

namespace ptx {

/// Gives zeroed memory, and leaves it so where a vector grows by elements without a value.
template <class T> struct lazy_allocator {
  using value_type = T;

  lazy_allocator() = default;
  template <class U> lazy_allocator(const lazy_allocator<U>&) {}

  T* allocate(std::size_t n) {
    void* p = is_large(n) ? mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                          : std::calloc(n, sizeof(T));
    if (p == nullptr || p == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(p);
  }
  void deallocate(T* p, std::size_t n) {
    if (is_large(n))
      munmap(p, n * sizeof(T));
    else
      std::free(p);
  }
  /// All bytes 0 is what a T without a value is.
  void construct(T*) {}
  template <class U> void construct(T* p, U&& value) { ::new (p) T(static_cast<U&&>(value)); }

  friend bool operator==(const lazy_allocator&, const lazy_allocator&) { return true; }

 private:
  static bool is_large(std::size_t n) { return n > (std::size_t{1} << 20) / sizeof(T); }
};

/// For a T that is zeros where it has no value.
template <class T> using lazy_vector = std::vector<T, lazy_allocator<T>>;

/// Makes it n zeros: in the memory that it has, if that is enough, else in new one, which it leaves
/// untouched.
template <class T> void zeros(lazy_vector<T>& v, std::size_t n) {
  if (n <= v.capacity()) {
    v.assign(n, T{});
  } else {
    v = {};
    v.resize(n);
  }
}

}  // namespace ptx

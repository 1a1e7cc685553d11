#include <hence/core/check.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#if __has_include(<sys/wait.h>)
#  include <sys/wait.h>
#  include <unistd.h>
#  define HAS_FORK 1
#endif

namespace {

using hence::status;
using hence::detail::message;

template <class T> std::string text_of(T x) {
  message m;
  m << x;
  return m.text();
}

}  // namespace

TEST_CASE("status is a set of bits") {
  status s = status::ok;
  CHECK(!has(s, status::empty));
  s |= status::non_finite;
  s |= status::singleton;
  CHECK(has(s, status::non_finite));
  CHECK(has(s, status::singleton | status::empty));
  CHECK(!has(s, status::empty));
  CHECK((status::empty | status::ok) == status::empty);
  CHECK(!has(status::ok, status::ok));
}

TEST_CASE("whole numbers in messages") {
  CHECK(text_of(std::int64_t{0}) == "0");
  CHECK(text_of(std::int64_t{-7}) == "-7");
  CHECK(text_of(std::int64_t{1000200}) == "1000200");
  CHECK(text_of(INT64_MAX) == "9223372036854775807");
  CHECK(text_of(INT64_MIN) == "-9223372036854775808");
}

TEST_CASE("fractions in messages: six decimals, no trailing zeros") {
  CHECK(text_of(0.0) == "0");
  CHECK(text_of(1.0) == "1");
  CHECK(text_of(0.6) == "0.6");
  CHECK(text_of(-2.5) == "-2.5");
  CHECK(text_of(0.000125) == "0.000125");
  CHECK(text_of(0.000001) == "1e-6");
  CHECK(text_of(0.0000004) == "4e-7");
  CHECK(text_of(1.0000005) == "1.000001");
  CHECK(text_of(0.9999999) == "1");
  CHECK(text_of(12.010203) == "12.010203");
  CHECK(text_of(5e9) == "5000000000");
  CHECK(text_of(8.9e12) == "8900000000000");
  CHECK(text_of(std::nan("")) == "nan");
  CHECK(text_of(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(text_of(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(text_of(1e300) == "1e300");
  CHECK(text_of(1.25e16) == "1.25e16");
  CHECK(text_of(-2.5e-9) == "-2.5e-9");
  CHECK(text_of(1e-30) == "1e-30");
  CHECK(text_of(9.99999999e-5) == "1e-4");
  CHECK(text_of(1e-4) == "0.0001");
  CHECK(text_of(4.9406564584124654e-324).find("e-32") != std::string::npos);
  CHECK(text_of(1.7976931348623157e308) == "inf");
}

TEST_CASE("numbers too large for six decimals are still right") {
  CHECK(text_of(1e13) == "10000000000000");
  CHECK(text_of(8e15) == "8000000000000000");
}

TEST_CASE("a message is put together, and cut where it would grow too long") {
  message m;
  m << "hence: logp has " << std::int64_t{7} << " entries, expected " << 2.5;
  CHECK(std::strcmp(m.text(), "hence: logp has 7 entries, expected 2.5") == 0);
  message long_one;
  for (int i = 0; i < 100; ++i) long_one << "0123456789";
  CHECK(std::strlen(long_one.text()) == 319);
  long_one << std::int64_t{5};
  CHECK(std::strlen(long_one.text()) == 319);
}

TEST_CASE("entries that are one are not written") {
  CHECK_THROWS_WITH_AS(hence::detail::check_stride("x", 0, 2),
                       "hence: x has stride 0, expected another: its 2 entries are one",
                       std::invalid_argument);
  hence::detail::check_stride("x", 0, 1);
  hence::detail::check_stride("x", -1, 2);
}

TEST_CASE("a refusal throws std::invalid_argument with the text") {
  CHECK_THROWS_WITH_AS(hence::detail::refuse(message() << "hence: no"), "hence: no",
                       std::invalid_argument);
}

#if defined(HAS_FORK)

namespace {

int report_to = -1;
[[noreturn]] void report(const char* text) {
  const auto written = write(report_to, text, std::strlen(text));
  _exit(written > 0 ? 42 : 43);
}

}  // namespace

TEST_CASE(
    "without exceptions the handler gets the text, and without a handler the program aborts") {
  // refuse<false> is what a translation unit with -fno-exceptions calls
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    report_to = pipe_ends[1];
    hence::on_refusal = report;
    hence::detail::refuse<false>(message() << "hence: not this");
  }
  int ended = 0;
  waitpid(child, &ended, 0);
  REQUIRE(WIFEXITED(ended));
  CHECK(WEXITSTATUS(ended) == 42);
  char text[64] = {};
  CHECK(read(pipe_ends[0], text, sizeof text - 1) == 15);
  CHECK(std::string(text) == "hence: not this");
  close(pipe_ends[0]), close(pipe_ends[1]);

  const pid_t second = fork();
  if (second == 0) {
    std::signal(SIGABRT, SIG_DFL);  // doctest's own handler would report it
    hence::detail::refuse<false>(message() << "hence: nor this");
  }
  waitpid(second, &ended, 0);
  REQUIRE(WIFSIGNALED(ended));
  CHECK(WTERMSIG(ended) == SIGABRT);
}

#endif

TEST_CASE("overlapping ranges of bytes") {
  alignas(8) static char x[64];
  using hence::detail::overlap;
  CHECK(overlap({x, 16}, {x + 15, 1}));
  CHECK(!overlap({x, 16}, {x + 16, 1}));
  CHECK(overlap({x + 8, 1}, {x, 64}));
  CHECK(overlap({x, 64}, {x + 8, 1}));
  CHECK(!overlap({x + 16, 16}, {x, 16}));
  CHECK(overlap({x + 15, 16}, {x, 16}));
  CHECK(!overlap({x, 0}, {x, 0}));
  CHECK(!overlap({nullptr, 0}, {x, 64}));
}

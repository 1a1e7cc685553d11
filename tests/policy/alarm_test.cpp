#include <hence/policy/alarm.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <stdexcept>
#include <string>

TEST_CASE("format up and length down over two windows, and nothing less") {
  const auto sounds = [](double format_rise, double length_factor) {
    hence::format_alarm<4> alarm(0.125, 0.25);
    bool sound = false;
    for (int k = 0; k < 8; ++k) {
      CHECK(!sound);  // not before both windows are full
      sound = alarm.update(k < 4 ? 0.5 : 0.5 + format_rise, k < 4 ? 1000 : 1000 * length_factor);
    }
    return sound;
  };
  CHECK(sounds(0.25, 0.5));
  CHECK(sounds(0.125, 0.75));  // at both bounds
  CHECK(!sounds(0.25, 0.8125));
  CHECK(!sounds(0.0625, 0.5));
  CHECK(!sounds(-0.25, 0.5));
  CHECK(!sounds(0.25, 2));
}

TEST_CASE("nothing sounds before both windows are full, whatever the numbers") {
  hence::format_alarm<4> alarm(0.1, 0.25);
  for (int k = 0; k < 7; ++k) CHECK(!alarm.update(k, 0));
  CHECK(alarm.update(7, 0));
}

TEST_CASE("the windows move on, and steps that are not finite count for nothing") {
  hence::format_alarm<2> alarm(0.1, 0.25);
  const double nan = std::nan("");
  for (const double format : {0.5, 0.5, 1.0})
    CHECK(!alarm.update(format, format > 0.6 ? 100 : 1000));
  CHECK(!alarm.update(nan, 100));
  CHECK(!alarm.update(1.0, INFINITY));
  CHECK(alarm.update(1.0, 100));
  CHECK(alarm.sounds());
  CHECK(alarm.update(nan, nan));
  CHECK(alarm.update(1.0, 100));   // 0.5, 1 | 1, 1
  CHECK(!alarm.update(1.0, 100));  // all alike again
}

TEST_CASE("limits that make no sense are refused") {
  const auto refusal = [](double rise, double fall) -> std::string {
    try {
      hence::format_alarm<2>(rise, fall);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal(0, 0.1) ==
        "hence: format_alarm has rise 0 and fall 0.1, expected rise above 0 and fall in (0, 1)");
  CHECK(refusal(0.1, 1).starts_with("hence: format_alarm has rise 0.1 and fall 1"));
  CHECK(refusal(0.1, std::nan("")).starts_with("hence: format_alarm has rise 0.1 and fall nan"));
  CHECK(refusal(0.1, 0).starts_with("hence: format_alarm has rise 0.1 and fall 0,"));
  CHECK(refusal(-0.1, 0.1).starts_with("hence: format_alarm has rise -0.1"));
  CHECK(refusal(std::nan(""), 0.1).starts_with("hence: format_alarm has rise nan"));
  CHECK(refusal(0x1p-1000, 0x1p-1000) == "accepted");
  CHECK(refusal(2, std::nextafter(1.0, 0)) == "accepted");
  CHECK(refusal(0.1, 0.1) == "accepted");
}

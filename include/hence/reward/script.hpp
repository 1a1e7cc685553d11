/// \file
/// The script that a code point is written in, by blocks of Unicode 15: as fine as telling
/// languages apart by their letters needs.
#pragma once

#include <hence/reward/text.hpp>

namespace hence::inline v0::reward {

/// A set of scripts; the first two belong to no language.
enum class script : std::uint32_t {
  common = 1,  ///< digits, punctuation, symbols, white space
  mark = 2,    ///< combining marks and joiners: they belong to the letter before
  latin = 4,
  greek = 8,
  cyrillic = 16,
  hebrew = 32,
  arabic = 64,
  devanagari = 128,
  thai = 256,
  han = 512,
  kana = 1024,
  hangul = 2048,
  other = 4096,  ///< letters of a script not named here
};
HENCE_FN constexpr script operator|(script a, script b) {
  return static_cast<script>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
/// Whether `s` has any of the scripts of `set`.
HENCE_FN constexpr bool has(script set, script s) {
  return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(s)) != 0;
}
/// Scripts in which words are not set apart by spaces: there every code point is a word.
inline constexpr script unspaced = script::han | script::kana | script::thai;

namespace detail {

struct block {
  std::uint32_t first, last;
  script of;
};
/// Ascending; what lies between two is `other` above U+02FF and common below.
inline constexpr block blocks[] = {
    {0x41, 0x5A, script::latin},        {0x61, 0x7A, script::latin},
    {0xAA, 0xAA, script::latin},        {0xBA, 0xBA, script::latin},
    {0xC0, 0xD6, script::latin},        {0xD8, 0xF6, script::latin},
    {0xF8, 0x2B8, script::latin},       {0x2B9, 0x2FF, script::common},
    {0x300, 0x36F, script::mark},       {0x370, 0x373, script::greek},
    {0x374, 0x375, script::common},     {0x376, 0x37D, script::greek},
    {0x37E, 0x37E, script::common},     {0x37F, 0x3FF, script::greek},
    {0x400, 0x482, script::cyrillic},   {0x483, 0x489, script::mark},
    {0x48A, 0x52F, script::cyrillic},   {0x591, 0x5BD, script::mark},
    {0x5BE, 0x5BE, script::common},     {0x5BF, 0x5C7, script::mark},
    {0x5D0, 0x5F2, script::hebrew},     {0x5F3, 0x5F4, script::common},
    {0x600, 0x61F, script::common},     {0x620, 0x64A, script::arabic},
    {0x64B, 0x65F, script::mark},       {0x660, 0x66D, script::common},
    {0x66E, 0x6D5, script::arabic},     {0x6D6, 0x6ED, script::mark},
    {0x6EE, 0x6EF, script::arabic},     {0x6F0, 0x6F9, script::common},
    {0x6FA, 0x6FF, script::arabic},     {0x750, 0x77F, script::arabic},
    {0x900, 0x903, script::mark},       {0x904, 0x939, script::devanagari},
    {0x93A, 0x94F, script::mark},       {0x950, 0x963, script::devanagari},
    {0x964, 0x96F, script::common},     {0x970, 0x97F, script::devanagari},
    {0xE01, 0xE30, script::thai},       {0xE31, 0xE31, script::mark},
    {0xE32, 0xE33, script::thai},       {0xE34, 0xE3A, script::mark},
    {0xE3F, 0xE3F, script::common},     {0xE40, 0xE46, script::thai},
    {0xE47, 0xE4E, script::mark},       {0xE4F, 0xE5B, script::common},
    {0x1100, 0x11FF, script::hangul},   {0x1AB0, 0x1AFF, script::mark},
    {0x1C80, 0x1C8F, script::cyrillic}, {0x1DC0, 0x1DFF, script::mark},
    {0x1E00, 0x1EFF, script::latin},    {0x1F00, 0x1FFF, script::greek},
    {0x2000, 0x200B, script::common},   {0x200C, 0x200F, script::mark},
    {0x2010, 0x2029, script::common},   {0x202A, 0x202E, script::mark},
    {0x202F, 0x205F, script::common},   {0x2060, 0x206F, script::mark},
    {0x2070, 0x20CF, script::common},   {0x20D0, 0x20FF, script::mark},
    {0x2100, 0x2BFF, script::common},   {0x2C60, 0x2C7F, script::latin},
    {0x2DE0, 0x2DFF, script::cyrillic}, {0x2E00, 0x2E7F, script::common},
    {0x2E80, 0x2FDF, script::han},      {0x2FF0, 0x3004, script::common},
    {0x3005, 0x3007, script::han},      {0x3008, 0x3020, script::common},
    {0x3021, 0x3029, script::han},      {0x302A, 0x302F, script::mark},
    {0x3030, 0x3040, script::common},   {0x3041, 0x3096, script::kana},
    {0x3099, 0x309A, script::mark},     {0x309B, 0x309C, script::common},
    {0x309D, 0x30FA, script::kana},     {0x30FB, 0x30FB, script::common},
    {0x30FC, 0x30FF, script::kana},     {0x3130, 0x318F, script::hangul},
    {0x3190, 0x31BF, script::common},   {0x31F0, 0x31FF, script::kana},
    {0x3200, 0x33FF, script::common},   {0x3400, 0x4DBF, script::han},
    {0x4DC0, 0x4DFF, script::common},   {0x4E00, 0x9FFF, script::han},
    {0xA640, 0xA69F, script::cyrillic}, {0xA720, 0xA7FF, script::latin},
    {0xA960, 0xA97F, script::hangul},   {0xAC00, 0xD7FF, script::hangul},
    {0xE000, 0xF8FF, script::common},   {0xF900, 0xFAFF, script::han},
    {0xFB00, 0xFB06, script::latin},    {0xFB1D, 0xFB4F, script::hebrew},
    {0xFB50, 0xFDFF, script::arabic},   {0xFE00, 0xFE0F, script::mark},
    {0xFE10, 0xFE1F, script::common},   {0xFE20, 0xFE2F, script::mark},
    {0xFE30, 0xFE6F, script::common},   {0xFE70, 0xFEFC, script::arabic},
    {0xFEFF, 0xFEFF, script::mark},     {0xFF00, 0xFF20, script::common},
    {0xFF21, 0xFF3A, script::latin},    {0xFF3B, 0xFF40, script::common},
    {0xFF41, 0xFF5A, script::latin},    {0xFF5B, 0xFF65, script::common},
    {0xFF66, 0xFF9D, script::kana},     {0xFFA0, 0xFFDC, script::hangul},
    {0xFFE0, 0xFFFF, script::common},   {0x1B000, 0x1B16F, script::kana},
    {0x1D000, 0x1D3FF, script::common}, {0x1D400, 0x1D7FF, script::common},
    {0x1F000, 0x1FAFF, script::common}, {0x20000, 0x3FFFF, script::han},
    {0xE0000, 0xE01EF, script::mark},
};

}  // namespace detail

/// The script of a code point. Mathematical alphanumerics, emoji and private use are common.
template <class Isa = native_isa> constexpr script script_of(std::uint32_t code) {
  if (code < 0x80) {
    const std::uint32_t letter = code | 0x20;
    return letter >= 'a' && letter <= 'z' ? script::latin : script::common;
  }
  std::size_t low = 0, high = sizeof(detail::blocks) / sizeof(detail::block);
  while (low < high) {  // the first block that does not end before the code point
    const std::size_t middle = (low + high) / 2;
    if (detail::blocks[middle].last < code)
      low = middle + 1;
    else
      high = middle;
  }
  if (low < sizeof(detail::blocks) / sizeof(detail::block) && detail::blocks[low].first <= code)
    return detail::blocks[low].of;
  return code < 0x300 ? script::common : script::other;
}

}  // namespace hence::inline v0::reward

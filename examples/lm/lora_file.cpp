#include "lora_file.hpp"

#include "file_bytes.hpp"

#include <charconv>
#include <cstdio>

namespace lm {

std::string weights_checksum(std::span<const float> weights) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const float x : weights) h = (h ^ std::bit_cast<std::uint32_t>(x)) * 0x100000001b3u;
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

void put_lora(const lora_config& config, std::string_view base_checksum, tensor_file& file) {
  std::string targets;
  for (const auto& t : config.targets) targets += (targets.empty() ? "" : ",") + t;
  char alpha[40];
  const auto end = std::to_chars(alpha, alpha + sizeof alpha, config.alpha).ptr;
  file.metadata["lora.r"] = std::to_string(config.rank);
  file.metadata["lora.lora_alpha"] = std::string(alpha, end);
  file.metadata["lora.target_modules"] = targets;
  file.metadata["lora.base"] = base_checksum;
}

bool has_lora(const tensor_file& file) { return file.metadata.contains("lora.r"); }

lora_config take_lora(const tensor_file& file, std::span<const float> base) {
  const std::string found = weights_checksum(base);
  if (const auto& made_for = file.text("lora.base"); made_for != found)
    throw std::runtime_error("the adapters were made for a base whose weights have the checksum " +
                             printed(made_for) + ", this one's have \"" + found + "\"");
  lora_config c{.rank = file.integer("lora.r"), .targets = {}};
  const std::string& alpha = file.text("lora.lora_alpha");
  const char* const end = alpha.data() + alpha.size();
  if (const auto r = std::from_chars(alpha.data(), end, c.alpha);
      r.ec != std::errc{} || r.ptr != end)
    throw std::runtime_error("the checkpoint's lora.lora_alpha is " + printed(alpha) +
                             ", expected a number");
  const std::string& targets = file.text("lora.target_modules");
  for (std::size_t at = 0; at <= targets.size();) {
    const std::size_t comma = std::min(targets.find(',', at), targets.size());
    c.targets.push_back(targets.substr(at, comma - at));
    at = comma + 1;
  }
  return c;
}

}  // namespace lm

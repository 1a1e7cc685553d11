// The mixture of experts' part of bits.cpp, included within its namespace.

template <class Gate>
void routing(const char* name, const Gate& gate, std::int64_t experts, std::uint64_t seed) {
  using namespace hence;
  constexpr std::int64_t tokens = 777;
  source s;
  s.state = seed;
  const auto size = static_cast<std::size_t>(tokens * experts),
             slots = static_cast<std::size_t>(tokens * gate.k);
  std::vector<float> z(size), bias(static_cast<std::size_t>(experts)), cotangent(slots);
  std::vector<std::uint8_t> valid(static_cast<std::size_t>(tokens));
  for (float& x : z) x = s.integer(0, 200) == 0 ? __builtin_nanf("") : s.number(-9, 9);
  for (float& x : bias) x = s.number(-1, 1) * 0x1p-4f;
  for (float& x : cotangent) x = s.number(-2, 2);
  for (auto& v : valid) v = s.integer(0, 9) > 0;
  struct result {
    std::vector<std::int32_t> ids;
    std::vector<float> weights, gradient;
    std::vector<std::int64_t> load;
  };
  const auto run = [&](const auto& executor) {
    result r{std::vector<std::int32_t>(slots), std::vector<float>(slots), std::vector<float>(size),
             std::vector<std::int64_t>(static_cast<std::size_t>(experts))};
    moe::gate_inputs<float> in;
    in.logits = view<const float, 2>(z.data(), tokens, experts);
    in.bias = bias;
    in.valid = valid;
    moe::gate_outputs<float> out;
    out.ids = view<std::int32_t, 2>(r.ids.data(), tokens, gate.k);
    out.weights = view<float, 2>(r.weights.data(), tokens, gate.k);
    out.load = r.load;
    moe::route(executor, gate, in, out);
    moe::gate_backward_inputs<float> back;
    back.logits = in.logits;
    back.ids = out.ids;
    back.grad_weights = view<const float, 2>(cotangent.data(), tokens, gate.k);
    back.valid = in.valid;
    moe::route_backward(executor, gate, back, view<float, 2>(r.gradient.data(), tokens, experts));
    return r;
  };
  const result base = run(cpu{});
  const auto same = [&](const result& r, const char* what) {
    require(base.ids == r.ids && base.load == r.load &&
                std::memcmp(base.weights.data(), r.weights.data(), slots * 4) == 0 &&
                std::memcmp(base.gradient.data(), r.gradient.data(), size * 4) == 0,
            what);
  };
  same(run(reference<float>{}), "routing by reference<float>");
  for (const int n : {1, 3}) {
    threads pool{n};
    same(run(cpu(pool)), "routing with threads");
  }
  hash h;
  for (const auto e : base.ids) h.value(e);
  for (const float w : base.weights) h.value(w);
  for (const float g : base.gradient) h.value(g + 0.0f);
  for (const auto n : base.load) h.value(n);
  report(name, h);
}

template <class Score> void balance(const char* name, const Score& score) {
  using namespace hence;
  constexpr std::int64_t tokens = 555, experts = 37, k = 3;
  source s;
  std::vector<float> z(static_cast<std::size_t>(tokens * experts));
  for (float& x : z) x = s.number(-9, 9);
  struct result {
    std::vector<std::int64_t> probability, top_k;
    std::vector<float> gradient, z_gradient;
    double loss, z_loss;
  };
  const auto run = [&](const auto& executor) {
    result r{std::vector<std::int64_t>(experts),
             std::vector<std::int64_t>(experts),
             std::vector<float>(z.size()),
             std::vector<float>(z.size()),
             0,
             0};
    moe::balance_inputs<float> in;
    in.logits = view<const float, 2>(z.data(), tokens, experts);
    const auto counts = moe::measure_balance(executor, score, k, in, r.probability, r.top_k);
    const moe::balance_window window{r.top_k, counts.rows};
    const moe::switch_loss loss{0.01, moe::balance_is_one{}};
    r.loss = moe::balance_loss(loss, k, r.probability, window);
    r.z_loss = moe::balance_loss(moe::z_loss{0.001}, counts);
    moe::balance_gradient(executor, loss, score, k, in, window,
                          view<float, 2>(r.gradient.data(), tokens, experts), moe::overwrite{});
    moe::balance_gradient(executor, moe::z_loss{0.001}, in, counts.rows,
                          view<float, 2>(r.z_gradient.data(), tokens, experts), moe::overwrite{});
    return r;
  };
  const result base = run(cpu{});
  threads pool{3};
  for (const result& r : {run(reference<float>{}), run(cpu(pool))})
    require(base.probability == r.probability && base.top_k == r.top_k &&
                std::memcmp(base.gradient.data(), r.gradient.data(), z.size() * 4) == 0 &&
                std::memcmp(base.z_gradient.data(), r.z_gradient.data(), z.size() * 4) == 0 &&
                base.loss == r.loss && base.z_loss == r.z_loss,
            name);
  hash h;
  for (const auto n : base.probability) h.value(n);
  for (const auto n : base.top_k) h.value(n);
  for (const float g : base.gradient) h.value(g + 0.0f);
  for (const float g : base.z_gradient) h.value(g + 0.0f);
  h.value(base.loss), h.value(base.z_loss);
  report(name, h);
}

void combination() {
  using namespace hence;
  constexpr std::int64_t tokens = 91, k = 3, entries = tokens * k, hidden = 83;
  source s;
  std::vector<float> x(tokens * hidden), experts(entries * hidden), weights(entries), y(x.size()),
      dots(entries);
  std::vector<std::int64_t> position(entries);
  for (float& a : x) a = s.number(-3, 3);
  for (float& a : experts) a = s.number(-3, 3);
  for (float& a : weights) a = s.number(0, 1);
  for (std::int64_t i = 0; i < entries; ++i)
    position[static_cast<std::size_t>(i)] = i % 7 == 3 ? -1 : (i * 17) % entries;
  hash h;
  const auto run = [&](const auto& executor) {
    const moe::slot_positions at(position.data(), tokens, k);
    const view<const float, 2> from(experts.data(), entries, hidden);
    moe::combine(executor, from, at, view<const float, 2>(weights.data(), tokens, k),
                 view<float, 2>(y.data(), tokens, hidden));
    moe::dot_rows(executor, view<const float, 2>(x.data(), tokens, hidden), at, from,
                  view<float, 2>(dots.data(), tokens, k));
    hash of;
    for (const float a : y) of.value(a);
    for (const float a : dots) of.value(a);
    return of;
  };
  h = run(cpu{});
  require(h.h == run(reference<float>{}).h, "combine");
  report("combine and its gradient", h);
}

void experts() {
  using namespace hence;
  constexpr std::int64_t tokens = 333, k = 3, all = 5, inner = 37, model = 53, slots = tokens * k;
  source s;
  const auto fill = [&](std::int64_t n, float scale) {
    std::vector<float> v(static_cast<std::size_t>(n));
    for (float& a : v) a = scale * s.number(-2, 2);  // scale a power of two
    return v;
  };
  const auto x = fill(tokens * model, 1), cotangent = fill(tokens * model, 1),
             w = fill(slots, 0.5f), gate = fill(all * inner * model, 0.25f),
             up = fill(all * inner * model, 0.25f), down = fill(all * inner * model, 0.25f);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(slots));
  for (auto& e : ids) e = static_cast<std::int32_t>(s.integer(-1, all - 2));  // one without rows
  std::vector<std::int64_t> offsets(all + 1), order(ids.size()), position(ids.size()), count(all);
  moe::permutation p;
  p.offsets = offsets;
  p.order = order;
  p.position = view<std::int64_t, 2>(position.data(), tokens, k);
  moe::permute(view<const std::int32_t, 2>(ids.data(), tokens, k), all, 1, p);
  for (std::size_t e = 0; e < all; ++e) count[e] = offsets[e + 1] - offsets[e];
  const auto run = [&](const auto& executor, const auto& gemm, const auto& activation,
                       const auto& place) {
    std::vector<float> y(x.size()), dx(x.size()), dw(w.size()), d_gate(gate.size()),
        d_up(gate.size()), d_down(gate.size());
    moe::layer_inputs<float> in;
    in.x = view<const float, 2>(x.data(), tokens, model);
    in.weights = view<const float, 2>(w.data(), tokens, k);
    in.position = moe::slot_positions(position.data(), tokens, k);
    in.segments.first = offsets;
    in.segments.count = count;
    in.gate = view<const float, 3>(gate.data(), all, inner, model);
    in.up = view<const float, 3>(up.data(), all, inner, model);
    in.down = view<const float, 3>(down.data(), all, model, inner);
    moe::layer_gradients<float> to;
    to.x = view<float, 2>(dx.data(), tokens, model);
    to.weights = view<float, 2>(dw.data(), tokens, k);
    to.gate = view<float, 3>(d_gate.data(), all, inner, model);
    to.up = view<float, 3>(d_up.data(), all, inner, model);
    to.down = view<float, 3>(d_down.data(), all, model, inner);
    const moe::expert_mlp mlp{gemm, activation, place};
    moe::experts(executor, mlp, in, moe::recomputed{}, view<float, 2>(y.data(), tokens, model));
    moe::experts_backward(executor, mlp, in, moe::recomputed{},
                          view<const float, 2>(cotangent.data(), tokens, model), to);
    hash h;
    for (const auto* v : {&y, &dx, &dw, &d_gate, &d_up, &d_down})
      for (const float a : *v) h.value(a + 0.0f);
    return h;
  };
  const auto each = [&](const char* name, const auto& activation, const auto& place) {
    const hash h = run(cpu{}, gemm::ordered{}, activation, place);
    require(h.h == run(reference<float>{}, gemm::chain<float>{}, activation, place).h, name);
    threads pool{3};
    require(h.h == run(cpu(pool), gemm::ordered{}, activation, place).h, name);
    report(name, h);
  };
  each("experts swiglu, weights after down", moe::swiglu{}, moe::after_down{});
  each("experts geglu_tanh, weights before down", moe::geglu_tanh{}, moe::before_down{});
  each("experts geglu, weights before down", moe::geglu{}, moe::before_down{});
}

void routing() {
  namespace moe = hence::moe;
  const moe::normalized weights{1e-20, moe::single_raw{}};
  routing("route sigmoid, 4 of 8 groups, k 8",
          moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}}, weights, 2.5},
          256, 1);
  routing("route softmax raw, k 6",
          moe::gate{moe::score::softmax{}, 6, moe::all_experts{}, moe::raw{}, 1.0}, 63, 2);
  routing("route sqrt_softplus, k 11",
          moe::gate{moe::score::sqrt_softplus{}, 11, moe::grouped{5, 3, moe::top_k_over_m_sum{}},
                    weights, 1.5},
          40, 3);
  routing("route softmax_after, k 2",
          moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, moe::raw{}, 1.0}, 8, 4);
  balance("balance softmax", moe::score::softmax{});
  balance("balance sigmoid", moe::score::sigmoid{});
  combination();
  experts();
}

// Small things to touch, each on the classes of engine.js: scale and softmax, the mask, several heads, positions, temperature.
((part) => part(live))((live) => {
  "use strict";
  const { word, digits, percent, bars, map } = live.draw;

  // A row of `count` vectors, and a module with weights, drawn from a normal distribution: always the same.
  const drawn = (count, width, seed, spread = 1) => {
    const generator = new live.Generator(seed), rows = new live.Rows(count, width);
    rows.data.forEach((_, i) => (rows.data[i] = spread * generator.normal()));
    return rows;
  };
  const fill = (module, seed, spread) => {
    const generator = new live.Generator(seed);
    for (const [name, p] of module.parameters())
      for (let i = 0; i < p.data.length; i++)
        p.data[i] = /norm\.weight$/.test(name) ? 1 : /bias$/.test(name) ? 0 : spread * generator.normal();
    return module;
  };
  const copy = (rows) => new live.Rows(rows.count, rows.width, rows.data.slice());
  const WORDS = ["the", "cat", "sat", "on", "the", "mat"];
  const moved = (a, b, i) => {
    let sum = 0;
    for (let c = 0; c < a.width; c++) sum += (a.data[i * a.width + c] - b.data[i * a.width + c]) ** 2;
    return Math.sqrt(sum);
  };

  live.thing("scale", {
    controls: [
      { name: "size", label: "Head size D", min: 1, max: 128, step: 1, value: 64 },
      { name: "scaled", label: "Divide the scores by √D", value: true },
    ],
    show({ size, scaled }) {
      const scale = scaled ? Math.sqrt(size) : 1, soften = (scores) => live.softmax(Float64Array.from(scores, (s) => s / scale));
      const q = drawn(1, size, 2), k = drawn(8, size, 4), scores = live.multiply(q, k).data, weights = soften(scores);
      const many = live.multiply(drawn(100, size, 5), k), row = (n) => many.data.subarray(8 * n, 8 * n + 8);
      const mean = Array.from({ length: 100 }, (_, n) => Math.max(...soften(row(n)))).reduce((a, b) => a + b) / 100;
      const largest = Math.max(...weights), spread = Math.sqrt(scores.reduce((sum, s) => sum + (s / scale) ** 2, 0) / 8);
      const items = Array.from(weights, (w, j) => ({ name: `key ${j}, score ${digits(scores[j] / scale)}`, share: w, text: digits(w, 3) }));
      return bars(`Softmax of eight scores, one query and eight keys of ${size} random numbers, ${scaled ? "divided by √D" : "not divided"}`, items)
        + `<p>The scores have the size ${digits(spread, 1)} (root mean square); the largest weight is ${digits(largest, 3)}. `
        + `Over a hundred queries drawn like this one it is ${digits(mean, 3)} on average.</p>`;
    },
  });

  live.thing("mask", {
    controls: [
      { name: "causal", label: "Causal mask", value: true },
      { name: "changed", label: "Change the word", options: WORDS.map((w, i) => `${i}: ${w}`), value: "4: the" },
    ],
    show({ causal, changed }) {
      const at = parseInt(changed, 10), x = drawn(WORDS.length, 16, 5), other = copy(x);
      other.data.set(drawn(1, 16, 6).data, at * 16);
      const head = fill(new live.AttentionHead(16, 8, causal), 7, 0.4);
      const after = head.forward(other, WORDS.length), before = head.forward(x, WORDS.length);
      const distance = WORDS.map((_, i) => moved(before, after, i));
      const column = (i) => i < 0 ? '<th scope="col" class="live-moved">output moves</th>' : `<td class="live-moved">${digits(distance[i])}</td>`;
      const still = distance.filter((d) => d === 0).length;
      return map(`What each word (row) takes from each word (column), ${causal ? "causal" : "without a mask"}`, WORDS, head.weights.data,
        { hidden: (i, j) => causal && j > i, after: column })
        + `<p>Another vector for word ${at} (<em>${WORDS[at]}</em>): the outputs of ${still} of ${WORDS.length} words stay exactly as they were${causal && still ? ", those before it" : ""}.</p>`;
    },
  });

  live.thing("heads", {
    controls: [{ name: "count", label: "Heads", options: ["1", "2", "4", "8"], value: "4" }],
    show({ count }) {
      const H = Number(count), x = drawn(WORDS.length, 16, 8), attention = fill(new live.MultiHeadAttention(16, H, false), 9, 0.4);
      const [, maps] = attention.forward(x, WORDS.length);
      const parameters = [...attention.parameters()].reduce((sum, [, p]) => sum + p.data.length, 0);
      return `<div class="live-side">${maps.map((weights, h) => map(`head ${h + 1}`, WORDS, weights.data)).join("")}</div>`
        + `<p>${H} ${H > 1 ? "heads" : "head"} of size ${16 / H}, ${parameters.toLocaleString("en")} parameters with the projection: as many whatever the number of heads.</p>`;
    },
  });

  live.thing("positions", {
    controls: [
      { name: "positions", label: "Add the vectors of the positions", value: false },
      { name: "order", label: "Second order", options: ["man bites dog", "dog man bites", "dog bites man"], value: "man bites dog" },
    ],
    show({ positions, order }) {
      const first = ["dog", "bites", "man"], second = order.split(" "), vocabulary = ["bites", "dog", "man"];
      const sizes = { vocab_size: 3, block_size: 3, embedding_dim: 16, num_heads: 2, num_layers: 1 };
      const encoder = fill(new live.Encoder(sizes), 10, 0.5);
      if (!positions) encoder.position_embedding.weight.data.fill(0);
      const read = (words) => encoder.forward(words.map((w) => vocabulary.indexOf(w)))[0];
      const a = read(first), b = read(second), items = first.map((name, i) => {
        const j = second.indexOf(name), apart = new live.Rows(1, 16, a.data.slice(i * 16, i * 16 + 16));
        const d = moved(apart, new live.Rows(1, 16, b.data.slice(j * 16, j * 16 + 16)), 0);
        return { name: word(name), share: d / 8, text: digits(d) };
      });
      return bars(`How far the encoder's vector of each word lies apart in “${first.join(" ")}” and in “${order}”, ${positions ? "with" : "without"} positions`, items)
        + `<p>${positions ? `With positions the order counts${order === first.join(" ") ? "; here it is the same" : ""}.` : "Without positions each word gets the same vector in every order: attention sees a set, not a sequence."}</p>`;
    },
  });

  live.thing("temperature", {
    controls: [
      { name: "temperature", label: "Temperature", min: 0, max: 3, step: 0.1, value: 1 },
      { name: "top_k", label: "Top-k", min: 1, max: 8, step: 1, value: 8 },
      { name: "top_p", label: "Top-p", min: 0.05, max: 1, step: 0.05, value: 1 },
    ],
    show({ temperature, top_k, top_p }) {
      const words = ["mat", "sofa", "floor", "bed", "roof", "moon", "idea", "of"], logits = [4, 3.2, 3, 2.2, 1.5, 0.2, -1, -3];
      const p = live.probabilities(Float32Array.from(logits), { temperature, top_k, top_p });
      const items = words.map((w, i) => ({ name: `${word(w)}, logit ${digits(logits[i], 1)}`, share: p[i], text: p[i] ? percent(p[i]) : "never" }));
      const kept = p.filter((x) => x > 0).length;
      return bars(`The next word after “the cat sat on the”, temperature ${digits(temperature, 1)}`, items)
        + `<p>${kept} of 8 words can be drawn; they sum to ${percent(p.reduce((a, b) => a + b))}.</p>`;
    },
  });
});

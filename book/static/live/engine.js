// The classes of this book once more, in plain JavaScript: the forward pass that
// the pages run, on the rows of numbers.js. Each class has the name, the parts and the order of its Python
// twin; the parameters have the same names, so that the weights which a chapter
// has trained can be loaded as they are. Backward passes stand in training.js.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";
  const { Rows, Parameter, Module, multiply } = live;

  // [parts]
  class Linear extends Module {
    constructor(inputs, outputs) {
      super();
      this.weight = new Parameter(outputs, inputs);
      this.bias = new Parameter(outputs);
    }
    forward(x) {
      const y = multiply(x, this.weight), b = this.bias.data;
      for (let i = 0; i < y.data.length; i++) y.data[i] += b[i % y.width];
      this.x = x; // what a backward pass, or a reader, wants to see again
      return y;
    }
  }

  class Embedding extends Module {
    constructor(count, width) {
      super();
      this.weight = new Parameter(count, width);
    }
    forward(ids) {
      const C = this.weight.width, x = new Rows(ids.length, C);
      const row = (id) => this.weight.data.subarray(id * C, (id + 1) * C);
      ids.forEach((id, n) => x.data.set(row(id), n * C));
      this.ids = ids;
      return x;
    }
  }

  class LayerNorm extends Module {
    constructor(width) {
      super();
      this.weight = new Parameter(width);
      this.bias = new Parameter(width);
    }
    forward(x) {
      const C = x.width, y = new Rows(x.count, C);
      const w = this.weight.data, b = this.bias.data;
      this.normed = new Rows(x.count, C);
      this.spread = new Float64Array(x.count); // 1 / standard deviation
      for (let n = 0, o = 0; n < x.count; n++, o += C) {
        let mean = 0, variance = 0;
        for (let c = 0; c < C; c++) mean += x.data[o + c] / C;
        for (let c = 0; c < C; c++) variance += (x.data[o + c] - mean) ** 2 / C;
        this.spread[n] = 1 / Math.sqrt(variance + 1e-5);
        for (let c = 0; c < C; c++) {
          this.normed.data[o + c] = (x.data[o + c] - mean) * this.spread[n];
          y.data[o + c] = this.normed.data[o + c] * w[c] + b[c];
        }
      }
      return y;
    }
  }

  // The softmax of x[from] ... x[from + n - 1], in place.
  function softmax(x, from = 0, n = x.length) {
    let largest = -Infinity, sum = 0;
    for (let i = from; i < from + n; i++) if (x[i] > largest) largest = x[i];
    for (let i = from; i < from + n; i++) sum += x[i] = Math.exp(x[i] - largest);
    for (let i = from; i < from + n; i++) x[i] /= sum;
    return x;
  }

  function relu(x) {
    for (let i = 0; i < x.data.length; i++) if (x.data[i] < 0) x.data[i] = 0;
    return x;
  }

  function add(a, b) {
    const y = new Rows(a.count, a.width);
    for (let i = 0; i < y.data.length; i++) y.data[i] = a.data[i] + b.data[i];
    return y;
  }
  // [end]

  // [AttentionHead]
  class AttentionHead extends Module {
    constructor(embedding_dim, head_size, causal) {
      super();
      this.key = new Linear(embedding_dim, head_size);
      this.query = new Linear(embedding_dim, head_size);
      this.value = new Linear(embedding_dim, head_size);
      this.causal = causal;
    }
    // x (B * T, C) -> output (B * T, D); the weights (B * T, keys) are kept.
    // real (B * T): false where there is only padding.
    forward(x, T, cache, real) {
      const past = cache ? cache.length : 0, keys = past + T;
      const q = this.query.forward(x), D = q.width;
      let k = this.key.forward(x), v = this.value.forward(x);
      if (cache) [k, v] = cache.append(k, v);
      const output = new Rows(q.count, D), weights = new Rows(q.count, keys);
      for (let n = 0; n < q.count; n++) {
        const i = n % T, first = (n - i) / T * keys; // the first key of this sequence
        const seen = this.causal ? past + i + 1 : keys, row = n * keys;
        for (let j = 0; j < seen; j++) {
          const b = (first + j) * D;
          let score = 0;
          for (let d = 0; d < D; d++) score += q.data[n * D + d] * k.data[b + d];
          const open = !real || real[first + j];
          weights.data[row + j] = open ? score / Math.sqrt(D) : -Infinity;
        }
        softmax(weights.data, row, seen);
        for (let j = 0; j < seen; j++) {
          const b = (first + j) * D, weight = weights.data[row + j];
          for (let d = 0; d < D; d++)
            output.data[n * D + d] += weight * v.data[b + d];
        }
      }
      Object.assign(this, { q, k, v, weights, T });
      return output;
    }
  }
  // [end]

  // [MultiHeadAttention]
  class MultiHeadAttention extends Module {
    constructor(embedding_dim, num_heads, causal) {
      super();
      const D = embedding_dim / num_heads;
      const head = () => new AttentionHead(embedding_dim, D, causal);
      this.heads = Array.from({ length: num_heads }, head);
      this.projection = new Linear(embedding_dim, embedding_dim);
    }
    forward(x, T, cache, real) {
      const C = x.width, D = C / this.heads.length, joined = new Rows(x.count, C);
      this.heads.forEach((head, h) => {
        const output = head.forward(x, T, cache?.[h], real);
        for (let n = 0; n < x.count; n++)
          for (let d = 0; d < D; d++)
            joined.data[n * C + h * D + d] = output.data[n * D + d];
      });
      const maps = this.heads.map((head) => head.weights);
      return [this.projection.forward(joined), maps];
    }
  }
  // [end]

  // [FeedForward]
  class FeedForward extends Module {
    constructor(embedding_dim) {
      super();
      this.expand = new Linear(embedding_dim, 4 * embedding_dim);
      this.contract = new Linear(4 * embedding_dim, embedding_dim);
    }
    forward(x) {
      const inner = relu(this.expand.forward(x));
      return this.contract.forward(inner);
    }
  }
  // [end]

  // [Block]
  class Block extends Module {
    constructor(embedding_dim, num_heads, causal) {
      super();
      this.attention_norm = new LayerNorm(embedding_dim);
      this.attention = new MultiHeadAttention(embedding_dim, num_heads, causal);
      this.feed_forward_norm = new LayerNorm(embedding_dim);
      this.feed_forward = new FeedForward(embedding_dim);
    }
    forward(x, T, cache, real) {
      const normed = this.attention_norm.forward(x);
      const [attended, maps] = this.attention.forward(normed, T, cache, real);
      x = add(x, attended);
      x = add(x, this.feed_forward.forward(this.feed_forward_norm.forward(x)));
      this.x = x;
      return [x, maps];
    }
  }
  // [end]

  function checkTokens(tokens, length, { vocab_size, block_size }) {
    if (!tokens.length || length > block_size)
      throw new Error(`tokens must be 1 to ${block_size} long, got ${length}`);
    const wrong = tokens.find((id) => !(id >= 0 && id < vocab_size));
    if (wrong !== undefined)
      throw new Error(`tokens must be ids below ${vocab_size}, got ${wrong}`);
  }

  // [Encoder]
  class Encoder extends Module {
    constructor(sizes, causal = false) {
      super();
      this.sizes = sizes;
      const { vocab_size, block_size, embedding_dim, num_heads, num_layers } = sizes;
      this.token_embedding = new Embedding(vocab_size, embedding_dim);
      this.position_embedding = new Embedding(block_size, embedding_dim);
      const block = () => new Block(embedding_dim, num_heads, causal);
      this.blocks = Array.from({ length: num_layers }, block);
    }
    // tokens: B * T ids -> encodings (B * T, C), maps[layer][head] (B * T, T).
    forward(tokens, T = tokens.length, real) {
      return this.encode(tokens, T, null, real);
    }
    encode(tokens, T, cache, real) {
      const past = cache ? cache.length : 0, all = [];
      checkTokens(tokens, past + T, this.sizes);
      const places = tokens.map((id, n) => past + (n % T));
      const words = this.token_embedding.forward(tokens);
      let maps, x = add(words, this.position_embedding.forward(places));
      this.x = x;
      for (const [n, block] of this.blocks.entries()) {
        [x, maps] = block.forward(x, T, cache?.layers[n], real);
        all.push(maps);
      }
      return [x, all];
    }
  }
  // [end]

  // [Classifier]
  class Classifier extends Module {
    constructor(embedding_dim, hidden_dim, num_classes) {
      super();
      this.hidden = new Linear(embedding_dim, hidden_dim);
      this.output = new Linear(hidden_dim, num_classes);
    }
    forward(x) {
      const logits = this.output.forward(relu(this.hidden.forward(x)));
      const { count, width: K } = logits, p = Float64Array.from(logits.data);
      for (let n = 0; n < count; n++) softmax(p, n * K, K);
      return Float32Array.from(p, Math.log);
    }
  }

  class EncoderClassifier extends Module {
    constructor(encoder, classifier) {
      super();
      this.encoder = encoder;
      this.classifier = classifier;
    }
    // tokens: B * T ids -> log-probabilities (B * K), maps.
    forward(tokens, T = tokens.length, real = tokens.map(() => true)) {
      const [x, maps] = this.encoder.forward(tokens, T, real), C = x.width;
      const mean = new Rows(x.count / T, C);
      for (let b = 0; b < mean.count; b++) {
        const kept = [...Array(T).keys()].filter((t) => real[b * T + t]);
        for (const t of kept)
          for (let c = 0; c < C; c++)
            mean.data[b * C + c] += x.data[(b * T + t) * C + c] / kept.length;
      }
      return [this.classifier.forward(mean), maps];
    }
  }
  // [end]

  // [Decoder]
  class Decoder extends Encoder {
    constructor(sizes) {
      super(sizes, true);
      this.final_norm = new LayerNorm(sizes.embedding_dim);
      this.projection = new Linear(sizes.embedding_dim, sizes.vocab_size);
    }
    // tokens: B * T ids -> logits (B * T, V), maps. With a cache, B is 1 and tokens
    // are the new ones.
    forward(tokens, T = tokens.length, cache) {
      const [x, maps] = this.encode(tokens, T, cache);
      return [this.projection.forward(this.final_norm.forward(x)), maps];
    }
  }
  // [end]

  // [KVCache]
  // The keys and values that one head has seen.
  class HeadCache {
    constructor(capacity, head_size) {
      this.k = new Rows(capacity, head_size);
      this.v = new Rows(capacity, head_size);
      this.length = 0;
    }
    append(k, v) {
      this.k.data.set(k.data, this.length * k.width);
      this.v.data.set(v.data, this.length * v.width);
      this.length += k.count;
      return [this.k, this.v];
    }
  }

  class KVCache {
    constructor(decoder) {
      const { block_size, embedding_dim, num_heads } = decoder.sizes;
      const head = () => new HeadCache(block_size, embedding_dim / num_heads);
      this.layers = decoder.blocks.map(() => Array.from({ length: num_heads }, head));
    }
    get length() {
      return this.layers[0][0].length;
    }
    clear() {
      for (const heads of this.layers) for (const head of heads) head.length = 0;
    }
  }
  // [end]

  Object.assign(live, {
    softmax, add, Linear, Embedding, LayerNorm, AttentionHead, MultiHeadAttention, FeedForward, Block, Encoder, Classifier,
    EncoderClassifier, Decoder, KVCache,
  });
});

// The classes of this book once more, in plain JavaScript: the forward pass that
// the pages run. Each class has the name, the parts and the order of its Python
// twin; the parameters have the same names, so that the weights which a chapter
// has trained can be loaded as they are. Backward passes stand in training.js.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";

  // [rows]
  // `count` rows of `width` numbers, one after the other in one typed array. B
  // sequences of T positions with C numbers each, which PyTorch writes as (B, T,
  // C), are B * T rows of width C.
  class Rows {
    constructor(count, width, data = new Float32Array(count * width)) {
      this.count = count;
      this.width = width;
      this.data = data;
    }
  }

  // A matrix (count, width) or a vector (width) that training changes.
  class Parameter extends Rows {
    constructor(...shape) {
      super(shape.length > 1 ? shape[0] : 1, shape.at(-1));
      this.shape = shape;
    }
  }

  // A module finds its parameters in its parts, under the names of PyTorch's
  // state dict.
  class Module {
    *parameters(prefix = "") {
      for (const [name, part] of Object.entries(this)) {
        if (part instanceof Parameter) yield [prefix + name, part];
        else if (part instanceof Module) yield* part.parameters(prefix + name + ".");
        else if (Array.isArray(part))
          for (const [i, one] of part.entries())
            if (one instanceof Module)
              yield* one.parameters(`${prefix}${name}.${i}.`);
      }
    }
  }
  // [end]

  // [multiply]
  // a (N, K), b (M, K) -> a b^T (N, M). Two rows by four at a time, since each
  // number that is fetched is then used more than once; the plain loop `for n,
  // for m, for k` gives the same result in twice the time.
  function multiply(a, b, out = new Rows(a.count, b.count)) {
    const N = a.count, M = b.count, K = a.width, x = a.data, w = b.data, y = out.data;
    const wide = M - (M % 4);
    for (let n = 0; n < N; n += 2) {
      const single = n + 1 === N, p = n * K, r = single ? p : p + K;
      for (let m = 0; m < wide; m += 4) {
        const i = m * K, j = i + K, k = j + K, l = k + K;
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        for (let c = 0; c < K; c++) {
          const u = x[p + c], v = x[r + c];
          const w0 = w[i + c], w1 = w[j + c], w2 = w[k + c], w3 = w[l + c];
          a0 += u * w0; a1 += u * w1; a2 += u * w2; a3 += u * w3;
          b0 += v * w0; b1 += v * w1; b2 += v * w2; b3 += v * w3;
        }
        const o = n * M + m, q = single ? o : o + M;
        y[q] = b0; y[q + 1] = b1; y[q + 2] = b2; y[q + 3] = b3;
        y[o] = a0; y[o + 1] = a1; y[o + 2] = a2; y[o + 3] = a3;
      }
      for (let m = wide; m < M; m++)
        for (let o = n; o < Math.min(n + 2, N); o++) {
          let sum = 0;
          for (let c = 0; c < K; c++) sum += x[o * K + c] * w[m * K + c];
          y[o * M + m] = sum;
        }
    }
    return out;
  }
  // [end]

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
    forward(x, T, cache) {
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
          weights.data[row + j] = score / Math.sqrt(D);
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
    forward(x, T, cache) {
      const C = x.width, D = C / this.heads.length, joined = new Rows(x.count, C);
      this.heads.forEach((head, h) => {
        const output = head.forward(x, T, cache?.[h]);
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
    forward(x, T, cache) {
      const normed = this.attention_norm.forward(x);
      const [attended, maps] = this.attention.forward(normed, T, cache);
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
    forward(tokens, T = tokens.length) {
      return this.encode(tokens, T);
    }
    encode(tokens, T, cache) {
      const past = cache ? cache.length : 0, all = [];
      checkTokens(tokens, past + T, this.sizes);
      const places = tokens.map((id, n) => past + (n % T));
      const words = this.token_embedding.forward(tokens);
      let maps, x = add(words, this.position_embedding.forward(places));
      this.x = x;
      for (const [n, block] of this.blocks.entries()) {
        [x, maps] = block.forward(x, T, cache?.layers[n]);
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
      const logits = this.output.forward(relu(this.hidden.forward(x))).data;
      return Float32Array.from(softmax(Float64Array.from(logits)), Math.log);
    }
  }

  class EncoderClassifier extends Module {
    constructor(encoder, classifier) {
      super();
      this.encoder = encoder;
      this.classifier = classifier;
    }
    forward(tokens) {
      const [x, maps] = this.encoder.forward(tokens), mean = new Rows(1, x.width);
      x.data.forEach((value, i) => (mean.data[i % x.width] += value / x.count));
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

  // [loading]
  // A number of 16 bits (IEEE 754 half precision), and one of 16 bits of the kind
  // that has float32's exponents.
  function half(bits) {
    const sign = bits >> 15 ? -1 : 1;
    const exponent = (bits >> 10) & 31, rest = bits & 1023;
    if (exponent === 31) return rest ? NaN : sign * Infinity;
    if (exponent === 0) return sign * 2 ** -24 * rest;
    return sign * 2 ** (exponent - 15) * (1 + rest / 1024);
  }
  const bfloat = (bits) => new Float32Array(new Uint32Array([bits << 16]).buffer)[0];

  // The bytes of a safetensors file -> {name: Float32Array}. An I8 tensor has a
  // scale for each of its rows beside it.
  function readSafetensors(buffer) {
    const said = "The file of the weights is damaged, or half of it is missing.";
    const damaged = new Error(said), utf8 = new TextDecoder("utf-8", { fatal: true });
    let header, begin;
    try {
      begin = 8 + Number(new DataView(buffer).getBigUint64(0, true));
      header = JSON.parse(utf8.decode(new Uint8Array(buffer, 8, begin - 8)));
    } catch {
      throw damaged;
    }
    const arrays = { F32: Float32Array, F16: Uint16Array, BF16: Uint16Array };
    arrays.I8 = Int8Array;
    const wide = { F16: half, BF16: bfloat }, tensors = {};
    delete header.__metadata__;
    for (const [name, entry] of Object.entries(header)) {
      const { dtype, data_offsets: [from, to] } = entry;
      if (!arrays[dtype]) throw new Error(`This page cannot read ${dtype}: ${name}.`);
      if (begin + to > buffer.byteLength) throw damaged;
      const stored = new arrays[dtype](buffer.slice(begin + from, begin + to));
      tensors[name] = Float32Array.from(stored, wide[dtype]);
    }
    const scales = Object.keys(tensors).filter((name) => name.endsWith(".scale"));
    for (const name of scales) {
      const values = tensors[name.slice(0, -6)], scale = tensors[name];
      const width = values.length / scale.length;
      for (let i = 0; i < values.length; i++)
        values[i] *= scale[Math.floor(i / width)];
      delete tensors[name];
    }
    return tensors;
  }

  // A model with the sizes that a config.json names, and with these tensors in it.
  function build(config, tensors) {
    const { model: kind, sizes, classifier: c } = config;
    const top = () => new Classifier(c.embedding_dim, c.hidden_dim, c.num_classes);
    const model = kind === "Decoder" ? new Decoder(sizes)
      : new EncoderClassifier(new Encoder(sizes), top());
    if (tensors) load(model, tensors);
    return model;
  }

  function load(model, tensors) {
    const left = new Set(Object.keys(tensors));
    const wrong = (why) => new Error(`The weights do not fit the model: ${why}.`);
    for (const [name, parameter] of model.parameters()) {
      if (tensors[name]?.length !== parameter.data.length)
        throw wrong(`${name} ${left.has(name) ? "has another size" : "is missing"}`);
      parameter.data.set(tensors[name]);
      left.delete(name);
    }
    if (left.size) throw wrong(`it has no ${[...left][0]}`);
  }
  // [end]

  Object.assign(live, {
    Rows, Parameter, Module, multiply, softmax, add, Linear, Embedding, LayerNorm, AttentionHead, MultiHeadAttention,
    FeedForward, Block, Encoder, Classifier, EncoderClassifier, Decoder, KVCache, readSafetensors, build, load,
  });
});

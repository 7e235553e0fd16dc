// From logits to text: the random numbers, the choice of the next token, and text
// that grows token by token.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";
  const [PAD, UNK, END, MASK] = [0, 1, 2, 3], BANNED = [PAD, UNK, MASK]; // as in tokens.py

  // The Mersenne twister: `uniform` gives the numbers of torch.rand after
  // torch.manual_seed with the same seed.
  class Generator {
    constructor(seed) {
      this.state = new Uint32Array(624);
      this.state[0] = seed;
      for (let i = 1; i < 624; i++) {
        const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
        this.state[i] = Math.imul(1812433253, before) + i;
      }
      this.at = 624;
    }
    next() {
      const s = this.state;
      if (this.at === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
          s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        this.at = 0;
      }
      let y = s[this.at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }
    uniform() {
      return (this.next() & 0xffffff) / 0x1000000;
    }
    normal() {
      return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
    }
  }

  // [probabilities]
  // What to draw the next token from; equal logits stand in the order of their ids.
  function probabilities(logits, { temperature = 1, top_k = null, top_p = null } = {}) {
    const V = logits.length, largest = logits.reduce((a, b) => Math.max(a, b));
    let p = new Float64Array(V);
    if (temperature === 0) {
      p[logits.indexOf(largest)] = 1;
      return p;
    }
    for (let i = 0; i < V; i++) p[i] = (logits[i] - largest) / temperature;
    const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a] || a - b);
    if (top_k !== null) for (const i of order.slice(top_k)) p[i] = -Infinity;
    p = live.softmax(p);
    if (top_p !== null && top_p < 1) {
      let before = 0, kept = 0;
      for (const i of order) {
        const own = p[i];
        if (before >= top_p) p[i] = 0;
        before += own;
        kept += p[i];
      }
      p = p.map((x) => x / kept);
    }
    return p;
  }

  // The first token at which the sum of the probabilities passes a random number
  // from 0 to 1.
  function draw(p, generator) {
    let left = generator.uniform(), last = 0;
    for (let i = 0; i < p.length; i++) {
      if (p[i] > 0) {
        if (left < p[i]) return i;
        last = i;
      }
      left -= p[i];
    }
    return last; // the sum was a little below 1
  }
  // [end]

  // The logits of the last position, with -infinity where a token must not be drawn.
  function lastLogits(logits, banned) {
    const last = logits.data.slice(-logits.width);
    for (const id of banned) last[id] = -Infinity;
    return last;
  }

  // [stream]
  // What a decoder reads of a text: of one that is too long, its last half block.
  const recent = (ids, size) =>
    ids.length > size ? ids.slice(-Math.max(1, Math.floor(size / 2))) : ids;

  // Yields {token, p} up to max_new_tokens times.
  function* stream(decoder, prompt, options = {}) {
    const { max_new_tokens = 100, seed = 0, cached = true } = options;
    const { stop = [], banned = [], ...choice } = options;
    const size = decoder.sizes.block_size, generator = new Generator(seed);
    const cache = cached ? new live.KVCache(decoder) : undefined;
    let context = [...prompt];
    for (let n = 0; n < max_new_tokens; n++) {
      if (context.length > size) cache?.clear();
      context = recent(context, size);
      const fresh = context.slice(cache ? cache.length : 0);
      const [logits] = decoder.forward(fresh, fresh.length, cache);
      const p = probabilities(lastLogits(logits, banned), choice);
      const token = choice.temperature === 0 ? p.indexOf(1) : draw(p, generator);
      yield { token, p };
      if (stop.includes(token)) return;
      context.push(token);
    }
  }

  // Yields the text that follows a prompt, piece by piece; half a character waits
  // for the rest. Returns whether the model ended the text.
  function* generate(decoder, tokenizer, prompt, options = {}) {
    const { stop = [END], banned = BANNED, ...choice } = options;
    const ids = tokenizer.encode(prompt), row = [...ids];
    let text = tokenizer.decode(row), ended = false;
    const prompted = ids.length ? ids : [END];
    for (const { token, p } of stream(decoder, prompted, { stop, banned, ...choice })) {
      if ((ended = stop.includes(token))) break;
      row.push(token);
      const longer = tokenizer.decode(row);
      if (longer.endsWith("\ufffd")) continue;
      yield { piece: longer.slice(text.length), token, p };
      text = longer;
    }
    const rest = tokenizer.decode(row).slice(text.length);
    if (rest) yield { piece: rest };
    return ended;
  }
  // [end]

  Object.assign(live, { END, BANNED, Generator, probabilities, lastLogits, draw, recent, stream, generate });
});

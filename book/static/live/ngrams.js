// Interpolated Kneser-Ney n-grams: the line that a model has to get below. As in
// the chapter on n-grams.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";

  // All n-grams of one length. grams: context number * V + token -> the number of
  // the n-gram; counts: of each.
  class Grams {
    constructor(grams, counts, contexts, V) {
      Object.assign(this, { grams, counts, V, totals: new Float64Array(contexts), types: new Float64Array(contexts) });
      let ones = 0, twos = 0;
      for (const [key, n] of grams) {
        const context = Math.floor(key / V);
        this.totals[context] += counts[n];
        if (counts[n] > 0) this.types[context]++;
        if (counts[n] === 1) ones++;
        if (counts[n] === 2) twos++;
      }
      this.discount = Math.min(0.9, Math.max(0.1, ones / Math.max(ones + 2 * twos, 1)));
    }
    find(context, token) {
      return context < 0 ? -1 : this.grams.get(context * this.V + token) ?? -1;
    }
    probability(context, token, shorter) {
      const total = context < 0 ? 0 : this.totals[context], n = this.find(context, token);
      if (!total) return shorter;
      const count = n < 0 ? 0 : this.counts[n], d = this.discount;
      return (Math.max(count - d, 0) + d * this.types[context] * shorter) / total;
    }
  }

  class KneserNey {
    constructor(order, vocab_size) {
      Object.assign(this, { order, V: vocab_size, levels: [] });
    }
    fit(ids) {
      const V = this.V;
      let grams = new Map(Array.from({ length: V }, (_, i) => [i, i])), number = Array.from(ids), contexts = 1;
      this.levels = [];
      for (let k = 1; k < this.order; k++) {
        const longer = new Map(), counts = new Float64Array(grams.size), numbers = [];
        for (let i = 0; i + k < ids.length; i++) {
          const key = number[i] * V + ids[i + k];
          if (!longer.has(key)) {
            longer.set(key, longer.size);
            counts[number[i + 1]]++; // one more kind of left neighbour
          }
          numbers.push(longer.get(key));
        }
        this.levels.push(new Grams(grams, counts, contexts, V));
        [contexts, grams, number] = [grams.size, longer, numbers];
      }
      const counts = new Float64Array(grams.size);
      for (const n of number) counts[n]++;
      this.levels.push(new Grams(grams, counts, contexts, V));
      return this;
    }
    // The mean of -ln P over ids[1:], each given those before it: nats per token.
    loss(ids) {
      let sum = 0, contexts = this.levels.map((level, k) => (k ? -1 : 0));
      for (let i = 0; i < ids.length; i++) {
        let p = 1 / this.V;
        const next = this.levels.map((level, k) => {
          p = level.probability(contexts[k], ids[i], p);
          return level.find(contexts[k], ids[i]);
        });
        if (i) sum -= Math.log(p);
        contexts = [0, ...next.slice(0, -1)];
      }
      return sum / (ids.length - 1);
    }
  }

  Object.assign(live, { KneserNey });
});

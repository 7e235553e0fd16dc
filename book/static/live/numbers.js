// Numbers in rows, and their product: what stands in for PyTorch's tensors.
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

  Object.assign(live, { Rows, Parameter, Module, multiply });
});

// How the classes of engine.js learn: a backward pass for each, written by hand,
// the loss, and AdamW.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";
  const { Rows, multiply, add } = live;

  // [backward]
  // Each backward takes the gradient of the loss at the output, writes the
  // gradients of the parameters into `grad`, and returns the gradient at the
  // input. It uses what the last forward pass has kept.
  function turned(a) {
    const t = new Rows(a.width, a.count);
    for (let n = 0; n < a.count; n++)
      for (let c = 0; c < a.width; c++)
        t.data[c * a.count + n] = a.data[n * a.width + c];
    return t;
  }

  live.Linear.prototype.backward = function (dy) {
    this.weight.grad = multiply(turned(dy), turned(this.x)).data;
    this.bias.grad = new Float32Array(dy.width);
    dy.data.forEach((value, i) => (this.bias.grad[i % dy.width] += value));
    return multiply(dy, turned(this.weight));
  };

  live.Embedding.prototype.backward = function (dx) {
    const C = dx.width, grad = new Float32Array(this.weight.data.length);
    this.weight.grad = grad;
    this.ids.forEach((id, n) => {
      for (let c = 0; c < C; c++) grad[id * C + c] += dx.data[n * C + c];
    });
  };

  live.LayerNorm.prototype.backward = function (dy) {
    const C = dy.width, dx = new Rows(dy.count, C);
    const normed = this.normed.data, w = this.weight.data;
    const dw = (this.weight.grad = new Float32Array(C));
    const db = (this.bias.grad = new Float32Array(C));
    for (let n = 0, o = 0; n < dy.count; n++, o += C) {
      let mean = 0, along = 0;
      for (let c = 0; c < C; c++) {
        const d = dy.data[o + c], x = normed[o + c];
        dw[c] += d * x;
        db[c] += d;
        mean += (d * w[c]) / C;
        along += (d * w[c] * x) / C;
      }
      for (let c = 0; c < C; c++)
        dx.data[o + c] =
          this.spread[n] * (dy.data[o + c] * w[c] - mean - normed[o + c] * along);
    }
    return dx;
  };

  live.AttentionHead.prototype.backward = function (dy) {
    const { q, k, v, weights, T } = this, N = q.count, D = q.width;
    const dq = new Rows(N, D), dk = new Rows(N, D), dv = new Rows(N, D);
    const dw = new Float64Array(T);
    for (let n = 0; n < N; n++) {
      const i = n % T, first = n - i, seen = this.causal ? i + 1 : T, row = n * T;
      let mean = 0; // of dw, by the weights
      for (let j = 0; j < seen; j++) {
        const weight = weights.data[row + j], b = (first + j) * D;
        dw[j] = 0;
        for (let d = 0; d < D; d++) {
          dw[j] += dy.data[n * D + d] * v.data[b + d];
          dv.data[b + d] += weight * dy.data[n * D + d];
        }
        mean += weight * dw[j];
      }
      for (let j = 0; j < seen; j++) {
        const ds = (weights.data[row + j] * (dw[j] - mean)) / Math.sqrt(D);
        const b = (first + j) * D;
        for (let d = 0; d < D; d++) {
          dq.data[n * D + d] += ds * k.data[b + d];
          dk.data[b + d] += ds * q.data[n * D + d];
        }
      }
    }
    const dx = add(this.query.backward(dq), this.key.backward(dk));
    return add(dx, this.value.backward(dv));
  };

  live.MultiHeadAttention.prototype.backward = function (dy) {
    const joined = this.projection.backward(dy);
    const C = dy.width, D = C / this.heads.length;
    const ofHead = (head, h) => {
      const own = new Rows(dy.count, D);
      for (let n = 0; n < dy.count; n++)
        for (let d = 0; d < D; d++)
          own.data[n * D + d] = joined.data[n * C + h * D + d];
      return head.backward(own);
    };
    return this.heads.map(ofHead).reduce((a, b) => add(a, b));
  };

  live.FeedForward.prototype.backward = function (dy) {
    const inner = this.contract.backward(dy), on = this.contract.x.data;
    on.forEach((value, i) => {
      if (!(value > 0)) inner.data[i] = 0; // ReLU
    });
    return this.expand.backward(inner);
  };

  live.Block.prototype.backward = function (dy) {
    dy = add(dy, this.feed_forward_norm.backward(this.feed_forward.backward(dy)));
    return add(dy, this.attention_norm.backward(this.attention.backward(dy)));
  };

  live.Decoder.prototype.backward = function (dlogits) {
    let dx = this.final_norm.backward(this.projection.backward(dlogits));
    for (const block of [...this.blocks].reverse()) dx = block.backward(dx);
    this.token_embedding.backward(dx);
    this.position_embedding.backward(dx);
  };

  // The mean cross-entropy in nats, and its gradient at the logits.
  function crossEntropy(logits, targets) {
    const V = logits.width, d = new Rows(logits.count, V, logits.data.slice());
    let loss = 0;
    targets.forEach((target, n) => {
      live.softmax(d.data, n * V, V);
      loss -= Math.log(Math.max(d.data[n * V + target], 1e-45)) / targets.length;
      d.data[n * V + target] -= 1;
    });
    for (let i = 0; i < d.data.length; i++) d.data[i] /= targets.length;
    return [loss, d];
  }
  // [end]

  // [AdamW]
  // As torch.optim.AdamW, the gradient clipped to a norm of 1 before. Biases,
  // norms and tables do not decay.
  class AdamW {
    constructor(model, { weight_decay = 0.1, max_grad_norm = 1 } = {}) {
      Object.assign(this, { betas: [0.9, 0.95], eps: 1e-8, max_grad_norm, t: 0 });
      this.groups = [...model.parameters()].map(([name, parameter]) => {
        const { shape, data } = parameter, m = new Float32Array(data.length);
        const decays = shape.length > 1 && !name.includes("embedding");
        return { parameter, decay: decays ? weight_decay : 0, m, v: m.slice() };
      });
    }
    // The share of every gradient that is kept, so that their norm is at most 1.
    clipped() {
      let square = 0;
      for (const { parameter: { grad } } of this.groups)
        for (let i = 0; i < grad.length; i++) square += grad[i] * grad[i];
      return Math.min(1, this.max_grad_norm / (Math.sqrt(square) + 1e-6));
    }
    step(rate) {
      const share = this.clipped(), [b1, b2] = this.betas;
      this.t++;
      const first = 1 - b1 ** this.t, second = Math.sqrt(1 - b2 ** this.t);
      for (const { parameter: { data, grad }, decay, m, v } of this.groups)
        for (let i = 0; i < data.length; i++) {
          const g = grad[i] * share;
          m[i] = b1 * m[i] + (1 - b1) * g;
          v[i] = b2 * v[i] + (1 - b2) * g * g;
          const move = m[i] / first / (Math.sqrt(v[i]) / second + this.eps);
          data[i] = data[i] * (1 - rate * decay) - rate * move;
        }
    }
  }
  // [end]

  // [init]
  // The first weights, as init_weights sets them: normal, and smaller where a
  // block writes to the residual stream.
  function initWeights(model, generator, std = 0.02) {
    for (const [name, parameter] of model.parameters()) {
      if (/norm\.weight$/.test(name)) parameter.data.fill(1);
      else if (parameter.shape.length > 1) {
        const writing = /(attention\.projection|contract)\.weight$/.test(name);
        const own = writing ? std / Math.sqrt(2 * model.sizes.num_layers) : std;
        for (let i = 0; i < parameter.data.length; i++)
          parameter.data[i] = own * generator.normal();
      } else parameter.data.fill(0);
    }
  }
  // [end]

  // [update]
  // One step: forward, loss, backward, AdamW. Returns the loss before it.
  function update(model, optimizer, inputs, targets, T, rate) {
    const [logits] = model.forward(inputs, T);
    const [loss, slope] = crossEntropy(logits, targets);
    if (!Number.isFinite(loss)) {
      const why = "The loss is no longer a number: the learning rate is too high.";
      throw new Error(why);
    }
    model.backward(slope);
    optimizer.step(rate);
    return loss;
  }
  // [end]

  Object.assign(live, { crossEntropy, AdamW, initWeights, update });
});

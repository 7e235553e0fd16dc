// A small decoder of this book that learns a text, step by step, beside n-grams that have counted the same text.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";
  const LONGEST = 200_000, SCORED = 2000, REPORT = 25, SPECIAL = ["<pad>", "<unk>", "<end>", "<mask>"];

  // One token per character: the commonest, sorted, behind the four special tokens, as train_tokenizer does it.
  function characterTokenizer(text, vocab_size = 256) {
    const counts = new Map();
    for (const c of text.normalize("NFC")) counts.set(c, (counts.get(c) || 0) + 1);
    const order = (a, b) => a.codePointAt(0) - b.codePointAt(0);
    const common = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || order(a, b));
    const known = common.slice(0, vocab_size - SPECIAL.length).sort(order);
    return new live.Tokenizer({
      added_tokens: SPECIAL.map((content, id) => ({ id, content, special: true })),
      normalizer: { type: "NFC" },
      pre_tokenizer: { type: "Split", pattern: { Regex: "[\\s\\S]" }, behavior: "Isolated", invert: false },
      decoder: { type: "Fuse" },
      model: {
        type: "WordLevel", unk_token: "<unk>",
        vocab: Object.fromEntries([...SPECIAL, ...known].map((token, id) => [token, id])),
      },
    });
  }

  class Lesson {
    constructor(text, settings = {}) {
      const { num_layers = 1, embedding_dim = 32, num_heads = 4, block_size = 32, batch_size = 8, seed = 0 } = settings;
      Object.assign(this, { T: block_size, B: batch_size, seed, cut: text.length > LONGEST });
      this.tokenizer = characterTokenizer(text.slice(0, LONGEST));
      const ids = this.tokenizer.encode(text.slice(0, LONGEST)), least = 10 * (block_size + 2);
      this.unknown = ids.filter((id) => id === this.tokenizer.unknown).length / ids.length;
      if (ids.length < least)
        throw new Error(`The text is too short to learn from: it has ${ids.length} characters, at least ${least} are needed.`);
      const end = Math.floor(0.9 * ids.length);
      this.learned = ids.slice(0, end);
      this.kept = ids.length - end;
      this.held = ids.slice(end, end + SCORED);
      this.sizes = { vocab_size: this.tokenizer.size, block_size, embedding_dim, num_heads, num_layers };
      this.model = new live.Decoder(this.sizes);
      this.generator = new live.Generator(seed);
      live.initWeights(this.model, this.generator);
      this.optimizer = new live.AdamW(this.model);
      this.done = 0;
    }

    get parameters() {
      return [...this.model.parameters()].reduce((sum, [, p]) => sum + p.data.length, 0);
    }

    // The best Kneser-Ney model of 1 to 5 characters, by the same part of the text that judges the decoder.
    baseline() {
      const all = [1, 2, 3, 4, 5].map((order) =>
        ({ order, loss: new live.KneserNey(order, this.tokenizer.size).fit(this.learned).loss(this.held) }));
      return all.reduce((best, one) => (one.loss < best.loss ? one : best));
    }

    step(rate) {
      const { T, B, learned } = this, inputs = [], targets = [];
      for (let b = 0; b < B; b++) {
        const start = Math.floor(this.generator.uniform() * (learned.length - T));
        inputs.push(...learned.slice(start, start + T));
        targets.push(...learned.slice(start + 1, start + T + 1));
      }
      const warm = Math.min(1, (this.done + 1) / 10);
      const loss = live.update(this.model, this.optimizer, inputs, targets, T, rate * warm);
      this.done++;
      return loss;
    }

    // The mean loss on text that was kept apart: each character once, with at least half a window before it.
    evaluate() {
      const { T, held } = this, N = held.length - 1, V = this.sizes.vocab_size, half = Math.floor(T / 2);
      const ends = [Math.min(T, N)];
      while (ends.at(-1) < N) ends.push(Math.min(ends.at(-1) + half, N));
      let sum = 0, scored = 0;
      for (const end of ends) {
        const start = Math.max(0, end - T), [logits] = this.model.forward(held.slice(start, end));
        for (; scored < end; scored++) {
          const row = logits.data.slice((scored - start) * V, (scored - start + 1) * V);
          sum -= Math.log(Math.max(live.softmax(row)[held[scored + 1]], 1e-45));
        }
      }
      return sum / N;
    }

    // What it writes now, always from the same beginning and the same random numbers.
    sample(length = 120, temperature = 0.8) {
      const prompt = this.held.slice(0, 8), choice = { max_new_tokens: length, temperature, seed: this.seed };
      const drawn = [...live.stream(this.model, prompt, choice)].map((step) => step.token);
      return { prompt: this.tokenizer.decode(prompt), text: this.tokenizer.decode(drawn) };
    }

    // The maps of the last characters of a fixed piece of the kept text.
    maps(length = 16) {
      const tokens = this.held.slice(8, 8 + Math.min(length, this.T)), [, maps] = this.model.forward(tokens);
      return {
        tokens: tokens.map((id) => this.tokenizer.show(id)),
        maps: maps.map((heads) => heads.map((map) => Array.from(map.data))),
      };
    }

    report() {
      return { step: this.done, held: this.evaluate(), sample: this.sample(), ...this.maps() };
    }
  }

  const SMALL = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    + "seventeen eighteen nineteen").split(" ");

  // Sums in words: the result depends on two words that stand further back than an n-gram reaches.
  function sums(count = 1500, seed = 1) {
    const generator = new live.Generator(seed), digit = () => Math.floor(generator.uniform() * 10);
    const line = () => {
      const a = digit(), b = digit();
      return `${SMALL[a]} and ${SMALL[b]} is ${SMALL[a + b]}\n`;
    };
    return Array.from({ length: count }, line).join("");
  }

  // Numbers in words, in an order that follows a rule.
  function counting(until = 999) {
    const tens = "- - twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
    const name = (n) => n < 20 ? SMALL[n]
      : n < 100 ? tens[Math.floor(n / 10)] + (n % 10 ? "-" + SMALL[n % 10] : "")
      : `${SMALL[Math.floor(n / 100)]} hundred${n % 100 ? " and " + name(n % 100) : ""}`;
    return Array.from({ length: until + 1 }, (_, n) => name(n)).join(", ") + ".";
  }

  // In a worker: obey messages, train in short turns, and tell the page.
  function work(self) {
    let lesson, running = false, rate = 3e-3;
    const say = (message) => self.postMessage(message);
    const attempt = (action) => {
      try {
        action();
      } catch (error) {
        running = false;
        say({ kind: "error", text: error.message });
      }
    };
    const report = () => say({ kind: "report", ...lesson.report() });
    const steps = (most) => {
      const losses = [], until = Date.now() + 100;
      while (losses.length < most && (!losses.length || Date.now() < until)) {
        losses.push(lesson.step(rate));
        if (lesson.done % REPORT === 0) break;
      }
      say({ kind: "steps", done: lesson.done, losses });
      if (lesson.done % REPORT === 0 || most === 1) report();
    };
    const turn = () => attempt(() => {
      if (!running) return;
      steps(Infinity);
      setTimeout(turn, 0); // so that a message is heard between two turns
    });
    const orders = {
      start({ text, settings }) {
        running = false;
        lesson = new Lesson(text, settings);
        const { sizes, parameters, learned, held, kept, cut, unknown } = lesson;
        say({ kind: "ready", sizes, parameters, learned: learned.length, held: held.length, kept, cut, unknown, baseline: lesson.baseline() });
        report();
      },
      run() {
        if (lesson && !running) {
          running = true;
          turn();
        }
      },
      pause() {
        if (running) report();
        running = false;
      },
      step() {
        running = false;
        if (lesson) steps(1);
      },
      rate({ value }) {
        rate = value;
      },
    };
    self.onmessage = ({ data }) => attempt(() => orders[data.order](data));
  }

  Object.assign(live, { characterTokenizer, Lesson, sums, counting, work });
});

// A tokenizer.json of this book (characters, words, or byte pairs) in the browser: the same ids as in Python.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";

  // The classes of characters of unicode.js, as the inside of a [...].
  const inside = (numbers) => {
    let end = 0, set = "";
    const values = numbers.split(" ").map((number) => parseInt(number, 36));
    for (let i = 0; i < values.length; i += 2) {
      const first = end + values[i];
      end = first + values[i + 1];
      set += `\\u{${first.toString(16)}}-\\u{${end.toString(16)}}`;
    }
    return set;
  };
  const [LETTER, NUMBER, WORD, SPACE] = ["letter", "number", "word", "space"].map((name) => inside(live.unicode[name]));
  // GPT-2's pattern, which ByteLevel cuts with before it looks for byte pairs.
  const BYTES = `'s|'t|'re|'ve|'m|'ll|'d| ?[${LETTER}]+| ?[${NUMBER}]+| ?[^${SPACE}${LETTER}${NUMBER}]+`
    + `|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`;

  // A regular expression as Python's `tokenizers` reads it -> one of JavaScript.
  function regex(pattern) {
    const classes = { "\\s": SPACE, "\\w": WORD, "\\p{L}": LETTER, "\\p{N}": NUMBER };
    const inSets = pattern.replace(/\[(?:\\.|[^\]\\])*\]/g, (set) =>
      set === "[\\s\\S]" ? "[^]" : set.replace(/\\[sw]|\\p\{[LN]\}/g, (name) => classes[name]));
    const outside = (name) => (/[SW]/.test(name) ? `[^${classes[name.toLowerCase()]}]` : `[${classes[name]}]`);
    return new RegExp(inSets.replace(/\\[swSW]|\\p\{[LN]\}/g, outside), "gu");
  }

  // Each of the 256 bytes is written as a letter that can be seen.
  const LETTERS = [], BYTE_OF = new Map();
  for (let byte = 0, next = 256; byte < 256; byte++) {
    const seen = (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
    LETTERS.push(String.fromCharCode(seen ? byte : next++));
    BYTE_OF.set(LETTERS[byte], byte);
  }

  // The rows of a pre-tokenizer: a function from a piece of text to pieces of it.
  function cutter(step) {
    if (!step) return (text) => [text];
    if (step.type === "Sequence") {
      const steps = step.pretokenizers.map(cutter);
      return (text) => steps.reduce((pieces, cut) => pieces.flatMap(cut), [text]);
    }
    if (step.type === "ByteLevel") {
      const encoder = new TextEncoder(), pattern = step.use_regex ? regex(BYTES) : null;
      const asLetters = (piece) => Array.from(encoder.encode(piece), (byte) => LETTERS[byte]).join("");
      return (text) => (pattern ? text.match(pattern) || [] : [text]).map(asLetters);
    }
    if (step.type === "Split") {
      const { Regex, String: literal } = step.pattern;
      const pattern = regex(Regex ?? literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      return (text) => {
        const matches = [], between = [], all = [];
        let end = 0;
        for (const match of text.matchAll(pattern)) {
          if (match.index > end) between.push(all[all.push(text.slice(end, match.index)) - 1]);
          if (match[0]) matches.push(all[all.push(match[0]) - 1]);
          end = match.index + match[0].length;
        }
        if (end < text.length) between.push(all[all.push(text.slice(end)) - 1]);
        return step.behavior === "Removed" ? (step.invert ? matches : between) : all;
      };
    }
    throw new Error(`The tokenizer cuts with ${step.type}, which this page does not know.`);
  }

  // A text with half a character in it (a lone surrogate) becomes one that can be written as UTF-8.
  const whole = (text) =>
    text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (c) => (c.length > 1 ? c : "\ufffd"));

  class Tokenizer {
    constructor(json) {
      const { model, pre_tokenizer, normalizer, decoder, added_tokens = [] } = json;
      if (!["BPE", "WordLevel"].includes(model?.type))
        throw new Error("The file tokenizer.json holds no tokenizer that this page can read.");
      this.ids = new Map(Object.entries(model.vocab));
      this.special = new Set(added_tokens.filter((token) => token.special).map((token) => token.id));
      this.tokens = [];
      for (const [token, id] of this.ids) this.tokens[id] = token;
      for (const { id, content } of added_tokens) this.tokens[id] = content;
      this.unknown = this.ids.get(model.unk_token);
      this.cut = cutter(pre_tokenizer);
      // What is done to a text first, in this order.
      this.changes = (normalizer?.normalizers ?? (normalizer ? [normalizer] : [])).map(({ type }) => {
        if (/^NFK?[CD]$/.test(type)) return (text) => text.normalize(type);
        if (type === "Lowercase") return (text) => text.toLowerCase();
        throw new Error(`The tokenizer changes text with ${type}, which this page does not know.`);
      });
      this.bytes = decoder?.type === "ByteLevel";
      this.joint = decoder ? "" : " ";
      this.known = new Map();
      if (model.type === "BPE") {
        const pairs = model.merges.map((pair) => (Array.isArray(pair) ? pair : pair.split(" ")));
        const numbers = ([a, b], rank) => [`${this.ids.get(a)} ${this.ids.get(b)}`, [rank, this.ids.get(a + b)]];
        this.merges = new Map(pairs.map(numbers));
      }
    }

    get size() {
      return this.tokens.length;
    }

    // The ids of a text; at most `most` of them, so that a long text costs no more than its beginning.
    encode(text, most = Infinity) {
      const ids = [];
      text = whole(text);
      text = this.changes.reduce((changed, change) => change(changed), text);
      for (const piece of this.cut(text)) {
        if (ids.length >= most) break;
        if (this.merges) for (const id of this.pairs(piece)) ids.push(id);
        else if (this.ids.has(piece)) ids.push(this.ids.get(piece));
        else if (this.unknown !== undefined) ids.push(this.unknown);
      }
      return ids.length > most ? ids.slice(0, most) : ids;
    }

    // Byte pair encoding of one piece: again and again the pair that was learned first, and of those the leftmost.
    pairs(piece) {
      const found = this.known.get(piece);
      if (found) return found;
      const ids = Array.from(piece, (letter) => this.ids.get(letter)).filter((id) => id !== undefined);
      const next = ids.map((id, i) => i + 1), before = ids.map((id, i) => i - 1), heap = [];
      const earlier = (a, b) => a[0] - b[0] || a[1] - b[1];
      const push = (i) => {
        const merge = next[i] < ids.length && this.merges.get(`${ids[i]} ${ids[next[i]]}`);
        if (!merge) return;
        let at = heap.push([merge[0], i, merge[1], ids[i], ids[next[i]]]) - 1;
        for (let up; at && earlier(heap[at], heap[(up = (at - 1) >> 1)]) < 0; at = up)
          [heap[at], heap[up]] = [heap[up], heap[at]];
      };
      const pop = () => {
        const first = heap[0], last = heap.pop();
        if (!heap.length) return first;
        heap[0] = last;
        for (let at = 0, down; (down = 2 * at + 1) < heap.length; at = down) {
          if (down + 1 < heap.length && earlier(heap[down + 1], heap[down]) < 0) down++;
          if (earlier(heap[at], heap[down]) <= 0) break;
          [heap[at], heap[down]] = [heap[down], heap[at]];
        }
        return first;
      };
      ids.forEach((id, i) => push(i));
      while (heap.length) {
        const [, i, merged, left, right] = pop(), j = next[i];
        if (ids[i] !== left || ids[j] !== right) continue; // it was merged otherwise in the meantime
        ids[i] = merged;
        ids[j] = null;
        next[i] = next[j];
        if (next[i] < ids.length) before[next[i]] = i;
        if (before[i] >= 0) push(before[i]);
        push(i);
      }
      const result = ids.filter((id) => id !== null);
      if (piece.length < 50) this.known.set(piece, result);
      return result;
    }

    // One token as a reader sees it; half a character is shown as the sign that stands for one.
    show(id) {
      return this.special.has(id) ? this.tokens[id] : this.decode([id]);
    }

    // The text of ids; special tokens are left out.
    decode(ids) {
      const tokens = ids.filter((id) => !this.special.has(id)).map((id) => this.tokens[id] ?? "");
      if (!this.bytes) return tokens.join(this.joint);
      const bytes = tokens.flatMap((token) => Array.from(token, (letter) => BYTE_OF.get(letter)));
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    }
  }

  Object.assign(live, { Tokenizer });
});

// A model from the bytes of its weights.
((part) => {
  globalThis.live ??= { parts: [] };
  live.parts.push(part);
  part(live);
})((live) => {
  "use strict";
  const { Encoder, Classifier, EncoderClassifier, Decoder } = live;

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
    try {
      return tensorsOf(buffer);
    } catch (error) {
      if (error.constructor === Error) throw error;
      throw damaged();
    }
  }
  const damaged = () =>
    new Error("The file of the weights is damaged, or half of it is missing.");

  function tensorsOf(buffer) {
    const utf8 = new TextDecoder("utf-8", { fatal: true });
    const begin = 8 + Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(utf8.decode(new Uint8Array(buffer, 8, begin - 8)));
    const arrays = { F32: Float32Array, F16: Uint16Array, BF16: Uint16Array };
    arrays.I8 = Int8Array;
    const wide = { F16: half, BF16: bfloat }, tensors = {};
    delete header.__metadata__;
    for (const [name, entry] of Object.entries(header)) {
      const { dtype, data_offsets: [from, to] } = entry;
      if (!arrays[dtype]) throw new Error(`This page cannot read ${dtype}: ${name}.`);
      if (begin + to > buffer.byteLength) throw damaged();
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

  Object.assign(live, { readSafetensors, build, load });
});

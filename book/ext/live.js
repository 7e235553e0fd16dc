// Run under node by live.py: write the live parts of the pages as they stand before anyone has touched them.
// Input: {scripts, models: {name: {full, packed}}, wanted: [[part, model]], prose}. Output: {"part model": HTML}.
"use strict";
const fs = require("fs");
const data = JSON.parse(fs.readFileSync(0));
for (const script of data.scripts) require(script);
live.texts = { book: data.prose };

function read(folder) {
  const json = (name) => JSON.parse(fs.readFileSync(`${folder}/${name}`, "utf8"));
  const bytes = fs.readFileSync(`${folder}/model.safetensors`), config = json("config.json");
  const tensors = live.readSafetensors(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const whole = ["config.json", "tokenizer.json", "model.safetensors"].reduce((sum, name) => sum + fs.statSync(`${folder}/${name}`).size, 0);
  return { config, tokenizer: new live.Tokenizer(json("tokenizer.json")), model: live.build(config, tensors), bytes: whole };
}

const written = {};
for (const [part, model] of data.wanted) {
  const folders = data.models[model];
  if (live.things[part]) written[`${part} ${model}`] = live.things[part].html();
  else if (part === "learner") written[`${part} ${model}`] = live.learns.html();
  else if (live.answers.KINDS[part]) {
    const packed = folders && read(folders.packed);
    const difference = packed && live.answers.compare(read(folders.full).model, packed, data.prose);
    written[`${part} ${model}`] = live.answers.html(part, packed, difference);
  } else throw new Error(`there is no live part ${part}`);
}
console.log(JSON.stringify(written));

"use strict";
// Scrolls through the episodes in #data: a picture and the facts of one control step beside the plots of all.

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const seconds = data.dt || 1 / 30;
let shown = null; // the episode, unpacked
let rows = [];
let at = 0;
let player = null;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);
const tokens = (text) => new Uint16Array(bytes(text).buffer);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function unpack(episode) {
  const vectors = (kind) => ({
    values: floats(episode[kind].values),
    ids: tokens(episode[kind].ids),
    clipped: bytes(episode[kind].clipped),
    width: data[kind].length,
  });
  const rewards = floats(episode.rewards);
  let sum = 0;
  return {
    episode,
    steps: rewards.length,
    observation: vectors("observation"),
    action: vectors("action"),
    targets: episode.targets && floats(episode.targets),
    rewards,
    returns: rewards.map((reward) => (sum += reward)),
    readings: Object.entries(episode.readings).map(([name, packed]) => [name, floats(packed)]),
    prompts: tokens(episode.prompts),
  };
}

const isSet = (bits, index) => (bits[index >> 3] >> (7 - (index & 7))) & 1;

function rowsOf(view) {
  const listed = [];
  for (const kind of ["observation", "action"]) {
    const vectors = view[kind];
    data[kind].forEach((name, column) => {
      const cell = (step) => step * vectors.width + column;
      const length = vectors.values.length / vectors.width;
      const isClipped = (step) => step < length && Boolean(isSet(vectors.clipped, cell(step)));
      listed.push({
        group: kind,
        name,
        length,
        value: (step) => vectors.values[cell(step)],
        second: kind === "action" && view.targets ? (step) => view.targets[cell(step)] : null,
        token: (step) => vectors.ids[cell(step)],
        isClipped,
      });
    });
  }
  const plain = (name, values) =>
    listed.push({
      group: "reward and readings",
      name,
      length: values.length,
      value: (step) => values[step],
      second: null,
      token: null,
      isClipped: () => false,
    });
  plain("reward", view.rewards);
  for (const [name, values] of view.readings) {
    const unit = data.units[name] ? ` (${data.units[name]})` : "";
    plain(name.replaceAll("_", " ") + unit, values);
  }
  return listed;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showEpisode(index) {
  shown = unpack(data.episodes[index]);
  rows = rowsOf(shown);
  const plots = find("plots");
  plots.replaceChildren();
  let group = null;
  for (const row of rows) {
    if (row.group !== group) {
      group = row.group;
      const own = rows.filter((other) => other.group === group);
      const clipped = own.reduce((sum, other) => sum + countClipped(other), 0);
      const heading = element("h2", "", group + " ");
      const numbers = own.reduce((sum, other) => sum + other.length, 0);
      if (row.token) heading.append(element("small", "", `${clipped} of ${numbers} values clipped`));
      if (row.second) heading.append(element("small", "", "; dashed: what the expert meant"));
      plots.append(heading);
    }
    plots.append(makeRow(row));
  }
  find("clipped").disabled = !rows.some((row) => countClipped(row));
  find("step").max = shown.steps;
  find("note").textContent = shown.episode.note;
  find("picture").hidden = !shown.episode.pictures.length;
  drawAll();
  moveTo(Math.min(at, shown.steps));
}

function countClipped(row) {
  let count = 0;
  for (let step = 0; step < row.length; step++) count += row.isClipped(step);
  return count;
}

function makeRow(row) {
  const line = element("div", "row");
  const name = element("span", "name", row.name);
  name.title = row.name;
  const plot = element("div", "plot");
  row.canvas = element("canvas");
  plot.append(row.canvas, element("i"));
  row.valueCell = element("span", "value");
  row.tokenCell = element("span", "token");
  row.line = line;
  line.append(name, plot, row.valueCell, row.tokenCell);
  return line;
}

function drawAll() {
  const inks = { line: colour("--accent"), second: colour("--soft"), bad: colour("--bad") };
  for (const row of rows) draw(row, inks);
}

function draw(row, inks) {
  const { canvas } = row;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const paint = canvas.getContext("2d");
  let low = Infinity;
  let high = -Infinity;
  for (const read of [row.value, row.second]) {
    for (let step = 0; read && step < row.length; step++) {
      low = Math.min(low, read(step));
      high = Math.max(high, read(step));
    }
  }
  const span = high - low || 1;
  const middle = high === low ? 0.5 : 0;
  const x = (step) => (step / Math.max(shown.steps, 1)) * canvas.width;
  const y = (value) => canvas.height * (0.9 - 0.8 * ((value - low) / span + middle));
  const trace = (read, ink, dash) => {
    paint.beginPath();
    for (let step = 0; step < row.length; step++) paint.lineTo(x(step), y(read(step)));
    paint.strokeStyle = ink;
    paint.lineWidth = ratio;
    paint.setLineDash(dash);
    paint.stroke();
  };
  if (row.second) trace(row.second, inks.second, [3 * ratio, 2 * ratio]);
  trace(row.value, inks.line, []);
  paint.fillStyle = inks.bad;
  for (let step = 0; step < row.length; step++) {
    if (!row.isClipped(step)) continue;
    const size = 3 * ratio;
    paint.fillRect(x(step) - size / 2, y(row.value(step)) - size / 2, size, size);
  }
}

const rounded = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(5))) : "–");

function moveTo(step) {
  at = step;
  find("step").value = step;
  find("plots").style.setProperty("--at", step / Math.max(shown.steps, 1));
  for (const row of rows) {
    const isThere = step < row.length;
    row.valueCell.textContent = isThere ? rounded(row.value(step)) : "–";
    row.tokenCell.textContent = isThere && row.token ? row.token(step) : "";
    row.line.classList.toggle("clipped", row.isClipped(step));
  }
  showPicture(step);
  showFacts(step);
}

function showPicture(step) {
  const { pictures } = shown.episode;
  if (!pictures.length) return;
  const picture = pictures[Math.min(Math.floor(step / data.every), pictures.length - 1)];
  find("picture").src = "data:image/webp;base64," + picture;
  find("picture").alt = `The body at control step ${step}`;
}

function showFacts(step) {
  const { episode } = shown;
  const last = Math.min(step, shown.steps - 1);
  const prompt = data.prompts[shown.prompts[last]] || { words: "", ids: [] };
  const time = data.dt ? ` (${(step * seconds).toFixed(2)} s)` : "";
  const facts = [
    ["step", `${step} of ${shown.steps}${time}`],
    ["words", prompt.words ? `“${prompt.words}”` : "none"],
    ["their tokens", prompt.ids.join(" ") || "none"],
    ["skill", data.skills[shown.prompts[last]] || "not told"],
    ["reward", step < shown.steps ? rounded(shown.rewards[step]) : "–"],
    ["return so far", rounded(step ? shown.returns[step - 1] : 0)],
    ["return", rounded(shown.returns[shown.steps - 1])],
    ["seed", episode.seed ?? "not told"],
    ["action noise", episode.noise ?? "not told"],
    ["at the end", episode.end],
  ];
  find("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", "", name), element("dd", "", text)]));
}

function nextClipped() {
  for (let ahead = 1; ahead <= shown.steps + 1; ahead++) {
    const step = (at + ahead) % (shown.steps + 1);
    if (rows.some((row) => row.isClipped(step))) return moveTo(step);
  }
}

function play(isOn) {
  if (player !== null) cancelAnimationFrame(player);
  player = null;
  find("play").textContent = isOn ? "pause" : "play";
  if (!isOn) return;
  const from = at >= shown.steps ? 0 : at;
  let began = null;
  const tick = (now) => {
    began ??= now;
    const step = Math.min(from + Math.floor((now - began) / 1000 / seconds), shown.steps);
    moveTo(step);
    if (step === shown.steps) play(false);
    else player = requestAnimationFrame(tick);
  };
  player = requestAnimationFrame(tick);
}

function dragTo(event) {
  const plot = event.target.closest(".plot");
  if (!plot || !event.buttons) return;
  const box = plot.getBoundingClientRect();
  const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  play(false);
  moveTo(Math.round(share * shown.steps));
}

data.episodes.forEach((episode, index) => {
  const option = element("option", "", `${episode.index}`);
  option.value = index;
  find("episode").append(option);
});
find("episode").addEventListener("change", (event) => {
  play(false);
  showEpisode(Number(event.target.value));
});
find("step").addEventListener("input", (event) => {
  play(false);
  moveTo(Number(event.target.value));
});
find("play").addEventListener("click", () => play(player === null));
find("clipped").addEventListener("click", () => {
  play(false);
  nextClipped();
});
find("plots").addEventListener("pointerdown", dragTo);
find("plots").addEventListener("pointermove", dragTo);
window.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
// The address may name where to begin: view.html#EPISODE:STEP, as the dataset counts its episodes.
const [asked, step] = location.hash.slice(1).split(":").map(Number);
const first = data.episodes.findIndex((episode) => episode.index === asked);
at = step || 0;
find("episode").value = Math.max(first, 0);
showEpisode(Math.max(first, 0));

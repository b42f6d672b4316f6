// Readings as they come: a line over the newest seconds for each, drawn by hand on a small canvas.

const SECONDS = 10;
const SMALLEST = 0.1; // of what a plot spans, in the reading's unit: noise is not blown up

export class Plots {
  constructor(holder) {
    this.holder = holder;
    this.rows = [];
  }

  // [{name, unit}]: what is measured from now on.
  measure(readings) {
    this.times = [];
    this.rows = readings.map(({ name, unit }) => {
      const row = document.createElement("div"), label = document.createElement("span");
      const value = document.createElement("span"), canvas = document.createElement("canvas");
      row.className = "reading";
      label.textContent = name.replaceAll("_", " ");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${label.textContent} over the newest ${SECONDS} seconds`);
      row.append(label, value, canvas);
      return { name, unit, row, value, canvas, values: [] };
    });
    this.holder.replaceChildren(...this.rows.map((one) => one.row));
  }

  // The reading that tells how the present skill goes stands out.
  mark(name) {
    for (const one of this.rows) one.row.classList.toggle("told", one.name === name);
  }

  add(time, values) {
    if (Number.isNaN(values[0])) return;
    if (this.times.length && time < this.times.at(-1)) {
      this.times = [];
      for (const one of this.rows) one.values = [];
    }
    this.times.push(time);
    this.rows.forEach((one, index) => one.values.push(values[index]));
    const old = this.times.findIndex((moment) => moment >= time - SECONDS);
    if (old > 100) {
      this.times.splice(0, old);
      for (const one of this.rows) one.values.splice(0, old);
    }
  }

  draw() {
    if (!this.times?.length) return;
    const style = getComputedStyle(document.documentElement);
    const [line, accent, quiet] = ["--line", "--accent", "--quiet"].map((name) => style.getPropertyValue(name));
    for (const one of this.rows) {
      one.value.textContent = `${one.values.at(-1).toFixed(2)} ${one.unit}`;
      this.#plot(one, line, one.row.classList.contains("told") ? accent : quiet);
    }
  }

  #plot({ canvas, values }, line, colour) {
    const scale = devicePixelRatio || 1; // its canvas has whole pixels
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((one) => Math.round(one * scale));
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d"), end = this.times.at(-1);
    const first = this.times.findIndex((moment) => moment >= end - SECONDS);
    let low = 0, high = 0;
    for (let i = first; i < values.length; i++) [low, high] = [Math.min(low, values[i]), Math.max(high, values[i])];
    if (high - low < SMALLEST) [low, high] = [low - SMALLEST / 2, high + SMALLEST / 2];
    const x = (time) => width * (1 - (end - time) / SECONDS);
    const y = (value) => height - 2 - ((height - 4) * (value - low)) / (high - low);
    context.clearRect(0, 0, width, height);
    context.lineWidth = scale;
    context.strokeStyle = line;
    context.beginPath();
    context.moveTo(0, y(0));
    context.lineTo(width, y(0));
    context.stroke();
    context.lineWidth = 1.5 * scale;
    context.strokeStyle = colour;
    context.beginPath();
    for (let i = first; i < values.length; i++) context.lineTo(x(this.times[i]), y(values[i]));
    context.stroke();
  }
}

// The page: one websocket, what it tells is shown, what is typed and pressed is sent.

import { Plots } from "./plots.js";

const AGAIN = 3000; // ms after a lost connection until the next try
const MOST_LOGGED = 200; // lines
const MOST_DECIDED = 30; // decisions of the planner
const FULL = 1013, TOO_MUCH = 1009; // codes of a closed connection
const HEAD = 24; // bytes of a frame before its poses
const PLOTS_EVERY = 100; // ms

const $ = (id) => document.getElementById(id);
const plots = new Plots($("readings"));
const clip = window.MediaRecorder && ["video/webm;codecs=vp9", "video/webm", "video/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
const said = []; // what was typed, newest last
let socket, view, recorder, hello, now, token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
let place = 0; // among what was typed
let isPaused = false, isRefused = false;

// What the browser tests read.
const seen = (window.gato = { frames: 0, poses: 0, time: 0, told: null, events: [], recorded: 0 });

const program = await import("./view.js").catch((error) => blind("The picture's program did not come over; reload the page", error));
try {
  if (program) view = new program.View($("picture"));
} catch (error) {
  blind("This browser has no WebGL, so there is no picture", error);
}

function blind(why, error) {
  $("blind").textContent = `${why}; words, readings and plans work.`;
  $("blind").hidden = false;
  console.warn(error);
}

function connect() {
  socket?.close();
  const own = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  own.binaryType = "arraybuffer";
  own.onopen = () => own === socket && send({ token }); // also "", so that a missing one is told at once
  own.onmessage = ({ data }) => own === socket && (typeof data === "string" ? hear(JSON.parse(data)) : show(data));
  own.onclose = (event) => {
    if (own !== socket) return;
    for (const one of document.querySelectorAll("#tools button, #body, #skills button, #ask, #take")) one.disabled = true;
    recorder?.stop(); // what there is of the clip is kept
    if (isRefused) return;
    if (event.code !== FULL) answer(event.code === TOO_MUCH ? "that was too much for one message" : `${event.reason || "not connected"}; trying again`, true);
    setTimeout(connect, AGAIN);
  };
}

function send(wish) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish));
  else answer("not connected; nothing was sent", true);
}

const hearing = {
  hello(told) {
    hello = told;
    now = undefined; // until its body comes
    $("door").hidden = true;
    answer("");
    $("model").textContent = `${told.model} · gato ${told.version}`;
    $("body").replaceChildren(...Object.keys(told.bodies).map((name) => new Option(name, name)));
    $("body").disabled = false;
    $("ask").hidden = !told.has_planner;
    $("ask").title = "a language model chooses, again and again, what the body does";
  },
  refused(told) {
    isRefused = told.is_token_wrong; // a place may become free
    answer(isRefused ? told.error : `${told.error}; the page does so by itself`, true);
    $("door").hidden = !told.is_token_wrong;
    if (told.is_token_wrong) $("token").focus();
  },
  body(told) {
    now = told;
    $("body").value = told.body;
    for (const one of document.querySelectorAll("#tools button, #ask, #take")) one.disabled = false;
    $("record").disabled = !view || !clip || !view.canvas.captureStream;
    if ($("record").disabled) $("record").title = "this browser cannot record the picture";
    pause(false);
    for (const id of ["planned", "planner"]) $(id).hidden = true; // of the body before
    $("ask").textContent = "Ask planner";
    for (const id of ["plan", "decisions"]) $(id).replaceChildren();
    plots.measure(told.readings);
    view?.show(told.scene);
    $("skills").replaceChildren(...Object.entries(hello.bodies[told.body]).map(([id, words]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: words, title: id });
      button.onclick = () => send({ say: id });
      button.dataset.skill = id;
      return button;
    }));
    log(told.time, told.body);
    if (told.scene.left_out) log(told.time, `${told.scene.left_out} fields of heights are not drawn`);
  },
  told(told) {
    seen.told = told;
    $("prompt").textContent = `“${told.prompt}”`;
    for (const one of $("skills").children) one.setAttribute("aria-pressed", String(one.dataset.skill === told.skill));
    plots.mark(told.reading);
    if (told.note !== null) answer(told.note);
    log(told.time, `told “${told.prompt}”`);
  },
  plan(told) {
    $("planned").hidden = !told.parts.length;
    $("plan").replaceChildren(...told.parts.map((words) => Object.assign(document.createElement("li"), { textContent: words })));
    hearing.part(told);
    if (told.parts.length) log(told.time, `a plan of ${told.parts.length} parts`);
    else log(told.time, told.is_done ? "the plan is done" : "the plan is dropped");
  },
  part(told) {
    [...$("plan").children].forEach((one, index) => one.classList.toggle("now", index === told.index));
    if (told.event === "part") log(told.time, `part ${told.index + 1}`);
  },
  steered(told) {
    $("planner").hidden = false;
    $("planner").classList.toggle("over", !told.goal);
    $("take").hidden = !told.goal;
    $("ask").textContent = told.goal ? "Tell planner" : "Ask planner";
    if (told.goal && !told.instruction) $("decisions").replaceChildren();
    if (told.goal) $("goal").textContent = told.instruction ? `“${told.goal}”, but now “${told.instruction}”` : `“${told.goal}”`;
    answer("");
    log(told.time, told.goal ? `the planner is asked for “${told.instruction || told.goal}”` : "the planner steers no more");
  },
  decided(told) {
    const line = document.createElement("li"), more = document.createElement("details");
    const outcome = [told.chosen ?? told.error, told.remark].filter(Boolean).join("; ");
    more.append(
      Object.assign(document.createElement("summary"), { textContent: `${told.answered.toFixed(1)} s  ${outcome}` }),
      Object.assign(document.createElement("pre"), { textContent: `${told.request}\n\n${told.answer || told.error || told.chosen}` }),
    );
    line.classList.toggle("wrong", Boolean(told.error));
    line.append(more);
    $("decisions").prepend(line);
    const old = [...$("decisions").children].slice(MOST_DECIDED).filter((one) => !one.querySelector("[open]"));
    for (const one of old) one.remove();
  },
  begun(told) {
    if ($("decisions").children.length) $("decisions").prepend(Object.assign(document.createElement("li"), { textContent: "begun anew" }));
    $("event").textContent = told.why ? `begun anew: ${told.why}` : "";
    log(told.time, `begun${told.why ? `: ${told.why}` : ""}`);
  },
  paused: (told) => pause(told.is_on),
  pushed(told) {
    view?.pushed(told.direction);
    log(told.time, `pushed with ${told.newtons.toPrecision(2)} N`);
  },
  error(told) {
    answer(told.error, true);
    $("body").value = now?.body ?? ""; // what was chosen may not have come: it can be chosen again
    log(told.time ?? seen.time, told.error);
  },
};

function hear(told) {
  seen.events.push(told.event);
  if (seen.events.length > MOST_LOGGED) seen.events.shift();
  hearing[told.event]?.(told);
}

function show(data) {
  if (!now) return;
  const [time, count, pace] = new Float64Array(data, 0, 3), numbers = new Float32Array(data, HEAD);
  const end = numbers.length - now.readings.length;
  plots.add(time, numbers.subarray(end));
  view?.add(time, count, numbers.subarray(0, end), now.dt);
  Object.assign(seen, { frames: seen.frames + 1, poses: seen.poses + count, time, pace });
}

function answer(text, isWrong = false) {
  $("answer").textContent = text;
  $("answer").classList.toggle("wrong", isWrong);
  const meant = /did you mean "([^"]+)"\?/.exec(text);
  if (!meant) return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: meant[1] });
  button.onclick = () => send({ say: meant[1] });
  $("answer").append(button);
}

function log(time, text) {
  const line = document.createElement("li"), moment = document.createElement("time");
  moment.textContent = `${time.toFixed(1)} s`;
  line.append(moment, text);
  $("log").prepend(line);
  while ($("log").children.length > MOST_LOGGED) $("log").lastChild.remove();
}

function pause(isOn) {
  isPaused = isOn;
  $("pause").textContent = isOn ? "Go on" : "Pause";
  $("pause").setAttribute("aria-pressed", String(isOn));
}

function record() {
  if (recorder) return recorder.stop();
  seen.recorded = 0; // bytes
  const pieces = [], name = `gato-${now.body}-${(seen.told?.prompt ?? "").replace(/\W+/g, "-")}`;
  recorder = new MediaRecorder(view.canvas.captureStream(30), { mimeType: clip });
  recorder.ondataavailable = ({ data }) => {
    pieces.push(data);
    seen.recorded += data.size;
  };
  recorder.onstop = () => {
    recorder = null;
    $("record").textContent = "Record";
    $("record").setAttribute("aria-pressed", "false");
    if (!seen.recorded) return answer("the browser has recorded nothing yet; record for longer", true);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(pieces, { type: clip }));
    link.download = `${name}.${clip.includes("mp4") ? "mp4" : "webm"}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  recorder.start(1000);
  $("record").textContent = "Stop";
  $("record").setAttribute("aria-pressed", "true");
}

function speak(kind) {
  const words = $("words").value.trim();
  if (!words) return;
  said.push(words);
  place = said.length;
  $("words").value = "";
  send({ [kind]: words });
}

$("speak").onsubmit = (event) => {
  event.preventDefault();
  speak("say");
};
$("ask").onclick = () => speak("ask");
$("take").onclick = () => send({ say: seen.told.skill ?? seen.told.prompt }); // goes on with what it does
$("words").onkeydown = (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key === "Escape") $("words").value = "";
  if (!step) return;
  event.preventDefault();
  place = Math.min(Math.max(place + step, 0), said.length);
  $("words").value = said[place] ?? "";
};
// Whoever types means the box, wherever the focus is.
document.addEventListener("keydown", (event) => {
  const isElsewhere = !(event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement);
  if (isElsewhere && /^[\p{L}\p{N}]$/u.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) $("words").focus();
});
$("door").onsubmit = (event) => {
  event.preventDefault();
  token = $("token").value;
  isRefused = false;
  connect();
};
$("pause").onclick = () => send({ pause: !isPaused });
$("reset").onclick = () => send({ reset: true });
$("push").onclick = () => send({ push: true });
$("record").onclick = record;
$("body").onchange = (event) => send({ body: event.target.value });

let last = performance.now(), plotted = 0;
function tick(moment) {
  const seconds = Math.min((moment - last) / 1000, 0.25);
  last = moment;
  view?.draw(seconds);
  if (moment - plotted > PLOTS_EVERY) {
    plotted = moment;
    plots.draw();
    const slow = seen.pace < 0.95 ? ` · ${seen.pace.toFixed(2)} of real time` : "";
    $("clock").textContent = now ? `${seen.time.toFixed(1)} s${slow}` : "";
  }
  requestAnimationFrame(tick);
}
requestAnimationFrame(tick);
connect();

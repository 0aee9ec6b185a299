// One image at a time: show it, take the answer, go on. What a reader sees depends on nothing but the place of an image
// in their own order.

import { Outbox } from "./outbox.js";
import { Zoom } from "./zoom.js";

const base = location.pathname.replace(/\/$/, "");
const find = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("#choices button")];
const answers = new Map(); // place -> {place, answer, given_at}, the latest known
const pictures = new Map(); // place -> promise of a blob's address
let study = null;
let panel = "start";
let place = 1;
let shown = 0; // place whose picture is on the screen; 0 while it is loading

const zoom = new Zoom(find("view"), find("picture"));
const outbox = new Outbox(base, {
  learned: (list) => list.forEach(merge),
  lost: (entry) => {
    if (answers.get(entry.place)?.given_at === entry.given_at) answers.delete(entry.place);
    load().then(() => study && render()); // the answer before it counts again, if there was one
  },
  changed: () => {
    outbox.waiting().forEach(merge);
    if (study) render();
  },
});

// the later of two answers to an image counts, as on the server
function merge(entry) {
  const known = answers.get(entry.place);
  if (!known || entry.given_at > known.given_at) answers.set(entry.place, entry);
}

async function load() {
  try {
    const response = await fetch(`${base}/state`, { signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const state = await response.json();
    state.answers.forEach(merge);
    return state;
  } catch {
    return null;
  }
}

async function start() {
  study = await load();
  find("trouble").hidden = Boolean(study);
  if (!study) {
    find("trouble").textContent = "The server cannot be reached. Trying again …";
    setTimeout(start, 2000);
    return;
  }
  outbox.waiting().forEach(merge);
  document.title = find("title").textContent = study.title;
  for (const text of study.instructions.split(/\n\s*\n/)) {
    find("instructions").append(Object.assign(document.createElement("p"), { textContent: text }));
  }
  find("begin").textContent = answers.size ? `Continue with image ${firstOpen()}` : "Begin";
  panel = answers.size === study.images ? "done" : "start";
  place = firstOpen();
  render();
  outbox.send();
  preload();
}

function firstOpen() {
  for (let at = 1; at <= study.images; at++) if (!answers.has(at)) return at;
  return study.images;
}

function fetchPicture(at) {
  if (!pictures.has(at)) {
    const address = fetch(`${base}/images/${at}`, { signal: AbortSignal.timeout(20000) }).then(async (response) => {
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      return URL.createObjectURL(await response.blob());
    });
    pictures.set(at, address);
    address.catch(() => pictures.delete(at));
  }
  return pictures.get(at);
}

// all pictures, those to come first, so that a lost connection does not stop the reader
async function preload() {
  const first = place - 1;
  try {
    for (let step = 0; step < study.images; step++) await fetchPicture(((first + step) % study.images) + 1);
  } catch {
    setTimeout(preload, 5000);
  }
}

async function showPicture() {
  const wanted = place;
  if (shown === wanted) return;
  shown = 0;
  find("picture").hidden = true;
  find("waiting").hidden = true;
  zoom.reset();
  try {
    const address = await fetchPicture(wanted);
    if (wanted !== place) return;
    find("picture").src = address;
    await find("picture").decode();
    if (wanted !== place) return;
    find("picture").alt = `Tissue, image ${wanted}`;
    find("picture").hidden = false;
    shown = wanted;
    render();
  } catch {
    if (wanted !== place) return;
    find("waiting").textContent = "Waiting for this picture. Trying again …";
    find("waiting").hidden = false;
    setTimeout(() => wanted === place && panel === "task" && showPicture(), 2000);
  }
}

function go(to) {
  if (to < 1) return;
  panel = to > study.images ? "done" : "task";
  if (panel === "done" && answers.size < study.images) {
    panel = "task"; // past the last one: back to what was left out
    to = firstOpen();
  }
  if (panel === "task") place = to;
  render();
  if (panel === "task") showPicture();
  if (panel === "done") find("done").querySelector("h2").focus();
}

function answer(choice) {
  if (panel !== "task" || shown !== place) return; // no answer to a picture not seen yet
  outbox.add(place, choice, answers.get(place)?.given_at ?? 0);
  go(place + 1);
}

function render() {
  for (const name of ["start", "task", "done"]) find(name).hidden = panel !== name;
  find("progress").hidden = false;
  find("bar").max = study.images;
  find("bar").value = answers.size;
  find("count").textContent = `${answers.size} of ${study.images} answered`;
  const width = study.width_um ? ` · ${Number(study.width_um.toFixed(1))} µm wide` : "";
  const label = `Image ${place} of ${study.images}${width}`;
  if (find("place").textContent !== label) find("place").textContent = label; // else it is announced again
  find("previous").disabled = place === 1;
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(answers.get(place)?.answer === button.dataset.answer));
    button.disabled = shown !== place;
  }
  renderSaved();
}

function renderSaved() {
  const waiting = outbox.waiting().length;
  const saved = find("saved");
  const unaccepted = outbox.unaccepted();
  saved.hidden = !answers.size && !unaccepted.length;
  const late = waiting && outbox.failures > 0;
  saved.className = late || unaccepted.length ? "late" : "";
  let text = waiting ? "Saving …" : "All answers saved";
  if (!waiting && unaccepted.length) text = "All other answers saved.";
  if (late) text = `${waiting} not saved yet. Trying again; please keep this page open.`;
  if (late && outbox.refused) text = `${waiting} not saved: the server refuses them. Please tell the organisers.`;
  if (unaccepted.length) {
    const places = unaccepted.map((entry) => entry.place).join(", ");
    text += ` Not accepted by the server: image ${places}. Please answer again, or tell the organisers.`;
  }
  if (saved.textContent !== text) saved.textContent = text;
  let farewell = "All answers are saved. You may close this page, or change answers by the same link.";
  if (unaccepted.length) farewell = "Some answers were not accepted, see above.";
  if (waiting) farewell = "Please keep this page open until all answers are saved.";
  find("farewell").textContent = farewell;
}

function onKey(event) {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || !study) return;
  const keys = {
    1: () => answer("real"),
    r: () => answer("real"),
    2: () => answer("generated"),
    g: () => answer("generated"),
    ArrowLeft: () => go(panel === "done" ? study.images : place - 1),
    ArrowRight: () => panel === "task" && go(place + 1),
    "+": () => zoom.by(1.5),
    "=": () => zoom.by(1.5),
    "-": () => zoom.by(1 / 1.5),
    0: () => zoom.reset(),
  };
  const act = panel === "start" ? null : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

find("begin").addEventListener("click", () => go(place));
find("review").addEventListener("click", () => go(1));
find("previous").addEventListener("click", () => go(place - 1));
find("next").addEventListener("click", () => go(place + 1));
find("larger").addEventListener("click", () => zoom.by(1.5));
find("smaller").addEventListener("click", () => zoom.by(1 / 1.5));
for (const button of buttons) button.addEventListener("click", () => answer(button.dataset.answer));
addEventListener("keydown", onKey);
addEventListener("beforeunload", (event) => outbox.waiting().length && event.preventDefault());
// another tab or device of the same reader may have gone on meanwhile
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || !study) return;
  await load();
  outbox.send();
  render();
});
start();

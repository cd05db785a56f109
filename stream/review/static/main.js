// Joins the parts: loads the clip, shows frames, turns keys and clicks into moves and judgements.

import { act, get } from "./api.js";
import { Film } from "./film.js";
import { isTaken, KEYS, meaning } from "./keys.js";
import { element, keyOf, Panel } from "./panel.js";
import { Player } from "./player.js";
import { Saliency } from "./saliency.js";
import { Timeline } from "./timeline.js";

const POLL_MS = 200;
const byId = (id) => document.getElementById(id);
const [clip, first] = await Promise.all([get("/api/clip"), get("/api/labels")]);
let labels = first;
let progress = await get("/api/progress");
let queue = Promise.resolve();

const film = new Film(byId("film"), clip.film_ms.filter((ms) => ms !== null).map((ms) => ms / 1000), clip.piece);
const player = new Player(byId("film"), film, clip.film_ms);
const saliency = new Saliency(byId("map"));
const timeline = new Timeline(byId("timeline"), clip, (frame) => player.seek(frame));
const panel = new Panel(clip, judge, (frame) => player.seek(frame));
const keys = clip.said ? clip.said.keys.toSorted((a, b) => a.index - b.index) : [];
const stills = new Map(keys.map(({ rank, index }) => [index, rank]));

function describe() {
  document.title = `Review: ${clip.name}`;
  byId("name").textContent = byId("name").title = clip.name;
  byId("who").textContent = `Reader ${clip.reader}${clip.said ? "" : ", blind to the model"}`;
  if (clip.said) {
    const [label, text] = clip.said.verdict;
    byId("verdict").append("Model: ", element("b", {}, label), ` · ${text} ${clip.said.warning}`);
    byId("legend").textContent = `Line: smoothed probability of ${clip.classes[clip.said.positive]}. Dashed: threshold. Numbers: key frames.`;
  }
  byId("verdict").title = byId("verdict").textContent;
  byId("problems").hidden = !clip.problems.length;
  byId("problems").textContent = `⚠ ${clip.problems.length === 1 ? clip.problems[0] : `${clip.problems.length} problems of the input`}`;
  byId("problems").title = clip.problems.join("\n");
  byId("disclaimer").textContent = clip.disclaimer.split(". ")[0] + ".";
  byId("saliency-controls").hidden = !clip.said;
  byId("timeline").setAttribute("aria-valuemax", String(clip.places.length - 1));
  for (const what of ["next-key", "previous-key"]) document.querySelector(`[data-do=${what}]`).hidden = !clip.said;
  byId("help-keys").append(...KEYS.flatMap(([key, words]) => [element("span", {}, element("kbd", {}, key)), element("span", {}, words)]));
}

function showFrame() {
  const frame = player.shown;
  const rank = player.pictured ? undefined : stills.get(frame);
  byId("still").hidden = rank === undefined;
  if (rank !== undefined && byId("still").dataset.rank !== String(rank)) {
    byId("still").src = `/key/${rank}`;
    byId("still").dataset.rank = String(rank);
  }
  byId("absent").hidden = player.pictured || rank !== undefined;
  byId("absent").textContent = waitingWords();
  byId("clock").textContent = `${panel.timeOf(frame)} · ${clip.places.length} frames`;
  byId("timeline").setAttribute("aria-valuenow", String(frame));
  byId("timeline").setAttribute("aria-valuetext", panel.timeOf(frame));
  timeline.move(frame);
  panel.showFrame(frame, labels);
  showMap();
}

function waitingWords() {
  const { state, reason } = progress.film;
  const keysToo = stills.size ? "Key frames can be judged: press k." : "";
  if (state === "failed") return `There is no film of this frame: ${reason}. ${keysToo}`;
  if (!player.place.has(player.shown)) return "No picture of this frame was recorded.";
  if (player.has(player.shown)) return "";
  return `This part of the film is being made; ${percent(progress.film)} of the whole is there. ${keysToo}`;
}

function showMap() {
  const shown = saliency.show(player.shown, player.playing, showMap);
  if (shown === "coming") return;
  const { state, reason, done, total } = progress.maps;
  const words = [];
  if (progress.film.state === "making" && byId("absent").hidden) words.push(`${percent(progress.film)} of the film is there`);
  if (shown === "none" && state === "failed") words.push(`no saliency here: ${reason}`);
  else if (shown === "none" && state !== "ready") words.push(`saliency of this frame is on its way: ${total ? percent({ done, total }) : "after the film"}`);
  else if (shown === "none") words.push("no saliency: the model gave no answer");
  byId("badge").textContent = words.join(" · ");
  byId("badge").hidden = !words.length;
}

const percent = ({ done, total }) => `${Math.floor((100 * done) / Math.max(1, total))}%`;

function showState() {
  byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  byId("play").classList.toggle("playing", player.playing);
  if (!player.playing) showMap();
}

function showLabels() {
  panel.showAll(player.shown, labels);
  const calls = Object.entries(labels.calls).filter(([key]) => key !== "clip");
  timeline.mark(new Map(calls.map(([key, call]) => [panel.index.get(key), call])));
}

function warn(text) {
  byId("alert").textContent = text;
  byId("alert").hidden = !text;
  clearTimeout(warn.timer);
  if (!text.startsWith("NOT SAVED")) warn.timer = setTimeout(() => (byId("alert").hidden = true), 4000);
}

// Actions go to the server one after the other; what it answers is what stands.
function send(action) {
  queue = queue.then(async () => {
    try {
      const answer = await act(action);
      labels = answer.labels;
      warn("");
      showLabels();
      return answer.record;
    } catch (error) {
      warn(error.message);
      return null;
    }
  });
  return queue;
}

// Judge the frame that is on the screen, once it stands still.
async function judge(what, ofClip, number) {
  const frame = await player.settled();
  const target = ofClip ? null : clip.places[frame];
  if (what === "note") return openNote(target);
  if (what === "label" && !clip.classes[number - 1]) return warn(`There is no class ${number}.`);
  return send({ what, target, value: what === "label" ? clip.classes[number - 1] : "" });
}

async function undo() {
  await player.settled();
  const record = await send({ what: "undo" });
  const frame = record?.target ? panel.index.get(keyOf(record.target)) : undefined;
  if (frame !== undefined) player.seek(frame);
}

function openNote(target) {
  const dialog = byId("note-dialog");
  byId("note-title").textContent = target ? `Note on frame ${target[1]}` : "Note on the clip";
  byId("note-text").value = labels.notes[keyOf(target)] ?? "";
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "keep") send({ what: "note", target, value: byId("note-text").value });
  };
  dialog.showModal();
}

function jumpKey(way) {
  const at = player.wanted;
  const found = way > 0 ? keys.find(({ index }) => index > at) : keys.findLast(({ index }) => index < at);
  if (found) player.seek(found.index);
}

const DO = {
  play: () => player.toggle(),
  back: () => player.step(-1),
  forward: () => player.step(1),
  first: () => player.seek(0),
  last: () => player.seek(clip.places.length - 1),
  "next-key": () => jumpKey(1),
  "previous-key": () => jumpKey(-1),
  undo,
  help: () => byId("help").showModal(),
  saliency: () => {
    if (!clip.said) return;
    saliency.on = !saliency.on;
    byId("saliency").setAttribute("aria-pressed", String(saliency.on));
    showMap();
  },
};

function onKey(event) {
  if (isTaken(event)) return;
  const found = meaning(event);
  if (!found || (event.repeat && found.what !== "step")) return;
  event.preventDefault();
  if (found.what === "step") player.step(found.by);
  else if (DO[found.what]) DO[found.what]();
  else judge(found.what, found.clip, found.number);
}

function wire() {
  player.addEventListener("frame", showFrame);
  player.addEventListener("state", showState);
  player.addEventListener("broken", ({ detail }) => warn(detail.message));
  document.addEventListener("keydown", onKey);
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => DO[button.dataset.do]());
  // After a click the keys belong to the page again, or space would press the button once more.
  document.addEventListener("click", (event) => {
    const button = event.detail && event.target instanceof Element ? event.target.closest("main button, footer button, header button") : null;
    button?.blur();
  });
  byId("stage").addEventListener("click", () => player.toggle());
  byId("help-button").addEventListener("click", DO.help);
  byId("note-cancel").addEventListener("click", () => byId("note-dialog").close());
  byId("note-keep").value = "keep";
  byId("note-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("note-dialog").close("keep");
  });
  byId("opacity").addEventListener("input", (event) => (byId("map").style.opacity = event.target.value / 100));
  byId("speed").addEventListener("change", (event) => {
    byId("film").defaultPlaybackRate = byId("film").playbackRate = Number(event.target.value);
    event.target.blur();
  });
}

// Take in how far film and maps are.
function learn(before) {
  if (film.learn(progress.pieces)) timeline.fill(player.frames, film);
  if (!before.pieces.length && progress.pieces.length) saliency.forget(); // the size of the film is known now
  if (progress.maps.state === "making" || progress.maps.state !== before.maps.state) saliency.retry();
  if (player.pictured && !player.has(player.shown)) player.seek(player.shown); // it was taken back
  player.grow();
  showFrame();
}

// Ask until film and maps are there or will not be; tell what is looked at, to have it made first.
async function follow() {
  const over = ({ state }) => state === "ready" || state === "failed";
  for (;;) {
    if (over(progress.film) && (over(progress.maps) || !clip.said || progress.film.state === "failed")) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const before = progress;
    const place = player.place.get(player.wanted);
    const lacks = place !== undefined && !film.has(place);
    try {
      progress = await get(`/api/progress${lacks ? `?piece=${film.lacking(place)}` : ""}`);
    } catch {
      return warn("NOT SAVED: the review has ended. Start it again; what was saved is kept.");
    }
    learn(before);
  }
}

describe();
wire();
showLabels();
window.review = { player, labels: () => labels, progress: () => progress }; // for the console and the tests
learn(progress);
await follow();

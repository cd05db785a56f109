// The side panel: what the model said of the frame, what the reader said, and the list of frames.

const WORDS = { accepted: "Accepted", rejected: "Rejected", labelled: "Labelled" };

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const keyOf = (place) => (place ? `${place[0]}:${place[1]}` : "clip");
const byId = (id) => document.getElementById(id);

export class Panel {
  constructor(clip, judge, seek) {
    this.clip = clip;
    this.seek = seek;
    this.index = new Map(clip.places.map((place, index) => [keyOf(place), index]));
    for (const which of ["frame", "clip"]) this.addChoices(which, judge);
  }

  addChoices(which, judge) {
    const ofClip = which === "clip";
    const shift = ofClip ? "⇧" : "";
    const button = (what, text, key, number) =>
      element("button", { type: "button", "data-what": what, "data-number": number ?? "", onclick: () => judge(what, ofClip, number) },
        text, element("kbd", {}, shift + key));
    const choices = this.clip.classes.slice(0, 9).map((name, at) => button("label", name, String(at + 1), at + 1));
    if (this.clip.said) choices.push(button("accept", "Accept", "a"));
    choices.push(button("reject", "Reject", "x"), button("clear", "Clear", "c"), button("note", "Note", "n"));
    byId(`${which}-choices`).append(...choices);
  }

  timeOf(frame) {
    const { times, places } = this.clip;
    return times ? `${times[frame].toFixed(2)} s` : `frame ${places[frame][1]}`;
  }

  showFrame(frame, labels) {
    const [epoch, seq] = this.clip.places[frame];
    const part = epoch ? `, part ${epoch + 1}` : "";
    byId("frame-place").replaceChildren(element("b", {}, `Frame ${seq}`), `${part} · ${this.timeOf(frame)}`);
    this.showSaid(frame);
    this.showCall("frame", this.clip.places[frame], labels);
    for (const row of byId("list").querySelectorAll("button")) {
      const current = Number(row.dataset.frame) === frame;
      row.setAttribute("aria-current", String(current));
      if (current) row.scrollIntoView({ block: "nearest" });
    }
  }

  showSaid(frame) {
    const { said, classes } = this.clip;
    const list = byId("frame-said");
    if (!said) return;
    const rows = classes.flatMap((name, number) => {
      const prob = said.smoothed[number][frame];
      const bar = element("i");
      bar.style.width = `${(prob ?? 0) * 100}%`;
      return [element("dt", {}, name), element("dd", {}, prob === null ? "–" : prob.toFixed(2)), element("dd", { class: "meter" }, bar)];
    });
    const state = said.states[frame];
    const words = state === "ok" ? `Model: ${said.labels[frame] || "no label"}` : `Model gave no answer: ${state.replaceAll("_", " ")}`;
    list.replaceChildren(...rows);
    byId("frame-place").append(element("br"), words);
  }

  showCall(which, place, labels) {
    const call = labels.calls[keyOf(place)];
    const line = byId(`${which}-call`);
    line.className = `call ${call ? call.decision : "none"}`;
    const label = call && call.label ? `: ${call.label}` : "";
    line.textContent = call ? WORDS[call.decision] + label : "Not judged";
    for (const button of byId(`${which}-choices`).children) {
      const { what, number } = button.dataset;
      const named = what === "label" && call?.decision === "labelled" && this.clip.classes[number - 1] === call.label;
      const done = (what === "accept" && call?.decision === "accepted") || (what === "reject" && call?.decision === "rejected");
      if (what !== "note" && what !== "clear") button.setAttribute("aria-pressed", String(named || done));
      if (what === "clear") button.disabled = !call;
    }
    const note = labels.notes[keyOf(place)];
    byId(`${which}-note`).textContent = note ?? "";
    byId(`${which}-note`).hidden = !note;
  }

  showAll(frame, labels) {
    const keys = new Set([...Object.keys(labels.calls), ...Object.keys(labels.notes)]);
    keys.delete("clip");
    const frames = [...keys].map((key) => this.index.get(key)).filter((at) => at !== undefined).sort((a, b) => a - b);
    byId("list").replaceChildren(...frames.map((at) => this.row(at, labels)));
    byId("count").textContent = Object.keys(labels.calls).filter((key) => key !== "clip").length || "";
    this.showCall("clip", null, labels);
    this.showFrame(frame, labels);
  }

  row(frame, labels) {
    const key = keyOf(this.clip.places[frame]);
    const call = labels.calls[key];
    const words = call ? call.label || WORDS[call.decision] : "note";
    const mark = element("span", { class: `mark ${call?.decision ?? ""}` }, words + (labels.notes[key] && call ? " ✎" : ""));
    const place = element("span", { class: "place" }, `${this.clip.places[frame][1]} · ${this.timeOf(frame)}`);
    return element("li", {}, element("button", { type: "button", "data-frame": frame, onclick: () => this.seek(frame) }, place, mark));
  }
}

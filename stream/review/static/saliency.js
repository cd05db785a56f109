// The model's map over the picture: drawn by the server in the colours of the report.

const KEPT = 200;
const AHEAD = 8;

export class Saliency {
  constructor(canvas) {
    this.canvas = canvas;
    this.on = false;
    this.maps = new Map(); // frame -> ImageBitmap, null where there is none, or a promise of either
  }

  // Forget what was drawn: the picture has another shape now, or there are more maps.
  forget() {
    this.maps.clear();
  }

  // Ask again for maps that were not there.
  retry() {
    for (const [frame, found] of this.maps) if (found === null) this.maps.delete(frame);
  }

  // Show the map of a frame if it is known, else fetch it and call `again` when it has come.
  // Returns "off", "shown", "none" or "coming".
  show(frame, playing, again) {
    if (!this.on) return this.hide("off");
    if (playing) for (let next = 1; next <= AHEAD; next++) this.want(frame + next);
    const found = this.want(frame, again);
    if (found instanceof Promise) return this.hide("coming");
    if (found === null) return this.hide("none");
    this.canvas.width = found.width;
    this.canvas.height = found.height;
    this.canvas.getContext("2d").drawImage(found, 0, 0);
    this.canvas.hidden = false;
    return "shown";
  }

  hide(why) {
    this.canvas.hidden = true;
    return why;
  }

  want(frame, again = () => {}) {
    if (!this.maps.has(frame)) this.keep(frame, this.fetch(frame));
    const found = this.maps.get(frame);
    if (found instanceof Promise) found.then(again);
    return found;
  }

  async fetch(frame) {
    const maps = this.maps;
    let bitmap = null;
    try {
      const answer = await fetch(`/map/${frame}`);
      if (answer.status === 200) bitmap = await createImageBitmap(await answer.blob());
    } catch {
      bitmap = null; // the review has ended; the next action says so
    }
    if (maps.has(frame)) maps.set(frame, bitmap);
  }

  keep(frame, coming) {
    this.maps.set(frame, coming);
    if (this.maps.size > KEPT) this.maps.delete(this.maps.keys().next().value);
  }
}

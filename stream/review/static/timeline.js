// Draws probability, threshold, key frames and own labels over time; a click or drag seeks.

const COLOURS = { accepted: "#5fc98f", rejected: "#f0736a", labelled: "#6cb6ff" };
const LINE = "#9fb4c8";
const DIM = "#8e99a3";
const FILLED = "#4d6175";
const PAD = { left: 34, right: 12, top: 16, labels: 10, axis: 16 };

export class Timeline {
  constructor(canvas, clip, seek) {
    this.canvas = canvas;
    this.clip = clip;
    this.count = clip.places.length;
    this.times = clip.times ?? clip.places.map((_, index) => index);
    this.calls = new Map();
    this.filled = []; // runs of frames whose picture is there
    this.current = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      seek(this.frameAt(event.offsetX));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) seek(this.frameAt(event.offsetX));
    });
  }

  get span() {
    const [first, last] = [this.times[0], this.times[this.count - 1]];
    return last > first ? [first, last] : [first - 0.5, first + 0.5];
  }

  x(time) {
    const [low, high] = this.span;
    return PAD.left + ((time - low) / (high - low)) * (this.canvas.clientWidth - PAD.left - PAD.right);
  }

  frameAt(x) {
    const [low, high] = this.span;
    const share = (x - PAD.left) / (this.canvas.clientWidth - PAD.left - PAD.right);
    const time = low + share * (high - low);
    let best = 0;
    let last = this.count - 1;
    while (best < last) {
      const half = (best + last) >> 1;
      if (this.times[half] < time) best = half + 1;
      else last = half;
    }
    return best > 0 && time - this.times[best - 1] < this.times[best] - time ? best - 1 : best;
  }

  // Show which frames have their picture by now.
  fill(frames, film) {
    this.filled = [];
    for (let place = 0; place < frames.length; place++) {
      if (!film.has(place)) continue;
      const from = place;
      while (place + 1 < frames.length && film.has(place + 1)) place++;
      this.filled.push([frames[from], frames[place]]);
    }
    this.fixed = null;
    this.draw();
  }

  mark(calls) {
    this.calls = calls;
    this.fixed = null;
    this.draw();
  }

  move(frame) {
    this.current = frame;
    this.draw();
  }

  // What does not move with the frame is drawn once and kept.
  draw() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    if (!this.fixed || this.fixed.width !== Math.round(width * scale) || this.fixed.height !== Math.round(height * scale)) {
      this.fixed = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
      const pen = this.fixed.getContext("2d");
      pen.scale(scale, scale);
      this.drawFixed(pen, width, height);
    }
    this.canvas.width = this.fixed.width;
    this.canvas.height = this.fixed.height;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(this.fixed, 0, 0);
    pen.scale(scale, scale);
    const x = this.x(this.times[this.current]);
    pen.fillStyle = "#fff";
    pen.fillRect(x - 0.75, PAD.top + 3, 1.5, height - PAD.axis - PAD.top - 3); // below the numbers
  }

  drawFixed(pen, width, height) {
    const bottom = height - PAD.axis - PAD.labels;
    const y = (prob) => bottom - prob * (bottom - PAD.top);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.drawAxis(pen, height, bottom);
    if (this.clip.said) {
      this.drawDoubt(pen, bottom);
      this.drawProbs(pen, y);
      this.drawKeys(pen);
    }
    pen.fillStyle = FILLED;
    for (const [first, last] of this.filled) {
      const x = this.x(this.times[first]);
      pen.fillRect(x - 1, bottom + PAD.labels, this.x(this.times[last]) - x + 2, 2);
    }
    for (const [frame, call] of this.calls) {
      pen.fillStyle = COLOURS[call.decision];
      pen.fillRect(this.x(this.times[frame]) - 1.5, bottom + 2, 3, PAD.labels - 2);
    }
  }

  drawAxis(pen, height, bottom) {
    const [low, high] = this.span;
    const least = (high - low) / 10;
    const power = 10 ** Math.floor(Math.log10(least));
    let step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= least * 0.999);
    if (!this.clip.times) step = Math.max(1, step);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    pen.strokeStyle = "#1d242b";
    pen.fillStyle = DIM;
    pen.textAlign = "center";
    for (let tick = Math.ceil(low / step); tick * step <= high + step * 1e-6; tick++) {
      const x = Math.round(this.x(tick * step)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, PAD.top);
      pen.lineTo(x, bottom + PAD.labels);
      pen.stroke();
      const text = (tick * step).toFixed(digits) + (this.clip.times ? " s" : "");
      pen.fillText(text, Math.min(x, this.canvas.clientWidth - 16), height - 8);
    }
  }

  drawProbs(pen, y) {
    const { smoothed, positive, threshold } = this.clip.said;
    pen.textAlign = "right";
    pen.fillStyle = DIM;
    for (const prob of [0, 1]) {
      if (Math.abs(y(prob) - y(threshold)) > 11) pen.fillText(String(prob), PAD.left - 4, y(prob));
    }
    pen.fillStyle = "#e8b64c";
    pen.fillText(threshold.toFixed(2), PAD.left - 4, y(threshold));
    pen.strokeStyle = "#e8b64c";
    pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(PAD.left, y(threshold));
    pen.lineTo(this.canvas.clientWidth - PAD.right, y(threshold));
    pen.stroke();
    pen.setLineDash([]);
    pen.strokeStyle = LINE;
    pen.lineWidth = 1.5;
    pen.beginPath();
    let open = false;
    smoothed[positive].forEach((prob, frame) => {
      if (prob === null) {
        open = false;
        return;
      }
      const x = this.x(this.times[frame]);
      if (open) pen.lineTo(x, y(prob));
      else pen.moveTo(x - 0.5, y(prob)), pen.lineTo(x, y(prob));
      open = true;
    });
    pen.stroke();
    pen.lineWidth = 1;
  }

  drawDoubt(pen, bottom) {
    pen.fillStyle = "#f0736a26";
    const edge = (frame) => this.x(this.times[Math.max(0, Math.min(this.count - 1, frame))]);
    this.clip.said.states.forEach((state, frame) => {
      if (state === "ok" || state === "skipped") return;
      const left = (edge(frame - 1) + edge(frame)) / 2;
      pen.fillRect(left, PAD.top, Math.max(1, (edge(frame) + edge(frame + 1)) / 2 - left), bottom - PAD.top);
    });
  }

  // Numbers of neighbours are moved apart, or two of them would read as one.
  drawKeys(pen) {
    pen.textAlign = "center";
    pen.fillStyle = "#e8b64c";
    let free = 0;
    for (const { rank, index } of this.clip.said.keys.toSorted((a, b) => a.index - b.index)) {
      const x = this.x(this.times[index]);
      pen.beginPath();
      pen.moveTo(x, PAD.top + 3);
      pen.lineTo(x - 4, PAD.top - 3);
      pen.lineTo(x + 4, PAD.top - 3);
      pen.fill();
      const half = pen.measureText(String(rank)).width / 2;
      const at = Math.max(x, free + half);
      if (at - x > 14) continue;
      pen.fillText(String(rank), at, 7);
      free = at + half + 4;
    }
  }
}

// The film, which comes in pieces. The browser is handed a run of neighbouring pieces around the one
// that is looked at; all frames are key frames, so any piece can come or go.

const BEHIND = 1;
const AHEAD = 2;

export class Film {
  // `times` are those of the frames that the film has, in seconds.
  constructor(video, times, size) {
    this.video = video;
    this.times = times;
    this.size = size;
    this.count = Math.ceil(times.length / size);
    this.made = new Set(); // pieces that the server has
    this.run = []; // pieces that the browser has, in order
    this.queue = Promise.resolve();
  }

  pieceOf(place) {
    return Math.floor(place / this.size);
  }

  // A decoder may give a picture out only when more follows, so the next piece is needed too.
  has(place) {
    const piece = this.pieceOf(place);
    return this.made.has(piece) && (piece + 1 === this.count || this.made.has(piece + 1));
  }

  // Take note of the runs of pieces that the server has; says whether that has changed.
  learn(runs) {
    const before = this.made.size;
    this.made = new Set();
    for (const [first, last] of runs) for (let piece = first; piece <= last; piece++) this.made.add(piece);
    return this.made.size !== before;
  }

  // The piece that should be made next for a picture that is not there.
  lacking(place) {
    const piece = this.pieceOf(place);
    return this.made.has(piece) ? piece + 1 : piece;
  }

  // Hand the browser what it needs to show a place, and while playing what follows.
  load(place, playing = false) {
    const piece = this.pieceOf(place);
    const last = Math.min(this.count - 1, piece + (playing ? AHEAD : 1));
    const wanted = [];
    for (let next = piece; next <= last && this.made.has(next); next++) wanted.push(next);
    const loaded = this.queue.then(() => this.fill(wanted));
    this.queue = loaded.catch(() => {});
    return loaded;
  }

  async fill(wanted) {
    const first = wanted[0];
    if (wanted.every((piece) => this.run.includes(piece))) return;
    // A run only grows onwards: times are rounded, and a piece put before another could end after the
    // other begins, which would take that one's first frame away.
    if (first < this.run[0] || first > this.run.at(-1) + 1) await this.drop(this.run);
    for (const piece of wanted) if (!this.run.includes(piece)) await this.add(piece);
    await this.drop(this.run.filter((piece) => piece < first - BEHIND || piece > first + AHEAD));
    if (this.run.at(-1) === this.count - 1 && this.source.readyState === "open") this.source.endOfStream();
  }

  async add(piece) {
    const answer = await fetch(`/film/${piece}`);
    if (!answer.ok) {
      this.made.delete(piece);
      throw new Error("A piece of the film is damaged; start the review again to have it made anew.");
    }
    const data = await answer.arrayBuffer();
    if (!this.buffer) await this.open(data);
    this.buffer.timestampOffset = this.times[piece * this.size];
    await this.change(() => this.buffer.appendBuffer(data));
    this.run.push(piece);
  }

  async drop(pieces) {
    for (const piece of [...pieces]) {
      await this.change(() => this.buffer.remove(this.start(piece), this.start(piece + 1)));
      this.run = this.run.filter((one) => one !== piece);
    }
  }

  start(piece) {
    return piece < this.count ? this.times[piece * this.size] : Infinity;
  }

  async open(data) {
    this.source = new MediaSource();
    this.video.src = URL.createObjectURL(this.source);
    await new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, { once: true }));
    const kind = `video/mp4; codecs="avc1.${profile(new Uint8Array(data))}"`;
    if (!MediaSource.isTypeSupported(kind)) throw new Error("The browser cannot play the film: no H.264.");
    this.buffer = this.source.addSourceBuffer(kind);
    this.source.duration = this.times.at(-1) + 1;
  }

  async change(what) {
    await new Promise((resolve, reject) => {
      this.buffer.addEventListener("updateend", resolve, { once: true });
      this.buffer.addEventListener("error", () => reject(new Error("The browser cannot play the film.")), { once: true });
      what();
    });
  }
}

// Profile, constraints and level as six digits: the bytes after the version in the avcC box.
// ISO/IEC 14496-15 (2022), 5.3.3.1.
function profile(data) {
  const name = [0x61, 0x76, 0x63, 0x43];
  for (let at = 0; at < Math.min(data.length, 4096); at++) {
    if (name.every((byte, next) => data[at + next] === byte)) {
      return [...data.slice(at + 5, at + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
  }
  throw new Error("The film is damaged: it names no profile.");
}

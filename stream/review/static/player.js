// Shows frames. `shown` is the frame on the screen, `wanted` the one that was asked for; the film's
// own clock, as the browser reports it with each picture it presents, says which frame is on screen.

const LATE_MS = 1000;

export class Player extends EventTarget {
  constructor(video, filmMs) {
    super();
    this.video = video;
    this.count = filmMs.length;
    this.frames = []; // frames that the film has
    this.times = []; // their times in seconds
    filmMs.forEach((ms, index) => {
      if (ms === null) return;
      this.frames.push(index);
      this.times.push(ms / 1000);
    });
    this.place = new Map(this.frames.map((frame, place) => [frame, place]));
    this.wanted = this.shown = 0;
    this.ready = false;
    this.exact = false; // the film stands on `shown`
    this.seeking = false;
    this.playing = false;
    this.waiting = [];
  }

  // Open the film; resolves when its first frame is on the screen.
  async open(address) {
    this.video.src = address;
    await new Promise((resolve, reject) => {
      this.video.addEventListener("loadeddata", resolve, { once: true });
      this.video.addEventListener("error", () => reject(new Error("The browser cannot play the film.")), { once: true });
    });
    this.ready = true;
    this.video.addEventListener("ended", () => this.pause());
    this.video.requestVideoFrameCallback(this.onPicture);
    this.seek(this.wanted);
  }

  onPicture = (now, facts) => {
    this.video.requestVideoFrameCallback(this.onPicture);
    const frame = this.frames[this.nearest(facts.mediaTime)];
    if (this.seeking) {
      if (frame === this.target) this.arrive(frame);
      return;
    }
    if (this.playing) this.show((this.wanted = frame));
  };

  seek(frame) {
    this.move(() => frame);
  }

  // Go on, once everybody who waits for the frame that is on its way has it.
  move(where) {
    if (this.waiting.length) this.waiting.push(() => this.go(where()));
    else this.go(where());
  }

  go(frame) {
    this.wanted = Math.max(0, Math.min(this.count - 1, frame));
    if (!this.ready || !this.place.has(this.wanted)) {
      if (this.playing) this.stop();
      clearTimeout(this.late);
      this.seeking = this.exact = false;
      this.show(this.wanted);
      this.settle();
      return;
    }
    if (this.playing) this.stop();
    if (!this.seeking) this.begin();
  }

  begin() {
    if (this.exact && this.shown === this.wanted) return this.settle();
    this.seeking = true;
    this.target = this.wanted;
    this.video.currentTime = this.middle(this.place.get(this.target));
    this.watch();
    this.dispatchEvent(new CustomEvent("seeking"));
  }

  // A browser need not present a picture that is on the screen already; its clock tells then.
  watch() {
    clearTimeout(this.late);
    this.late = setTimeout(() => {
      const there = this.frames[this.nearest(this.video.currentTime)];
      if (!this.video.seeking && there === this.target) this.arrive(there);
      else this.begin();
    }, LATE_MS);
  }

  arrive(frame) {
    clearTimeout(this.late);
    this.seeking = false;
    this.exact = true;
    this.show(frame);
    if (frame !== this.wanted) this.begin();
    else this.settle();
  }

  settle() {
    while (this.waiting.length && !this.seeking) this.waiting.shift()(this.shown);
  }

  // Stop, and resolve with the frame that stays on the screen.
  settled() {
    if (this.playing) this.pause();
    if (!this.seeking && !this.waiting.length) return Promise.resolve(this.shown);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  show(frame) {
    this.shown = frame;
    this.dispatchEvent(new CustomEvent("frame"));
  }

  play() {
    if (!this.ready || this.playing) return;
    if (this.shown >= this.frames[this.frames.length - 1]) this.video.currentTime = 0;
    this.playing = true;
    this.exact = false;
    this.video.play().catch(() => this.stop());
    this.dispatchEvent(new CustomEvent("state"));
  }

  stop() {
    this.playing = false;
    this.video.pause();
    this.dispatchEvent(new CustomEvent("state"));
  }

  // Stop at the frame that is on the screen: the film may have run on behind it.
  pause() {
    if (!this.playing) return;
    this.stop();
    this.go(this.shown);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  step(by) {
    if (this.playing) this.pause();
    this.move(() => this.wanted + by);
  }

  // The middle of the time for which a frame stands, so that no rounding picks its neighbour.
  middle(place) {
    const next = this.times[place + 1] ?? this.times[place] + 0.02;
    return Math.min((this.times[place] + next) / 2, this.times[place] + 0.05);
  }

  nearest(time) {
    let low = 0;
    let high = this.times.length - 1;
    while (low < high) {
      const half = (low + high + 1) >> 1;
      if (this.times[half] <= time + 0.0005) low = half;
      else high = half - 1;
    }
    return low;
  }
}

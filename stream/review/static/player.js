// Shows frames. `shown` is the frame on the screen, `wanted` the one that was asked for; the film's
// own clock, as the browser reports it with each picture it presents, says which frame is on screen.

const LATE_MS = 1000;

export class Player extends EventTarget {
  constructor(video, film, filmMs) {
    super();
    this.video = video;
    this.film = film;
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
    this.watched = false;
    this.presented = null; // the frame that the browser reported last
    this.exact = false; // the film stands on `shown`
    this.pictured = false; // what the film shows is `shown`; else it must be covered
    this.seeking = false;
    this.playing = false;
    this.waiting = [];
  }

  // Whether the picture of a frame can be shown by now.
  has(frame) {
    return this.place.has(frame) && this.film.has(this.place.get(frame));
  }

  // More of the film is there: show what is waited for, or play on.
  grow() {
    if (this.playing) this.feed();
    else if (!this.seeking && !this.exact && this.has(this.wanted)) this.go(this.wanted);
  }

  onPicture = (now, facts) => {
    this.video.requestVideoFrameCallback(this.onPicture);
    const frame = this.frames[this.nearest(facts.mediaTime)];
    this.presented = frame;
    if (this.seeking) {
      if (frame === this.target && !this.loading) this.arrive(frame);
      return;
    }
    if (!this.playing) return;
    this.pictured = true;
    this.show((this.wanted = frame));
    if (frame === this.frames.at(-1)) this.pause();
    else this.feed();
  };

  // Have what comes next at hand, and go on if the picture stood still for want of it.
  feed() {
    const place = this.place.get(this.shown);
    this.film.load(place, true).then(() => {
      if (this.playing && this.video.paused) this.video.play().catch(() => this.stop());
    }, this.fail);
  }

  fail = (error) => {
    if (this.playing) this.stop();
    this.dispatchEvent(new CustomEvent("broken", { detail: error }));
    this.go(this.wanted);
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
    if (!this.has(this.wanted)) {
      if (this.playing) this.stop();
      clearTimeout(this.late);
      this.seeking = this.exact = this.pictured = false;
      this.show(this.wanted);
      this.settle();
      return;
    }
    if (this.playing) this.stop();
    if (!this.seeking) this.begin();
  }

  begin() {
    if (this.exact && this.shown === this.wanted) return this.settle();
    this.seeking = this.loading = true;
    const target = (this.target = this.wanted);
    this.film.load(this.place.get(target)).then(() => {
      if (!this.seeking || this.target !== target) return;
      if (this.wanted !== target) return this.begin();
      this.loading = false;
      if (!this.watched) this.video.requestVideoFrameCallback(this.onPicture);
      this.watched = true;
      this.video.currentTime = this.middle(this.place.get(target));
      this.watch();
    }, this.fail);
  }

  // A browser need not present a picture that is on the screen already. A picture that does not come
  // is asked for again; nothing else may be taken for it.
  watch() {
    clearTimeout(this.late);
    this.late = setTimeout(() => {
      const there = this.frames[this.nearest(this.video.currentTime)];
      if (!this.video.seeking && there === this.target && this.presented === there) this.arrive(there);
      else this.begin();
    }, LATE_MS);
  }

  arrive(frame) {
    clearTimeout(this.late);
    this.seeking = false;
    this.exact = this.pictured = true;
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
    if (this.playing) return;
    if (this.seeking) return void this.waiting.push(() => this.play());
    if (this.shown >= this.frames.at(-1)) return this.replay();
    if (!this.pictured) return;
    this.playing = true;
    this.exact = false;
    this.video.play().catch(() => this.stop());
    this.feed();
    this.dispatchEvent(new CustomEvent("state"));
  }

  async replay() {
    this.seek(this.frames[0]);
    if ((await this.settled()) === this.frames[0]) this.play();
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

// The keyboard: what each key does, and the list of them for the help.

export const KEYS = [
  ["Space", "play, pause"],
  ["← →", "one frame back, on"],
  ["Shift ← →", "ten frames"],
  ["Home End", "first, last frame"],
  ["k or ↓", "next key frame"],
  ["j or ↑", "previous key frame"],
  ["1 – 9", "give the frame a class"],
  ["a", "accept what the model said"],
  ["x", "reject: leave it out"],
  ["c", "take the judgement away"],
  ["n", "note"],
  ["Shift + 1 – 9 a x c n", "the same for the clip"],
  ["h", "saliency on, off"],
  ["u", "undo"],
  ["?", "this help"],
];

const PLAIN = { " ": "play", k: "next-key", ArrowDown: "next-key", j: "previous-key", ArrowUp: "previous-key", Home: "first", End: "last", h: "saliency", u: "undo", "?": "help" };
const JUDGE = { KeyA: "accept", KeyX: "reject", KeyC: "clear", KeyN: "note" };

// Returns what a key press asks for, or null: {what, by} to move, {what, clip, number} to judge.
export function meaning(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    const by = (event.shiftKey ? 10 : 1) * (event.key === "ArrowLeft" ? -1 : 1);
    return { what: "step", by };
  }
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (digit) return { what: "label", number: Number(digit[1]), clip: event.shiftKey };
  if (PLAIN[event.key]) return { what: PLAIN[event.key] };
  const letter = `Key${event.key.toUpperCase()}`; // by letter, whatever the layout of the keyboard
  if (JUDGE[letter]) return { what: JUDGE[letter], clip: event.shiftKey };
  return null;
}

// Whether the focused element wants this key itself.
export function isTaken(event) {
  const element = event.target;
  if (!(element instanceof Element)) return false;
  if (element.closest("dialog")) return true;
  if (element.matches("textarea, select")) return true;
  if (element.matches("input[type=range]")) return event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
  return element.matches("button") && (event.key === " " || event.key === "Enter");
}

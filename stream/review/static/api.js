// Talks to the server; every answer that is not good becomes an error with words for the reader.

export async function get(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export async function act(action) {
  let answer;
  try {
    answer = await fetch("/api/actions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(action),
    });
  } catch {
    throw new Error("NOT SAVED: the review has ended. Start it again; what was saved is kept.");
  }
  const isJson = answer.headers.get("content-type") === "application/json";
  const body = isJson ? await answer.json() : { error: `NOT SAVED: ${await answer.text()}` };
  if (!answer.ok) throw new Error(body.error);
  return body;
}

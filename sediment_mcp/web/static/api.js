// Queries and mutations: requests to the server that this page came from, and to no other.

export class RequestRefused extends Error {}

const SERVER_ENDED = "sediment-mcp ui has ended, or this page is too old: start it again in a terminal.";

async function readAnswer(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestRefused(SERVER_ENDED);
  }
  if (response.status === 401) throw new RequestRefused(SERVER_ENDED);
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  const body = isJson ? await response.json() : { error: await response.text() };
  if (!response.ok) throw new RequestRefused(body.error || "The server refused this: reload the page.");
  return body;
}

/** Read something; `signal` lets go of an answer that nobody waits for any more. */
export function runQuery(name, args = {}, signal = undefined) {
  const query = new URLSearchParams({ with: JSON.stringify(args) });
  return readAnswer(fetch(`api/${name}?${query}`, { signal }));
}

/** Change something. */
export function runMutation(name, args) {
  return readAnswer(
    fetch(`api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(args),
    }),
  );
}

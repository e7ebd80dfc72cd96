// Questions to the server that this page came from, and to no other.

export class Refused extends Error {}

const GONE = "sediment-mcp ui has ended, or this page is too old: start it again in a terminal.";

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(GONE);
  }
  if (response.status === 401) throw new Refused(GONE);
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  const body = isJson ? await response.json() : { error: await response.text() };
  if (!response.ok) throw new Refused(body.error || "The server refused this: reload the page.");
  return body;
}

/** Read something; `signal` lets go of an answer that nobody waits for any more. */
export function ask(name, given = {}, signal = undefined) {
  const query = new URLSearchParams({ with: JSON.stringify(given) });
  return answered(fetch(`api/${name}?${query}`, { signal }));
}

/** Change something. */
export function tell(name, given) {
  return answered(
    fetch(`api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(given),
    }),
  );
}

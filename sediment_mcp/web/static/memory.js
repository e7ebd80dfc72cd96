// A memory as the page works with it: with the fields that an answer leaves out because they say nothing.

const ABSENT = { truncated: false, kind: "semantic", tags: [], session: null, importance: 0.5, metadata: {}, expires_at: null, superseded_by: null };

/** `project` is the one that was asked for: an answer names only others. */
export function complete(memory, project) {
  return {
    ...ABSENT,
    created_at: memory.occurred_at,
    ...memory,
    project: memory.scope === "project" ? project : (memory.project ?? null),
  };
}

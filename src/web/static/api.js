// Questions to the server. Whatever is no answer becomes a Problem that says what to do.
const PATIENCE_MS = 15000;

export class Problem extends Error {
  /** `status` is 0 where no server answered; `again` are seconds after which to try again; `body` what it said. */
  constructor(status, message, again = null, body = null) {
    super(message);
    this.status = status;
    this.again = again;
    this.body = body;
  }
}

/** Parameters as the end of an address; those without a value are left out. */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

function problemOf(status, body, again) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // No JSON: a proxy's own page, for example.
  }
  const wrong = (problem.errors ?? []).map(({ loc, msg }) => `${[].concat(loc).join(".")}: ${msg}`).join("; ");
  const detail = problem.detail || wrong;
  if (status === 401) return new Problem(status, "The password is asked for again: reload this page.");
  const seconds = again === null ? null : Number(again);
  return new Problem(status, detail || `the server says ${status}`, Number.isFinite(seconds) ? seconds : null, problem);
}

export const NOBODY =
  "The server does not answer. See that it runs (framewatch up) and that this device reaches it; it is tried again.";

/** The JSON of an answer. */
export async function ask(address, { method = "GET", body = null, patience = PATIENCE_MS, signal = null } = {}) {
  const limits = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])];
  let response;
  let text;
  try {
    response = await fetch(address, { method, body, cache: "no-store", signal: AbortSignal.any(limits) });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const late = "No answer yet: the server is slow or the connection is. Try again.";
    throw new Problem(0, error.name === "TimeoutError" ? late : NOBODY);
  }
  if (!response.ok) throw problemOf(response.status, text, response.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

/** Send a file as a form does, telling `progress` the part that is sent, 0 to 1. */
export function send(address, file, { progress = () => {}, signal = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const { status, responseText } = request;
      if (status >= 200 && status < 300) resolve(JSON.parse(responseText));
      else reject(problemOf(status, responseText, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => reject(new Problem(0, NOBODY)));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    const body = new FormData();
    body.append("file", file);
    request.send(body);
  });
}

/** All items of a paged list, newest first, up to `most`; the second value says whether there were more. */
export async function all(address, parameters, name, most, signal = null) {
  const items = [];
  let cursor = null;
  do {
    const answer = await ask(address + query({ ...parameters, limit: 200, cursor }), { signal });
    items.push(...answer[name]);
    cursor = answer.next_cursor;
  } while (cursor !== null && items.length < most);
  return [items.slice(0, most), cursor !== null];
}

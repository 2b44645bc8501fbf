// @ts-check
// Requests to the server. Whatever is no answer becomes a Problem that says what to do.
const TIMEOUT_MS = 15000;

export class Problem extends Error {
  /**
   * @param {number} status  0 where no server answered
   * @param {string} message
   * @param {number | null} [retryAfter]  seconds
   * @param {any} [body]  what the server said
   */
  constructor(status, message, retryAfter = null, body = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

/**
 * Parameters as the end of an address; those without a value are left out.
 * @param {Record<string, unknown>} parameters
 */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
}

/**
 * @param {number} status
 * @param {string} body
 * @param {string | null} retryAfter
 */
function problemOf(status, body, retryAfter) {
  /** @type {{ detail?: string, errors?: { loc: string | string[], msg: string }[] }} */
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // No JSON: a proxy's own page, for example.
  }
  if (status === 401) return new Problem(status, "Sign in again: reload this page.");
  const invalid = (problem.errors ?? []).map(({ loc, msg }) => `${[loc].flat().join(".")}: ${msg}`).join("; ");
  const message = problem.detail || invalid || `the server returned ${status}`;
  const seconds = retryAfter === null ? null : Number(retryAfter);
  return new Problem(status, message, Number.isFinite(seconds) ? seconds : null, problem);
}

export const UNREACHABLE =
  "Cannot reach the server. Check that it is running (framewatch up) and that this device can reach it.";

/**
 * The JSON of an answer.
 * @param {string} address
 * @param {{ method?: string, body?: BodyInit | null, timeoutMs?: number, signal?: AbortSignal | null }} [options]
 * @returns {Promise<any>}
 */
export async function ask(address, { method = "GET", body = null, timeoutMs = TIMEOUT_MS, signal = null } = {}) {
  const limits = [AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])];
  let response;
  let text;
  try {
    response = await fetch(address, { method, body, cache: "no-store", signal: AbortSignal.any(limits) });
    text = await response.text();
  } catch (error) {
    if (isAbort(error)) throw error;
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    throw new Problem(0, timedOut ? "The server did not respond in time. Try again." : UNREACHABLE);
  }
  if (!response.ok) throw problemOf(response.status, text, response.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

/**
 * Whether a request was ended by ourselves.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof Error && error.name === "AbortError";
}

/**
 * What to tell people about an error.
 * @param {unknown} error
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Send a file as a form does; `progress` is told the part that is sent, 0 to 1.
 * @param {string} address
 * @param {File} file
 * @param {{ progress?: (share: number) => void, signal?: AbortSignal | null }} [options]
 * @returns {Promise<any>}
 */
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
    request.addEventListener("error", () => reject(new Problem(0, UNREACHABLE)));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    const body = new FormData();
    body.append("file", file);
    request.send(body);
  });
}

/**
 * All items of a paged list, newest first, up to `most`; the second value says whether there were more.
 * @param {string} address
 * @param {Record<string, unknown>} parameters
 * @param {string} name  of the list in the answer
 * @param {number} most
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<[any[], boolean]>}
 */
export async function all(address, parameters, name, most, signal = null) {
  /** @type {any[]} */
  const items = [];
  let cursor = null;
  do {
    const answer = await ask(address + query({ ...parameters, limit: 200, cursor }), { signal });
    items.push(...answer[name]);
    cursor = answer.next_cursor;
  } while (cursor !== null && items.length < most);
  return [items.slice(0, most), cursor !== null];
}

// Questions about single pictures, and their answers for as long as the page is open.
"use strict";

(() => {
  const PATIENCE_MS = 60000;
  const BARS = 5;
  const KEPT = 20;
  const SVG = "http://www.w3.org/2000/svg";

  const form = document.getElementById("ask");
  const input = form.elements.file;
  const button = form.querySelector("button");
  const said = document.getElementById("said");
  const past = document.getElementById("history");
  const maxBytes = Number(form.dataset.maxBytes);

  function tell(text, bad = false) {
    said.textContent = text;
    said.className = bad ? "bad" : "";
  }

  function make(name, text = "", ...children) {
    const element = document.createElement(name);
    element.append(text, ...children);
    return element;
  }

  function percent(confidence) {
    return `${(100 * confidence).toFixed(1)} %`;
  }

  function drawn(name, sizes) {
    const shape = document.createElementNS(SVG, name);
    for (const [side, value] of Object.entries(sizes)) shape.setAttribute(side, value);
    return shape;
  }

  function pictureOf(address, answer) {
    const figure = make("figure");
    figure.className = "asked";
    const image = new Image();
    image.src = address;
    image.alt = "The picture that was asked about";
    const over = drawn("svg", { viewBox: `0 0 ${answer.width} ${answer.height}`, "aria-hidden": "true" });
    for (const { box, landmarks } of answer.detections) {
      if (box) over.append(drawn("rect", box));
      for (const [x, y] of landmarks) over.append(drawn("circle", { cx: x, cy: y, r: answer.width / 150 }));
    }
    figure.append(image, over);
    return figure;
  }

  function bars(answer) {
    const list = make("dl");
    for (const { action, confidence } of answer.all_predictions.slice(0, BARS)) {
      const bar = document.createElement("meter");
      bar.value = confidence;
      bar.setAttribute("aria-label", action);
      list.append(make("dt", action), make("dd", "", bar), make("dd", percent(confidence)));
    }
    return list;
  }

  function others(answer) {
    const faces = answer.detections.filter(({ box }) => box);
    if (faces.length < 2) return [];
    return [make("p", faces.map(({ label, confidence }) => `${label} ${percent(confidence)}`).join(" · "))];
  }

  function remember(file, answer) {
    const address = URL.createObjectURL(file);
    const title = answer.action === null ? answer.detail : `${answer.action} ${percent(answer.confidence)}`;
    const words = make("div", "", make("h3", title), make("span", file.name), bars(answer), ...others(answer));
    words.className = "answer";
    past.prepend(make("li", "", pictureOf(address, answer), words));
    if (past.children.length > KEPT) {
      const oldest = past.lastElementChild;
      URL.revokeObjectURL(oldest.querySelector("img").src);
      oldest.remove();
    }
    tell(title);
  }

  async function reason(response) {
    const problem = await response.json().catch(() => ({}));
    const again = response.headers.get("Retry-After");
    if (response.status === 401) return "The password is asked for again: reload this page.";
    if (again !== null) return `Busy: ${problem.detail ?? `try again in ${again} s`}.`;
    return problem.detail ? `Not answered: ${problem.detail}.` : `Not answered: the server says ${response.status}.`;
  }

  async function ask(file) {
    if (file.size > maxBytes) {
      tell(`This file has ${(file.size / 1e6).toFixed(1)} MB; at most ${maxBytes / 1e6} are allowed: send a smaller one.`, true);
      return;
    }
    const body = new FormData();
    body.append("file", file);
    tell("Looking…");
    try {
      const response = await fetch(form.action, { method: "POST", body, signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.ok) remember(file, await response.json());
      else tell(await reason(response), true);
    } catch (error) {
      tell(
        error.name === "TimeoutError"
          ? "No answer yet: the server is slow or the connection is. Try again, or send a smaller picture."
          : "The server does not answer. See that it runs (framewatch up) and that this device reaches it, then ask again.",
        true,
      );
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await ask(input.files[0]);
    button.disabled = false;
  });
})();

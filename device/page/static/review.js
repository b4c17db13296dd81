// Corrects the boxes of a photo: a tap on a box removes it or keeps it again, a tap beside them adds one. Changes wait
// in this tab until they are saved, also when the connection breaks or somebody else has saved meanwhile.
"use strict";

(() => {
  const leastTapPx = 44;
  const mostScale = 6;
  const viewer = document.getElementById("viewer");
  const begin = document.getElementById("review");
  const bar = document.getElementById("review-bar");
  const tally = document.getElementById("tally");
  const frame = viewer.querySelector(".photo-frame");
  const photo = viewer.querySelector(".photo");
  const svg = viewer.querySelector("svg.boxes");
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const draftName = `review ${viewer.dataset.photo}`;
  let items = [];
  let base = { removed: new Set(), added: new Set() };
  let undoes = [];
  let scale = 0;
  let cross = null;
  let trouble = "";
  let said = "";

  // what stands on the page

  function readItems() {
    items = [...svg.querySelectorAll(".is-kept, .is-removed, .is-added")].map((rect) => {
      const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
      const added = rect.classList.contains("is-added");
      return { rect, box: [x, y, x + w, y + h], added, removed: rect.classList.contains("is-removed") };
    });
    base = changes();
    undoes = [];
  }

  function changes() {
    const of = (chosen) => new Set(chosen.map((item) => item.box.join()));
    return { removed: of(items.filter((item) => item.removed)), added: of(items.filter((item) => item.added)) };
  }

  function without(all, some) {
    return [...all].filter((one) => !some.has(one));
  }

  function isChanged() {
    const now = changes();
    return ["removed", "added"].some(
      (kind) => without(now[kind], base[kind]).length || without(base[kind], now[kind]).length,
    );
  }

  // changing it

  function setRemoved(item, removed) {
    item.removed = removed;
    item.rect.classList.toggle("is-removed", removed);
    item.rect.classList.toggle("is-kept", !removed);
  }

  function add(box) {
    const rect = document.createElementNS(svg.namespaceURI, "rect");
    rect.setAttribute("class", `kind-${bar.dataset.kind} is-added`);
    [box[0], box[1], box[2] - box[0], box[3] - box[1]].forEach((value, index) => {
      rect.setAttribute(["x", "y", "width", "height"][index], value);
    });
    svg.append(rect);
    const item = { rect, box, added: true, removed: false };
    items.push(item);
    return item;
  }

  function drop(item) {
    item.rect.remove();
    items = items.filter((other) => other !== item);
  }

  function restore(item) {
    svg.append(item.rect);
    items.push(item);
  }

  function tap(x, y) {
    const item = nearest(x, y);
    if (item && item.added) {
      drop(item);
      undoes.push(() => restore(item));
      said = "Added box taken away.";
    } else if (item) {
      setRemoved(item, !item.removed);
      undoes.push(() => setRemoved(item, !item.removed));
      said = item.removed ? "Removed." : "Kept.";
    } else {
      const fresh = add(boxAround(x, y));
      undoes.push(() => drop(fresh));
      said = "Added.";
    }
    trouble = "";
    changed();
  }

  function undo() {
    const last = undoes.pop();
    if (!last) return;
    last();
    said = "Undone.";
    changed();
  }

  function nearest(x, y) {
    const least = leastTapPx / scale;
    let [best, distance] = [null, Infinity];
    for (const item of items) {
      const [x1, y1, x2, y2] = item.box;
      const [across, down] = [Math.abs(x - (x1 + x2) / 2), Math.abs(y - (y1 + y2) / 2)];
      if (across > Math.max(x2 - x1, least) / 2 || down > Math.max(y2 - y1, least) / 2) continue;
      if (Math.hypot(across, down) < distance) [best, distance] = [item, Math.hypot(across, down)];
    }
    return best;
  }

  function median(numbers) {
    return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
  }

  // as large as its neighbours
  function boxAround(x, y) {
    const away = ({ box }) => Math.hypot(x - (box[0] + box[2]) / 2, y - (box[1] + box[3]) / 2);
    const near = items.filter((item) => !item.removed).sort((a, b) => away(a) - away(b)).slice(0, 5);
    const usual = Math.max(width, height) / 40;
    const w = near.length ? median(near.map(({ box }) => box[2] - box[0])) : usual;
    const h = near.length ? median(near.map(({ box }) => box[3] - box[1])) : usual;
    const within = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
    const [x1, y1] = [within(x - w / 2, width - 2), within(y - h / 2, height - 2)];
    return [x1, y1, Math.max(x1 + 2, within(x + w / 2, width)), Math.max(y1 + 2, within(y + h / 2, height))];
  }

  // showing it

  function changed() {
    const counted = items.filter((item) => !item.removed).length;
    const now = changes();
    const fruit = document.createElement("b");
    fruit.textContent = counted.toLocaleString("en");
    tally.replaceChildren(
      fruit,
      ` ${viewer.dataset.fruit}: ${now.removed.size} removed, ${now.added.size} added. ` +
        (said || "Tap a box to remove it, an empty place to add one."),
    );
    if (trouble) {
      const note = document.createElement("span");
      note.className = "bad";
      note.textContent = trouble;
      tally.append(note);
    }
    document.getElementById("undo").disabled = !undoes.length;
    begin.lastChild.textContent = isChanged() ? " Review: not saved" : " Review";
    keepDraft();
  }

  function placeAt([x, y]) {
    return [(frame.scrollLeft + x) / scale, (frame.scrollTop + y) / scale];
  }

  // shows a place of the photo at a point of the frame, in the middle unless told: what is there already
  function setScale(wanted, at = [frame.clientWidth / 2, frame.clientHeight / 2], place = placeAt(at)) {
    const fit = frame.clientWidth / width;
    scale = Math.min(Math.max(wanted, fit), Math.max(mostScale, fit));
    photo.style.width = `${width * scale}px`;
    frame.scrollTo(place[0] * scale - at[0], place[1] * scale - at[1]);
  }

  // so large that a finger meets one box
  function showBoxes() {
    const size = items.length ? median(items.map(({ box }) => Math.min(box[2] - box[0], box[3] - box[1]))) : 0;
    const fit = frame.clientWidth / width;
    scale = fit;
    setScale(size ? leastTapPx / size : 2 * fit, [0, 0]);
    if (!items.length) return;
    const [x, y] = [0, 1].map((axis) => median(items.map(({ box }) => (box[axis] + box[axis + 2]) / 2)));
    frame.scrollTo(x * scale - frame.clientWidth / 2, y * scale - frame.clientHeight / 2);
  }

  function enter() {
    viewer.classList.add("reviewing");
    for (const element of [bar, tally]) element.hidden = false;
    document.documentElement.style.overflow = "hidden";
    frame.setAttribute("role", "application");
    frame.setAttribute("aria-label", "Photo: arrow keys move a cross, Enter removes or adds a box, N goes to the next box");
    showBoxes();
    changed();
    frame.focus();
  }

  function leave() {
    viewer.classList.remove("reviewing");
    for (const element of [bar, tally]) element.hidden = true;
    document.documentElement.style.overflow = "";
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", "Photo");
    photo.style.width = "";
    moveCross(null);
    begin.focus();
  }

  // keys

  function moveCross(to) {
    svg.querySelector(".cross")?.remove();
    cross = to;
    if (!cross) return;
    const [x, y] = cross.map((value, axis) => Math.min(Math.max(value, 0), axis ? height : width));
    cross = [x, y];
    const arm = 14 / scale;
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("class", "cross");
    path.setAttribute("d", `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`);
    svg.append(path);
    path.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function inTheMiddle() {
    return placeAt([frame.clientWidth / 2, frame.clientHeight / 2]);
  }

  // from top to bottom in stripes, as one reads
  function nextBox(step) {
    if (!items.length) return;
    const centre = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const stripe = Math.max(1, 3 * median(items.map(({ box }) => box[3] - box[1])));
    const place = ([x, y]) => Math.floor(y / stripe) * width + x;
    const inOrder = items.map(centre).sort((a, b) => place(a) - place(b));
    const here = place(cross || [-1, 0]);
    const ahead = step > 0 ? inOrder.find((c) => place(c) > here) : inOrder.findLast((c) => place(c) < here);
    moveCross(ahead || inOrder.at(step > 0 ? 0 : -1));
  }

  const keys = {
    Enter: () => tap(...(cross || inTheMiddle())),
    " ": () => tap(...(cross || inTheMiddle())),
    Delete: () => tap(...(cross || inTheMiddle())),
    n: () => nextBox(1),
    p: () => nextBox(-1),
    u: undo,
    "+": () => setScale(scale * 1.4),
    "-": () => setScale(scale / 1.4),
    s: () => bar.requestSubmit(bar.querySelector("[value=next]") || bar.querySelector("[value=stay]")),
    Escape: leave,
  };

  function press(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z")) return;
    if (way) {
      const step = (event.shiftKey ? 80 : 16) / scale;
      const [x, y] = cross || inTheMiddle();
      moveCross([x + way[0] * step, y + way[1] * step]);
    } else if (event.ctrlKey) {
      undo();
    } else if (keys[event.key]) {
      keys[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  }

  // what is not saved yet

  function listed(set) {
    return [...set].map((text) => text.split(",").map(Number));
  }

  function keepDraft() {
    if (!isChanged()) {
      sessionStorage.removeItem(draftName);
      return;
    }
    const [now, was] = [changes(), base];
    const draft = {
      removed: without(now.removed, was.removed),
      kept: without(was.removed, now.removed),
      added: without(now.added, was.added),
      dropped: without(was.added, now.added),
    };
    sessionStorage.setItem(draftName, JSON.stringify(draft));
  }

  // on top of what stands now, which may be more than when they were made
  function applyDraft(draft) {
    const byBox = new Map(items.map((item) => [item.box.join(), item]));
    for (const box of draft.removed) if (byBox.has(box)) setRemoved(byBox.get(box), true);
    for (const box of draft.kept) if (byBox.has(box)) setRemoved(byBox.get(box), false);
    for (const box of draft.dropped) if (byBox.get(box)?.added) drop(byBox.get(box));
    for (const box of listed(draft.added)) {
      const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
      const there = ({ added, box: [x1, y1, x2, y2] }) => added && x > x1 && x < x2 && y > y1 && y < y2;
      if (!items.some(there)) add(box);
    }
  }

  function draft() {
    return JSON.parse(sessionStorage.getItem(draftName) || "null");
  }

  async function fetchPage() {
    const answer = await fetch(window.location.pathname);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  async function putTogether(reason) {
    const page = await fetchPage();
    const mine = draft();
    svg.replaceChildren(...page.querySelector("svg.boxes").children);
    for (const name of ["model", "revision"]) {
      bar.elements[name].value = page.querySelector(`#review-bar [name=${name}]`).value;
    }
    readItems();
    if (mine) applyDraft(mine);
    trouble = `${reason} Their changes and yours are both here now: look once more, then save.`;
    changed();
  }

  async function save(then) {
    const now = changes();
    const form = new URLSearchParams(new FormData(bar));
    form.set("removed", JSON.stringify(listed(now.removed)));
    form.set("added", JSON.stringify(listed(now.added)));
    form.set("reviewer", document.getElementById("reviewer")?.value || "");
    form.set("then", then);
    const answer = await fetch(bar.action, { method: "POST", body: form });
    if (answer.ok) {
      base = now;
      keepDraft();
      window.location.assign(answer.url);
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const reason = page.querySelector("main p")?.textContent.trim() || "That could not be saved; try again.";
    if (answer.status === 409) {
      await putTogether(reason);
    } else {
      trouble = reason;
      changed();
    }
  }

  bar.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = bar.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    try {
      await save(event.submitter?.value || "stay");
    } catch {
      trouble = "The connection broke off. Your changes are kept here: move closer to the device and save again.";
    }
    buttons.forEach((button) => (button.disabled = false));
    changed();
  });

  photo.addEventListener("click", (event) => {
    if (!viewer.classList.contains("reviewing")) return;
    const shown = svg.getBoundingClientRect();
    tap(((event.clientX - shown.left) / shown.width) * width, ((event.clientY - shown.top) / shown.height) * height);
  });

  // two fingers: what lies beneath them stays beneath them
  let pinch = null;

  function span([first, second]) {
    const place = frame.getBoundingClientRect();
    return {
      apart: Math.max(1, Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY)),
      middle: [(first.clientX + second.clientX) / 2 - place.left, (first.clientY + second.clientY) / 2 - place.top],
    };
  }

  function touched({ touches }) {
    pinch = null;
    if (touches.length !== 2 || !viewer.classList.contains("reviewing")) return;
    const { apart, middle } = span(touches);
    pinch = { times: scale / apart, place: placeAt(middle) };
  }

  function spread(event) {
    if (!pinch) return;
    if (event.cancelable) event.preventDefault(); // it is not where one finger has begun to move the photo
    const { apart, middle } = span(event.touches);
    setScale(pinch.times * apart, middle, pinch.place);
  }

  for (const kind of ["touchstart", "touchend", "touchcancel"]) frame.addEventListener(kind, touched);
  frame.addEventListener("touchmove", spread, { passive: false });

  frame.addEventListener("keydown", (event) => viewer.classList.contains("reviewing") && press(event));
  begin.addEventListener("click", enter);
  document.getElementById("leave").addEventListener("click", leave);
  document.getElementById("undo").addEventListener("click", undo);
  document.getElementById("larger").addEventListener("click", () => setScale(scale * 1.4));
  document.getElementById("smaller").addEventListener("click", () => setScale(scale / 1.4));
  window.addEventListener("beforeunload", (event) => {
    if (isChanged()) event.preventDefault();
  });

  readItems();
  begin.hidden = false;
  const kept = draft();
  if (kept) {
    applyDraft(kept);
    said = "What was not saved yet is back.";
  }
  if (kept || new URLSearchParams(window.location.search).has("review")) {
    said ||= document.querySelector(".saved p")?.textContent || "";
    enter();
  }
})();

// Sends the upload form with a progress bar, and keeps the form when the connection breaks. Without this script the
// browser sends it by itself.
"use strict";

(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const button = form.querySelector("button");
  const progress = document.getElementById("progress");
  const bar = progress.querySelector("progress");
  const status = progress.querySelector("[role=status]");
  const problem = document.getElementById("problem");

  function tell(text) {
    const note = document.createElement("p");
    note.className = "note bad";
    note.textContent = text;
    problem.replaceChildren(note);
    problem.scrollIntoView({ block: "center" });
    button.disabled = false;
    progress.hidden = true;
  }

  function chosen() {
    return [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
  }

  function whatIsWrong() {
    const files = chosen();
    if (!files.length) return "No photo was chosen; take or choose one.";
    if (files.length > Number(form.dataset.mostPhotos)) return `Choose up to ${form.dataset.mostPhotos} photos at once.`;
    return "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = whatIsWrong();
    if (wrong) {
      tell(wrong);
      return;
    }
    problem.replaceChildren();
    button.disabled = true;
    progress.hidden = false;
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (sent) => {
      if (!sent.lengthComputable) return;
      bar.value = sent.loaded / sent.total;
      status.textContent = `${(sent.loaded / 1e6).toFixed(1)} of ${(sent.total / 1e6).toFixed(1)} MB sent`;
    });
    request.addEventListener("load", () => {
      if (request.status < 400) {
        window.location.assign(request.responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const said = page.querySelector("[role=alert], main p");
      tell(said ? said.textContent.trim() : "The photos could not be uploaded; try again.");
    });
    request.addEventListener("error", () => {
      tell("The connection broke off. Move closer to the device and upload again; nothing is counted twice.");
    });
    request.open("POST", form.action);
    request.send(new FormData(form));
  });

  // a page that comes back from the browser's memory may still show the last upload as under way
  window.addEventListener("pageshow", () => {
    button.disabled = false;
    progress.hidden = true;
  });
})();

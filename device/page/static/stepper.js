// Plus and minus beside a number. Without this script the number is typed.
"use strict";

for (const button of document.querySelectorAll("[data-step]")) {
  const field = document.getElementById(button.dataset.of);
  button.hidden = false;
  button.addEventListener("click", () => {
    field.value = Math.max(0, (Number.parseInt(field.value, 10) || 0) + Number(button.dataset.step));
  });
}

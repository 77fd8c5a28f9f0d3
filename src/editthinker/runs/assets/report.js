"use strict";
for (const article of document.querySelectorAll("article")) {
  const stage = article.querySelector(".compare");
  const slider = stage.querySelector("input");
  if (!slider) continue;
  const place = (percent) => {
    slider.value = percent;
    stage.style.setProperty("--at", slider.value + "%");
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    place((100 * (event.clientX - box.left)) / box.width);
  };
  slider.addEventListener("input", () => place(slider.value));
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    follow(event);
    slider.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  for (const button of article.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => {
      for (const image of stage.querySelectorAll(".after")) image.hidden = image.dataset.turn !== button.dataset.show;
      for (const other of article.querySelectorAll("[data-show]")) other.ariaPressed = String(other === button);
      stage.querySelector(".tag.right").textContent = "Turn " + button.dataset.show;
    });
  }
}

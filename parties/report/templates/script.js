for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    document.documentElement.lang = button.dataset.show;
  });
}
document.getElementById("print").addEventListener("click", () => window.print());

// A classic script that runs before the page is painted, so that a chosen theme never flashes.
(function () {
  try {
    var chosen = localStorage.getItem("recarena-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (_) {
    // Storage is shut: the system's theme it is.
  }
})();

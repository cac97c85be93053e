// Before anything is drawn: the colours that the reader chose, so that the page does not flash in others.
(() => {
  let theme = "system";
  try {
    theme = localStorage.getItem("posthaste-theme") ?? theme;
  } catch {
    // Storage is forbidden: the system's colours.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

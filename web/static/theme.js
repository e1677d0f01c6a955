// Before the first paint: the theme chosen earlier, so that the page does not flash.
try {
  const theme = localStorage.getItem("coulomb.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme is used.
}

// Dark, light, or as the system: kept for this browser where it lets us.

const ORDER = ["system", "light", "dark"];
const SIGNS = { system: "◐", light: "○", dark: "●" };
const button = document.getElementById("theme");

function kept() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

export function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.textContent = SIGNS[theme];
  const said = theme === "system" ? "as the system" : theme;
  button.setAttribute("aria-label", `Colours: ${said}. Change`);
  button.title = `Colours: ${said}`;
}

export function turn() {
  const now = document.documentElement.dataset.theme ?? "system";
  const next = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];
  show(next);
  try {
    localStorage.setItem("theme", next);
  } catch {
    // a browser that keeps nothing: it holds for this page
  }
}

show(ORDER.includes(kept()) ? kept() : "system");
button.addEventListener("click", turn);

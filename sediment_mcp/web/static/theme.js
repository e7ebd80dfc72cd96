// Light or dark: as the system has it, until the button says otherwise. Remembered while the tab lives.

const NAME = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function startTheme(toggle) {
  apply(sessionStorage.getItem(NAME));
  toggle.addEventListener("click", () => {
    const other = isDark() ? "light" : "dark";
    sessionStorage.setItem(NAME, other);
    apply(other);
  });
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

"use strict";
// The theme a reader has chosen, before anything is drawn; and the button that changes it.
{
  const KEY = "workbench-theme";
  const THEMES = ["system", "light", "dark"];
  const root = document.documentElement;
  root.classList.add("scripts");

  // A browser may refuse to remember anything for a page that is a file.
  const remembered = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const remember = (theme) => {
    try { localStorage.setItem(KEY, theme); } catch { /* for this page only, then */ }
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  apply(remembered());

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("body > .theme > button");
    const label = () => {
      const theme = root.dataset.theme ?? "system";
      const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      button.textContent = `Theme: ${theme}`;
      button.title = `Change to ${next}`;
      return next;
    };
    button.addEventListener("click", () => {
      const next = label();
      remember(next);
      apply(next);
      label();
    });
    label();
  });

  // Paper has no triangle to press: what is folded is printed open, and folded again after.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
}

import init from "/coulomb-web.js";

init({ module_or_path: "/coulomb-web_bg.wasm" }).catch((error) => {
  const say = document.createElement("p");
  say.textContent = `The pages could not start: ${error}. Reload, or use a current browser.`;
  document.body.append(say);
});

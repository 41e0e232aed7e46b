// "Show the rule": the smallest rule that would let a denied call pass, to be read and copied. Nothing is changed from here.

import { el, endpoint, plain } from "./dom.js";
import { ask } from "./live.js";

const dialog = document.getElementById("rule");
const part = (name) => document.getElementById(`rule-${name}`);

/** Show it for a denial. */
export async function showRule(denial) {
  const where = endpoint(denial.name || denial.address, denial.port);
  part("title").textContent = "The smallest rule that would allow this";
  part("about").replaceChildren(el("strong", {}, plain(denial.workload)), " was denied ", el("code", {}, where), ".");
  await show(`rule?flow=${denial.id}`, (namespace) => [
    "Nothing has been changed, and nothing is changed from this page. Put it into a file, and: ",
    el("code", {}, `exitway create -n ${namespace} -f rule.yml`),
  ]);
}

/** Show a rule that is in force. */
export async function showRuleInForce(rule) {
  part("title").textContent = plain(`${rule.namespace}/${rule.name}`);
  part("about").replaceChildren("As it is in force.");
  await show(`rule?${new URLSearchParams({ key: rule.key, apiVersion: rule.apiVersion })}`, () => []);
}

async function show(path, note) {
  part("copied").textContent = "";
  part("text").textContent = "";
  part("note").replaceChildren();
  part("copy").disabled = true;
  if (!dialog.open) dialog.showModal();
  try {
    const { yaml, why, namespace } = await (await ask(path)).json();
    if (yaml) {
      part("text").textContent = yaml;
      part("note").replaceChildren(...note(namespace));
    } else part("note").replaceChildren(plain(why));
    part("text").parentElement.hidden = part("copy").hidden = !yaml;
    part("copy").disabled = !yaml;
    if (yaml) part("copy").focus();
  } catch (error) {
    part("note").replaceChildren(plain(error.message));
    part("text").parentElement.hidden = part("copy").hidden = true;
  }
}

/** Into the clipboard; where the browser does not let us, the text is selected, and Ctrl+C copies it. */
export async function copyRule() {
  if (!dialog.open || part("copy").disabled) return;
  try {
    await navigator.clipboard.writeText(part("text").textContent);
    part("copied").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(part("text"));
    part("copied").textContent = "Selected: copy it with Ctrl+C";
  }
}

part("copy").addEventListener("click", copyRule);

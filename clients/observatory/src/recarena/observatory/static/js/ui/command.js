import { html } from "../../vendor/htm-preact-standalone.js";
import { toast } from "./toast.js";

/** A line for a terminal, with a button that copies it. @param {{line: string}} props */
export function Command({ line }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      toast("Copied.");
    } catch (_) {
      toast("The browser does not let the page copy; select the line and copy it.", "error");
    }
  };
  return html`<div class="command-line"><code>${line}</code><button type="button" class="button" aria-label=${`Copy ${line}`} onClick=${copy}>Copy</button></div>`;
}

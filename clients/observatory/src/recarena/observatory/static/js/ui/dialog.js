// Dialogs: the browser's own <dialog>, which keeps the focus inside and gives it back.
import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { toast } from "./toast.js";

let numbers = 0;

/**
 * Open as long as it is rendered. Escape, the cross and a click beside it close it.
 * @param {{title: string, onClose: () => void, wide?: boolean, children?: any}} props
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const node = useRef(null);
  const [id] = useState(() => `dialog-${++numbers}`);
  useEffect(() => {
    const before = document.activeElement, dialog = node.current;
    dialog.showModal();
    const first = node.current.querySelector("[autofocus], .dialog-body input, .dialog-body select, .dialog-body textarea, .dialog-body button");
    (first ?? node.current.querySelector("button"))?.focus();
    return () => {
      dialog.close(); // what is beside an open dialog takes no focus
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return html`<dialog ref=${node} class=${`dialog ${wide ? "wide" : ""}`} aria-labelledby=${id}
    onCancel=${(e) => { e.preventDefault(); onClose(); }}
    onMouseDown=${(e) => { if (e.target === node.current) onClose(); }}>
    <div class="dialog-head"><h2 id=${id}>${title}</h2>
      <button type="button" class="icon-button" aria-label="Close" onClick=${onClose}>✕</button></div>
    <div class="dialog-body">${children}</div></dialog>`;
}

/** "intervention.set_relation.other_user_id" -> "other user id". @param {string} path */
const fieldName = (path) => path.split(".").at(-1).replaceAll("_", " ");

/**
 * A dialog with a form. `submit` gives a promise: resolved closes the dialog; an ApiError is shown, at its field where it names one.
 * @param {{title: string, action: string, danger?: boolean, wide?: boolean, onClose: () => void,
 *   submit: () => Promise<any>, done?: string|((answer: any) => string), children?: any}} props
 */
export function FormDialog({ title, action, danger = false, wide = false, onClose, submit, done, children }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const answer = await submit();
      const text = typeof done === "function" ? done(answer) : done;
      if (text) toast(text);
      onClose();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose} wide=${wide}><form class="form" onSubmit=${send}>
    ${children}
    ${error ? html`<p class="form-error" role="alert">${error.field ? html`<b>${fieldName(error.field)}: </b>` : null}${error.text ?? String(error)}</p>` : null}
    <div class="form-buttons"><button type="button" class="button" onClick=${onClose}>Cancel</button>
      <button type="submit" class=${`button ${danger ? "danger" : "primary"}`} disabled=${busy}>${busy ? "Sending…" : action}</button></div>
  </form><//>`;
}

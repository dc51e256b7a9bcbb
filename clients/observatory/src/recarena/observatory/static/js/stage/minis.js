import { html, useMemo } from "../../vendor/htm-preact-standalone.js";
import { useStore } from "../store.js";
import { Chart } from "../ui/chart.js";
import { useThrottled } from "../ui/hooks.js";
import { seek } from "./seek.js";

/** Watches a round, and their mean rating. @param {{store: object}} props */
export function Minis({ store }) {
  const rounds = useThrottled(useStore(store, (s) => s.rounds), 1000);
  const interventions = useStore(store, (s) => s.interventions);
  const at = useStore(store, (s) => s.at);
  const x = useMemo(() => rounds.map((r) => r.round), [rounds]);
  const watches = useMemo(() => [{ label: "Watches", values: rounds.map((r) => r.watches) }], [rounds]);
  const rating = useMemo(() => [{ label: "Mean rating", values: rounds.map((r) => r.mean_rating ?? null) }], [rounds]);
  const marks = useMemo(() => interventions.map((i) => ({ x: i.round, text: i.text })), [interventions]);
  if (!rounds.length) return null;
  const shared = { x, marks, at, controls: false, height: 88, onPick: (round) => seek(store, round) };
  return html`<section class="panel minis" aria-label="Charts"><${Chart} ...${shared} title="Watches" unit="a round" series=${watches} />
    <${Chart} ...${shared} title="Mean rating" unit="1 to 5" series=${rating} decimals=${2} /></section>`;
}

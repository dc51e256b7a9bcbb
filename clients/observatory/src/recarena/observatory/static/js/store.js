// One store per run: what the server told, and what of it is shown (LIVE, or a REPLAY of `?at=`).
import { useEffect, useReducer, useRef } from "../vendor/htm-preact-standalone.js";
import { get, inBundle, live, newKey, post, runPath } from "./api.js";
import { makeArrivals, makePacer } from "./pacing.js";
import { toast } from "./ui/toast.js";

/**
 * A value that tells when it changes.
 * @template T @param {T} initial
 * @returns {{get: () => T, set: (patch: Partial<T>) => void, subscribe: (f: () => void) => () => void}}
 */
export function makeStore(initial) {
  let state = initial;
  const listeners = new Set();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Renders again when what is picked changes (by Object.is).
 * @template T, R @param {{get: () => T, subscribe: Function}} store @param {(state: T) => R} pick @returns {R}
 */
export function useStore(store, pick) {
  const [, again] = useReducer((n) => n + 1, 0);
  const last = useRef(null);
  last.current = { pick, value: pick(store.get()) };
  useEffect(() => {
    const look = () => {
      if (!Object.is(last.current.pick(store.get()), last.current.value)) again(0);
    };
    look();
    return store.subscribe(look);
  }, [store]);
  return last.current.value;
}

/** What all screens share: who is looking. */
export const app = makeStore({ me: null, error: null });

/** Whether the page may change anything, and why not. @param {object|null} me @returns {string} "" where it may */
export function whyNotSteer(me) {
  if (!me) return "Loading.";
  if (me.bundle) return "A bundle shows a run; it cannot change one.";
  if (me.role !== "operator") return "This token may look only: the RecArena server lets an observer change nothing.";
  if (me.read_only) return "The observatory was started with --read-only.";
  return "";
}

function bytes(text) {
  const raw = atob(text ?? "");
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

/** @param {object|null} keyframe as API.md has it @returns {object|null} with typed arrays in place of base64 */
export function readKeyframe(keyframe) {
  if (!keyframe || keyframe.actions instanceof Uint8Array) return keyframe;
  const watches = bytes(keyframe.watches);
  return {
    ...keyframe, actions: bytes(keyframe.actions),
    watches: new Uint16Array(watches.buffer, 0, watches.length >> 1), people: keyframe.people ?? [],
  };
}

const FEED = 120; // lines kept
const KEYFRAMES = 400;
const FORGOTTEN = { world: null, rounds: [], interventions: [], pending: [], keyframe: null, shown: null, feed: [],
  shownFeed: [], leftOut: 0, roundsLoaded: false };

/**
 * @typedef {object} RunState
 * @property {object|null} run          Run of API.md
 * @property {object|null} world        World of the keyframe shown
 * @property {object[]} rounds          all committed rounds, in order
 * @property {object[]} interventions   those that took effect
 * @property {object[]} pending         those that wait for a round
 * @property {object|null} keyframe     the newest, with typed arrays
 * @property {object|null} shown        the one shown: `keyframe`, or that of `at`
 * @property {number|null} at           null: LIVE
 * @property {object[]} feed            newest last, live
 * @property {object[]} shownFeed       lines of round `at`
 * @property {number} leftOut           events of the last batch that no line speaks of
 * @property {number|null} pace         rounds a second, as they have come lately; null: not known, or none come
 * @property {"connecting"|"live"|"offline"|"bundle"} link
 * @property {boolean} stranger         the observatory does not know this browser, as after its restart
 * @property {{reachable: boolean, message: string}} server
 * @property {object|null} turn         last `turn` message, see `playAs`
 * @property {string} commanding        command under way, or ""
 * @property {{command: string, state: string}|null} asked accepted, and the state it is to end: a pause waits for its round
 * @property {import("./api.js").ApiError|null} error why the run cannot be shown
 */

/** @param {string} id run_id */
export function makeRunStore(id) {
  const store = makeStore({ run: null, link: inBundle() ? "bundle" : "connecting", at: null, turn: null, pace: null, commanding: "", asked: null,
    error: null, stranger: false, server: { reachable: true, message: "" }, ...FORGOTTEN });
  const keyframes = new Map();
  const arrivals = makeArrivals();
  const { get: state, set } = store;
  let socket = null, closed = false, playing = "", worldAsked = "", showing = 0, told = 0;

  const pacer = makePacer((lines) => {
    const kept = state().feed.concat(lines);
    set({ feed: kept.length > FEED ? kept.slice(-FEED) : kept });
  });

  function remember(keyframe) {
    if (keyframes.size >= KEYFRAMES) keyframes.delete(keyframes.keys().next().value);
    keyframes.set(keyframe.round, keyframe);
    return keyframe;
  }

  /** Fetches the world of a keyframe; where that version is gone, the present one stands in. */
  async function loadWorld(keyframe) {
    const version = keyframe?.world_version;
    if (!version || state().world?.version === version || worldAsked === version) return;
    worldAsked = version;
    try {
      const world = await get(runPath(id, `world?v=${encodeURIComponent(version)}`));
      if (!closed && worldAsked === version) set({ world });
    } catch (error) {
      if (closed) return;
      if (error.status === 404 && state().world) return;
      if (error.status === 404 && state().keyframe && state().keyframe.world_version !== version) {
        worldAsked = "";
        return loadWorld(state().keyframe);
      }
      setTimeout(() => { if (worldAsked === version) worldAsked = ""; }, 1000);
    }
  }

  async function loadRounds() {
    try {
      const got = await get(runPath(id, "rounds"));
      if (closed) return;
      const last = got.rounds.at(-1)?.round ?? 0;
      const newer = state().rounds.filter((r) => r.round > last);
      set({ rounds: got.rounds.concat(newer), interventions: got.interventions ?? [], roundsLoaded: true });
    } catch (error) {
      if (!closed && error.status !== 404) setTimeout(() => { if (!closed) loadRounds(); }, 2000);
    }
  }

  /** Lines of rounds that were not told yet. */
  function untold(lines) {
    const before = told, fresh = (lines ?? []).filter((line) => line.round > before);
    for (const line of fresh) told = Math.max(told, line.round);
    return fresh;
  }

  /** Rounds a second; a run that stands has none, and begins anew. */
  function paceOf(run, round) {
    if (run.state !== "running") arrivals.clear();
    else arrivals.note(round, performance.now());
    return arrivals.pace();
  }

  function take(message) {
    const now = state();
    if (message.type === "snapshot") {
      const keyframe = readKeyframe(message.keyframe);
      const anew = Boolean(now.keyframe) && now.keyframe.epoch !== message.run.epoch;
      if (anew) {
        keyframes.clear();
        pacer.clear();
        arrivals.clear();
        worldAsked = "";
        told = 0;
      }
      remember(keyframe);
      set({ ...(anew ? { ...FORGOTTEN } : {}), run: message.run, keyframe, pending: message.pending ?? [], error: null,
        pace: paceOf(message.run, keyframe.round),
        server: { reachable: true, message: "" },
        shown: now.at === null || anew ? keyframe : now.shown });
      pacer.push(untold(message.feed), 0);
      if (state().at === null) loadWorld(keyframe);
      const known = state().rounds.at(-1)?.round ?? 0;
      if (!state().roundsLoaded || known !== keyframe.round) loadRounds();
      if (anew && now.at !== null) show(Math.min(now.at, keyframe.round));
    } else if (message.type === "rounds") {
      const keyframe = remember(readKeyframe(message.keyframe));
      const known = now.rounds.at(-1)?.round ?? 0;
      const fresh = message.rounds.filter((r) => r.round > known);
      set({ run: message.run, keyframe, rounds: now.rounds.concat(fresh), leftOut: message.left_out ?? 0,
        pace: paceOf(message.run, keyframe.round),
        shown: now.at === null ? keyframe : now.shown });
      pacer.push(untold(message.feed), Date.now());
      if (now.at === null) loadWorld(keyframe);
    } else if (message.type === "run") {
      set({ run: message.run, pace: paceOf(message.run, now.keyframe?.round ?? message.run.round) });
    } else if (message.type === "interventions") {
      const numbers = new Set((message.applied ?? []).map((i) => i.number));
      set({ pending: message.pending ?? [],
        interventions: now.interventions.filter((i) => !numbers.has(i.number)).concat(message.applied ?? []) });
    } else if (message.type === "turn") {
      set({ turn: { ...message, heard: performance.now() } });
    } else if (message.type === "server") {
      set({ server: { reachable: message.reachable, message: message.message ?? "" } });
    }
  }

  /** Shows a round, or what is newest. @param {number|null} at */
  async function show(at) {
    const mine = ++showing;
    set({ at });
    if (at === null) {
      set({ shown: state().keyframe, shownFeed: [] });
      loadWorld(state().keyframe);
      return;
    }
    try {
      const keyframe = await store.keyframeAt(at);
      if (closed || mine !== showing) return;
      set({ shown: keyframe });
      loadWorld(keyframe);
      const got = at > 0 ? await get(runPath(id, `feed/${at}`)) : { lines: [] };
      if (!closed && mine === showing) set({ shownFeed: got.lines });
    } catch (error) {
      if (closed || mine !== showing) return;
      if (error.status === 404 && at > (state().run?.round ?? 0)) return; // the shell goes to the newest then, and says so
      toast(error.text ?? String(error), "error");
    }
  }

  async function start() {
    try {
      const run = await get(runPath(id));
      if (closed) return;
      set({ run: state().run ?? run, error: null });
    } catch (error) {
      if (closed) return;
      set({ error });
      if (error.status === 0 || error.status >= 500) setTimeout(() => { if (!closed) start(); }, 2000);
      return;
    }
    if (inBundle()) return startBundle();
    if (socket) return;
    socket = live(id, {
      resume: () => ({ epoch: state().keyframe?.epoch ?? 0, since: state().keyframe?.round ?? 0,
        play: playing }),
      message: take,
      state: (link) => set(link === "live" ? { link, stranger: false } : { link }),
      stranger: (stranger) => set({ stranger }),
    });
  }

  async function startBundle() {
    await loadRounds();
    const last = state().rounds.at(-1)?.round ?? 0;
    const keyframe = await store.keyframeAt(last);
    set({ keyframe, shown: state().at === null ? keyframe : state().shown });
    loadWorld(keyframe);
    const got = await get(runPath(id, `feed/${last}`)).catch(() => ({ lines: [] }));
    set({ feed: got.lines });
    if (state().at !== null) show(state().at);
  }

  Object.assign(store, {
    id,
    /** Keyframe of a round, from memory where it was seen. @param {number} round */
    async keyframeAt(round) {
      const kept = keyframes.get(round);
      if (kept) return kept;
      return remember(readKeyframe(await get(runPath(id, `at/${round}`))));
    },
    show,
    /** Calls back with lines as they come due (live). @param {(lines: object[]) => void} f */
    onLines: (f) => pacer.listen(f),
    /** Follows the turns of a user whom a person plays; "" ends it. @param {string} user */
    playAs(user) {
      if (playing === user) return;
      playing = user;
      set({ turn: null });
      socket?.again();
    },
    /**
     * POSTs a command of API.md. Gives its answer, or null after a toast; with `throws` the ApiError instead.
     * @param {string} command @param {object} [fields] @param {{throws?: boolean}} [options]
     */
    async command(command, fields = {}, options = {}) {
      const before = state().run;
      set({ commanding: command });
      try {
        const answer = await post(runPath(id, "commands"),
          { command, epoch: state().run?.epoch ?? 0, key: newKey(), ...fields });
        // The socket may have told what came after the answer already; the answer must not undo it.
        if (answer.run?.run_id === id && state().run === before) set({ run: answer.run });
        if (command === "pause") set({ asked: { command, state: "running" } });
        else set({ asked: null });
        return answer;
      } catch (error) {
        if (options.throws) throw error;
        toast(error.text ?? String(error), "error");
        return null;
      } finally {
        set({ commanding: "" });
      }
    },
    close() {
      closed = true;
      pacer.clear();
      socket?.close();
    },
  });
  start();
  return store;
}

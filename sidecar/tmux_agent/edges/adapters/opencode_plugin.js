// Asks tmux-agent about what opencode is about to do, and tells it what opencode is doing.
//
// `tmux-agent setup opencode` writes this file and replaces it whole: changes to it are lost. For each event it runs
// @LINE@
// with JSON on its stdin (opencode.py reads it) and takes JSON from its stdout. Owns joining opencode's events to the
// uses of its tools, and ending what is pointless. Must not own: what is allowed. Nothing but a refusal is ever thrown.

import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { homedir } from "node:os"

const PYTHON = @PYTHON@
const FOLDER = @FOLDER@

const INPUT = 32 << 20 // bytes that the relay hands over
const OUTPUT = 40 << 20 // bytes that it may say
const AT_ONCE = 32 // uses of tools that are judged, and dialogs that are asked about elsewhere
const KEPT = 1000 // sessions, uses
const QUEUED = 64 // states that wait to be told
const SOON = 2000 // milliseconds that opencode may take to tell about itself

// --- the relay ---------------------------------------------------------------------------------------

/** Runs the relay. `done`: {said} what it answered (null: no opinion), {away} it cannot be run, {broken} it was ended. */
function relay(event, text) {
  let child
  const done = new Promise((resolve) => {
    const found = []
    let size = 0
    try {
      const words = ["-I", "-S", `${FOLDER}/hook_relay.py`, "opencode", event]
      child = spawn(PYTHON, words, { stdio: ["pipe", "pipe", "ignore"] })
    } catch (why) {
      resolve({ away: String(why) })
      return
    }
    child.on("error", (why) => resolve({ away: String(why) }))
    child.stdin.on("error", () => {}) // it ended before it read everything: "close" says how
    child.stdout.on("data", (part) => {
      size += part.length
      if (size <= OUTPUT) found.push(part)
      else child.kill()
    })
    child.on("close", (code, signal) => resolve(outcome(code, signal, Buffer.concat(found).toString())))
    child.stdin.end(text)
  })
  return { done, end: () => child?.kill() }
}

function outcome(code, signal, text) {
  if (signal) return { broken: `the relay was ended by ${signal}` }
  if (code === 2 && !text) return { away: "Python finds no relay there" }
  if (code !== 0) return { broken: `the relay ended with ${code}` }
  try {
    const said = text.trim() ? JSON.parse(text) : null
    return said === null || typeof said === "object" ? { said } : { broken: "the relay said no object" }
  } catch {
    return { broken: "what the relay said is no JSON" }
  }
}

/** Whether tools are to be refused where nobody can be asked, as the sidecar left it word (on_unavailable). */
function refusedWhenAway() {
  const state = process.env.XDG_STATE_HOME || `${homedir()}/.local/state`
  try {
    const folder = process.env.TMUX_AGENT_STATE_DIR || `${state}/tmux-agent`
    return readFileSync(`${folder}/on_unavailable`, "utf8").split("\n")[0].trim() === "deny"
  } catch {
    return false
  }
}

/** A value as JSON; null where it is none, or more than the relay takes. */
function json(value) {
  try {
    const text = JSON.stringify(value)
    return Buffer.byteLength(text) <= INPUT ? text : null
  } catch {
    return null
  }
}

/** Names a use's input, so that a yes holds for that one only. */
function seal(args) {
  const text = json(args)
  return text === null ? null : createHash("sha256").update(text).digest("hex")
}

/** What opencode says of itself, undefined where it takes too long or fails. */
function soon(asked) {
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, SOON)
  })
  const found = Promise.resolve()
    .then(asked)
    .then((reply) => reply?.data)
    .catch(() => undefined)
  return Promise.race([found, late]).finally(() => clearTimeout(timer))
}

function put(map, key, value) {
  map.delete(key)
  map.set(key, value)
  if (map.size > KEPT) map.delete(map.keys().next().value)
}

/** Gives an object other members. opencode keeps the one it handed over: another in its place would not be run. */
function fill(target, members) {
  for (const name of Object.keys(target)) if (!(name in members)) delete target[name]
  Object.assign(target, members)
}

// --- one opencode ------------------------------------------------------------------------------------

class Link {
  constructor(client, directory) {
    this.client = client
    this.directory = directory
    this.parents = new Map() // session → the session that began it, "" for one of the person's own
    this.states = new Map() // session of the person's → what was told of it last
    this.refused = new Map() // session → true: the person said no in its own dialog
    this.uses = new Map() // session and call → {tool, args, yes (its seal), twice}
    this.open = new Set() // relays that wait for an answer: {session, call, request, end, ended}
    this.judging = 0
    this.free = [] // those that wait for a relay to end
    this.queue = []
    this.telling = false
  }

  // --- where and what ---

  /** Which session a tool runs in, and which helper of it. */
  async place(session) {
    let root = session
    for (let depth = 0; depth < 8; depth++) {
      if (!this.parents.has(root)) {
        const info = await soon(() => this.client.session.get({ path: { id: root } }))
        if (!info) break
        put(this.parents, root, info.parentID ?? "")
      }
      const parent = this.parents.get(root)
      if (!parent) break
      root = parent
    }
    return { sessionID: root, subagent: root === session ? "" : session, directory: this.directory }
  }

  /** Names of the MCP servers, where a tool may be one of theirs ("server_tool"). */
  async servers(tool) {
    if (!tool.includes("_")) return []
    return Object.keys((await soon(() => this.client.mcp.status())) ?? {}).slice(0, KEPT)
  }

  /** A use of a tool begins. The model makes up its id: one that is there already says nothing for certain. */
  begin(session, call, tool, args) {
    const key = `${session} ${call}`
    const use = { tool, args, yes: null, twice: this.uses.has(key) }
    if (use.twice) this.uses.get(key).twice = true
    put(this.uses, key, use)
    return use
  }

  use(session, call) {
    const use = this.uses.get(`${session} ${call}`)
    return use && !use.twice ? use : undefined
  }

  // --- asking ---

  /** Runs a relay that may wait for a person, with what `input` gives. `about`: {session, call, request}. */
  async wait(event, about, input) {
    const one = { ...about, end: () => {}, ended: false }
    this.open.add(one) // from here on an interruption is noticed
    const judged = event === "tool.before"
    if (judged) await this.turn()
    try {
      const text = json(await input())
      if (text === null) return { broken: "its input is too large, or is no JSON" }
      if (one.ended) return { broken: "it was interrupted" }
      const running = relay(event, text)
      one.end = running.end
      const found = await running.done
      return one.ended ? { broken: "it was interrupted" } : found
    } finally {
      this.open.delete(one)
      if (judged) this.next()
    }
  }

  turn() {
    if (this.judging < AT_ONCE) {
      this.judging++
      return undefined
    }
    return new Promise((resolve) => this.free.push(resolve))
  }

  next() {
    const first = this.free.shift()
    if (first) first()
    else this.judging--
  }

  /** Ends the relays that wait for what is over. */
  end(matches) {
    for (const one of this.open) {
      if (matches(one)) {
        one.ended = true
        one.end()
      }
    }
  }

  async before({ tool, sessionID, callID }, args) {
    const use = this.begin(sessionID, callID, tool, args)
    const { said, away, broken } = await this.wait("tool.before", { session: sessionID, call: callID }, async () => {
      const [place, servers] = [await this.place(sessionID), await this.servers(tool)]
      return { ...place, tool, callID, args, servers }
    })
    if (away) return refusedWhenAway() ? `nobody can be asked: ${away}; mend it with: tmux-agent setup opencode` : ""
    if (broken) return `it was not judged: ${broken}`
    if (said?.decision === "deny") return String(said.reason || "denied")
    if (said?.decision !== "allow") return "" // no opinion, or nobody is there to have one: opencode's own rules
    if (said.args) fill(args, said.args)
    use.yes = seal(args)
    return ""
  }

  /** opencode's own dialog is about to show. Whoever said yes to this use has said so already. */
  async asked(event, request) {
    const { id, sessionID, tool: of, permission, patterns, metadata, questions } = request
    const use = of ? this.use(sessionID, of.callID) : undefined
    const permits = event === "permission.asked"
    if (permits && use && use.yes !== null && use.yes === seal(use.args)) return this.permit(request, { reply: "once" })
    if ([...this.open].filter((one) => one.request).length >= AT_ONCE) return undefined
    const { said } = await this.wait(event, { session: sessionID, call: of?.callID, request: id }, async () => {
      const known = use ? { tool: use.tool, args: use.args, servers: await this.servers(use.tool) } : { metadata }
      const place = await this.place(sessionID)
      return { ...place, id, callID: of?.callID, permission, patterns, questions, ...known }
    })
    if (Array.isArray(said?.answers)) return this.post("/question/{requestID}/reply", id, { answers: said.answers })
    if (said?.reply === "once" && use) use.yes = seal(use.args)
    if (said?.reply === "once" || said?.reply === "reject") return this.permit(request, said)
    return undefined
  }

  /** Answers in-process: there is no port. The newest way first; none is tried again that opencode took. */
  async permit({ id, sessionID }, { reply, message }) {
    const body = message ? { reply, message: String(message) } : { reply }
    if (await this.post("/permission/{requestID}/reply", id, body)) return
    const old = { path: { id: sessionID, permissionID: id }, body: { response: reply } }
    await soon(() => this.client.postSessionIdPermissionsPermissionId(old))
  }

  async post(url, requestID, body) {
    const headers = { "Content-Type": "application/json" }
    return (await soon(() => this.client._client.post({ url, path: { requestID }, body, headers }))) !== undefined
  }

  /** The person answered in opencode itself: the question elsewhere goes, and then its relay. */
  async answered({ sessionID, requestID, reply }) {
    const one = [...this.open].find((other) => other.request === requestID)
    if (!one) return
    if (reply === "reject") put(this.refused, sessionID, true) // which ends the turn
    await this.tell("permission.replied", { ...(await this.place(sessionID)), callID: one.call })
    this.end((other) => other === one)
  }

  after({ sessionID, callID }) {
    this.uses.delete(`${sessionID} ${callID}`)
    this.end((one) => one.session === sessionID && one.call === callID)
  }

  // --- telling ---

  /** Tells something, one after the other and in order; resolves when it was told, or was dropped for newer ones. */
  tell(event, data) {
    return new Promise((resolve) => {
      this.queue.push({ event, text: json(data), resolve })
      if (this.queue.length > QUEUED) this.queue.shift().resolve()
      if (!this.telling) this.drain()
    })
  }

  async drain() {
    this.telling = true
    for (let one = this.queue.shift(); one; one = this.queue.shift()) {
      if (one.text !== null) await relay(one.event, one.text).done
      one.resolve()
    }
    this.telling = false
  }

  created({ id, parentID }) {
    put(this.parents, id, parentID ?? "")
    if (parentID) return
    for (const [other, state] of this.states) {
      if (other !== id && state !== "busy") this.deleted({ id: other }, "another session was begun")
    }
    this.state(id, "session.created", "idle", {})
  }

  deleted({ id }, reason = "it was deleted") {
    this.over(id)
    if (this.states.delete(id)) this.tell("session.deleted", { sessionID: id, directory: this.directory, reason })
  }

  /** A turn has ended or was interrupted: nothing of it waits any more. */
  over(session) {
    this.end((one) => one.session === session)
    for (const key of this.uses.keys()) if (key.startsWith(`${session} `)) this.uses.delete(key)
  }

  /** Tells the state of a session of the person's; opencode repeats itself, and ends a failed turn twice. */
  async state(session, event, state, data) {
    if (this.states.get(session) === state) return
    put(this.states, session, state)
    const place = await this.place(session)
    if (place.subagent) this.states.delete(session)
    else await this.tell(event, { ...place, ...data })
  }

  status({ sessionID, status }) {
    const idle = status.type === "idle"
    if (idle) this.over(sessionID)
    const refused = idle && this.refused.delete(sessionID)
    return this.state(sessionID, "session.status", idle ? "idle" : status.type, { status, refused })
  }

  failed({ sessionID, error }) {
    if (!sessionID) return undefined
    this.over(sessionID)
    return this.state(sessionID, "session.error", "idle", { name: error?.name, message: error?.data?.message })
  }

  close() {
    this.end(() => true)
  }
}

const EVENTS = new Map([
  ["permission.asked", (link, told) => link.asked("permission.asked", told)],
  ["question.asked", (link, told) => link.asked("question.asked", told)],
  ["permission.replied", (link, told) => link.answered(told)],
  ["question.replied", (link, told) => link.answered(told)],
  ["question.rejected", (link, told) => link.answered(told)],
  ["session.status", (link, told) => link.status(told)],
  ["session.idle", (link, told) => link.status({ ...told, status: { type: "idle" } })],
  ["session.error", (link, told) => link.failed(told)],
  ["session.created", (link, told) => link.created(told.info)],
  ["session.deleted", (link, told) => link.deleted(told.info)],
])

/** opencode calls each function that this file exports, once for each folder it works in. */
export const TmuxAgent = async ({ client, directory }) => {
  const link = new Link(client, directory)
  return {
    "tool.execute.before": async (input, output) => {
      const refusal = await link.before(input, output.args).catch((why) => `it was not judged: ${why}`)
      if (refusal) link.uses.delete(`${input.sessionID} ${input.callID}`)
      if (refusal) throw new Error(refusal.startsWith("tmux-agent: ") ? refusal : `tmux-agent: ${refusal}`)
    },
    "tool.execute.after": async (input) => link.after(input),
    // Not waited for: opencode's own dialog must not.
    event: async ({ event }) => {
      Promise.resolve()
        .then(() => EVENTS.get(event.type)?.(link, event.properties))
        .catch(() => {}) // an event of a form that is not known: opencode goes on without us
    },
    dispose: async () => link.close(),
  }
}

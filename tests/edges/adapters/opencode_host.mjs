// Stands for opencode: loads our plugin as opencode does, calls its hooks as stdin says, tells what becomes of it.
import { createInterface } from "node:readline"

const [, , path, kind] = process.argv
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const parents = { ses_helper: "ses_1" }

const client = {
  session: { get: async ({ path: { id } }) => ({ data: { id, parentID: parents[id] } }) },
  mcp: { status: async () => ({ data: { "my.slow": {} } }) },
  _client: {
    post: async (request) => {
      say({ posted: request })
      return kind === "old" ? { error: { name: "NotFound" } } : { data: true }
    },
  },
  postSessionIdPermissionsPermissionId: async (request) => {
    say({ posted: request })
    return { data: true }
  },
}
const broken = new Proxy({}, { get: () => { throw new Error("no such client") } }) // prettier-ignore

process.on("unhandledRejection", (why) => say({ unhandled: String(why) }))
const loaded = await import(path)
const [plugin, ...others] = Object.values(loaded)
if (others.length || typeof plugin !== "function") throw new Error("opencode calls every export")
const hooks = await plugin({ client: kind === "broken" ? broken : client, directory: "/home/u/shop" })
say({ hooks: Object.keys(hooks) })
for await (const line of createInterface({ input: process.stdin })) {
  const { id, hook, input, output } = JSON.parse(line)
  Promise.resolve(hooks[hook](input, output)).then(
    () => say({ id, output }),
    (why) => say({ id, refused: why.message }),
  )
}

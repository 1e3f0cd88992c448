/** Many small downloads over many connections: `wrk` where it is installed, else a generator of our own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext, Sample, Serving } from '../context.ts'
import { cpuSeconds } from '../proc.ts'
import { run } from '../processes.ts'
import { findTool } from '../tools.ts'

export interface Storm {
  readonly connections: number
  readonly seconds: number
  readonly bodyBytes: number
  /** False: the load may run on all cores. */
  readonly pinned?: boolean
  /** True: a generator of our own, which takes less processor time than `wrk`: for where both share the cores. */
  readonly light?: boolean
}

/** Names the generator that will be used. */
export async function stormGenerator(): Promise<string> {
  return (await findTool('wrk')) === null ? 'a raw-socket generator in Node' : 'wrk'
}

/** Requests the server's paths in random order; the sample's value is in responses per second. */
export async function storm(serving: Serving, load: Storm, context: BenchContext): Promise<Sample> {
  const wrk = load.light === true ? null : await findTool('wrk')
  const cpuBefore = await cpuSeconds(serving.pid)
  const value = wrk ? await runWrk(wrk, serving, load, context) : await runOwn(serving, load, context)
  return { value, serverCpuSeconds: (await cpuSeconds(serving.pid)) - cpuBefore }
}

async function runWrk(command: string, serving: Serving, load: Storm, context: BenchContext): Promise<number> {
  const script = join(await scriptFolder(context), `storm-${serving.pid}.lua`)
  await writeFile(script, luaScript(serving.paths))
  const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '-s', script, serving.origin]
  const said = await run({ command, args, cores: coresOf(load, context), signal: context.signal })
  if (/Non-2xx|Socket errors/.test(said)) throw new Error(`wrk saw failures: ${said}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(said)?.[1])
}

function coresOf({ pinned = true }: Storm, { cores }: BenchContext): string | undefined {
  return pinned ? cores.client : undefined
}

async function scriptFolder(context: BenchContext): Promise<string> {
  const folder = join(context.workspace.root, 'storm')
  await mkdir(folder, { recursive: true })
  return folder
}

function luaScript(paths: readonly string[]): string {
  return `
local paths = { ${paths.map(path => JSON.stringify(path)).join(', ')} }
local requests = {}
init = function()
  math.randomseed(1)
  for index, path in ipairs(paths) do requests[index] = wrk.format('GET', path) end
end
request = function() return requests[math.random(#requests)] end
`
}

async function runOwn(serving: Serving, load: Storm, context: BenchContext): Promise<number> {
  const list = join(await scriptFolder(context), `storm-${serving.pid}.json`)
  await writeFile(list, JSON.stringify({ origin: serving.origin, paths: serving.paths, ...load }))
  const said = await run({
    command: process.execPath,
    args: [join(import.meta.dirname, 'storm-client.ts'), list],
    cores: coresOf(load, context),
    signal: context.signal,
  })
  return Number(/rate=([\d.]+)/.exec(said)?.[1])
}

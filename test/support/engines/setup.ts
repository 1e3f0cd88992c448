/**
 * The global set-up of vitest: a small server on loopback that starts an engine when the first test file asks for it,
 * and ends all of them after the last test. A run that needs none starts none.
 */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { TestProject } from 'vitest/node'

import { STATE_HOME } from '../state-home.ts'
import { engines } from './all.ts'
import type { RunningEngine } from './engine.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly enginesUrl: string
  }
}

/** @returns what ends every engine that was started */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = new Map<string, Promise<RunningEngine<unknown>>>()
  const server = createServer((request, response) => void answer(running, request.url ?? '', response))
  project.provide('enginesUrl', await listen(server))
  return async () => {
    server.close()
    server.closeAllConnections()
    await Promise.all([...running.values()].map(stop))
    await rm(STATE_HOME, { recursive: true, force: true })
  }
}

/** An engine that never started has told the tests that asked for it, and has nothing to end. */
async function stop(starting: Promise<RunningEngine<unknown>>): Promise<void> {
  const engine = await starting.catch(() => null)
  await engine?.[Symbol.asyncDispose]()
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server of engines has no port')
  return `http://127.0.0.1:${address.port}`
}

async function answer(
  running: Map<string, Promise<RunningEngine<unknown>>>,
  path: string,
  response: ServerResponse,
): Promise<void> {
  const name = path.slice(1)
  try {
    const engine = running.get(name) ?? start(name)
    running.set(name, engine)
    response.end(JSON.stringify((await engine).facts))
  } catch (error) {
    response.writeHead(500).end(error instanceof Error ? error.message : String(error))
  }
}

async function start(name: string): Promise<RunningEngine<unknown>> {
  const engine = engines.find(each => each.name === name)
  if (!engine) throw new Error(`there is no engine called ${name}`)
  return engine.start()
}

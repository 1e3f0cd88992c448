/**
 * What people do by hand today: seal with `age`, carry with `curl`, keep on nginx (WebDAV PUT). `curl` and `age` are
 * joined by pipes, so that sealing and carrying overlap.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext } from '../context.ts'
import { run } from '../processes.ts'
import { missingTools } from '../tools.ts'
import { startNginx } from './nginx.ts'
import type { RoundTripPeer } from './round-trip.ts'

const IDENTITY = 'identity.txt'

type Script = (names: { readonly source: string; readonly target: string; readonly url: string }) => {
  readonly send: string
  readonly get: string
}

const piped: Script = ({ source, target, url }) => ({
  send: `age -e -r "$RECIPIENT" "${source}" | curl -sSf -T - -o response ${url}`,
  get: `curl -sSf ${url} | age -d -i ${IDENTITY} -o "${target}"`,
})

const stepByStep: Script = ({ source, target, url }) => ({
  send: `age -e -r "$RECIPIENT" -o sealed.age "${source}" && curl -sSf -T sealed.age -o response ${url}`,
  get: `curl -sSf -o fetched.age ${url} && age -d -i ${IDENTITY} -o "${target}" fetched.age`,
})

export const agePiped: RoundTripPeer = {
  name: 'age | curl, piped',
  missing: () => missingTools('age', 'curl', 'nginx'),
  start: context => start(context, piped),
}

export const ageStepByStep: RoundTripPeer = {
  name: 'age + curl, step by step',
  missing: () => missingTools('age', 'curl', 'nginx'),
  start: context => start(context, stepByStep),
}

async function start(context: BenchContext, script: Script): ReturnType<RoundTripPeer['start']> {
  const root = await context.workspace.folder('dav')
  const server = await startNginx(root, { ...context, cores: { ...context.cores, server: undefined } })
  const home = await context.workspace.folder('age')
  await run({ command: 'age-keygen', args: ['-o', IDENTITY], cwd: home })
  const recipient = /public key: (\S+)/.exec(await readFile(join(home, IDENTITY), 'utf8'))?.[1] ?? ''
  const shell = (line: string): Promise<string> =>
    run({
      command: 'bash',
      args: ['-o', 'pipefail', '-c', line],
      cwd: home,
      env: { RECIPIENT: recipient },
      signal: context.signal,
    })
  return {
    ...server,
    async sendAndGet(source, target) {
      const { send, get } = script({ source, target, url: `${server.origin}/sealed` })
      await shell(send)
      await shell(get)
    },
    clear: async () => void (await shell(`curl -sSf -X DELETE ${server.origin}/sealed && rm -f *.age`)),
  }
}

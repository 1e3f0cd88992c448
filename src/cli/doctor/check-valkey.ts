/** The Valkey (or Redis) that nodes share their limits through. */
import { formatDuration } from '../../protocol/units.ts'
import { type ValkeyConfig, loadProbes, type ValkeyLink } from '../../server/index.ts'
import { explain } from '../error-text.ts'
import { CLOCK_NOTE_MS, type Check, fail, ok, warn } from './check.ts'

export interface ValkeyLook {
  readonly checks: readonly Check[]
  /** Server processes with a recent heartbeat; `null`: unknown. */
  readonly processes: number | null
}

export async function checkValkey(valkey: ValkeyConfig): Promise<ValkeyLook> {
  try {
    const { openValkeyLink, nodesKey } = await loadProbes()
    await using link = await openValkeyLink(valkey)
    const checks = [await responds(link, valkey), await clock(link)]
    const processes = Number(await link.send(['ZCARD', nodesKey(valkey.prefix)]))
    // Last: where a user may not ask for it, the link ends.
    return { checks: [...checks, ...(await memory(link))], processes }
  } catch (error) {
    return { checks: [fail('valkey', explain(error).message)], processes: null }
  }
}

async function responds(link: ValkeyLink, { url, commandTimeoutMs }: ValkeyConfig): Promise<Check> {
  const { addressOf } = await loadProbes()
  const startedAtMs = performance.now()
  await link.send(['PING'])
  const elapsedMs = performance.now() - startedAtMs
  const text = `Valkey at ${addressOf(url)} responds (${formatDuration(elapsedMs)})`
  if (elapsedMs < commandTimeoutMs / 10) return ok('valkey', text)
  return warn('valkey', `${text}: that is slow; each transfer waits for it, and limits.valkey.commandTimeout ends it`)
}

async function clock(link: ValkeyLink): Promise<Check> {
  const before = Date.now()
  const reply = await link.send(['TIME'])
  const after = Date.now()
  const seconds = Array.isArray(reply) ? Number(reply[0]) : Number.NaN
  // TIME returns seconds and microseconds; the seconds are enough.
  const differenceMs = Math.max(0, seconds * 1000 - after, before - seconds * 1000 - 1000)
  if (differenceMs < CLOCK_NOTE_MS) return ok('valkey clock', 'agrees with this machine')
  const text = `this machine and Valkey differ by ${formatDuration(differenceMs)}`
  return ok('valkey clock', `${text}: slots and rates go by Valkey's clock alone, so that does no harm`)
}

async function memory(link: ValkeyLink): Promise<readonly Check[]> {
  try {
    const facts = factsOf(String(await link.send(['INFO'])))
    return [version(facts), eviction(facts), persistence(facts)]
  } catch {
    return [warn('valkey memory', 'its settings cannot be read (this user may not ask INFO): look yourself')]
  }
}

type Facts = ReadonlyMap<string, string>

function factsOf(info: string): Facts {
  const pairs = info.split('\r\n').flatMap(line => {
    const colon = line.indexOf(':')
    return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
  })
  return new Map(pairs)
}

function version(facts: Facts): Check {
  const valkey = facts.get('valkey_version')
  const told = valkey === undefined ? `Redis ${facts.get('redis_version') ?? '?'}` : `Valkey ${valkey}`
  return ok('valkey version', `${told}; 6 or newer is needed`)
}

function eviction(facts: Facts): Check {
  const policy = facts.get('maxmemory_policy') ?? '?'
  const limit = Number(facts.get('maxmemory') ?? 0)
  if (limit === 0) return ok('valkey memory', 'without a limit of its own (Sealift needs a few MB)')
  const used = Math.round((Number(facts.get('used_memory') ?? 0) / limit) * 100)
  const text = `maxmemory-policy ${policy}, ${used}% of maxmemory used`
  if (policy === 'noeviction') return used < 90 ? ok('valkey memory', text) : warn('valkey memory', `${text}: raise it`)
  return warn('valkey memory', `${text}: what is evicted is no longer counted; set maxmemory-policy noeviction`)
}

function persistence(facts: Facts): Check {
  const writes = facts.get('aof_enabled') === '1'
  const text = writes ? 'it writes every command to disk (appendonly)' : 'nothing is logged to disk'
  return ok('valkey disk', `${text}; that is not needed: all it knows is counted anew after a restart`)
}

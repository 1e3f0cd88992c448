/** What Valkey stores for settings sync: the tiers of the last reload, and the revoked credentials of the last day. */
import { ConfigError } from '../../config/config-error.ts'
import { configSchema, type ServerConfig } from '../../config/config-schema.ts'
import { writeValue } from '../../config/write-config.ts'
import { defineScript, type ValkeyLink } from '../valkey-link.ts'

/** Name of the channel that announces a change. The message is the id of the node. */
export const SETTINGS_CHANNEL = 'settings'

export interface SettingsChange {
  /** `null`: unchanged. */
  readonly tiers: ServerConfig['tiers'] | null
  /** `sharedFingerprint` of each revoked credential. */
  readonly revoked: ReadonlySet<string>
}

export interface StoredSettings {
  /** Time of this read: the `since` of the next one. */
  readonly now: string
  /** As text; empty when they have not changed. */
  readonly tiers: string
  readonly revoked: readonly string[]
  readonly hasChanged: boolean
}

/** The server's clock in microseconds: it continues after a flush, where a counter would start again. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
`

/** KEYS: tiers, revoked. ARGV: channel, node, the tiers (or nothing), then revoked fingerprints. */
const PUBLISH = defineScript(`${NOW}
local retainMs = 24 * 3600 * 1000
redis.call('HSET', KEYS[1], 'told', string.format('%.0f', now))
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'tiers', ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], retainMs)
for index = 4, #ARGV do redis.call('ZADD', KEYS[2], now, ARGV[index]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - retainMs * 1000)
redis.call('PEXPIRE', KEYS[2], retainMs)
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
`)

/**
 * KEYS: tiers, revoked. ARGV: since.
 * Returns: now, the tiers if they are newer, fingerprints revoked since, 1 if anything changed.
 */
const READ = defineScript(`${NOW}
local facts = redis.call('HMGET', KEYS[1], 'at', 'tiers', 'told')
local since = tonumber(ARGV[1])
local isNew = facts[1] and tonumber(facts[1]) > since
local hasChanged = facts[3] and tonumber(facts[3]) > since
local revoked = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', since), '+inf')
return { string.format('%.0f', now), isNew and facts[2] or '', revoked, hasChanged and 1 or 0 }
`)

/** @throws unavailable */
export async function publishSettings(link: ValkeyLink, nodeId: string, change: SettingsChange): Promise<void> {
  const tiers = change.tiers === null ? '' : writeTiers({ tiers: change.tiers })
  await link.run(PUBLISH, keysOf(link), [`${link.prefix}${SETTINGS_CHANNEL}`, nodeId, tiers, ...change.revoked])
}

/** @throws unavailable */
export async function readSettings(link: ValkeyLink, since: string): Promise<StoredSettings> {
  const reply = await link.run(READ, keysOf(link), [since])
  const [now, tiers, revoked, hasChanged] = reply as [string, string, string[], number]
  return { now, tiers, revoked, hasChanged: hasChanged === 1 }
}

function keysOf({ prefix }: ValkeyLink): readonly string[] {
  return [`${prefix}settings:tiers`, `${prefix}settings:revoked`]
}

const { tiers: tiersField } = configSchema.fields

export function writeTiers({ tiers }: Pick<ServerConfig, 'tiers'>): string {
  return JSON.stringify(writeValue(tiersField, tiers))
}

/** Checks the tiers as those of a configuration file. @throws ConfigError */
export function readTiers(text: string): ServerConfig['tiers'] {
  const parsed = tiersField.schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new ConfigError(
    parsed.error.issues.map(({ path, message }) => ({
      key: ['tiers', ...path.map(String)].join('.'),
      message,
      origin: 'another node',
    })),
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

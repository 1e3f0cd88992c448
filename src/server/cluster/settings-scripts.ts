/** What nodes tell each other of their settings, kept for those who cannot hear at that moment. */
import { defineScript } from './valkey-link.ts'

/** Of the server's clock, in microseconds: it goes on after a flush, where a counter would begin anew. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
`

/** KEYS: tiers, revoked. ARGV: channel, who tells, the tiers (or nothing), then fingerprints that were revoked. */
export const TELL = defineScript(`${NOW}
local keepMs = 24 * 3600 * 1000
redis.call('HSET', KEYS[1], 'told', string.format('%.0f', now))
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'tiers', ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], keepMs)
for index = 4, #ARGV do redis.call('ZADD', KEYS[2], now, ARGV[index]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - keepMs * 1000)
redis.call('PEXPIRE', KEYS[2], keepMs)
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
`)

/** KEYS: tiers, revoked. ARGV: the last look. Returns: now, the tiers if they are newer, what was revoked since, 1 if anything was told. */
export const LOOK = defineScript(`${NOW}
local facts = redis.call('HMGET', KEYS[1], 'at', 'tiers', 'told')
local since = tonumber(ARGV[1])
local isNew = facts[1] and tonumber(facts[1]) > since
local isTold = facts[3] and tonumber(facts[3]) > since
local revoked = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', since), '+inf')
return { string.format('%.0f', now), isNew and facts[2] or '', revoked, isTold and 1 or 0 }
`)

/**
 * Rates in Valkey: the arithmetic of gcra.ts with the server's own clock, in microseconds. A key holds the time at which
 * its bucket is full again, and is forgotten then.
 *
 * KEYS: the buckets. ARGV: for each ask five: kind, cost, ahead, units per second, burst.
 * - `take`: `cost` if it is there, and up to `ahead` more while the bucket is more than half full.
 * - `charge`: `cost` and `ahead` in any case.
 * - `refund`: gives `cost` back that was taken ahead.
 * Returns for each ask three: 1 if it was taken, what was taken ahead, the time to wait in microseconds.
 */
import { defineScript } from '../../cluster/valkey-link.ts'

export const RATES = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function store(key, full)
  if full <= now then
    redis.call('DEL', key)
  else
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
  end
end

local asks = {}

function asks.take(key, full, cost, ahead, per, burst)
  local next = full + math.min(cost, burst) * per
  local wait = next - now - burst * per
  -- Times are kept as whole microseconds.
  if wait > 1 then return 0, 0, wait end
  local room = math.floor((burst / 2 * per - (next - now)) / per)
  local extra = math.max(0, math.min(ahead, room))
  store(key, next + extra * per)
  return 1, extra, 0
end

function asks.charge(key, full, cost, ahead, per, burst)
  local next = full + (cost + ahead) * per
  store(key, next)
  return 1, ahead, math.max(0, next - now - burst * per)
end

function asks.refund(key, full, cost, ahead, per)
  if full > now then store(key, full - cost * per) end
  return 1, 0, 0
end

local answers = {}
for index, key in ipairs(KEYS) do
  local at = 5 * (index - 1)
  local full = math.max(now, tonumber(redis.call('GET', key) or 0))
  local ok, ahead, wait = asks[ARGV[at + 1]](key, full, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]),
    1000000 / tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  answers[#answers + 1] = ok
  answers[#answers + 1] = ahead
  answers[#answers + 1] = math.ceil(wait)
end
return answers
`)

/**
 * Rates in Valkey: the arithmetic of memory/rate-limiter.ts by the server's clock, in microseconds. A key stores the
 * time at which its bucket is full again, and expires then.
 *
 * KEYS: the buckets. ARGV: five per command: kind, cost, credit, units per second, burst.
 * - `take`: `cost` if it is available, and up to `credit` more while the bucket is more than half full.
 * - `charge`: `cost` and `credit` in any case.
 * - `refund`: returns `cost` of unused credit.
 * Returns three per command: 1 if it was taken, the credit, the time to wait in microseconds.
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

local commands = {}

function commands.take(key, full, cost, credit, per, burst)
  local next = full + math.min(cost, burst) * per
  local wait = next - now - burst * per
  -- Times are stored as integer microseconds.
  if wait > 1 then return 0, 0, wait end
  local available = math.floor((burst / 2 * per - (next - now)) / per)
  local extra = math.max(0, math.min(credit, available))
  store(key, next + extra * per)
  return 1, extra, 0
end

function commands.charge(key, full, cost, credit, per, burst)
  local next = full + (cost + credit) * per
  store(key, next)
  return 1, credit, math.max(0, next - now - burst * per)
end

function commands.refund(key, full, cost, credit, per)
  if full > now then store(key, full - cost * per) end
  return 1, 0, 0
end

local replies = {}
for index, key in ipairs(KEYS) do
  local at = 5 * (index - 1)
  local full = math.max(now, tonumber(redis.call('GET', key) or 0))
  local ok, credit, wait = commands[ARGV[at + 1]](key, full, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]),
    1000000 / tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  replies[#replies + 1] = ok
  replies[#replies + 1] = credit
  replies[#replies + 1] = math.ceil(wait)
end
return replies
`)

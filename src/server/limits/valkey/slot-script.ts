/**
 * Slots in Valkey. A slot is a hold: an id in the sorted set `held` of its client, with the time (of the server) at
 * which it expires unless its node renews it. Queued requests are in `waiting`, by time of arrival. An id is never used
 * again, so renewing or releasing an expired hold affects no other.
 *
 * [Note: settling] After a flush or a restart Valkey knows nothing of the slots that nodes hold, or only what an old
 * snapshot or a lagging replica holds. The first call detects that: there is no generation, or one of another server (a
 * node passes the server that it is connected to). No slot is granted until every node has reported what it holds, or
 * for one lease, after which unreported holds have expired.
 */
import { defineScript } from '../../cluster/valkey-link.ts'

/** Reply codes. */
export const REPLY = {
  expired: 0,
  granted: 1,
  waiting: 2,
  refused: 3,
  settling: 4,
  done: 5,
} as const

/**
 * KEYS: meta, reported, nodes, then for each client and direction: held, waiting, cap.
 * ARGV: node, lease in ms, known nodes, channel prefix, server, `other` when this connection is new to the server, then
 * six per command: kind, client (from 1), hold, cap, queue, arrival.
 * Kinds: take, renew (a hold), requeue (renew a position in the queue), release, count, reported.
 * Returns: generation, `1` while settling, the holds of this node that were granted, a code and a value per command.
 */
export const SLOTS = defineScript(`
local meta, reported, nodes = KEYS[1], KEYS[2], KEYS[3]
local me, leaseMs, known, channel = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local server, isOther = ARGV[5], ARGV[6] ~= ''
local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
local now = math.floor(nowUs / 1000)
local EXPIRED, GRANTED, WAITING, REFUSED, SETTLING, DONE = 0, 1, 2, 3, 4, 5

local facts = redis.call('HMGET', meta, 'generation', 'opensAt', 'expected', 'server')
local generation, opensAt, expected = facts[1], tonumber(facts[2] or 0), tonumber(facts[3] or 0)
if not generation or (isOther and server ~= '' and facts[4] ~= server) then
  -- A node that has just started knows no other; but each node that receives this message exists.
  local receivers = redis.call('PUBLISH', channel .. 'all', 'report')
  generation, opensAt, expected = me .. ' ' .. string.format('%.0f', nowUs), now + leaseMs, math.max(known, receivers)
  redis.call('HSET', meta, 'generation', generation, 'opensAt', opensAt, 'expected', expected, 'server', server)
  redis.call('DEL', reported)
elseif opensAt > now and known > expected then
  expected = known
  redis.call('HSET', meta, 'expected', expected)
end
local settling = opensAt > now

local mine, theirs, lives = {}, {}, {}

local function nodeOf(hold)
  return string.match(hold, '^[^:]*')
end

local function isAlive(node)
  if lives[node] == nil then
    local untilMs = redis.call('ZSCORE', nodes, node)
    lives[node] = node == me or (untilMs and tonumber(untilMs) > now) or false
  end
  return lives[node]
end

local function grant(held, hold)
  redis.call('ZADD', held, now + leaseMs, hold)
  redis.call('PEXPIRE', held, leaseMs * 2)
end

-- Granted before, but the reply was lost: the node begins to use the slot now, so its lease starts again.
local function grantAgain(held, hold)
  local untilMs = tonumber(redis.call('ZSCORE', held, hold) or 0)
  if untilMs <= now then return false end
  grant(held, hold)
  return true
end

local function free(held, cap)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return cap - redis.call('ZCARD', held)
end

local function notify(hold)
  local node = nodeOf(hold)
  if node == me then
    mine[#mine + 1] = hold
  else
    theirs[node] = theirs[node] and (theirs[node] .. ' ' .. hold) or hold
  end
end

local function grantWaiting(held, waiting, capKey)
  if settling or redis.call('ZCARD', waiting) == 0 then return end
  local count = free(held, tonumber(redis.call('GET', capKey) or 0))
  while count > 0 do
    local first = redis.call('ZRANGE', waiting, 0, 0)[1]
    if not first then return end
    redis.call('ZREM', waiting, first)
    if isAlive(nodeOf(first)) then
      grant(held, first)
      notify(first)
      count = count - 1
    end
  end
end

local function enqueue(waiting, capKey, hold, cap, arrival)
  redis.call('ZADD', waiting, arrival, hold)
  redis.call('PEXPIRE', waiting, leaseMs * 2)
  if cap then redis.call('SET', capKey, cap, 'PX', leaseMs * 2) else redis.call('PEXPIRE', capKey, leaseMs * 2) end
end

local function removeDead(waiting)
  for _, hold in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
    if not isAlive(nodeOf(hold)) then redis.call('ZREM', waiting, hold) end
  end
end

local commands = {}

function commands.take(held, waiting, capKey, hold, cap, queue, arrival)
  if grantAgain(held, hold) then return GRANTED, 0 end
  if settling then return SETTLING, 0 end
  -- Queued before, but the reply was lost.
  local since = redis.call('ZSCORE', waiting, hold)
  if since then return WAITING, tonumber(since) end
  local ahead = redis.call('ZCARD', waiting)
  if ahead > 0 then
    redis.call('SET', capKey, cap, 'PX', leaseMs * 2)
    grantWaiting(held, waiting, capKey)
    ahead = redis.call('ZCARD', waiting)
  end
  if ahead == 0 and free(held, cap) > 0 then
    grant(held, hold)
    return GRANTED, 0
  end
  if ahead >= queue and queue > 0 then
    removeDead(waiting)
    ahead = redis.call('ZCARD', waiting)
  end
  if ahead >= queue then return REFUSED, ahead end
  enqueue(waiting, capKey, hold, cap, arrival)
  return WAITING, arrival
end

function commands.renew(held, waiting, capKey, hold, cap)
  -- A partitioned node may have granted it from its share: nothing uses a slot that is granted to its old position.
  redis.call('ZREM', waiting, hold)
  local untilMs = tonumber(redis.call('ZSCORE', held, hold) or 0)
  if untilMs > now or settling or free(held, cap) > 0 then
    grant(held, hold)
    return GRANTED, 0
  end
  return EXPIRED, 0
end

function commands.requeue(held, waiting, capKey, hold, cap, queue, arrival)
  if grantAgain(held, hold) then return GRANTED, 0 end
  if redis.call('EXISTS', capKey) == 1 then cap = nil end
  enqueue(waiting, capKey, hold, cap, arrival)
  grantWaiting(held, waiting, capKey)
  return WAITING, arrival
end

function commands.release(held, waiting, capKey, hold)
  redis.call('ZREM', waiting, hold)
  redis.call('ZREM', held, hold)
  grantWaiting(held, waiting, capKey)
  return DONE, 0
end

function commands.count(held)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return DONE, redis.call('ZCARD', held)
end

function commands.reported()
  redis.call('ZADD', nodes, now + leaseMs, me)
  redis.call('PEXPIRE', nodes, leaseMs * 2)
  if not settling then return DONE, 0 end
  redis.call('SADD', reported, me)
  redis.call('PEXPIRE', reported, leaseMs)
  if redis.call('SCARD', reported) >= expected then
    settling = false
    redis.call('HSET', meta, 'opensAt', 0)
    redis.call('DEL', reported)
    redis.call('PUBLISH', channel .. 'all', 'open')
  end
  return DONE, 0
end

local replies = {}
for at = 7, #ARGV, 6 do
  local first = 1 + 3 * tonumber(ARGV[at + 1])
  local arrival = tonumber(ARGV[at + 5])
  -- Time does not pass within a script: fractions of a microsecond keep the order of the commands.
  if arrival == 0 then arrival = nowUs + (at - 7) / 6 end
  local code, value = commands[ARGV[at]](KEYS[first], KEYS[first + 1], KEYS[first + 2], ARGV[at + 2],
    tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), arrival)
  replies[#replies + 1] = code
  replies[#replies + 1] = string.format('%.0f', value)
end
for node, holds in pairs(theirs) do redis.call('PUBLISH', channel .. node, holds) end
return { generation, settling and 1 or 0, mine, replies }
`)

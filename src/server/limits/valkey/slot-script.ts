/**
 * Slots in Valkey. A slot is a ticket in the set `held` of its line, with the time (of the server) at which it lapses
 * unless its node renews it; who waits is in `line`, by time of arrival. A ticket is made once and never used again:
 * whoever frees or renews by a ticket that has lapsed touches nobody else's slot.
 *
 * [Note: settling] After a flush or a restart nothing is known of the slots that nodes hold, or only what was so when a
 * snapshot was written or a replica was last told. The first call finds that out (no generation, or one of another
 * server: a node tells which one it has come to), and grants nothing until every node has reported what it holds, or the time of a lease has
 * passed, after which the slots of who has not reported are gone anyway.
 *
 * [Note: reserves] A node may keep slots of a line although no transfer uses them right now (slot-reserves.ts), if it has
 * said so: then it is among the `keepers` of the line. Nobody is refused while there are others who keep some: they are
 * told to give them back, who asks is told to ask again, and for a while nobody may keep any of this line.
 */
import { defineScript } from '../../cluster/valkey-link.ts'

/** What one ask is answered with. */
export const ANSWER = {
  lost: 0,
  granted: 1,
  waiting: 2,
  refused: 3,
  settling: 4,
  done: 5,
  /** Others may have idle slots, and were told to give them back: ask again when they have, or soon. */
  recalling: 6,
} as const

/** For so long after slots of a line ran out nobody keeps idle ones of it. */
export const NO_RESERVE_MS = 1000

/**
 * KEYS: meta, reported, nodes, then for each line: held, line, cap, keepers.
 * ARGV: node, lease in ms, nodes known, channel prefix, server, `other` when the node has come to this server just now,
 * then for each ask six: kind, line (from 1), ticket, cap, queue, arrival.
 * Kinds: take, insist (take, whatever others may have left), hold (renew), wait (renew a place), drop, count, tally
 * (count, including what others may have left), keep (may a reserve be kept?), emptied (none is kept), reported.
 * Returns: generation, `1` while settling, the tickets of this node that were granted, an answer and a value for each ask.
 */
export const SLOTS = defineScript(`
local meta, reported, nodes = KEYS[1], KEYS[2], KEYS[3]
local me, leaseMs, known, channel = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local server, isOther = ARGV[5], ARGV[6] ~= ''
local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
local now = math.floor(nowUs / 1000)
local LOST, GRANTED, WAITING, REFUSED, SETTLING, DONE, RECALLING = 0, 1, 2, 3, 4, 5, 6
local NOBODY = '-'

local facts = redis.call('HMGET', meta, 'generation', 'opensAt', 'expected', 'server')
local generation, opensAt, expected = facts[1], tonumber(facts[2] or 0), tonumber(facts[3] or 0)
if not generation or (isOther and server ~= '' and facts[4] ~= server) then
  -- A node that has just started knows of nobody; but those who hear this are there.
  local hear = redis.call('PUBLISH', channel .. 'all', 'report')
  generation, opensAt, expected = me .. ' ' .. string.format('%.0f', nowUs), now + leaseMs, math.max(known, hear)
  redis.call('HSET', meta, 'generation', generation, 'opensAt', opensAt, 'expected', expected, 'server', server)
  redis.call('DEL', reported)
elseif opensAt > now and known > expected then
  expected = known
  redis.call('HSET', meta, 'expected', expected)
end
local settling = opensAt > now

local mine, theirs, lives = {}, {}, {}

local function ownerOf(ticket)
  return string.match(ticket, '^[^:]*')
end

local function isAlive(node)
  if lives[node] == nil then
    local untilMs = redis.call('ZSCORE', nodes, node)
    lives[node] = node == me or (untilMs and tonumber(untilMs) > now) or false
  end
  return lives[node]
end

local function give(held, ticket)
  redis.call('ZADD', held, now + leaseMs, ticket)
  redis.call('PEXPIRE', held, leaseMs * 2)
end

-- A slot that was granted before. Its node has not heard of that until now, and begins to use it: much of the lease may be over.
local function giveAgain(held, ticket)
  local untilMs = tonumber(redis.call('ZSCORE', held, ticket) or 0)
  if untilMs <= now then return false end
  give(held, ticket)
  return true
end

local function free(held, cap)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return cap - redis.call('ZCARD', held)
end

local function tell(ticket)
  local node = ownerOf(ticket)
  if node == me then
    mine[#mine + 1] = ticket
  else
    theirs[node] = theirs[node] and (theirs[node] .. ' ' .. ticket) or ticket
  end
end

local function fill(held, line, capKey)
  if settling or redis.call('ZCARD', line) == 0 then return end
  local room = free(held, tonumber(redis.call('GET', capKey) or 0))
  while room > 0 do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first then return end
    redis.call('ZREM', line, first)
    if isAlive(ownerOf(first)) then
      give(held, first)
      tell(first)
      room = room - 1
    end
  end
end

local function stand(line, capKey, ticket, cap, arrival)
  redis.call('ZADD', line, arrival, ticket)
  redis.call('PEXPIRE', line, leaseMs * 2)
  if cap then redis.call('SET', capKey, cap, 'PX', leaseMs * 2) else redis.call('PEXPIRE', capKey, leaseMs * 2) end
end

local function forgetDead(line)
  for _, ticket in ipairs(redis.call('ZRANGE', line, 0, -1)) do
    if not isAlive(ownerOf(ticket)) then redis.call('ZREM', line, ticket) end
  end
end

-- Whether others still may have idle slots; they are told once, and none may be kept for a while.
local function recall(keepers)
  redis.call('ZREMRANGEBYSCORE', keepers, '-inf', now)
  local isTold = redis.call('ZSCORE', keepers, NOBODY)
  local areThere = false
  for _, node in ipairs(redis.call('ZRANGE', keepers, 0, -1)) do
    if node ~= NOBODY and node ~= me and isAlive(node) then
      areThere = true
      if not isTold then redis.call('PUBLISH', channel .. 'recall:' .. node, keepers) end
    end
  end
  redis.call('ZADD', keepers, now + ${NO_RESERVE_MS}, NOBODY)
  redis.call('PEXPIRE', keepers, leaseMs * 2)
  return areThere
end

local asks = {}

local function take(held, line, capKey, ticket, cap, queue, arrival, keepers, insists)
  -- Asked before, and the answer was lost on its way.
  if giveAgain(held, ticket) then return GRANTED, 0 end
  if settling then return SETTLING, 0 end
  local since = redis.call('ZSCORE', line, ticket)
  if since then return WAITING, tonumber(since) end
  local ahead = redis.call('ZCARD', line)
  if ahead > 0 then
    redis.call('SET', capKey, cap, 'PX', leaseMs * 2)
    fill(held, line, capKey)
    ahead = redis.call('ZCARD', line)
  end
  if ahead == 0 and free(held, cap) > 0 then
    give(held, ticket)
    return GRANTED, 0
  end
  if ahead >= queue and queue > 0 then
    forgetDead(line)
    ahead = redis.call('ZCARD', line)
  end
  local recalling = recall(keepers)
  if ahead >= queue then
    if recalling and not insists then return RECALLING, 0 end
    return REFUSED, ahead
  end
  stand(line, capKey, ticket, cap, arrival)
  return WAITING, arrival
end

asks.take = take

function asks.insist(held, line, capKey, ticket, cap, queue, arrival, keepers)
  return take(held, line, capKey, ticket, cap, queue, arrival, keepers, true)
end

function asks.hold(held, line, capKey, ticket, cap)
  -- Its node may have granted it without us, from its share: a place left in line would be granted to nobody.
  redis.call('ZREM', line, ticket)
  local untilMs = tonumber(redis.call('ZSCORE', held, ticket) or 0)
  if untilMs > now or settling or free(held, cap) > 0 then
    give(held, ticket)
    return GRANTED, 0
  end
  return LOST, 0
end

function asks.wait(held, line, capKey, ticket, cap, queue, arrival)
  if giveAgain(held, ticket) then return GRANTED, 0 end
  if redis.call('EXISTS', capKey) == 1 then cap = nil end
  stand(line, capKey, ticket, cap, arrival)
  fill(held, line, capKey)
  return WAITING, arrival
end

function asks.drop(held, line, capKey, ticket)
  redis.call('ZREM', line, ticket)
  redis.call('ZREM', held, ticket)
  fill(held, line, capKey)
  return DONE, 0
end

function asks.tally(held)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return DONE, redis.call('ZCARD', held)
end

function asks.count(held, line, capKey, ticket, cap, queue, arrival, keepers)
  if recall(keepers) then return RECALLING, 0 end
  return asks.tally(held)
end

function asks.keep(held, line, capKey, ticket, cap, queue, arrival, keepers)
  local notBefore = tonumber(redis.call('ZSCORE', keepers, NOBODY) or 0)
  if settling or notBefore > now or redis.call('ZCARD', line) > 0 then return REFUSED, 0 end
  redis.call('ZADD', keepers, now + leaseMs, me)
  redis.call('PEXPIRE', keepers, leaseMs * 2)
  return GRANTED, 0
end

function asks.emptied(held, line, capKey, ticket, cap, queue, arrival, keepers)
  if redis.call('ZREM', keepers, me) == 0 then return DONE, 0 end
  local isWanted = redis.call('ZSCORE', keepers, NOBODY)
  if isWanted and redis.call('ZCARD', keepers) == 1 then redis.call('PUBLISH', channel .. 'emptied', keepers) end
  return DONE, 0
end

function asks.reported()
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

local answers = {}
for at = 7, #ARGV, 6 do
  local first = 4 * tonumber(ARGV[at + 1])
  local arrival = tonumber(ARGV[at + 5])
  -- In one script all time is the same: the order of the asks goes into the digits below a microsecond's worth.
  if arrival == 0 then arrival = nowUs + (at - 7) / 6 end
  local answer, value = asks[ARGV[at]](KEYS[first], KEYS[first + 1], KEYS[first + 2], ARGV[at + 2],
    tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), arrival, KEYS[first + 3])
  answers[#answers + 1] = answer
  answers[#answers + 1] = string.format('%.0f', value)
end
for node, tickets in pairs(theirs) do redis.call('PUBLISH', channel .. node, tickets) end
return { generation, settling and 1 or 0, mine, answers }
`)

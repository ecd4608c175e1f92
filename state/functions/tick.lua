-- tick: once a second, to every shard, also when nothing moves.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, server, revision, business_ms, parts, pace_us]
--            part     [watermark, after, upto, events]: no events of this shard in between, so the last is empty
--            pace_us  how far apart SKUs become due after a new policy, 0 = leave that to other callers; a call under an
--                     older policy does in any case
-- Returns  msgpack of one of
--          ["LOST", watermarks] [[watermark, where the shard stands], ...] of those that are behind; nothing was done
--          ["OK", recover, revision, business_ms, due, oldest_due_ms, touching]
--            recover        1 another server answers than before, or the shard knows of none: it lost all that it had;
--                           2 a recovery is a minute old and wants its repetition
--            due            SKUs due now; oldest_due_ms: since when the oldest has been, 0 for none
--            touching       1 while SKUs are still being made due after a new policy
--
-- Atomic because the marks may only move if none of them is behind. It is also how a shard that rolled
-- back is noticed when all is quiet, how the newest business time reaches every shard, and how a newer
-- policy takes over: SKUs are made due, a chunk a call. When there are many they become due one after the other, and not
-- before those with priority: a SKU that is due sooner stays so.

local TOUCH_CHUNK = 500
local BEGIN, REPETITION, SPREAD_MIN_MS, HASHED, HASH_FACTOR, HASH_MAX, HASH_STEP -- from state/protocol/control.py

-- By how much later a SKU comes up, within the spread.
local function later_ms(sku, spread_ms)
  local hash = 0
  for i = max(1, #sku - HASHED + 1), #sku do hash = (HASH_FACTOR * hash + byte(sku, i)) % HASH_MAX end
  return floor(hash * HASH_STEP % HASH_MAX * spread_ms / HASH_MAX)
end

local function touch_chunk(prefix, key, touch, now_ms, pace_us)
  local spread_ms = floor(call('ZCARD', prefix .. 'due') * pace_us / 1000)
  local found = call('ZSCAN', prefix .. 'due', touch, 'COUNT', TOUCH_CHUNK)
  local list, n = {}, 0
  for i = 1, #found[2], 2 do
    local sku = found[2][i]
    local later = (spread_ms < SPREAD_MIN_MS) and 0 or later_ms(sku, spread_ms)
    list[n + 1], list[n + 2] = int(now_ms + later), sku
    n = n + 2
  end
  leased_queue.spread(prefix .. 'due', list)
  if found[1] == '0' then
    call('HDEL', key, 'touch')
    return 0
  end
  call('HSET', key, 'touch', found[1])
  return 1
end

local function take_over(key, meta, revision)
  if revision > meta.revision then
    meta.touch = (meta.revision > 0) and '0' or ''
    meta.revision = revision
    call('HSET', key, 'revision', revision)
    if meta.touch ~= '' then call('HSET', key, 'touch', meta.touch) end
  end
end

local function tick(keys, args)
  local now_us, server, revision, business_ms, parts, pace_us = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local marks, behind = marks_of(prefix .. 'mark', parts)
  if #behind > 0 then return cmsgpack.pack({ 'LOST', behind }) end
  local meta = meta_of(keys[1])
  local now_ms = floor(now_us / 1000)
  local due = call('ZCOUNT', prefix .. 'due', '-inf', now_ms)
  local oldest_due_ms = leased_queue.oldest(prefix .. 'due', now_ms)

  raise_marks(prefix .. 'mark', parts, marks)
  local recover = 0
  if meta.server ~= server then
    recover = BEGIN
  elseif meta.again > 0 and meta.again <= now_ms then
    recover = REPETITION
  end
  if business_ms > meta.t then call('HSET', keys[1], 't', business_ms) end
  take_over(keys[1], meta, revision)
  local touching = 0
  if meta.touch ~= '' and pace_us > 0 and revision == meta.revision then
    touching = touch_chunk(prefix, keys[1], meta.touch, now_ms, pace_us)
  end
  return cmsgpack.pack({ 'OK', recover, meta.revision, max(meta.t, business_ms), due, oldest_due_ms, touching })
end

register('penstock_tick', tick)

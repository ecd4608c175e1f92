-- tick: once a second, to every shard, also when nothing moves.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, server, revision, business_ms, parts]; part [mark, after, upto]: no events of this shard in between
-- Returns  msgpack of one of
--          ["LOST", [[mark, where the shard stands], ...]] and nothing was done
--          ["OK", recover, revision, business_ms, due now, due since (ms) or 0, touching]
--            recover: 1 another server answers than before, or the shard knows of none: it lost all that it had;
--                     2 a recovery is a minute old and wants its repetition
--
-- Atomic because the marks may only move if none of them is behind. It is also how a shard that rolled
-- back is noticed when all is quiet, how the newest business time reaches every shard, and how a newer
-- policy takes over: SKUs are made due with a raised version, a chunk a call.

local TOUCH_CHUNK = 500

local function raise_version(key, now_us, version_floor)
  local head = call('HGET', key, '=')
  local version, cause = unpack_text('<i8i8', head)
  call('HSET', key, '=', with_version(head, next_version(version, now_us, version_floor), cause))
end

local function touch_chunk(prefix, key, meta, now_us)
  local found = call('ZSCAN', prefix .. 'due', meta.touch, 'COUNT', TOUCH_CHUNK)
  local skus = {}
  for i = 1, #found[2], 2 do
    local sku = found[2][i]
    raise_version(prefix .. 'pos:' .. sku, now_us, meta.floor)
    skus[#skus + 1] = sku
  end
  make_due(prefix .. 'due', floor(now_us / 1000), skus)
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
  local now_us, server, revision, business_ms, parts = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local marks, lost = marks_of(prefix .. 'mark', parts)
  if #lost > 0 then return cmsgpack.pack({ 'LOST', lost }) end
  local meta = meta_of(keys[1])
  local now_ms = floor(now_us / 1000)
  local due = call('ZCOUNT', prefix .. 'due', '-inf', now_ms)
  local since = oldest_due(prefix .. 'due', now_ms)

  raise_marks(prefix .. 'mark', parts, marks)
  local recover = 0
  if meta.server ~= server then
    recover = 1
  elseif meta.again > 0 and meta.again <= now_ms then
    recover = 2
  end
  if business_ms > meta.t then call('HSET', keys[1], 't', business_ms) end
  take_over(keys[1], meta, revision)
  local touching = 0
  if meta.touch ~= '' then touching = touch_chunk(prefix, keys[1], meta, now_us) end
  return cmsgpack.pack({ 'OK', recover, meta.revision, max(meta.t, business_ms), due, since, touching })
end

register('penstock_tick', tick)

-- claim: the SKUs that are due, with all that their levels depend on, each under a token and a lease.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, lease_ms, revision, business_ms, limit]
-- Returns  an array, not msgpack, for it holds packed figures as they lie in Redis (figures.lua); one of
--          "REFUSED", revision: the caller's policy is older than the shard's
--          "OK", generation, recovered (0 or 1), business_ms, stale, due
--            stale: SKUs whose sums were made under another policy; they come back after the lease, or once rebuilt
--            due, in one list: sku, flags (1 trust, 2 nothing was ever emitted), head, claim, levels, ads,
--                  [alert, text, ...]; the version in the head and in the claim is the token
--
-- Atomic because version, token, `open` and lease must be taken with the figures they stand for. Every
-- claim takes a new version and opens `out`: what may still be under way is then never trusted.

local DUE_VALUES = 7
local NO_ALERTS = {}

local function wake(prefix, business_ms, now_ms, limit)
  local look = prefix .. 'look'
  local skus = call('ZRANGEBYSCORE', look, '-inf', business_ms, 'LIMIT', 0, limit)
  if #skus > 0 then
    make_due(prefix .. 'due', now_ms, skus)
    wide('ZREM', look, skus)
  end
end

local function alerts_of(key)
  local list = {}
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    if sub(flat[i], 1, 1) == '!' and flat[i] ~= '!' then
      list[#list + 1] = sub(flat[i], 2)
      list[#list + 1] = flat[i + 1]
    end
  end
  return list
end

-- Add a SKU to `due` unless its sums are stale.
local function claim_sku(prefix, sku, meta, now_us, revision, due, n)
  local key, out_key = prefix .. 'pos:' .. sku, prefix .. 'out:' .. sku
  local figures = call('HMGET', key, '=', '!')
  local version, cause, made_under = unpack_text('<i8i8i8', figures[1])
  if made_under ~= revision then return false end
  local out = call('HMGET', out_key, '=', 'levels', 'ads')
  local known, flags, available = out[1], 2, 0
  if known then
    local _, open, generation, emitted, open_cause = unpack_text(CLAIM_FORMAT, known)
    flags, available = (open == 0 and generation == meta.generation) and 1 or 0, emitted
    if open_cause > 0 and (cause == 0 or open_cause < cause) then cause = open_cause end
    known = generation
  end
  local token = next_version(version, now_us, meta.floor)
  local head = with_version(figures[1], token, 0)
  local state = pack(CLAIM_FORMAT, token, 1, known or ABSENT, available, cause)
  call('HSET', key, '=', head)
  call('HSET', out_key, '=', state)
  due[n + 1], due[n + 2], due[n + 3], due[n + 4], due[n + 5], due[n + 6], due[n + 7] =
    sku, flags, head, state, out[2] or '', out[3] or '', figures[2] and alerts_of(key) or NO_ALERTS
  return true
end

local function claim(keys, args)
  local now_us, lease_ms, revision, business_ms, limit = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  if revision < meta.revision then return { 'REFUSED', meta.revision } end
  local now_ms = floor(now_us / 1000)
  take_over(keys[1], meta, revision)
  wake(prefix, business_ms, now_ms, limit)

  local due, stale, lease, n = {}, {}, {}, 0
  local until_ms = int(now_ms + lease_ms)
  for i, sku in ipairs(call('ZRANGEBYSCORE', prefix .. 'due', '-inf', now_ms, 'LIMIT', 0, limit)) do
    if claim_sku(prefix, sku, meta, now_us, revision, due, n) then n = n + DUE_VALUES else stale[#stale + 1] = sku end
    lease[2 * i - 1], lease[2 * i] = until_ms, sku
  end
  wide('ZADD', prefix .. 'due', lease)
  return { 'OK', meta.generation, meta.recovered and 1 or 0, max(business_ms, meta.t), stale, due }
end

register('penstock_claim', claim)

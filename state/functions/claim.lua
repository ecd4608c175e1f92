-- claim: the SKUs that are due, with all that their levels depend on, each under a token and a lease.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, lease_ms, revision, business_ms, limit]
-- Returns  an array, not msgpack, for it holds packed figures as they lie in Redis (figures.lua); one of
--          "REFUSED", revision: the caller's policy is older than the shard's
--          "OK", generation, recovered (0 or 1), business_ms, stale, due, alerts
--            stale: SKUs whose sums were made under another policy; they come back after the lease, or once rebuilt
--            due, in one list: sku, head, what was emitted last; the version in the head is the token, its `open`
--                  tells more: 1 open, + 2 what was emitted can be trusted, + 4 nothing ever was
--            alerts, in one list: sku, [alert, text, ...], for those that have any
--
-- Atomic because version, token, `open` and lease must be taken with the figures they stand for. Every
-- claim takes a new version and stays open until settled: what may still be under way is then never trusted.

local DUE_VALUES = 3
local OPEN, TRUSTED, FIRST = 1, 2, 4

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
    if sub(flat[i], 1, 1) == '!' then
      list[#list + 1] = sub(flat[i], 2)
      list[#list + 1] = flat[i + 1]
    end
  end
  return list
end

-- Add a SKU to `due` unless its sums are stale.
local function claim_sku(prefix, sku, meta, now_us, revision, due, n, alerts)
  local key = prefix .. 'pos:' .. sku
  local known = call('HMGET', key, '=', '>')
  local head = known[1]
  local version, cause, before, open, generation, available, open_cause, alerted, made_under =
    unpack_text(LEAD_FORMAT, head)
  if made_under ~= revision then return false end
  if before == 0 then
    open, generation = OPEN + FIRST, ABSENT
  else
    open = (open == 0 and generation == meta.generation) and OPEN + TRUSTED or OPEN
    if open_cause > 0 and (cause == 0 or open_cause < cause) then cause = open_cause end
  end
  local token = next_version(version, now_us, meta.floor)
  head = pack(LEAD_AND_REST, token, 0, token, open, generation, available, cause, alerted, sub(head, AFTER_LEAD))
  call('HSET', key, '=', head)
  due[n + 1], due[n + 2], due[n + 3] = sku, head, known[2] or ''
  if alerted > 0 then
    alerts[#alerts + 1] = sku
    alerts[#alerts + 1] = alerts_of(key)
  end
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

  local due, stale, alerts, lease, n = {}, {}, {}, {}, 0
  local until_ms = int(now_ms + lease_ms)
  for i, sku in ipairs(call('ZRANGEBYSCORE', prefix .. 'due', '-inf', now_ms, 'LIMIT', 0, limit)) do
    if claim_sku(prefix, sku, meta, now_us, revision, due, n, alerts) then
      n = n + DUE_VALUES
    else
      stale[#stale + 1] = sku
    end
    lease[2 * i - 1], lease[2 * i] = until_ms, sku
  end
  wide('ZADD', prefix .. 'due', lease)
  return { 'OK', meta.generation, meta.recovered and 1 or 0, max(business_ms, meta.t), stale, due, alerts }
end

register('penstock_claim', claim)

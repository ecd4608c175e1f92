-- claim: the SKUs that are due, with all that their levels depend on, each under a token and a lease.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, lease_ms, revision, business_ms, limit]
-- Returns  ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", generation, recovered, business_ms, due, stale]
--            due: [sku, token, trust, first, a, u, h, [sum of each class], cause_ms, [day, units, ...], available,
--                  levels, ads, [[alert, text], ...]]
--            stale: SKUs whose sums were made under another policy; they come back after the lease, or once rebuilt
--
-- Atomic because version, token, `open` and lease must be taken with the figures they stand for. Every
-- claim takes a new version and opens `out`: what may still be under way is then never trusted.

local function wake(prefix, business_ms, now_ms, limit)
  local look = prefix .. 'look'
  local skus = call('ZRANGEBYSCORE', look, '-inf', int(business_ms), 'LIMIT', 0, limit)
  if #skus > 0 then
    make_due(prefix .. 'due', now_ms, skus)
    wide('ZREM', look, skus)
  end
end

local function alerts_of(key)
  local list = {}
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 1) == '!' and flat[i] ~= '!' then list[#list + 1] = { string.sub(flat[i], 2), flat[i + 1] } end
  end
  return list
end

local function claim_sku(prefix, sku, meta, now_us, revision)
  local key, out_key = prefix .. 'pos:' .. sku, prefix .. 'out:' .. sku
  local values = call('HMGET', key, '=', '!')
  local head = cmsgpack.unpack(values[1])
  if head[P] ~= revision then return nil end
  local out = call('HMGET', out_key, '=', 'levels', 'ads')
  local state = out[1] and cmsgpack.unpack(out[1]) or { 0, 0, ABSENT, 0, 0 }
  local trust = state[OPEN] == 0 and state[GENERATION] == meta.generation
  local cause = head[Q]
  if state[CAUSE] > 0 and (cause == 0 or state[CAUSE] < cause) then cause = state[CAUSE] end
  head[V], head[Q] = next_version(head[V], now_us, meta.floor), 0
  state[TOKEN], state[OPEN], state[CAUSE] = head[V], 1, cause
  call('HSET', key, '=', cmsgpack.pack(head))
  call('HSET', out_key, '=', cmsgpack.pack(state))
  local alerts = {}
  if values[2] then alerts = alerts_of(key) end
  return {
    sku, head[V], trust, not out[1], head[A], head[U], head[H], { unpack(head, SUMS + 1) }, cause, head[D],
    state[AVAILABLE], out[2] or '', out[3] or '', alerts,
  }
end

local function claim(keys, args)
  local now_us, lease_ms, revision, business_ms, limit = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  if revision < meta.revision then return cmsgpack.pack({ 'REFUSED', meta.revision }) end
  local now_ms = floor(now_us / 1000)
  take_over(keys[1], meta, revision)
  wake(prefix, business_ms, now_ms, limit)

  local due, stale, lease = {}, {}, {}
  local until_ms = int(now_ms + lease_ms)
  for _, sku in ipairs(call('ZRANGEBYSCORE', prefix .. 'due', '-inf', int(now_ms), 'LIMIT', 0, limit)) do
    local entry = claim_sku(prefix, sku, meta, now_us, revision)
    if entry then due[#due + 1] = entry else stale[#stale + 1] = sku end
    lease[#lease + 1] = until_ms
    lease[#lease + 1] = sku
  end
  wide('ZADD', prefix .. 'due', lease)
  return cmsgpack.pack({ 'OK', meta.generation, meta.recovered, max(business_ms, meta.t), due, stale })
end

register('penstock_claim', claim)

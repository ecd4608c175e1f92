-- claim: the SKUs that are due, with all that their levels depend on, each under a token and a lease.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, lease_ms, revision, sums_revision, business_ms, limit, silent, gates]
--            sums_revision  the one under which classes or floors last changed, that sums belong to
--            silent         locations whose positions are returned with each SKU
--            gates          each [needle, locations]: closed while the needle is not among the levels emitted last, and
--                           a location was not counted
-- Returns  an array, not msgpack, for it holds packed figures as they are in Redis (figures.lua); one of
--          ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", generation, recovered, business_ms, stale, due, alerts, expired, looked]
--            recovered  1 if this shard has been through a recovery
--            stale      SKUs whose sums were made under another sums_revision; they come back after the lease, or once
--                       rebuilt
--            due        in one list: sku, head, what was emitted last; the version in the head is the token, its `open`
--                       holds flags: 1 open, + 2 what was emitted can be trusted, + 4 nothing ever was
--            alerts     in one list: sku, [alert, text, ...], for those that have any
--            expired    holds whose time was over; their units are back in the pool, and in these figures
--            looked     in one list: sku, [closed gate (from 0), ...], [silent location, position, ...], for those that
--                       have any
--
-- Atomic because version, token, `open` and lease must be taken with the figures they stand for. Every
-- claim takes a new version and stays open until settled: what may still be under way is then never trusted.

local OPEN, TRUSTED, FIRST, DUE_VALUES -- from state/protocol/claim.py
local CLAIM_SWEEP_MAX -- from state/protocol/holds.py

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

local look_around, asked_of
do
  local GATE_FIELDS = 32 -- positions read at once to see whether all were counted

  local function fields_of(locations)
    local fields = {}
    for i, location in ipairs(locations) do fields[i] = 'l:' .. location end
    return fields
  end

  -- Whether a channel is among the levels of what was emitted, not among the ads behind them.
  local function is_emitted(emitted, needle)
    local at = emitted and string.find(emitted, needle, 1, true)
    return at and at < (string.find(emitted, US, 1, true) or #emitted + 1)
  end

  -- Read piece by piece: before a count the first one decides.
  local function all_counted(key, fields)
    for i = 1, #fields, GATE_FIELDS do
      local texts = call('HMGET', key, unpack(fields, i, min(i + GATE_FIELDS - 1, #fields)))
      for _, text in ipairs(texts) do
        if not text or byte(text) ~= FIGURES then return false end
      end
    end
    return true
  end

  -- Add what gates and silent locations have to say, `known` being the figures read with them.
  function look_around(asked, key, sku, known)
    local closed, texts = {}, {}
    for i, gate in ipairs(asked.gates) do
      if not is_emitted(known[2], gate.needle) and not all_counted(key, gate.fields) then closed[#closed + 1] = i - 1 end
    end
    for i, location in ipairs(asked.silent) do
      if known[i + 2] then
        texts[#texts + 1] = location
        texts[#texts + 1] = known[i + 2]
      end
    end
    if #closed + #texts > 0 then
      local looked, n = asked.looked, #asked.looked
      looked[n + 1], looked[n + 2], looked[n + 3] = sku, closed, texts
    end
  end

  function asked_of(silent, gates)
    local found = { silent = silent, fields = fields_of(silent), gates = {}, looked = {}, any = #silent + #gates > 0 }
    for i, gate in ipairs(gates) do found.gates[i] = { needle = gate[1], fields = fields_of(gate[2]) } end
    return found
  end
end

-- Add a SKU to `due` unless its sums are stale.
local function claim_sku(prefix, sku, meta, now_us, sums_revision, due, n, alerts, asked)
  local key = prefix .. 'pos:' .. sku
  local known = call('HMGET', key, '=', '>', unpack(asked.fields))
  local head = known[1]
  local version, cause, before, open, generation, available, open_cause, alerted, made_under =
    unpack_text(LEAD_FORMAT, head)
  if made_under ~= sums_revision then return false end
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
  if asked.any then look_around(asked, key, sku, known) end
  return true
end

local function claim(keys, args)
  local now_us, lease_ms, revision, sums_revision, business_ms, limit, silent, gates = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  if revision < meta.revision then return { 'REFUSED', meta.revision } end
  local now_ms = floor(now_us / 1000)
  take_over(keys[1], meta, revision)
  leased_queue.wake(prefix .. 'look', prefix .. 'due', business_ms, now_ms, limit)
  local expired = holds.sweep(prefix, now_us, meta.floor, CLAIM_SWEEP_MAX)

  local due, stale, alerts, n = {}, {}, {}, 0
  local asked = asked_of(silent, gates)
  local skus = leased_queue.due(prefix .. 'due', now_ms, limit)
  for _, sku in ipairs(skus) do
    if claim_sku(prefix, sku, meta, now_us, sums_revision, due, n, alerts, asked) then
      n = n + DUE_VALUES
    else
      stale[#stale + 1] = sku
    end
  end
  leased_queue.lease(prefix .. 'due', skus, now_ms + lease_ms)
  local recovered = meta.recovered and 1 or 0
  return {
    'OK', meta.generation, recovered, max(business_ms, meta.t), stale, due, alerts, expired, asked.looked,
  }
end

register('penstock_claim', claim)

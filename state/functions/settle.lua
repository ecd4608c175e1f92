-- settle: what was emitted is now what the channels know; when to look again.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, revision, items]
--            revision  the policy of the claims
--            items     in one list: sku, token, generation, available, what was emitted (kept as it is), next_due_ms,
--                      next_look_ms (0 for none), [[alert, text], ...]
-- Returns  msgpack of ["OK", settled]: the number of items that were still the latest claim of their SKU
--
-- Atomic because a claim may only be closed while it is still the latest, in the generation that it was made
-- in, and the next look depends on whether the SKU changed since. What was derived under an older policy than the
-- shard's is looked at again at once: its SKU may have come up for the new one already.

local SETTLE_VALUES -- from state/protocol/claim.py

-- Forget alerts that were reported, unless they changed since. Returns 1 when some are left.
local function forget_alerts(key, alerts)
  local gone = {}
  for _, alert in ipairs(alerts) do
    if call('HGET', key, '!' .. alert[1]) == alert[2] then gone[#gone + 1] = '!' .. alert[1] end
  end
  wide('HDEL', key, gone)
  return (#alerts_of(key) > 0) and 1 or 0
end

-- Close a claim if it is still the latest. Returns the version of its SKU, nil when it is not.
local function settle_sku(key, token, generation, available, emitted, reported)
  local head = call('HGET', key, '=')
  if not head then return nil end
  local version, cause, latest, _, _, _, _, alerted = unpack_text(LEAD_FORMAT, head)
  if latest ~= token then return nil end
  if #reported > 0 then alerted = forget_alerts(key, reported) end
  head = pack(LEAD_AND_REST, version, cause, token, 0, generation, available, 0, alerted, sub(head, AFTER_LEAD))
  call('HSET', key, '=', head, '>', emitted)
  return version
end

local function settle(keys, args)
  local now_us, revision, items = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = call('HMGET', keys[1], 'generation', 'revision')
  local generation, is_newest = tonumber(meta[1] or 0), revision >= tonumber(meta[2] or 0)
  local now_ms = floor(now_us / 1000)
  local due, look, asleep, settled = {}, {}, {}, 0
  for i = 1, #items, SETTLE_VALUES do
    local sku, token, next_look_ms = items[i], items[i + 1], items[i + 6]
    local version = items[i + 2] == generation
      and settle_sku(prefix .. 'pos:' .. sku, token, generation, items[i + 3], items[i + 4], items[i + 7])
    if version then
      settled = settled + 1
      due[#due + 1] = (version == token and is_newest) and items[i + 5] or now_ms
      due[#due + 1] = sku
      if next_look_ms > 0 then
        look[#look + 1] = next_look_ms
        look[#look + 1] = sku
      else
        asleep[#asleep + 1] = sku
      end
    end
  end
  leased_queue.settle(prefix .. 'look', prefix .. 'due', due, look, asleep)
  return cmsgpack.pack({ 'OK', settled })
end

register('penstock_settle', settle)

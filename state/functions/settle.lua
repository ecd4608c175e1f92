-- settle: what was emitted is now what the channels know; when to look again.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, items]; items, in one list: sku, token, generation, available, levels, ads, next_due_ms,
--          next_look_ms (0 for none), [[alert, text], ...]
-- Returns  ["OK", settled] as msgpack: the number of items that were still the latest claim of their SKU
--
-- Atomic because `out` may only be closed by the claim that is still the latest, in the generation that it
-- was made in, and the next look depends on whether the SKU changed since.

local ITEM_VALUES = 9

local function forget_alerts(key, alerts)
  local gone = {}
  for _, alert in ipairs(alerts) do
    if call('HGET', key, '!' .. alert[1]) == alert[2] then gone[#gone + 1] = '!' .. alert[1] end
  end
  wide('HDEL', key, gone)
  if #gone > 0 and #alerts_of(key) == 0 then call('HDEL', key, '!') end
end

local function is_latest(claim_text, token, given, generation)
  return claim_text and given == generation and unpack_text('<i8', claim_text) == token
end

local function settle(keys, args)
  local now_us, items = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local generation = tonumber(call('HGET', keys[1], 'generation') or 0)
  local now_ms = floor(now_us / 1000)
  local due, look, asleep, settled = {}, {}, {}, 0
  for i = 1, #items, ITEM_VALUES do
    local sku, token, next_look_ms, alerts = items[i], items[i + 1], items[i + 7], items[i + 8]
    local key, out_key = prefix .. 'pos:' .. sku, prefix .. 'out:' .. sku
    if is_latest(call('HGET', out_key, '='), token, items[i + 2], generation) then
      settled = settled + 1
      call('HSET', out_key, '=', pack(CLAIM_FORMAT, token, 0, generation, items[i + 3], 0),
        'levels', items[i + 4], 'ads', items[i + 5])
      if #alerts > 0 then forget_alerts(key, alerts) end
      local version = unpack_text('<i8', call('HGET', key, '='))
      due[#due + 1] = (version == token) and items[i + 6] or now_ms
      due[#due + 1] = sku
      if next_look_ms > 0 then
        look[#look + 1] = next_look_ms
        look[#look + 1] = sku
      else
        asleep[#asleep + 1] = sku
      end
    end
  end
  wide('ZADD', prefix .. 'due', due)
  wide('ZADD', prefix .. 'look', look)
  wide('ZREM', prefix .. 'look', asleep)
  return cmsgpack.pack({ 'OK', settled })
end

register('penstock_settle', settle)

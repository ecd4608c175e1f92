-- settle: what was emitted is now what the channels know; when to look again.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, items]; item [sku, token, generation, available, levels, ads, next_due_ms, next_look_ms, alerts]
-- Returns  ["OK", settled] the number of items that were still the latest claim of their SKU
--
-- Atomic because `out` may only be closed by the claim that is still the latest, in the generation that it
-- was made in, and the next look depends on whether the SKU changed since.

local function forget_alerts(key, alerts)
  local gone = {}
  for _, alert in ipairs(alerts) do
    if call('HGET', key, '!' .. alert[1]) == alert[2] then gone[#gone + 1] = '!' .. alert[1] end
  end
  wide('HDEL', key, gone)
  if #gone > 0 and #alerts_of(key) == 0 then call('HDEL', key, '!') end
end

local function settle(keys, args)
  local now_us, items = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local generation = meta_of(keys[1]).generation
  local now_ms = floor(now_us / 1000)
  local due, look, asleep, settled = {}, {}, {}, 0
  for _, item in ipairs(items) do
    local sku, token, key, out_key = item[1], item[2], prefix .. 'pos:' .. item[1], prefix .. 'out:' .. item[1]
    local packed = call('HGET', out_key, '=')
    local state = packed and cmsgpack.unpack(packed)
    if state and state[TOKEN] == token and item[3] == generation then
      settled = settled + 1
      call('HSET', out_key, '=', cmsgpack.pack({ token, 0, generation, item[4], 0 }), 'levels', item[5], 'ads', item[6])
      if #item[9] > 0 then forget_alerts(key, item[9]) end
      local head = cmsgpack.unpack(call('HGET', key, '='))
      due[#due + 1] = int((head[V] == token) and item[7] or now_ms)
      due[#due + 1] = sku
      if item[8] > 0 then
        look[#look + 1] = int(item[8])
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

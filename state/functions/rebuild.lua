-- rebuild: the class sums of SKUs, made anew from their positions under the policy in force.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, revision, places, skus]; a SKU that has stock at a location not listed is left as it is:
--          it came there after the caller looked, and is claimed as stale once more
-- Returns  msgpack of one of
--          ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", rebuilt]
--
-- Atomic because a movement between reading the positions and writing the sums would be missing from them.

-- The positions of a SKU with their places; nil when one that has stock is not listed.
local function placed(flat, by_location)
  local found = {}
  for i = 1, #flat, 2 do
    if sub(flat[i], 1, 2) == 'l:' then
      local place, p = by_location[sub(flat[i], 3)], position_of(flat[i], flat[i + 1])
      if place then
        found[#found + 1] = { place, p }
      elseif contribution(p, 0) > 0 then
        return nil
      end
    end
  end
  return found
end

local function rebuild_sku(prefix, sku, by_location, meta, now_us, revision)
  local key = prefix .. 'pos:' .. sku
  local head = call('HGET', key, '=')
  local positions = head and placed(call('HGETALL', key), by_location)
  if not positions then return 0 end
  local s = sku_of(sku, key, head)
  s[VERSION], s[REVISION], s[CLASSES], s[BASE] = next_version(s[VERSION], now_us, meta.floor), revision, 0, 0
  for _, each in ipairs(positions) do
    local _, class, place_floor, base = unpack(each[1])
    add_to_class(s, class, contribution(each[2], place_floor))
    if base == 1 then s[BASE] = s[BASE] + contribution(each[2], 0) end
  end
  call('HSET', key, '=', head_of(s))
  return 1
end

local function rebuild(keys, args)
  local now_us, revision, places, skus = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  if revision < meta.revision then return cmsgpack.pack({ 'REFUSED', meta.revision }) end
  call('ZCARD', prefix .. 'due')
  take_over(keys[1], meta, revision)
  local by_location, rebuilt, due = {}, 0, {}
  for _, place in ipairs(places) do by_location[place[1]] = place end
  for _, sku in ipairs(skus) do
    local done = rebuild_sku(prefix, sku, by_location, meta, now_us, revision)
    if done == 1 or call('HEXISTS', prefix .. 'pos:' .. sku, '=') == 1 then due[#due + 1] = sku end
    rebuilt = rebuilt + done
  end
  make_due(prefix .. 'due', floor(now_us / 1000), due)
  return cmsgpack.pack({ 'OK', rebuilt })
end

register('penstock_rebuild', rebuild)

-- rebuild: the materialised class sums of SKUs, recomputed from their positions under the active policy.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, revision, sums_revision, places, skus]
--            places  each [location, class, floor, base]
--            skus    one that has stock at a location not listed is left as it is: it came there after the caller looked,
--                    and is claimed as stale once more
-- Returns  msgpack of one of
--          ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", rebuilt]
--
-- Atomic because a movement between reading the positions and writing the sums would be missing from them.

-- What counts of the positions of a SKU, in lists side by side: a table for each is what costs when there are many.
local function positions_of(flat)
  local locations, on_hand, reserved, atp, n = {}, {}, {}, {}, 0
  for i = 1, #flat, 2 do
    if sub(flat[i], 1, 2) == 'l:' then
      local text, bound, unavailable = flat[i + 1], 0, 0
      local figures, units = unpack_text('<Bi8', text)
      if figures > 2 then
        bound, unavailable = unpack_text('<i8i8', text, 10)
      elseif figures > 1 then
        bound = unpack_text('<i8', text, 10)
      end
      n = n + 1
      locations[n], on_hand[n], reserved[n], atp[n] = sub(flat[i], 3), units, bound, units - bound - unavailable
    end
  end
  return { locations = locations, on_hand = on_hand, reserved = reserved, atp = atp }
end

-- A location that has stock and is not listed, nil when there is none.
local function unlisted(positions, by_location)
  for i, location in ipairs(positions.locations) do
    if positions.atp[i] > 0 and not by_location[location] then return location end
  end
end

-- Recompute the sums of a SKU from its positions.
local function add_up(s, positions, by_location)
  s[CLASSES], s[BASE] = 0, 0
  for i, location in ipairs(positions.locations) do
    local place = by_location[location]
    if place then
      local atp = positions.atp[i]
      add_to_class(s, place[2], above(atp - place[3]))
      if place[4] == 1 then s[BASE] = s[BASE] + above(atp) end
    end
  end
end

local function places_by_location(places)
  local found = {}
  for _, place in ipairs(places) do found[place[1]] = place end
  return found
end

local function rebuild_sku(prefix, sku, by_location, meta, now_us, sums_revision)
  local key = prefix .. 'pos:' .. sku
  local head = call('HGET', key, '=')
  local positions = head and positions_of(call('HGETALL', key))
  if not positions or unlisted(positions, by_location) then return 0 end
  local s = sku_of(sku, key, head)
  s[VERSION], s[REVISION] = next_version(s[VERSION], now_us, meta.floor), sums_revision
  add_up(s, positions, by_location)
  call('HSET', key, '=', head_of(s))
  return 1
end

local function rebuild(keys, args)
  local now_us, revision, sums_revision, places, skus = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  if revision < meta.revision then return cmsgpack.pack({ 'REFUSED', meta.revision }) end
  call('ZCARD', prefix .. 'due')
  take_over(keys[1], meta, revision)
  local by_location, rebuilt, due = places_by_location(places), 0, {}
  for _, sku in ipairs(skus) do
    local done = rebuild_sku(prefix, sku, by_location, meta, now_us, sums_revision)
    if done == 1 or call('HEXISTS', prefix .. 'pos:' .. sku, '=') == 1 then due[#due + 1] = sku end
    rebuilt = rebuilt + done
  end
  leased_queue.make_due(prefix .. 'due', floor(now_us / 1000), due)
  return cmsgpack.pack({ 'OK', rebuilt })
end

register('penstock_rebuild', rebuild)

-- rebuild: the class sums of SKUs, made anew from their positions under the policy in force.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, revision, places, skus]; the first place stands for locations that are not listed
-- Returns  ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", rebuilt]
--
-- Atomic because a movement between reading the positions and writing the sums would be missing from them.

local function rebuild_sku(prefix, sku, by_location, other, meta, now_us, revision)
  local key = prefix .. 'pos:' .. sku
  local flat = call('HGETALL', key)
  if #flat == 0 then return 0 end
  local head = cmsgpack.unpack(call('HGET', key, '='))
  for i = #head, SUMS + 1, -1 do head[i] = nil end
  head[A], head[P], head[V] = 0, revision, next_version(head[V], now_us, meta.floor)
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 2) == 'l:' then
      local place = by_location[string.sub(flat[i], 3)] or other
      move_sums({ head = head }, place, cmsgpack.unpack(flat[i + 1]), 0, 0)
    end
  end
  call('HSET', key, '=', cmsgpack.pack(head))
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
    local done = rebuild_sku(prefix, sku, by_location, places[1], meta, now_us, revision)
    if done == 1 then due[#due + 1] = sku end
    rebuilt = rebuilt + done
  end
  make_due(prefix .. 'due', floor(now_us / 1000), due)
  return cmsgpack.pack({ 'OK', rebuilt })
end

register('penstock_rebuild', rebuild)

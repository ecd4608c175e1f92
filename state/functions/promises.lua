-- promises: what the records of orders and holds keep promised, and what their SKUs say. Writes nothing.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [fields, skus, records, with_heads]
--            fields      so many fields are read in all, and those of one record
--            skus        the only ones that are asked for; none: all
--            records     their keys: `order:<order>`, `hold:<hold>`
--            with_heads  1: also what the heads of these SKUs say
-- Returns  msgpack of [done, held, heads]
--            done   records looked at, the first of `records`
--            held   in one list: record, the number of values that follow, sku, units, ...
--            heads  in one list, if asked for: of each of `skus` its version (0: not known), and the units that
--                   it says are promised
--
-- Atomic because both move together.

-- What a hold keeps of all SKUs, or of some, at locations and of the pool.
local function held_of_hold(key, skus)
  local found, wanted = {}, {}
  for _, sku in ipairs(skus) do wanted[sku] = true end
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    local kind, item = sub(flat[i], 1, 2), sub(flat[i], 3)
    if kind == 'u:' or kind == 'l:' then
      local sku = (kind == 'u:') and item or string.match(item, '^[^\31]*')
      if #skus == 0 or wanted[sku] then
        found[#found + 1] = sku
        found[#found + 1] = tonumber(string.match(flat[i + 1], '^%S+'))
      end
    end
  end
  return found, #flat / 2
end

local function held_of_all(key)
  local found = {}
  -- A record with open units is permanent: one with a time to live has none.
  if call('PTTL', key) ~= -1 then return found, 1 end
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    if sub(flat[i], 1, 2) == 'u:' and flat[i + 1] ~= '0' then
      found[#found + 1] = sub(flat[i], 3)
      found[#found + 1] = tonumber(flat[i + 1])
    end
  end
  return found, #flat / 2
end

local function held_of_some(key, skus)
  local found = {}
  for _, sku in ipairs(skus) do
    local units = tonumber(call('HGET', key, 'u:' .. sku) or 0)
    if units ~= 0 then
      found[#found + 1] = sku
      found[#found + 1] = units
    end
  end
  return found, #skus
end

local function head_and_promise(key, sku)
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    if flat[i] == '=' then
      local s = sku_of(sku, key, flat[i + 1])
      return s[VERSION], promised_of(s, positions_of(flat))
    end
  end
  return 0, 0
end

local function promises(keys, args)
  local fields, skus, records, with_heads = unpack(cmsgpack.unpack(args[1]))
  local prefix, held, heads, done = prefix_of(keys), {}, {}, 0
  while done < #records and fields > 0 do
    done = done + 1
    local key = prefix .. records[done]
    local found, read
    if sub(records[done], 1, 5) == 'hold:' then
      found, read = held_of_hold(key, skus)
    elseif #skus > 0 then
      found, read = held_of_some(key, skus)
    else
      found, read = held_of_all(key)
    end
    fields = fields - read
    if #found > 0 then
      held[#held + 1] = records[done]
      held[#held + 1] = #found
      for _, each in ipairs(found) do held[#held + 1] = each end
    end
  end
  for i = 1, with_heads * #skus do
    heads[2 * i - 1], heads[2 * i] = head_and_promise(prefix .. 'pos:' .. skus[i], skus[i])
  end
  return cmsgpack.pack({ done, held, heads })
end

register('penstock_promises', promises, { 'no-writes' })
